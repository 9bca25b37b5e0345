"""POST /v1/content_provenance_checks: what a file says about itself, by layer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request

from wenfang.seal.formats import format_of, started_format
from wenfang.server.callers import Viewer
from wenfang.server.forms import Given, Wanted, form_schema, received
from wenfang.server.piece_table import shown_verdict
from wenfang.server.place import Here
from wenfang.server.wire import Body, now_s

router = APIRouter(prefix="/v1", tags=["provenance"])

CHECKED_BYTES = 128 * 2**20  # what `verify` reads at most
HEAD_BYTES = 2**16
# Our credential layer in the words of C2PA's validation: (outcome, validation_state).
STATES = {
    "good": ("detected", "trusted"),
    "foreign": ("detected", "valid"),
    "tampered": ("detected", "invalid"),
}
ABSENT = ("not_detected", "not_present")


class CheckBody(Body):
    """There is nothing to say beside the file."""


@router.post("/content_provenance_checks", openapi_extra=form_schema(CheckBody, {"file": True}))
async def check_provenance(request: Request, here: Here, caller: Viewer) -> dict[str, Any]:
    """Look for a C2PA credential, and for every other mark of ours, in an uploaded file.

    That none is found does not mean that a person made it.
    """
    wanted = Wanted(counts={"file": 1}, most_bytes=min(CHECKED_BYTES, here.settings.upload_bytes))
    async with received(request, wanted) as form:
        form.read(CheckBody)
        file = form.file("file")
        path = await asyncio.to_thread(_named, file)
        found = await here.inference.once("verify", {"paths": [str(path)]})
    verdicts = [shown_verdict(one) for one in found]  # of an archive: one a file in it
    if len(verdicts) == 1 and path.suffix != ".zip":
        verdicts[0]["path"] = file.filename
    first = next((one for one in verdicts if one["layers"]), {"layers": ()})
    return {
        "object": "content_provenance_check",
        "created_at": now_s(),
        "results": [_c2pa(first)],
        "wenfang": {"files": verdicts},
    }


def _named(file: Given) -> Path:
    """The upload under a name of ours, with the suffix of what it is or says to be."""
    with file.path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    suffix = Path(file.filename).suffix.lower() if format_of(file.filename) else ""
    if not suffix:
        known = started_format(head)
        suffix = known.suffixes[0] if known else ""
    return file.path.rename(file.path.with_name(f"checked{suffix}"))


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
