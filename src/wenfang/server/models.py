"""/v1/models: what is here, which endpoint serves it, and the end of what was tuned here."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fastapi import APIRouter

from wenfang.language import keyed
from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.place import Here, Place
from wenfang.server.tuning_table import ENDED, VALIDATING, Tunings
from wenfang.server.wire import listed

router = APIRouter(prefix="/v1", tags=["models"])

COMPLETIONS, CHAT, RESPONSES = "/v1/completions", "/v1/chat/completions", "/v1/responses"
EMBEDDINGS, PICTURES, SPEECH = "/v1/embeddings", "/v1/images/generations", "/v1/audio/speech"
EDITS, VARIATIONS, VIDEOS = "/v1/images/edits", "/v1/images/variations", "/v1/videos"
MODERATIONS, PROVENANCE = "/v1/moderations", "/v1/content_provenance_checks"
WRITERS = ("stream", "verse", "completion", "pairs")  # layouts of what writes texts
VERSE, MUSIC = "verse", "parts"  # layouts
LOOK_AGAIN_S = 5.0
TUNED = re.compile(r"[\w.-]{1,300}")
Makes: TypeAlias = Literal["text", "verse", "picture", "music", "speech", "sound", "film", ""]
# Programs of ours without weights.
PROGRAMS: Mapping[str, tuple[str, tuple[str, ...], Makes]] = {
    "speech": (keyed("speech by espeak-ng, in Chinese and English"), (SPEECH,), "speech"),
    "effects": (keyed("sounds by synthesis: rain, wind, sea, bells, applause"), (), "sound"),
    "film": (
        keyed("a short animated film of pictures and sound; no video model is here"),
        (VIDEOS,),
        "film",
    ),
    "checks": (keyed("our checks of texts"), (MODERATIONS,), ""),
    "seal": (keyed("what a file says about itself"), (PROVENANCE,), ""),
}


@dataclass(frozen=True, kw_only=True)
class Known:
    """A model that a request can name.

    makes  what `generate` has of it; "": nothing
    """

    id: str
    endpoints: tuple[str, ...]
    makes: Makes = ""
    created: int = 0
    owned_by: str = "wenfang"
    facts: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """In OpenAI's shape, with what else is known."""
        return {
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": self.owned_by,
            "endpoints": list(self.endpoints),
            "makes": self.makes or None,
            **self.facts,
        }


def _endpoints(config: Mapping[str, Any]) -> tuple[str, ...]:
    """By what a bundle's config says of it."""
    if config.get("painting"):
        painted = config["painting"]
        if painted.get("mel"):
            return (SPEECH,)
        from_text = bool(painted.get("words") or painted.get("classes"))
        drawn = (PICTURES,) if from_text else ()
        if config.get("family") == "gan":  # which begins with chance alone
            return drawn
        return (*drawn, EDITS, VARIATIONS)
    if config.get("family") == "upscaler":
        return (EDITS,)
    if config.get("layout") in WRITERS:
        return (COMPLETIONS, RESPONSES)
    return (EMBEDDINGS,) if config.get("family") == "bert" else ()


def _makes(config: Mapping[str, Any]) -> Makes:
    if config.get("painting"):
        return "speech" if config["painting"].get("mel") else "picture"
    layout = config.get("layout")
    if layout in (VERSE, MUSIC):
        return "verse" if layout == VERSE else "music"
    return "text" if layout in WRITERS else ""


def _of_bundle(entry: Mapping[str, Any]) -> Known:
    return Known(
        id=str(entry["name"]),
        endpoints=_endpoints(entry["config"]),
        makes=_makes(entry["config"]),
        created=int(entry["created"]),
        facts={name: entry[name] for name in ("summary", "licence", "parameters")},
    )


async def _bundles(here: Place) -> list[Mapping[str, Any]]:
    """Every bundle here; looked for again after some seconds, since each request asks."""
    at, found = here.remembered.get("bundles", (0.0, []))
    if not found or time.monotonic() - at > LOOK_AGAIN_S:
        found = await here.inference.once("models", {})
        here.remembered["bundles"] = time.monotonic(), found
    return list(found)


async def known_models(here: Place) -> dict[str, Known]:
    """Everything that a request can name here."""
    found = [_of_bundle(one) for one in await _bundles(here)]
    found += [
        Known(id=name, endpoints=endpoints, makes=makes, facts={"summary": summary})
        for name, (summary, endpoints, makes) in PROGRAMS.items()
    ]
    found += [
        Known(
            id=name,
            endpoints=(CHAT, RESPONSES),
            owned_by=name.partition(":")[0],
            facts={"summary": "plugged"},
        )
        for name in here.settings.plugged
    ]
    return {one.id: one for one in found}


async def require_model(here: Place, name: str, endpoint: str) -> Known:
    """The model that a request names; Fault 404 where it does not serve that endpoint."""
    models = await known_models(here)
    found = models.get(name)
    if found is not None and endpoint in found.endpoints:
        return found
    serving = [one.id for one in models.values() if endpoint in one.endpoints]
    others = ", ".join(serving)
    if not serving and endpoint == CHAT:
        others = "none; plug one with wenfang serve --plug hub:FOLDER or --plug openai:URL#MODEL"
    message = f"{name!r} is no model for {endpoint}; there are: {others or 'none'}"
    raise Fault(404, message, "model_not_found", param="model")


@router.get("/models")
async def list_models(here: Here, caller: Asked) -> dict[str, Any]:
    """Every model, and the endpoints that each one serves."""
    return listed([one.record() for one in (await known_models(here)).values()])


@router.get("/models/{model:path}")
async def show_model(model: str, here: Here, caller: Asked) -> dict[str, Any]:
    """One model."""
    found = (await known_models(here)).get(model)
    if found is None:
        raise Fault(404, f"there is no model {model!r}", "model_not_found", param="model")
    return found.record()


@router.delete("/models/{model:path}")
def delete_model(model: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Delete a model that this project has tuned; those that were here before stay."""
    held = Tunings(database=here.database, queue=here.queue)
    row = held.of_result(caller.project, model) if TUNED.fullmatch(model) else None
    if row is not None:
        row, job = held.settled(row)
        # One whose job the queue has forgotten has ended, whatever was written down of it.
        if row.status not in ENDED and (job or row.status == VALIDATING):
            raise Fault(409, f"it is being tuned; cancel {row.id} first", "conflict", param="model")
    if row is None or not held.discard(row):
        message = f"{model[:200]!r} is no model that was tuned in this project"
        raise Fault(404, message, "model_not_found", param="model")
    here.remembered.pop("bundles", None)
    return {"id": model, "object": "model", "deleted": True}
