"""POST /v1/embeddings: texts as vectors, by an encoder of ours with or without adapters."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from wenfang.language import t
from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.models import EMBEDDINGS, known_models, require_model
from wenfang.server.place import Here, Place
from wenfang.server.talking import Name, Words
from wenfang.server.wire import Body

router = APIRouter(prefix="/v1", tags=["text"])

TEXTS_MOST, TEXT_CHARACTERS_MOST, CHARACTERS_MOST = 2048, 16_000, 200_000
# Others' calls come in between: so much is read at once, about a second's work of one core.
SLICE_CHARACTERS, SLICE_TEXTS = 4000, 64
ADAPTER = re.compile(r"(?P<name>[^:]+)(?::-?\d{1,2}(?:\.\d{1,4})?)?")
Text = Annotated[Words, Field(max_length=TEXT_CHARACTERS_MOST)]
Token = Annotated[int, Field(ge=0, le=2**31)]
Tokens = Annotated[list[Token], Field(max_length=TEXT_CHARACTERS_MOST)]


class EmbeddingBody(Body):
    """A request."""

    model: Name
    input: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=TEXTS_MOST)]
        | Annotated[list[Token], Field(min_length=1, max_length=TEXT_CHARACTERS_MOST)]
        | Annotated[list[Tokens], Field(min_length=1, max_length=TEXTS_MOST)]
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=2**20)] | None = None
    user: Name | None = None


def _texts(body: EmbeddingBody) -> list[str]:
    """The texts to read; Fault 400 where they are tokens, without words, or too many."""
    given = [body.input] if isinstance(body.input, str) else body.input
    texts = [one for one in given if isinstance(one, str)]
    if len(texts) < len(given):
        message = t("tokens of another tokenizer mean nothing here; send texts")
        raise Fault(400, message, "unsupported_content", param="input")
    for number, text in enumerate(texts):
        if not text.strip():
            message = t("text {number} is empty; leave it out", number=number + 1)
            raise Fault(400, message, "invalid_value", param="input")
    count = sum(map(len, texts))
    if count > CHARACTERS_MOST:
        message = t(
            "the texts have {count} characters; at most {most} are read at once",
            count=count,
            most=CHARACTERS_MOST,
        )
        raise Fault(400, message, "invalid_value", param="input")
    return texts


async def _require_encoder(here: Place, name: str) -> None:
    """Fault 404 where the model, or an adapter put on it, is not one of this server's."""
    known = await known_models(here)
    if name in known or "+" not in name:
        await require_model(here, name, EMBEDDINGS)
        return
    base, *adapters = name.split("+")
    await require_model(here, base, EMBEDDINGS)
    for one in adapters:
        found = ADAPTER.fullmatch(one)
        if not found or found["name"] not in known:
            message = t("there is no adapter {name}", name=repr(one))
            raise Fault(404, message, "model_not_found", param="model")


def slices(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in their order, so many at once that nobody else waits long."""
    held: list[str] = []
    for text in texts:
        full = len(held) == SLICE_TEXTS or sum(map(len, held)) + len(text) > SLICE_CHARACTERS
        if held and full:
            yield held
            held = []
        held.append(text)
    if held:
        yield held


async def _read(
    here: Place, body: EmbeddingBody, texts: Sequence[str]
) -> tuple[list[Sequence[float]], int]:
    """A vector of each text, and how many tokens were read."""
    vectors: list[Sequence[float]] = []
    tokens = 0
    for some in slices(texts):
        async for one in here.inference.ask("embed", {"model": body.model, "texts": some}):
            if body.dimensions not in (None, one["width"]):
                message = t(
                    "{model} gives vectors of {width} numbers; leave dimensions out",
                    model=body.model,
                    width=one["width"],
                )
                raise Fault(400, message, "invalid_value", param="dimensions")
            vectors += one.get("vectors", [])
            tokens += sum(one.get("tokens", []))
    return vectors, tokens


def _told(vector: Sequence[float], form: str) -> Any:
    """As numbers, or as little-endian float32 in base64."""
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


@router.post("/embeddings")
async def embed(body: EmbeddingBody, here: Here, caller: Asked) -> Response:
    """One vector of length 1 a text; a long text is read in pieces, and none is cut."""
    texts = _texts(body)
    await _require_encoder(here, body.model)
    vectors, tokens = await _read(here, body, texts)
    data = [
        {"object": "embedding", "index": index, "embedding": _told(one, body.encoding_format)}
        for index, one in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": body.model, "usage": usage})
