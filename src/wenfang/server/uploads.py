"""A multipart body as it comes in: its parts, told piece by piece to who takes them."""

from __future__ import annotations

import asyncio
import re
from typing import Protocol

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from wenfang.server.faults import Fault

NAME_CHARACTERS = 200
AT_ONCE_BYTES = 2**19  # handed to the thread that parses and writes


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


def bare_name(name: str) -> str:
    """What is shown of a name: no folders, nothing that cannot be printed."""
    last = re.split(r"[\\/]", name)[-1]
    shown = "".join(sign for sign in last if sign.isprintable()).strip()
    return shown[-NAME_CHARACTERS:] if shown.strip(".") else "file"
