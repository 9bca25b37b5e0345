"""What OpenAI's wire format has everywhere: strict requests, ids, times, lists, streams."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, model_validator

from wenfang.errors import WenfangError
from wenfang.language import t
from wenfang.server.faults import Fault, body_of

LABEL = "AI生成 · AI GENERATED"
LABEL_HEADER = "x-aigc-label"  # headers are ASCII; the field beside the answer says it in full
LABEL_HEADERS = {LABEL_HEADER: "AI-generated"}


class Body(BaseModel):
    """A request's JSON: a field that is not known, or of another type, is refused by its name."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())

    @model_validator(mode="wrap")
    @classmethod
    def _whole(cls, content: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Refuse halves of characters, which JSON can spell and UTF-8 cannot say again."""
        found = read(content)  # first, as a field of its own says where the half stands
        try:
            json.dumps(content, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            raise ValueError(t("half a character; send UTF-8")) from None
        return found


def now_s() -> int:
    """Seconds since 1970."""
    return int(time.time())


def label_field(model: str, manifests: Sequence[str] = ()) -> dict[str, Any]:
    """What goes beside generated words: their label, and where their lineage begins."""
    return {"label": LABEL, "made_with": model, "manifests": list(manifests)}


def listed(rows: Sequence[Mapping[str, Any]], *, more: bool = False) -> dict[str, Any]:
    """A page of a list."""
    return {
        "object": "list",
        "data": list(rows),
        "has_more": more,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
    }


def event(content: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


async def begun(events: AsyncIterator[bytes]) -> StreamingResponse:
    """A stream as an answer; an error before its first event keeps its own status."""
    first = await anext(events, None)

    async def rest() -> AsyncIterator[bytes]:
        try:
            if first is not None:
                yield first
            async for one in events:
                yield one
        except (Fault, WenfangError) as error:
            fault = error if isinstance(error, Fault) else Fault.of(error)
            yield event(body_of(fault))
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    headers = {"cache-control": "no-cache", "x-accel-buffering": "no", **LABEL_HEADERS}
    return StreamingResponse(rest(), media_type="text/event-stream", headers=headers)
