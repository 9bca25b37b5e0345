"""An endpoint on this machine that answers as a test tells it to, well or badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Handler"], None]


@dataclass
class Server:
    """What it will answer, one reply a request (the last one for ever), and what it was sent."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """The writer's name of this endpoint."""
        return f"openai:{self.url}/v1#tester"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server_to_ask: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Note the request and answer with the next reply."""
        asked = self.server_to_ask
        size = int(self.headers["content-length"])
        asked.bodies.append(json.loads(self.rfile.read(size)))
        asked.headers.append({name.lower(): value for name, value in self.headers.items()})
        asked.paths.append(self.path)
        reply = asked.replies.pop(0) if len(asked.replies) > 1 else asked.replies[0]
        self.close_connection = True
        reply(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def begin(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """Status and headers, without a length: the end of the line is the end."""
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port of this machine."""
    handler = type("Own", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    asked = Server(url=f"http://127.0.0.1:{server.server_address[1]}")
    handler.server_to_ask = asked  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield asked
    finally:
        asked.open.set()
        server.shutdown()
        thread.join()
        server.server_close()


def event(**fields: Any) -> bytes:
    """One event."""
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def piece(text: str, finish: str | None = None) -> bytes:
    """An event with a piece of text."""
    return event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}])


DONE = b"data: [DONE]\n\n"
USAGE = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3})


def raw(*chunks: bytes, kind: str = "text/event-stream", **headers: str) -> Reply:
    """These bytes."""

    def reply(handler: Handler) -> None:
        handler.begin(200, kind, **headers)
        for chunk in chunks:
            handler.wfile.write(chunk)
            handler.wfile.flush()

    return reply


def good(text: str = "Good day.", *, finish: str = "stop", usage: bool = True) -> Reply:
    """A whole answer in three pieces."""
    third = max(1, len(text) // 3)
    parts = [text[start : start + third] for start in range(0, len(text), third)]
    return raw(*map(piece, parts), piece("", finish), *([USAGE] if usage else []), DONE)


def status(code: int, message: str = "", **headers: str) -> Reply:
    """An error page."""

    def reply(handler: Handler) -> None:
        handler.begin(code, "application/json", **headers)
        handler.wfile.write(json.dumps({"error": {"message": message}}).encode())

    return reply


def silent(handler: Handler) -> None:
    """Nothing at all, until the test is over."""
    handler.server_to_ask.open.wait(20)


def stalling(*chunks: bytes) -> Reply:
    """These bytes, then nothing until the test is over."""

    def reply(handler: Handler) -> None:
        raw(*chunks)(handler)
        handler.server_to_ask.open.wait(20)

    return reply


def dripping(handler: Handler) -> None:
    """A comment every few milliseconds, for ever."""
    handler.begin()
    _drip(handler)


def dripping_page(handler: Handler) -> None:
    """An error page that does not end."""
    handler.begin(500, "text/html")
    _drip(handler)


def _drip(handler: Handler) -> None:
    while not handler.server_to_ask.open.is_set():
        try:
            handler.wfile.write(b": wait\n\n")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.005)
