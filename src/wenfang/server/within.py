"""A request that the server sends to itself: no socket, but the same routes and the same checks."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from wenfang.server.callers import Caller
from wenfang.server.presence import PRESENCE

Message = MutableMapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Within:
    """What was answered."""

    status: int
    body: bytes


async def ask_within(app: Any, path: str, body: bytes, caller: Caller, request_id: str) -> Within:
    """POST a JSON body to the application, as that caller.

    app   the ASGI application inside of the gate
    path  of a route
    """
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # the client stays until it has its answer
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    status, content = 500, bytearray()

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            content.extend(message.get("body", b""))

    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": ("localhost", 80),
        "state": {"caller": caller, "request_id": request_id},
    }
    PRESENCE.set(None)
    await app(scope, receive, send)
    return Within(status=status, body=bytes(content))
