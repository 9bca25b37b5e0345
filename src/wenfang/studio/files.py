"""Files for the studio's pages: those that a finished job names, and samples of one that trains."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated
from zipfile import ZipFile

from fastapi import APIRouter
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from wenfang.atomic import disk_errors
from wenfang.engine.queueing import files_of, run_folder
from wenfang.language import t
from wenfang.seal.inputs import SIDECARS
from wenfang.server.approval import require_published
from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.place import Here
from wenfang.server.wire import LABEL_HEADERS

router = APIRouter(prefix="/studio/files", include_in_schema=False)

Id = Annotated[str, InPath(pattern=r"^job-[0-9a-f]{20}$")]
Look = Annotated[str, InPath(pattern=r"^(step_[0-9]{8}|old)$")]
Sample = Annotated[str, InPath(pattern=r"^[0-9]{1,3}\.(png|mp3)$")]
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


@router.get("/{name}/all.zip")
async def all_of(name: Id, here: Here, caller: Asked) -> FileResponse:
    """The job's files with their credentials, labels and signed manifests."""
    job = await asyncio.to_thread(here.queue.job, name)
    paths = [path for path in files_of(job) if path.is_file()]
    if job.project != caller.project or not paths:
        raise Fault(404, t("there is no such file"))
    await asyncio.to_thread(require_published, here, caller, job.id, job.project)
    packed = await asyncio.to_thread(_packed, paths)
    return FileResponse(
        packed,
        media_type="application/zip",
        filename=f"{job.subject}-{job.id[4:12]}.zip",
        background=BackgroundTask(packed.unlink, missing_ok=True),
    )


def _packed(paths: list[Path]) -> Path:
    """A zip of them in a file that is the caller's to remove; several pieces keep their folders."""
    root = Path(os.path.commonpath([path.parent for path in paths]))
    with NamedTemporaryFile(suffix=".zip", delete=False) as stream:
        held = Path(stream.name)
    try:
        with disk_errors(held), ZipFile(held, "w") as packed:
            for path in paths:
                for one in (path, *(path.with_name(path.name + suffix) for suffix in SIDECARS)):
                    if one.is_file():
                        packed.write(one, one.relative_to(root))
    except BaseException:
        held.unlink(missing_ok=True)
        raise
    return held


@router.get("/{name}/samples/{look}/{file}")
async def sample_of(name: Id, look: Look, file: Sample, here: Here, caller: Asked) -> FileResponse:
    """What a run made at one look; only in its own project, since nothing of it is published."""
    job = await asyncio.to_thread(here.queue.job, name)
    path = run_folder(job) / SAMPLES / look / file
    if job.project != caller.project or job.kind != "train" or not path.is_file():
        raise Fault(404, t("there is no such file"))
    return FileResponse(path, headers=LABEL_HEADERS)
