"""Files for the studio's pages: those that a finished job names, and samples of one that trains."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from wenfang.engine.queueing import files_of, run_folder
from wenfang.language import t
from wenfang.server.approval import require_published
from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.place import Here
from wenfang.server.wire import LABEL_HEADERS

router = APIRouter(prefix="/studio/files", include_in_schema=False)

Id = Annotated[str, Path(pattern=r"^job-[0-9a-f]{20}$")]
Look = Annotated[str, Path(pattern=r"^(step_[0-9]{8}|old)$")]
Sample = Annotated[str, Path(pattern=r"^[0-9]{1,3}\.(png|mp3)$")]
SAMPLES = "samples"  # the folder of a run that wenfang.recipes.samples writes


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


@router.get("/{name}/samples/{look}/{file}")
async def sample_of(name: Id, look: Look, file: Sample, here: Here, caller: Asked) -> FileResponse:
    """What a run made at one look; only in its own project, since nothing of it is published."""
    job = await asyncio.to_thread(here.queue.job, name)
    path = run_folder(job) / SAMPLES / look / file
    if job.project != caller.project or job.kind != "train" or not path.is_file():
        raise Fault(404, t("there is no such file"))
    return FileResponse(path, headers=LABEL_HEADERS)
