"""/v1/files: what clients bring, and what is made for them, by ids."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.filing import DAY_S, KEPT_S, Filing, place_of, record, uploads_folder
from wenfang.server.paging import After, Order
from wenfang.server.place import Here
from wenfang.server.spending import note
from wenfang.server.uploads import Upload, received
from wenfang.server.wire import LABEL_HEADERS, listed

router = APIRouter(prefix="/v1", tags=["files"])

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
OUTPUT = "batch_output"
KEPT_LEAST_S, KEPT_MOST_S = 3600, 30 * DAY_S
FILES_PAGE = 10_000
FIELDS = ("purpose", "expires_after[anchor]", "expires_after[seconds]")
# What a file holds nobody knows; a browser shall save it, not show it.
CONTENT_TYPE = "application/octet-stream"
UPLOAD_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(get_args(Purpose))},
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {
                            "type": "integer",
                            "minimum": KEPT_LEAST_S,
                            "maximum": KEPT_MOST_S,
                        },
                    },
                }
            }
        },
    }
}
Limit = Annotated[int, Query(ge=1, le=FILES_PAGE)]


def refuse_unknown(upload: Upload, known: tuple[str, ...]) -> None:
    """Fault 400 for a field that nothing here reads."""
    for name in upload.fields:
        if name not in known:
            message = f"there is no field {name[:80]}; remove it"
            raise Fault(400, message, "unknown_parameter", param=name[:80])


def _purpose(upload: Upload) -> str:
    purpose = upload.fields.get("purpose")
    if purpose is None:
        raise Fault(400, "purpose is missing", "missing_required_parameter", param="purpose")
    if purpose not in get_args(Purpose):
        message = f"purpose must be one of {', '.join(get_args(Purpose))}"
        raise Fault(400, message, "invalid_value", param="purpose")
    return purpose


def _kept_s(upload: Upload, purpose: str) -> int | None:
    """How long it is kept: as is asked; 30 days for a batch; else until it is deleted."""
    anchor, seconds = (upload.fields.get(name) for name in FIELDS[1:])
    if anchor is None and seconds is None:
        return KEPT_S if purpose == "batch" else None
    count = int(seconds) if seconds and seconds.isascii() and seconds.isdigit() else 0
    if anchor != "created_at" or not KEPT_LEAST_S <= count <= KEPT_MOST_S:
        message = f"expires_after needs the anchor created_at and {KEPT_LEAST_S} to {KEPT_MOST_S}"
        raise Fault(400, f"{message} seconds", "invalid_value", param="expires_after")
    return count


@router.post("/files", openapi_extra=UPLOAD_SCHEMA)
async def upload_file(request: Request, here: Here, caller: Asked) -> dict[str, Any]:
    """Keep a file; it goes to the disk as it comes in."""
    filing = Filing(database=here.database)
    async with received(request, uploads_folder(), most=here.settings.upload_bytes) as upload:
        refuse_unknown(upload, FIELDS)
        purpose = _purpose(upload)
        kept_s = _kept_s(upload, purpose)
        row = await asyncio.to_thread(
            filing.keep,
            caller,
            upload.path,
            purpose=purpose,
            filename=upload.filename,
            kept_s=kept_s,
        )
    note(stored_bytes=row.bytes)
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
    row = Filing(database=here.database).delete(caller.project, name)
    note(stored_bytes=-row.bytes)
    return {"id": name, "object": "file", "deleted": True}
