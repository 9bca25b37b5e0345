"""What the routes of pictures share: fields, sizes, answers, and the files behind their URLs."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi.responses import JSONResponse, Response
from pydantic import BeforeValidator, Field

from wenfang.atomic import sha256_bytes, write_bytes
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.filing import served
from wenfang.server.forms import object_field
from wenfang.server.local_names import require_local_names
from wenfang.server.place import Place
from wenfang.server.storing import enter
from wenfang.server.wire import LABEL_HEADERS, Body, begun, event, label_field, now_s

SEED_MOST = 2**53  # JSON's whole numbers
COUNT_MOST, PARTIALS_MOST = 10, 3
NAME_CHARACTERS, PROMPT_CHARACTERS = 200, 32_000
SUFFIXES = {"png": ".png", "webp": ".webp", "jpeg": ".jpg", "svg": ".svg"}
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
USUAL_SIDES, MOST_SIDE_PX = (256, 512, 1024), 2048
SIZE_SHOWN = 20
KEPT_S = 86_400.0  # of a picture behind a URL

Settings = Annotated[dict[str, Any], BeforeValidator(object_field)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS)]
Noted = Annotated[str, Field(max_length=512)]


class PictureBody(Body):
    """What every request for pictures may say.

    settings are those of `wenfang generate --set` for this model, without files
    """

    model: Name
    n: Annotated[int, Field(ge=1, le=COUNT_MOST)] | None = 1
    size: Annotated[str, Field(max_length=SIZE_SHOWN)] | None = "auto"
    response_format: Literal["b64_json", "url"] | None = "b64_json"
    output_format: Literal["png", "webp", "jpeg", "svg", "gif"] | None = "png"
    background: Literal["auto", "transparent", "opaque"] | None = "auto"
    user: Noted | None = None
    safety_identifier: Noted | None = None
    seed: Annotated[int, Field(ge=0, le=SEED_MOST)] = 0
    settings: Settings = Field(default_factory=dict)


class WatchedBody(PictureBody):
    """One that may be watched while it is drawn; no other quality than "auto" is here."""

    quality: Literal["auto"] | None = "auto"
    stream: bool | None = False
    partial_images: Annotated[int, Field(ge=0, le=PARTIALS_MOST)] | None = 0


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A request for pictures, ready to be asked of a model.

    files  settings that name what came with the request
    kind   of the events of a stream
    """

    here: Place
    caller: Caller
    body: PictureBody
    prompt: str
    files: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["image_generation", "image_edit"] = "image_generation"
    base_url: str = ""

    async def answer(self, held: AsyncExitStack | None = None) -> Response:
        """All of its pictures, or what is seen of them, as they come.

        held   what a stream needs to its end, and closes then
        raises Fault 400 for what the model's pictures cannot be
        """
        body = self.body
        stream = isinstance(body, WatchedBody) and bool(body.stream)
        require_local_names(body.settings, self.here.settings.plugged, "settings")
        _require_fitting(body, stream)
        facts = await self.here.inference.once("describe", {"model": body.model})
        asked = self._asked(facts)
        shown = {
            "background": _background(body, facts),
            "output_format": body.output_format or "png",
        }
        if stream:
            kept = held.pop_all() if held else AsyncExitStack()
            return await begun(self._events(asked, shown, kept))
        made = [
            one["made"] async for one in self.here.inference.ask("picture", asked) if "made" in one
        ]
        return await self._whole(made, shown)

    def _asked(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        body = self.body
        settings = {**body.settings, **self.files}
        size = _size(body, facts)
        if size:
            settings["side_px"] = max(size)
        partials = body.partial_images if isinstance(body, WatchedBody) and body.stream else 0
        return {
            "model": body.model,
            "prompt": self.prompt,
            "seeds": [body.seed + number for number in range(body.n or 1)],
            "settings": settings,
            "suffix": SUFFIXES[body.output_format or "png"],
            "partials": partials or 0,
            "size": size,
        }

    async def _whole(self, made: Sequence[Mapping[str, Any]], shown: Mapping[str, Any]) -> Response:
        body = self.body
        if body.response_format == "url":
            names = [await asyncio.to_thread(self._kept, one) for one in made]
            data = [{"url": f"{self.base_url}v1/images/files/{name}"} for name in names]
        else:
            data = [{"b64_json": _base64(one)} for one in made]
        for told, one in zip(data, made, strict=True):
            if read_as := one["facts"].get("read_as"):
                told["revised_prompt"] = read_as
        content = {
            "created": now_s(),
            "data": data,
            **{name: value for name, value in shown.items() if value != "auto"},
            "size": _size_of(made[0]),
            "usage": usage(),
            "wenfang": label_field(body.model, [one["manifest"] for one in made]),
        }
        if body.safety_identifier:
            content["safety_identifier"] = body.safety_identifier
        return JSONResponse(content, headers=LABEL_HEADERS)

    async def _events(
        self, asked: Mapping[str, Any], shown: Mapping[str, Any], held: AsyncExitStack
    ) -> AsyncIterator[bytes]:
        seen = 0
        answers = self.here.inference.ask("picture", asked)
        async with held, aclosing(answers) as answers:  # type: ignore[type-var]
            async for one in answers:
                partial = "foreseen" in one
                yield self._event(one["foreseen"] if partial else one["made"], shown,
                                  seen if partial else None)  # fmt: skip
                seen = seen + 1 if partial else 0

    def _event(
        self, made: Mapping[str, Any], shown: Mapping[str, Any], partial: int | None
    ) -> bytes:
        kind = f"{self.kind}.{'completed' if partial is None else 'partial_image'}"
        named = self.body.safety_identifier
        content = {
            "type": kind,
            "b64_json": _base64(made),
            "created_at": now_s(),
            "size": _size_of(made),
            "quality": "auto",
            **shown,
            **({"usage": usage()} if partial is None else {"partial_image_index": partial}),
            **({"safety_identifier": named} if named and partial is None else {}),
            "wenfang": label_field(self.body.model, [made["manifest"]]),
        }
        return event(content, kind)

    def _kept(self, made: Mapping[str, Any]) -> str:
        """The name of a new file that only this project sees."""
        folder = folder_of(self.caller)
        name = f"{secrets.token_hex(16)}{SUFFIXES[self.body.output_format or 'png']}"
        path = folder / name
        write_bytes(path, made["data"])
        try:
            with self.here.database.writing() as connection:
                until = time.time() + KEPT_S
                enter(connection, self.caller.key, f"image-{name}", size=len(made["data"]),
                      expires_at=until)  # fmt: skip
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return name


def folder_of(caller: Caller) -> Path:
    """Of the pictures behind a project's URLs."""
    return served("images", sha256_bytes(caller.project.encode())[:16])


def forget_pictures() -> None:
    """Remove the pictures behind URLs that were to be kept until now."""
    for old in served("images").glob("*/*"):
        with suppress(OSError):  # another one's, gone in this moment
            if time.time() - old.stat().st_mtime > KEPT_S:
                old.unlink()


def usage() -> dict[str, Any]:
    """Of tokens there are none: neither words nor pictures are counted in them here."""
    none = {"image_tokens": 0, "text_tokens": 0}
    return {
        "input_tokens": 0,
        "input_tokens_details": none,
        "output_tokens": 0,
        "output_tokens_details": none,
        "total_tokens": 0,
    }


def _require_fitting(body: PictureBody, stream: bool) -> None:
    """Refuse what no model's pictures can be."""
    if body.output_format == "gif":
        message = "a GIF is of several pictures, and here is one; ask for png, webp, jpeg or svg"
        raise Fault(400, message, "invalid_value", param="output_format")
    if stream and body.output_format == "svg":
        message = "a stream shows pixels; ask for png, webp or jpeg"
        raise Fault(400, message, "invalid_value", param="output_format")
    if stream and body.response_format == "url":
        message = "a stream holds its pictures; leave response_format out"
        raise Fault(400, message, "invalid_value", param="response_format")
    if isinstance(body, WatchedBody) and body.partial_images and not stream:
        message = "partial images are seen in a stream; set stream to true"
        raise Fault(400, message, "invalid_value", param="partial_images")


def _size(body: PictureBody, facts: Mapping[str, Any]) -> tuple[int, int] | None:
    """What is asked for, in px; None: as the model has it."""
    size = body.size or "auto"
    if size == "auto":
        return None
    if "side_px" in body.settings:
        message = "size and settings.side_px say the same; give one"
        raise Fault(400, message, "invalid_value", param="size")
    found = SIZE.fullmatch(size)
    asked = (int(found[1]), int(found[2])) if found else (0, 0)
    if facts["family"] == "upscaler" and all(asked) and max(asked) <= MOST_SIDE_PX:
        return asked
    sides = sides_of(int(facts["side_px"]))
    if asked[0] != asked[1] or asked[0] not in sides:
        known = ", ".join(f"{one}x{one}" for one in sides)
        known = known or f"a width and a height of at most {MOST_SIDE_PX}"
        message = f"size is {size!r}; {body.model} makes auto, {known}"
        raise Fault(400, message, "invalid_value", param="size")
    return asked


def sides_of(own_px: int) -> list[int]:
    """Of a model's pictures: what it draws, twice that and so on, and those that are usual."""
    if not own_px:
        return []
    found = set(USUAL_SIDES)
    side = own_px
    while side <= MOST_SIDE_PX:
        found.add(side)
        side *= 2
    return sorted(one for one in found if one >= own_px)


def _background(body: PictureBody, facts: Mapping[str, Any]) -> str:
    """What is behind the pictures; Fault 400 where it is not what is asked for."""
    if not facts["channels"]:  # as the picture has it that was given
        if body.background not in (None, "auto"):
            message = f"{body.model} leaves the background as it is; leave it out"
            raise Fault(400, message, "invalid_value", param="background")
        return "auto"
    clear = facts["channels"] == 4 and body.output_format != "jpeg"
    own = "transparent" if clear else "opaque"
    if body.background not in (None, "auto", own):
        message = f"{body.model} makes {own} {body.output_format or 'png'}; "
        message += "jpeg is opaque" if clear else "ask for that"
        raise Fault(400, message, "invalid_value", param="background")
    return own


def _size_of(made: Mapping[str, Any]) -> str:
    return f"{made['facts']['width_px']}x{made['facts']['height_px']}"


def _base64(made: Mapping[str, Any]) -> str:
    return base64.b64encode(made["data"]).decode("ascii")
