"""/v1/pieces: briefs become sealed pieces, as jobs; and what can be asked of a piece afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, Response

from wenfang.jobs import ENDED
from wenfang.server.approval import require_published
from wenfang.server.callers import Asked, Caller
from wenfang.server.faults import Fault
from wenfang.server.forgetting import forget_job
from wenfang.server.local_names import require_local_names, require_model_name
from wenfang.server.paging import PAGE, After, Limit, fresh_id
from wenfang.server.piece_table import ROWS, Pieces, folder_of, new_row, record, shown_verdict
from wenfang.server.place import Here, Place
from wenfang.server.presence import client_left
from wenfang.server.wire import LABEL_HEADERS, listed

router = APIRouter(prefix="/v1", tags=["pieces"])

WAIT_MOST_S, LOOK_S = 60.0, 0.25
# A page of ours that a browser shows runs nothing and fetches nothing.
HARMLESS = {
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; media-src data:; font-src data:",
    **LABEL_HEADERS,
}
Words = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
Known = Annotated[str | None, Query(max_length=40, pattern=r"^[a-z_]*$")]


def _pieces(here: Place) -> Pieces:
    return Pieces(database=here.database, queue=here.queue)


def _text_of(brief: dict[str, Any]) -> str:
    """A brief as a job takes it; Fault 400 for what no file could hold."""
    try:
        text = json.dumps(brief, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        message = "the brief holds what is no JSON or no text: NaN, or half a character"
        raise Fault(400, message, "invalid_value") from None
    return text


@router.post("/pieces")
async def create_piece(
    brief: dict[str, Any],
    here: Here,
    caller: Asked,
    commercial: bool = False,
    private: bool = False,
    model: Annotated[str, Query(max_length=200)] = "",
    wait: Annotated[float, Query(ge=0, le=WAIT_MOST_S, description="seconds")] = 0.0,
) -> dict[str, Any]:
    """Queue the making of what a brief asks for; the body is the brief itself.

    wait  so long for its end before it is answered
    """
    plugged = here.settings.plugged
    require_model_name(model, plugged, "model")
    require_local_names(brief, plugged)
    name = fresh_id(ROWS.prefix)
    asked = {"brief": brief, "commercial": commercial, "private": private, "model": model or None}
    request = {
        "text": _text_of(brief),
        "output": str(folder_of(name)),
        "commercial": commercial,
        "private": private,
        "model": model,
    }
    queued = await here.inference.once(
        "submit",
        {
            "kind": "create",
            "request": request,
            "key": f"piece:{name}",
            "project": caller.project,
            "person": caller.person,
        },
    )
    about = {
        "scenario": queued["job"]["subject"],
        "project": caller.project,
        "person": caller.person,
    }
    held = _pieces(here)
    row = new_row(name, queued["job"]["id"], asked, about)
    await asyncio.to_thread(held.open, row, caller.key)
    return await _waited(held, caller, name, wait)


async def _waited(held: Pieces, caller: Caller, name: str, seconds: float) -> dict[str, Any]:
    """The piece once it has ended, or as it is after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        row, job = await asyncio.to_thread(held.one, caller.project, name)
        if row.state in ENDED or time.monotonic() >= until or client_left():
            return record(row, job)
        await asyncio.sleep(LOOK_S)


@router.get("/pieces")
def list_pieces(
    here: Here,
    caller: Asked,
    q: Words = "",
    scenario: Known = None,
    after: After = None,
    limit: Limit = PAGE,
) -> dict[str, Any]:
    """The project's pieces, newest first; `q` are words of their subjects and texts."""
    held = _pieces(here)
    rows, more = held.page(caller.project, words=q, scenario=scenario, after=after, limit=limit)
    return listed([record(*held.settled(row)) for row in rows], more=more)


@router.get("/pieces/{name}")
def show_piece(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """A piece: its state, its text, its files, and what its checks and seals say."""
    return record(*_pieces(here).one(caller.project, name))


@router.delete("/pieces/{name}")
def delete_piece(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Forget a piece, its job and its files; one that waits is never made."""
    held = _pieces(here)
    row, _ = held.one(caller.project, name)
    forget_job(here, row.job, name)
    held.forget(row)
    return {"id": name, "object": "piece", "deleted": True}


@router.get("/pieces/{name}/files/{file}", response_class=Response)
def piece_file(
    name: str, file: Annotated[str, Path(max_length=200)], here: Here, caller: Asked
) -> Response:
    """One of the files that a piece lists."""
    row, _ = _pieces(here).one(caller.project, name)
    require_published(here, caller, row.job, caller.project)
    listed_files = row.result["files"] if row.result else ()
    found = next((one for one in listed_files if one["name"] == file), None)
    path = folder_of(row.id) / found["name"] if found else None
    if found is None or path is None or not path.is_file():
        raise Fault(404, "the piece has no such file", "not_found")
    return FileResponse(
        path,
        media_type=found["media_type"],
        filename=found["name"],
        content_disposition_type="inline",
        headers=HARMLESS,
    )


async def _done(here: Place, caller: Caller, name: str) -> Any:
    """The row of a piece that is finished; Fault 409 for one that is not."""
    row, _ = await asyncio.to_thread(_pieces(here).one, caller.project, name)
    if row.state != "done" or not row.result:
        raise Fault(409, f"the piece is {row.state}; it has no files yet", "conflict")
    return row


@router.post("/pieces/{name}/verify")
async def verify_piece(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """What its files say about themselves now, layer by layer."""
    row = await _done(here, caller, name)
    found = await here.inference.once("verify", {"paths": [str(folder_of(row.id))]})
    return {"object": "list", "data": [shown_verdict(one) for one in found]}


@router.post("/pieces/{name}/replay")
async def replay_piece(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Make it again from its manifests, and compare; this takes as long as it took before."""
    row = await _done(here, caller, name)
    found = await here.inference.once("replay", {"folder": str(folder_of(row.id))})
    return {"object": "list", "data": [shown_verdict(one) for one in found]}


@router.get("/pieces/{name}/lineage")
async def piece_lineage(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """What it was made from, back to the sources, with their licences."""
    row = await _done(here, caller, name)
    if row.asked["private"]:
        raise Fault(409, "a private piece keeps no lineage", "conflict")
    asset = row.result["manifest"] or str(folder_of(row.id) / row.result["report"]["file"])
    found: dict[str, Any] = await here.inference.once("lineage", {"asset": asset})
    return {"object": "lineage", **found}


@router.get("/scenarios")
async def list_scenarios(here: Here, caller: Asked) -> dict[str, Any]:
    """What can be made."""
    found = await here.inference.once("scenarios", {})
    rows = [{"id": name, "object": "scenario", "summary": one["summary"]}
            for name, one in found.items()]  # fmt: skip
    return listed(rows)


@router.get("/scenarios/{name}")
async def show_scenario(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """The schema of a scenario's brief, and a brief to start from."""
    found = await here.inference.once("scenarios", {})
    if name not in found:
        message = f"there is no such scenario; there are: {', '.join(found)}"
        raise Fault(404, message, "not_found")
    return {"id": name, "object": "scenario", **found[name]}
