"""/v1/batches: a file of requests, answered when nobody else waits."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Request
from pydantic import Field

from wenfang.server.batch_lines import line_count
from wenfang.server.batch_run import INPUT, BatchRun, folder_of
from wenfang.server.batch_table import ROWS, Ledger, record
from wenfang.server.callers import Asked, Caller
from wenfang.server.chores import Chores
from wenfang.server.faults import Fault
from wenfang.server.files import ExpiresAfter
from wenfang.server.filing import DAY_S, KEPT_S, Filing
from wenfang.server.paging import PAGE, After, Limit, fresh_id
from wenfang.server.place import Here, Place
from wenfang.server.wire import Body, listed

router = APIRouter(prefix="/v1", tags=["batches"])

Endpoint = Literal[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/moderations",
    "/v1/images/generations",
]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]
INPUT_BYTES = 200 * 2**20
OPEN_MOST = 100  # unfinished batches of one project


class BatchBody(Body):
    """What shall be answered, and by which endpoint."""

    input_file_id: Annotated[str, Field(max_length=64)]
    endpoint: Endpoint
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: ExpiresAfter | None = None


def _created(here: Place, caller: Caller, body: BatchBody) -> Any:
    filing, ledger = Filing(database=here.database), Ledger(database=here.database)
    try:
        file = filing.one(caller.project, body.input_file_id)
    except Fault as fault:
        raise Fault(404, fault.message, fault.code, param="input_file_id") from None
    if file.purpose != "batch":
        message = f"{file.id} was uploaded for {file.purpose}; upload it for the purpose batch"
        raise Fault(400, message, "invalid_value", param="input_file_id")
    if file.bytes > INPUT_BYTES:
        message = f"a batch has at most {INPUT_BYTES} bytes; divide the file"
        raise Fault(400, message, "file_too_large", param="input_file_id")
    if len(ledger.unfinished(caller.project)) >= OPEN_MOST:
        message = f"{OPEN_MOST} batches are unfinished; wait for one of them"
        raise Fault(429, message, "too_many_batches", headers={"retry-after": "60"})
    name, at = fresh_id(ROWS.prefix), time.time()
    folder = folder_of(name)
    filing.copy(file, folder / INPUT)  # the file may be deleted meanwhile
    kept = body.output_expires_after
    try:
        return ledger.open(
            {
                "id": name,
                "project": caller.project,
                "person": caller.person,
                "role": caller.role,
                "key": caller.key,
                "endpoint": body.endpoint,
                "input_file": file.id,
                "status": "validating",
                "created_at": at,
                "expires_at": at + DAY_S,
                "output_kept_s": kept.seconds if kept else KEPT_S,
                "metadata": body.metadata,
                "moments": {},
                "total": line_count(folder / INPUT, here.settings.body_bytes),
                "completed": 0,
                "failed": 0,
                "usage": {},
            },
            here.settings.batch_lines,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _start(app: FastAPI, name: str) -> None:
    chores: Chores = app.state.chores
    run = BatchRun(app=app, place=app.state.place, chores=chores, name=name)
    chores.start(name, run.run)


async def take_up_batches(app: FastAPI) -> None:
    """Go on with what an earlier server left unfinished."""
    ledger = Ledger(database=app.state.place.database)
    for name in await asyncio.to_thread(ledger.unfinished):
        _start(app, name)


@router.post("/batches")
async def create_batch(
    body: BatchBody, request: Request, here: Here, caller: Asked
) -> dict[str, Any]:
    """Answer every line of an uploaded file, within a day."""
    row = await asyncio.to_thread(_created, here, caller, body)
    _start(request.app, row.id)
    return record(row)


@router.get("/batches")
def list_batches(
    here: Here, caller: Asked, after: After = None, limit: Limit = PAGE
) -> dict[str, Any]:
    """The project's batches, newest first."""
    rows, more = ROWS.page(here.database, caller.project, after=after, limit=limit)
    return listed([record(row) for row in rows], more=more)


@router.get("/batches/{name}")
def show_batch(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """How far a batch is."""
    return record(ROWS.one(here.database, caller.project, name))


@router.post("/batches/{name}/cancel")
async def cancel_batch(name: str, request: Request, here: Here, caller: Asked) -> dict[str, Any]:
    """Stop a batch; what is answered already is kept in its files."""
    row = await asyncio.to_thread(ROWS.one, here.database, caller.project, name)
    ledger = Ledger(database=here.database)
    stoppable = ("validating", "in_progress")
    moved = await asyncio.to_thread(ledger.move, row.id, stoppable, "cancelling")
    row = await asyncio.to_thread(ledger.row, row.id)
    if not moved and row.status not in ("cancelling", "cancelled"):
        raise Fault(409, f"the batch is {row.status}; it cannot be cancelled", "conflict")
    _start(request.app, row.id)
    return record(row)
