"""/v1/files: what clients bring, and what is made for them, by ids."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BeforeValidator, Field

from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.filing import DAY_S, KEPT_S, Filing, place_of, record
from wenfang.server.forms import Wanted, form_schema, object_field, received
from wenfang.server.paging import After, Order
from wenfang.server.place import Here
from wenfang.server.wire import LABEL_HEADERS, Body, listed

router = APIRouter(prefix="/v1", tags=["files"])

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
OUTPUT = "batch_output"
KEPT_LEAST_S, KEPT_MOST_S = 3600, 30 * DAY_S
FILES_PAGE = 10_000
# What a file holds nobody knows; a browser shall save it, not show it.
CONTENT_TYPE = "application/octet-stream"
Limit = Annotated[int, Query(ge=1, le=FILES_PAGE)]


class ExpiresAfter(Body):
    """How long a file is kept."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=KEPT_LEAST_S, le=KEPT_MOST_S)]


class FileBody(Body):
    """What is said beside a file; one for a batch is kept for 30 days unless that is said."""

    purpose: Purpose
    expires_after: Annotated[ExpiresAfter | None, BeforeValidator(object_field)] = None

    @property
    def kept_s(self) -> int | None:
        """Until it is forgotten; None: until it is deleted."""
        if self.expires_after is not None:
            return self.expires_after.seconds
        return KEPT_S if self.purpose == "batch" else None


@router.post("/files", openapi_extra=form_schema(FileBody, {"file": True}))
async def upload_file(request: Request, here: Here, caller: Asked) -> dict[str, Any]:
    """Keep a file; it goes to the disk as it comes in."""
    filing = Filing(database=here.database)
    wanted = Wanted(counts={"file": 1}, most_bytes=here.settings.upload_bytes)
    async with received(request, wanted) as form:
        body, file = form.read(FileBody), form.file("file")
        row = await asyncio.to_thread(
            filing.keep,
            caller,
            file.path,
            purpose=body.purpose,
            filename=file.filename,
            kept_s=body.kept_s,
        )
    return record(row)


@router.get("/files")
def list_files(
    here: Here,
    caller: Asked,
    purpose: Annotated[str | None, Query(max_length=40, pattern=r"^[a-z_-]*$")] = None,
    after: After = None,
    limit: Limit = FILES_PAGE,
    order: Order = "desc",
) -> dict[str, Any]:
    """The project's files."""
    filing = Filing(database=here.database)
    rows, more = filing.page(caller.project, purpose, after, limit, order)
    return listed([record(row) for row in rows], more=more)


@router.get("/files/{name}")
def show_file(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """What is known of a file."""
    return record(Filing(database=here.database).one(caller.project, name))


@router.get("/files/{name}/content", response_class=Response)
def file_content(name: str, here: Here, caller: Asked) -> Response:
    """A file's bytes."""
    row = Filing(database=here.database).one(caller.project, name)
    path = place_of(row.id)
    if not path.is_file():
        raise Fault(404, "its bytes are gone from the disk; upload it again", "not_found")
    headers = LABEL_HEADERS if row.purpose == OUTPUT else None
    return FileResponse(path, media_type=CONTENT_TYPE, filename=row.filename, headers=headers)


@router.delete("/files/{name}")
def delete_file(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Forget a file."""
    Filing(database=here.database).delete(caller.project, name)
    return {"id": name, "object": "file", "deleted": True}
