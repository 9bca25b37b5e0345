"""Files of pieces for the studio's pages: only those that a finished job itself names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from wenfang.jobs import Job
from wenfang.language import t
from wenfang.server.approval import require_published
from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.place import Here

router = APIRouter(prefix="/studio/files", include_in_schema=False)

Id = Annotated[str, PathParameter(pattern=r"^job-[0-9a-f]{20}$")]


def files_of(job: Job) -> list[Path]:
    """Every file that a job published."""
    result: Any = job.result or {}
    pieces = [path for piece in result.get("pieces", ()) for path in piece["files"]]
    return [Path(str(path)) for path in (*pieces, *result.get("files", ()))]


@router.get("/{name}/{number}/{file}")
async def file_of(name: Id, number: int, file: str, here: Here, caller: Asked) -> FileResponse:
    """The job's file of that number; its own name stands last, for those who save it."""
    job = await asyncio.to_thread(here.queue.job, name)
    paths = files_of(job)
    if job.project != caller.project or not 0 <= number < len(paths):
        raise Fault(404, t("there is no such file"))
    await asyncio.to_thread(require_published, here, caller, job.id, job.project)
    path = paths[number]
    if path.name != file or not path.is_file():
        raise Fault(404, t("there is no such file"))
    return FileResponse(path)
