"""/v1/videos: short films as jobs, in the wire format of a service of videos.

No video model is here. The program film draws scenery by the words of a prompt, moves over it,
writes the words and sounds; every answer says so in `wenfang.note`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import Field

from wenfang.jobs import Job
from wenfang.jobs.tables import jobs
from wenfang.language import t
from wenfang.server.approval import require_published
from wenfang.server.callers import Asked, Caller
from wenfang.server.faults import Fault
from wenfang.server.forgetting import JOB_DIGITS, enter_work, forget_job
from wenfang.server.forms import Wanted, form_schema, received
from wenfang.server.models import VIDEOS, require_model
from wenfang.server.paging import PAGE, After, Limit, Order, Rows
from wenfang.server.pictures import SEED_MOST, Name, Settings
from wenfang.server.place import Here, Place
from wenfang.server.wire import LABEL, LABEL_HEADERS, Body, listed
from wenfang.store import home

router = APIRouter(prefix="/v1", tags=["videos"])

KIND = "film"  # of jobs
MODEL = "film"
POLL_MS = 1000
VIDEO_ID = r"^video_[0-9a-f]{20}$"
SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")
PROMPT_CHARACTERS = 32_000
NOTHING = Wanted(counts={"input_reference": 1}, most_bytes=50 * 2**20)
# What a finished job left in its folder, and what each is.
FILES = {
    "video": ("film.mp4", "video/mp4"),
    "thumbnail": ("still.webp", "image/webp"),
    "spritesheet": ("sheet.jpg", "image/jpeg"),
}
ROWS = Rows(
    table=jobs,
    prefix="video_",
    what="video",
    digits=JOB_DIGITS,
    inner="job-",
    only=(jobs.c.kind == KIND,),
)
STATUSES = {"queued": "queued", "paused": "queued", "running": "in_progress", "done": "completed"}
Id = Annotated[str, Path(pattern=VIDEO_ID)]
Variant = Literal["video", "thumbnail", "spritesheet"]


class VideoBody(Body):
    """What shall be seen; `settings` are those of `wenfang generate film --set`."""

    prompt: Annotated[str, Field(min_length=1, max_length=PROMPT_CHARACTERS)]
    model: Name = MODEL
    seconds: Literal["4", "8", "12"] = "4"
    size: Literal["720x1280", "1280x720", "1024x1792", "1792x1024"] = "720x1280"
    seed: Annotated[int, Field(ge=0, le=SEED_MOST)] = 0
    settings: Settings = Field(default_factory=dict)


@router.post("/videos", openapi_extra=form_schema(VideoBody, json_too=True))
async def create_video(request: Request, here: Here, caller: Asked) -> JSONResponse:
    """Queue a film; ask for it again until it is completed."""
    async with received(request, NOTHING, json_too=True) as form:
        if form.files or "input_reference" in form.content:
            message = "films here begin with words alone; leave input_reference out"
            raise Fault(400, message, "unsupported_parameter", param="input_reference")
        body = form.read(VideoBody)
    await require_model(here, body.model, VIDEOS)
    for name in ("size", "seconds"):
        if name in body.settings:
            message = f"settings.{name} and {name} say the same; give one"
            raise Fault(400, message, "invalid_value", param=f"settings.{name}")
    wanted = {
        "prompt": body.prompt,
        "size": body.size,
        "seconds": int(body.seconds),
        "seed": body.seed,
        "settings": body.settings,
    }
    asked = {"kind": KIND, "request": wanted, "project": caller.project, "person": caller.person}
    queued = await here.inference.once("submit", asked)
    job = await asyncio.to_thread(enter_work, here, caller, str(queued["job"]["id"]))
    return _polled(job)


@router.get("/videos")
def list_videos(
    here: Here, caller: Asked, after: After = None, limit: Limit = PAGE, order: Order = "desc"
) -> dict[str, Any]:
    """The project's films, newest first."""
    rows, more = ROWS.page(here.database, caller.project, after=after, limit=limit, order=order)
    return listed([_video(Job(**row._mapping)) for row in rows], more=more)


@router.get("/videos/{video_id}")
def show_video(video_id: Id, here: Here, caller: Asked) -> JSONResponse:
    """How far a film is."""
    return _polled(_job(here, caller, video_id))


@router.delete("/videos/{video_id}")
def delete_video(video_id: Id, here: Here, caller: Asked) -> dict[str, Any]:
    """Forget a film and its files; one that waits is never made, one that is being made stays."""
    forget_job(here, _job(here, caller, video_id).id, video_id)
    return {"id": video_id, "object": "video.deleted", "deleted": True}


@router.get("/videos/{video_id}/content", response_class=Response)
def show_content(video_id: Id, here: Here, caller: Asked, variant: Variant = "video") -> Response:
    """A finished film; a still of it, or a sheet of its frames; once it is approved, where the
    project asks for that.
    """
    job = _job(here, caller, video_id)
    if job.state != "done":
        message = f"{video_id} is {STATUSES.get(job.state, 'failed')}; there is nothing to see yet"
        raise Fault(409, message, "video_not_ready")
    require_published(here, caller, job.id, job.project)
    name, kind = FILES[variant]
    path = home() / "jobs" / job.id / name
    if not path.is_file():
        raise Fault(404, f"the files of {video_id} are gone; make it again", "not_found")
    return FileResponse(path, media_type=kind, filename=name, headers=LABEL_HEADERS)


@router.post("/videos/{video_id}/remix")
def remix_video(video_id: Id, here: Here, caller: Asked) -> Response:
    """400 for any film: none here begins with another one."""
    _job(here, caller, video_id)
    message = "films here cannot be remixed; make a new one of other words, or of another seed"
    raise Fault(400, message, "unsupported")


def _job(here: Place, caller: Caller, video_id: str) -> Job:
    """Whose id it is; Fault 404 where the project has none such."""
    return Job(**ROWS.one(here.database, caller.project, video_id)._mapping)


def _polled(job: Job) -> JSONResponse:
    headers = {"openai-poll-after-ms": str(POLL_MS), **LABEL_HEADERS}
    return JSONResponse(_video(job), headers=headers)


def _video(job: Job) -> dict[str, Any]:
    """A job in OpenAI's shape."""
    status = STATUSES.get(job.state, "failed")
    share = job.done / job.total if job.total else 0.0
    result = job.result or {}
    facts = result.get("facts", {})
    return {
        "id": f"video_{job.id.removeprefix('job-')}",
        "object": "video",
        "model": MODEL,
        "status": status,
        "progress": 100 if status == "completed" else min(99, int(100 * share)),
        "created_at": int(job.created_at),
        "completed_at": int(job.finished_at) if job.finished_at and status == "completed" else None,
        "expires_at": None,
        "error": _error(job) if status == "failed" else None,
        "prompt": job.request["prompt"],
        "remixed_from_video_id": None,
        "seconds": str(job.request.get("seconds", 4)),
        "size": str(job.request.get("size", SIZES[0])),
        "wenfang": {
            "label": LABEL,
            "made_with": MODEL,
            "note": t(
                "no video model made this: it is drawn scenery under a moving view, with written "
                "words and composed sound"
            ),
            "manifests": [result["manifests"]["video"]] if result else [],
            "spoken": facts.get("spoken"),
            "job": job.id,
        },
    }


def _error(job: Job) -> dict[str, str]:
    if job.state == "cancelled":
        return {"code": "cancelled", "message": "it was cancelled"}
    told = job.error or {}
    return {"code": str(told.get("type", "error")), "message": str(told.get("message", ""))}
