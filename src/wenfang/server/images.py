"""POST /v1/images/generations, edits and variations, and the files behind their URLs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, Response
from pydantic import Field

from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.forms import Form, Wanted, form_schema, received
from wenfang.server.models import EDITS, PICTURES, VARIATIONS, require_model
from wenfang.server.pictures import (
    PROMPT_CHARACTERS,
    Drawing,
    PictureBody,
    WatchedBody,
    folder_of,
)
from wenfang.server.place import Here
from wenfang.server.wire import LABEL_HEADERS

router = APIRouter(prefix="/v1/images", tags=["pictures"])

Prompt = Annotated[str, Field(max_length=PROMPT_CHARACTERS)]
FILE_NAME = r"^[0-9a-f]{32}\.(png|webp|jpg|svg)$"
GIVEN_BYTES = 50 * 2**20
GIVEN = Wanted(counts={"image": 1, "mask": 1}, most_bytes=GIVEN_BYTES)
VARIED = Wanted(counts={"image": 1}, most_bytes=GIVEN_BYTES)
TYPES = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg", "svg": "image/svg+xml"}
# A picture is looked at and does nothing, whatever it holds.
ALONE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}


class GenerationBody(WatchedBody):
    """A picture of words; prompts are not filtered, which both values of `moderation` allow."""

    prompt: Prompt
    moderation: Literal["auto", "low"] | None = "auto"


class EditBody(WatchedBody):
    """A picture made anew where its mask is transparent, or all of it; a prompt may be empty."""

    prompt: Prompt


class VariationBody(PictureBody):
    """A picture that is like another one."""


@router.post("/generations")
async def generate(body: GenerationBody, request: Request, here: Here, caller: Asked) -> Response:
    """Pictures of what is said, each labelled and signed."""
    await require_model(here, body.model, PICTURES)
    drawing = Drawing(
        here=here,
        caller=caller,
        body=body,
        prompt=body.prompt,
        base_url=str(request.base_url),
    )
    return await drawing.answer()


@router.post("/edits", openapi_extra=form_schema(EditBody, {"image": True, "mask": False}))
async def edit(request: Request, here: Here, caller: Asked) -> Response:
    """A picture that is given, painted anew: where the mask is transparent, or by `strength`."""
    async with AsyncExitStack() as held:
        form = await held.enter_async_context(received(request, GIVEN))
        body = form.read(EditBody)
        await require_model(here, body.model, EDITS)
        drawing = Drawing(
            here=here,
            caller=caller,
            body=body,
            prompt=body.prompt,
            files=_files(form),
            kind="image_edit",
            base_url=str(request.base_url),
        )
        return await drawing.answer(held)


@router.post("/variations", openapi_extra=form_schema(VariationBody, {"image": True}))
async def vary(request: Request, here: Here, caller: Asked) -> Response:
    """Pictures like the one that is given, by `strength`."""
    async with received(request, VARIED) as form:
        body = form.read(VariationBody)
        await require_model(here, body.model, VARIATIONS)
        drawing = Drawing(
            here=here,
            caller=caller,
            body=body,
            prompt="",
            files=_files(form),
            base_url=str(request.base_url),
        )
        return await drawing.answer()


def _files(form: Form) -> dict[str, str]:
    found = {"start": str(form.file("image").place)}
    if form.files.get("mask"):
        found["mask"] = str(form.file("mask").place)
    return found


@router.get("/files/{name}", response_class=Response)
def show_file(name: Annotated[str, Path(pattern=FILE_NAME)], here: Here, caller: Asked) -> Response:
    """A picture behind a URL, for a day, for the project that it was made for."""
    path = folder_of(caller) / name
    if not path.is_file():
        raise Fault(404, "there is no such picture; one is kept for a day", "not_found")
    kind = TYPES[path.suffix.removeprefix(".")]
    return FileResponse(path, media_type=kind, headers={**LABEL_HEADERS, **ALONE})
