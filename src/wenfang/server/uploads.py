"""A multipart body as it comes in: one file straight to the disk, and a few short fields."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from wenfang.atomic import TEMPORARY_PREFIX, disk_errors
from wenfang.server.faults import Fault

FIELDS_MOST, FIELD_BYTES = 32, 4096
NAME_CHARACTERS = 200
FORGOTTEN_S = 3600.0  # without a byte; nobody waits so long for the next one
AT_ONCE_BYTES = 2**19  # handed to the thread that parses and writes


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What came in.

    fields    by their names, as texts
    filename  as the client calls it, without folders; only ever shown
    path      of the bytes; whoever wants to keep them moves it away
    """

    fields: Mapping[str, str]
    filename: str
    media_type: str
    path: Path
    size: int


@asynccontextmanager
async def received(
    request: Request, folder: Path, *, most: int, field: str = "file"
) -> AsyncIterator[Upload]:
    """The upload of a request, in a file of `folder` that is gone when the block ends.

    raises  Fault 400 for what is no multipart body, breaks off, or holds no file or an empty one
            in `field`; 413 for one of more than `most` bytes; DiskError
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    path = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(12)}"
    try:
        with disk_errors(path):
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            with path.open("xb") as stream:
                parts = _Parts(stream, most, field)
                await read_parts(request, boundary, parts)
                await asyncio.to_thread(stream.flush)
        yield parts.upload(path)
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def boundary_of(content_type: str) -> bytes:
    """Between the parts of a body; Fault 400 for a type that has none."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        message = "send a multipart/form-data body with a boundary"
        raise Fault(400, message, "invalid_multipart")
    return boundary


async def read_parts(request: Request, boundary: bytes, parts: Parts) -> None:
    """Give a body's parts to who takes them, in a thread; Fault 400 for what is none."""
    waiting = bytearray()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_name,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.head_end,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
                "on_end": parts.finish,
            },
        )
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= AT_ONCE_BYTES:
                await asyncio.to_thread(parser.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(parser.write, bytes(waiting))
    except FormParserError:
        raise Fault(400, "the body is no multipart/form-data", "invalid_multipart") from None
    except ClientDisconnect:
        raise _broken_off() from None
    if not parts.finished:
        raise _broken_off()


def _broken_off() -> Fault:
    return Fault(400, "the body breaks off; send it again", "incomplete_upload")


class Parts(Protocol):
    """Who takes the parser's words; a head's name and value come in pieces."""

    finished: bool

    def begin(self) -> None:
        """A part begins."""

    def header_name(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's name."""

    def header_value(self, data: bytes, start: int, end: int) -> None:
        """A piece of a header's value."""

    def header_end(self) -> None:
        """A header is whole."""

    def head_end(self) -> None:
        """All headers of the part are."""

    def data(self, data: bytes, start: int, end: int) -> None:
        """A piece of its content."""

    def end(self) -> None:
        """The part is whole."""

    def finish(self) -> None:
        """All parts are."""


class _Parts:
    """Takes the parser's words, in the thread that parses."""

    def __init__(self, stream: BinaryIO, most: int, field: str) -> None:
        self._stream, self._most, self._field = stream, most, field
        self._fields: dict[str, str] = {}
        self._filename: str | None = None
        self._media_type = ""
        self._size = 0
        self.finished = False
        self.begin()

    def upload(self, path: Path) -> Upload:
        """All of it."""
        if self._filename is None:
            message = f"there is no file in the field {self._field}"
            raise Fault(400, message, "missing_required_parameter", param=self._field)
        if not self._size:
            raise Fault(400, "the file is empty", "empty_file", param=self._field)
        return Upload(
            fields=self._fields,
            filename=self._filename,
            media_type=self._media_type,
            path=path,
            size=self._size,
        )

    def begin(self) -> None:
        self._head: dict[str, str] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name, self._is_file = "", False
        self._text = bytearray()

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
        self._is_file = b"filename" in options or self._name == self._field
        if not self._is_file:
            if len(self._fields) >= FIELDS_MOST:
                raise Fault(400, f"more than {FIELDS_MOST} fields", "invalid_multipart")
            return
        if self._name != self._field or self._filename is not None:
            message = f"send one file, in the field {self._field}"
            raise Fault(400, message, "invalid_multipart", param=self._name[:80] or None)
        self._filename = bare_name(options.get(b"filename", b"").decode("utf-8", "replace"))
        self._media_type = self._head.get("content-type", "")[:NAME_CHARACTERS]

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._size += end - start
            if self._size > self._most:
                message = f"the file is larger than {self._most} bytes; send a smaller one"
                raise Fault(413, message, "file_too_large", param=self._field)
            self._stream.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > FIELD_BYTES:
            message = f"a field is longer than {FIELD_BYTES} bytes"
            raise Fault(400, message, "invalid_multipart", param=self._name[:80])

    def end(self) -> None:
        if not self._is_file:
            self._fields[self._name] = self._text.decode("utf-8", "replace")

    def finish(self) -> None:
        self.finished = True


def bare_name(name: str) -> str:
    """What is shown of a name: no folders, nothing that cannot be printed."""
    last = re.split(r"[\\/]", name)[-1]
    shown = "".join(sign for sign in last if sign.isprintable()).strip()
    return shown[-NAME_CHARACTERS:] if shown.strip(".") else "file"


def sweep(folder: Path) -> None:
    """Remove what uploads left that a killed server was taking in."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > FORGOTTEN_S:
                path.unlink()
