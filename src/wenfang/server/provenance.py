"""POST /v1/content_provenance_checks: what a file says about itself, by layer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import APIRouter, Request

from wenfang.seal.formats import format_of, started_format
from wenfang.server.callers import Viewer
from wenfang.server.files import refuse_unknown
from wenfang.server.filing import served
from wenfang.server.piece_table import shown_verdict
from wenfang.server.place import Here
from wenfang.server.uploads import received
from wenfang.server.wire import now_s

router = APIRouter(prefix="/v1", tags=["provenance"])

CHECKED_BYTES = 128 * 2**20  # what `verify` reads at most
HEAD_BYTES = 2**16
UPLOAD_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
# Our credential layer in the words of C2PA's validation: (outcome, validation_state).
STATES = {
    "good": ("detected", "trusted"),
    "foreign": ("detected", "valid"),
    "tampered": ("detected", "invalid"),
}
ABSENT = ("not_detected", "not_present")


@router.post("/content_provenance_checks", openapi_extra=UPLOAD_SCHEMA)
async def check_provenance(request: Request, here: Here, caller: Viewer) -> dict[str, Any]:
    """Look for a C2PA credential, and for every other mark of ours, in an uploaded file.

    That none is found does not mean that a person made it.
    """
    most = min(CHECKED_BYTES, here.settings.upload_bytes)
    folder = served("checked")
    async with received(request, folder, most=most) as upload:
        refuse_unknown(upload, ())
        with TemporaryDirectory(prefix="check-", dir=folder) as inner:
            path = await asyncio.to_thread(_named, upload.path, Path(inner), upload.filename)
            found = await here.inference.once("verify", {"paths": [str(path)]})
    verdicts = [shown_verdict(one) for one in found]  # of an archive: one a file in it
    if len(verdicts) == 1 and path.suffix != ".zip":
        verdicts[0]["path"] = upload.filename
    first = next((one for one in verdicts if one["layers"]), {"layers": ()})
    return {
        "object": "content_provenance_check",
        "created_at": now_s(),
        "results": [_c2pa(first)],
        "wenfang": {"files": verdicts},
    }


def _named(path: Path, folder: Path, filename: str) -> Path:
    """The upload under a name of ours, with the suffix of what it is or says to be."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    named = format_of(filename)
    suffix = Path(filename).suffix.lower() if named else ""
    if not suffix:
        known = started_format(head)
        suffix = known.suffixes[0] if known else ""
    target = folder / f"file{suffix}"
    path.rename(target)
    return target


def _c2pa(verdict: Mapping[str, Any]) -> dict[str, Any]:
    layers = {layer["name"]: layer for layer in verdict["layers"]}
    layer = layers.get("credential")
    outcome, state = STATES.get(layer["status"], ABSENT) if layer else ABSENT
    facts = layer["facts"] if layer else {}
    if outcome == "not_detected" and facts.get("made_by"):
        outcome, state = "detected", "invalid"  # its certificate is out of date
    issuer = str(facts.get("made_by") or "").rpartition(" / ")[2] or None
    return {
        "type": "c2pa",
        "outcome": outcome,
        "validation_state": state,
        "issuer": issuer if outcome == "detected" else None,
        "model": None,
        "generated_at": None,
    }
