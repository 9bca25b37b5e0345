"""Requests with files in them: forms of several files and fields, or JSON in their place.

Files go straight to the disk, each bounded; names with brackets, as `settings[strength]`, are what
OpenAI's clients make of fields within fields.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header

from wenfang.atomic import disk_errors
from wenfang.server.faults import Fault
from wenfang.server.uploads import bare_name, boundary_of, read_parts
from wenfang.server.wire import Body
from wenfang.store import home

Model = TypeVar("Model", bound=Body)
GIVEN = Path("served") / "given"  # below the home
FIELDS_MOST, FIELD_BYTES, DEPTH_MOST = 64, 2**18, 6
LEFT_S = 86_400.0  # after which what a killed server was given is cleared away
JSON_TYPE, FORM_TYPE = "application/json", "multipart/form-data"


@dataclass(frozen=True, kw_only=True)
class Given:
    """A file that came with a request.

    place  relative to the home, where it lies until the request is answered
    """

    filename: str
    place: Path
    size: int

    @property
    def path(self) -> Path:
        """Where its bytes are."""
        return home() / self.place


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Fields of a form that hold files: the most of each, and the most bytes of one."""

    counts: Mapping[str, int]
    most_bytes: int


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a request says: its fields as JSON values, and its files by their field.

    typed  whether it came as JSON; in a form a number is a text
    """

    content: Mapping[str, Any]
    files: Mapping[str, tuple[Given, ...]] = field(default_factory=dict)
    typed: bool = False

    def read(self, model: type[Model]) -> Model:
        """The fields as `model` has them; refused as the body of any other request is."""
        try:
            return model.model_validate(self.content, strict=self.typed)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None

    def file(self, name: str) -> Given:
        """The only file of a field; Fault 400 where there is none."""
        found = self.files.get(name, ())
        if not found:
            message = f"there is no file in the field {name}"
            raise Fault(400, message, "missing_required_parameter", param=name)
        return found[0]


@asynccontextmanager
async def received(
    request: Request, wanted: Wanted, *, json_too: bool = False
) -> AsyncIterator[Form]:
    """A request's fields and files; the files are gone when the block ends.

    json_too  take a JSON object in place of a form
    raises    Fault 400 for what is neither, for files that are not wanted, too many or empty, 413
              for one that is too large; DiskError
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if json_too and kind == JSON_TYPE:
        yield Form(content=_object(await request.body()), typed=True)
        return
    boundary = boundary_of(request.headers.get("content-type", ""))
    place = GIVEN / secrets.token_hex(12)
    folder = home() / place
    try:
        with disk_errors(folder):
            await asyncio.to_thread(_begin, folder)
            parts = _FormParts(place, wanted)
            try:
                await read_parts(request, boundary, parts)
            finally:
                parts.close()
        yield Form(content=parts.content, files=parts.files)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Fault(400, f"the body is not JSON: {reason}", "invalid_json") from None
    if not isinstance(found, dict):
        raise Fault(400, "the body is no JSON object", "invalid_json")
    return found


def _begin(folder: Path) -> None:
    folder.mkdir(parents=True)
    for one in folder.parent.iterdir():
        try:
            old = time.time() - one.stat().st_mtime > LEFT_S
        except OSError:  # another request's, gone in this moment
            continue
        if old:
            shutil.rmtree(one, ignore_errors=True)


class _FormParts:
    """Takes the parser's words, in the thread that parses."""

    def __init__(self, place: Path, wanted: Wanted) -> None:
        self._place, self._wanted = place, wanted
        self.content: dict[str, Any] = {}
        self.files: dict[str, tuple[Given, ...]] = {}
        self._count = 0
        self._stream: BinaryIO | None = None
        self.finished = False
        self.begin()

    def close(self) -> None:
        if self._stream:
            self._stream.close()

    def begin(self) -> None:
        self._head: dict[str, str] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name, self._filename, self._size = "", "", 0
        self._text = bytearray()
        self._stream = None

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        # As Latin-1, which takes any bytes: the parser of options gives them back so.
        self._head[self._header.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._header, self._value = bytearray(), bytearray()

    def head_end(self) -> None:
        _, options = parse_options_header(self._head.get("content-disposition", ""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._count += 1
        if self._count > FIELDS_MOST:
            raise Fault(400, f"more than {FIELDS_MOST} fields", "invalid_multipart")
        bare = self._name.removesuffix("[]")
        if bare in self._wanted.counts:
            self._begin_file(bare, options.get(b"filename", b"").decode("utf-8", "replace"))
        elif b"filename" in options:
            known = ", ".join(self._wanted.counts) or "none"
            message = f"{self._name[:80]!r} is no field for a file; those for files: {known}"
            raise Fault(400, message, "unknown_parameter", param=self._name[:80])

    def _begin_file(self, name: str, filename: str) -> None:
        most, earlier = self._wanted.counts[name], len(self.files.get(name, ()))
        if earlier >= most:
            message = f"{name} holds {most} file at most here; send fewer"
            raise Fault(400, message, "too_many_files", param=name)
        self._name, self._filename = name, bare_name(filename)
        self._file = self._place / f"{name}{earlier}"
        self._stream = (home() / self._file).open("xb")

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._stream is None:
            self._text += data[start:end]
            if len(self._text) > FIELD_BYTES:
                message = f"a field is longer than {FIELD_BYTES} bytes"
                raise Fault(400, message, "invalid_multipart", param=self._name[:80])
            return
        self._size += end - start
        if self._size > self._wanted.most_bytes:
            message = f"a file is larger than {self._wanted.most_bytes} bytes; send a smaller one"
            raise Fault(413, message, "file_too_large", param=self._name)
        self._stream.write(data[start:end])

    def end(self) -> None:
        if self._stream is None:
            self._put(self._text)
            return
        self._stream.close()
        self._stream = None
        if not self._size:
            raise Fault(400, "the file is empty", "empty_file", param=self._name)
        one = Given(filename=self._filename, place=self._file, size=self._size)
        self.files[self._name] = (*self.files.get(self._name, ()), one)

    def finish(self) -> None:
        self.finished = True

    def _put(self, value: bytearray) -> None:
        """Set a field by its name: `name`, `name[]` or `name[within]`."""
        shown = self._name[:80]
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Fault(400, f"{shown} is not UTF-8", "invalid_value", param=shown) from None
        name, *within = re.findall(r"[^\[\]]+|\[\]", self._name) or [""]
        if len(within) > DEPTH_MOST:
            raise Fault(400, f"{shown} is nested too deeply", "invalid_value", param=shown)
        if not within:
            _set(self.content, name, text, shown)
            return
        plain = _plain(text)
        *ways, last = (name, *within)
        held: Any = self.content
        for way in ways[:-1] if last == "[]" else ways:
            held = held.setdefault(way, {})
            if not isinstance(held, dict):
                raise _twice(shown)
        if last != "[]":
            _set(held, last, plain, shown)
            return
        items = held.setdefault(ways[-1], [])
        if not isinstance(items, list):
            raise _twice(shown)
        items.append(plain)


def _set(held: dict[str, Any], name: str, value: Any, shown: str) -> None:
    if name in held:
        raise _twice(shown)
    held[name] = value


def _twice(shown: str) -> Fault:
    return Fault(400, f"{shown} is given twice", "invalid_value", param=shown)


def _plain(text: str) -> Any:
    """A number, a truth, or the text: within a field, no schema says which is meant."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def object_field(value: Any) -> Any:
    """A field that holds an object, where a form gives it as the JSON of one."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON object") from None


def _inlined(schema: Any, known: Mapping[str, Any]) -> Any:
    """A schema without references into itself, which mean nothing within a larger document."""
    if isinstance(schema, list):
        return [_inlined(one, known) for one in schema]
    if not isinstance(schema, dict):
        return schema
    known = schema.get("$defs", known)
    if "$ref" in schema:
        return _inlined(known[schema["$ref"].rpartition("/")[2]], known)
    return {name: _inlined(one, known) for name, one in schema.items() if name != "$defs"}


def form_schema(
    model: type[Body], files: Mapping[str, bool] | None = None, *, json_too: bool = False
) -> dict[str, Any]:
    """What a route with `received` says of its body: the model's fields, and files by their names.

    files  whether each is required
    """
    schema = _inlined(model.model_json_schema(), {})
    required = [*schema.get("required", ()), *(name for name in files or {} if (files or {})[name])]
    binary = {name: {"type": "string", "format": "binary"} for name in files or {}}
    whole = {**schema, "properties": {**schema["properties"], **binary}, "required": required}
    if not required:
        del whole["required"]
    content = {FORM_TYPE: {"schema": whole}}
    if json_too:
        content[JSON_TYPE] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}
