"""/v1/jobs: the queue as a project sees it, and what a job tells while it runs.

Whoever sits at a server that only its own machine reaches may queue what the command line may.
Everybody else may queue `create` and `generate`, without naming a file, a folder or a machine.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from wenfang.engine.queueing import Kind
from wenfang.errors import NotFoundError
from wenfang.jobs import Happening, Job, Queue, State
from wenfang.jobs.queue import PRIORITY_MOST
from wenfang.server.callers import Asked, Caller
from wenfang.server.faults import Fault
from wenfang.server.forgetting import JOB_DIGITS, enter_work, forget_job
from wenfang.server.local_names import (
    at_this_machine,
    require_local_names,
    require_model_name,
)
from wenfang.server.paging import PAGE, After, Limit, absent
from wenfang.server.piece_table import pieces
from wenfang.server.place import Here, Place
from wenfang.server.tuning_table import tunings
from wenfang.server.wire import Body, listed
from wenfang.store import home

router = APIRouter(prefix="/v1", tags=["jobs"])

Wish = Literal["cancel", "pause", "resume", "retry"]
JOB = re.compile(rf"job-[0-9a-f]{{{JOB_DIGITS}}}")
# What those may ask that do not sit at this machine; none of it names a file.
ASKED = {
    "create": ("text", "suffix", "commercial", "private", "fresh", "model"),
    "generate": ("model", "prompt", "seeds", "settings", "suffixes", "private"),
}
HEARTBEAT_S = 15.0
LOOKS_S = (0.2, 0.2, 0.5, 1.0)  # pauses between two looks, longer while nothing happens
EVENT_MOST = 2**53


class JobBody(Body):
    """What shall be done.

    request   the fields of that kind, as `wenfang jobs show` prints them
    priority  the higher, the sooner; above 0 for admins alone
    key       the same twice is one job
    """

    kind: Kind
    request: dict[str, Any]
    priority: Annotated[int, Field(ge=-PRIORITY_MOST, le=PRIORITY_MOST)] = 0
    key: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")] | None = None


def shown(here: Place, caller: Caller, job: Job) -> dict[str, Any]:
    """A job's record; where things lie on the server is told to those at it alone."""
    record = {"object": "job", **job.record()}
    if at_this_machine(here, caller):
        return record
    found: dict[str, Any] = _hidden(record, str(home()))
    return found


def _hidden(value: Any, place: str) -> Any:
    if isinstance(value, str):
        return value.replace(place, "~")
    if isinstance(value, Mapping):
        return {name: _hidden(one, place) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(one, place) for one in value]
    return value


def job_of(queue: Queue, caller: Caller, name: str) -> Job:
    """The project's job of that id; Fault 404 where it has none."""
    if JOB.fullmatch(name):
        try:
            job = queue.job(name)
        except NotFoundError:
            raise absent("job", name) from None
        if job.project == caller.project:
            return job
    raise absent("job", name)


@router.get("/jobs")
def list_jobs(
    here: Here,
    caller: Asked,
    state: Annotated[State | None, Query()] = None,
    kind: Annotated[Kind | None, Query()] = None,
    after: After = None,
    limit: Limit = PAGE,
) -> dict[str, Any]:
    """The project's jobs, newest first."""
    before = None
    if after is not None:
        try:
            before = job_of(here.queue, caller, after)
        except Fault:
            message = "after names no job here"
            raise Fault(400, message, "invalid_value", param="after") from None
    found = here.queue.jobs(
        states=[state] if state else (),
        kinds=[kind] if kind else (),
        project=caller.project,
        before=before,
        limit=limit + 1,
    )
    records = [shown(here, caller, one) for one in found[:limit]]
    return listed(records, more=len(found) > limit)


@router.get("/jobs/{name}")
def show_job(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """One job: its state, how far it is, and what came of it."""
    return shown(here, caller, job_of(here.queue, caller, name))


@router.delete("/jobs/{name}")
def delete_job(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Forget a job and what lies in its folder; one that waits is never done."""
    job = job_of(here.queue, caller, name)
    for table in (pieces, tunings):
        owner = sa.select(table.c.id).where(table.c.job == job.id)
        with here.database.reading() as connection:
            row = connection.execute(owner).first()
        if row is not None:
            raise Fault(409, f"the job belongs to {row.id}; delete that", "conflict")
    forget_job(here, job.id, job.id)
    return {"id": job.id, "object": "job", "deleted": True}


@router.post("/jobs")
async def create_job(body: JobBody, here: Here, caller: Asked) -> dict[str, Any]:
    """Queue one; it is refused at once where it cannot work. An estimate comes with it."""
    if not at_this_machine(here, caller):
        _require_harmless(here, body)
    if body.priority > 0 and not caller.may("admin"):
        message = "a priority above 0 is for admins; leave it out"
        raise Fault(403, message, "permission_denied", param="priority")
    _require_text(body.request)
    # A key is the project's own: another one's is another job.
    key = f"{caller.project}:{body.key}" if body.key else None
    content = {
        "kind": body.kind,
        "request": body.request,
        "priority": body.priority,
        "key": key,
        "project": caller.project,
        "person": caller.person,
    }
    queued = await here.inference.once("submit", content)
    job = await asyncio.to_thread(_entered, here, caller, str(queued["job"]["id"]))
    return {
        **shown(here, caller, job),
        "estimate": queued["estimate"],
        "workers": queued["workers"],
    }


def _entered(here: Place, caller: Caller, name: str) -> Job:
    job_of(here.queue, caller, name)
    return enter_work(here, caller, name)


def _require_text(request: Mapping[str, Any]) -> None:
    """Fault 400 for what a database keeps in no JSON column."""
    try:
        json.dumps(request, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        message = "the request holds NaN, or half a character"
        raise Fault(400, message, "invalid_value", param="request") from None


def _require_harmless(here: Place, body: JobBody) -> None:
    """Fault for a request that reaches for files or machines."""
    known = ASKED.get(body.kind)
    if known is None:
        message = (
            f"{body.kind} works on files of the server's machine, and is asked for there; use "
            "/v1/fine_tuning/jobs to tune, /v1/pieces to make"
        )
        raise Fault(403, message, "permission_denied", param="kind")
    for name in body.request:
        if name not in known:
            message = f"{name[:80]} is not a client's to say; leave it out"
            raise Fault(403, message, "permission_denied", param=f"request.{name[:80]}")
    plugged = here.settings.plugged
    require_model_name(str(body.request.get("model", "")), plugged, "request.model")
    require_local_names(body.request.get("settings"), plugged, "request.settings")
    if body.kind == "create":
        _require_harmless_briefs(body.request, plugged)


def _require_harmless_briefs(request: Mapping[str, Any], plugged: tuple[str, ...]) -> None:
    suffix = request.get("suffix", ".json")
    if suffix not in (".json", ".jsonl"):
        message = "briefs are JSON, one or a line each"
        raise Fault(400, message, "invalid_value", param="request.suffix")
    text = str(request.get("text", ""))
    for line in text.split("\n") if suffix == ".jsonl" else [text]:
        try:
            brief = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the job refuses it in its own words
        require_local_names(brief, plugged)


def _ask(here: Place, caller: Caller, name: str, wish: Wish) -> dict[str, Any]:
    job = job_of(here.queue, caller, name)
    return shown(here, caller, here.queue.ask(job.id, wish))


@router.post("/jobs/{name}/cancel")
def cancel_job(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Stop it for good, at a safe point."""
    return _ask(here, caller, name, "cancel")


@router.post("/jobs/{name}/pause")
def pause_job(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Stop it at a safe point, to go on later."""
    return _ask(here, caller, name, "pause")


@router.post("/jobs/{name}/resume")
def resume_job(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Go on with one that was paused."""
    return _ask(here, caller, name, "resume")


@router.post("/jobs/{name}/retry")
def retry_job(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Queue one that failed or was cancelled again."""
    return _ask(here, caller, name, "retry")


@router.get("/jobs/{name}/events", response_class=StreamingResponse)
async def job_events(
    name: str,
    here: Here,
    caller: Asked,
    after: Annotated[int, Query(ge=0, le=EVENT_MOST)] = 0,
    last_event_id: Annotated[str, Header(max_length=20)] = "",
) -> StreamingResponse:
    """What a job tells, as server-sent events, until it has ended.

    after  the number of an event; only later ones are told. The header Last-Event-ID says it too
    """
    job = await asyncio.to_thread(job_of, here.queue, caller, name)
    seen = last_event_id if last_event_id.isascii() and last_event_id.isdigit() else ""
    first = max(after, min(int(seen or 0), EVENT_MOST))
    place = "" if at_this_machine(here, caller) else str(home())
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(
        _told(here.queue, job, first, place), media_type="text/event-stream", headers=headers
    )


async def _told(queue: Queue, job: Job, after: int, place: str) -> AsyncIterator[bytes]:
    quiet, spoken_at = 0, time.monotonic()
    while True:
        ended, told = await asyncio.to_thread(_look, queue, job, after)
        for one in told:
            after = one.id
            yield _event(one, place)
        if ended and not told:
            return
        quiet = 0 if told else min(quiet + 1, len(LOOKS_S) - 1)
        now = time.monotonic()
        if told:
            spoken_at = now
        elif now - spoken_at >= HEARTBEAT_S:
            spoken_at = now
            yield b": still there\n\n"
        if not ended:
            await asyncio.sleep(LOOKS_S[quiet])


def _look(queue: Queue, job: Job, after: int) -> tuple[bool, list[Happening]]:
    ended = queue.job(job.id).ended  # asked first: nothing is told after the end
    return ended, queue.happenings(job, after)


def _event(one: Happening, place: str) -> bytes:
    content = _hidden(one.record(), place) if place else one.record()
    data = json.dumps(content, ensure_ascii=False)
    return f"id: {one.id}\nevent: {one.kind}\ndata: {data}\n\n".encode()
