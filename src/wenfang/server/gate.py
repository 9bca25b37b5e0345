"""What every request passes: an id, bounds on its body and its patience, who waits, a count."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.datastructures import Headers, MutableHeaders

from wenfang.language import t
from wenfang.server.faults import OURS, Fault, answer_of
from wenfang.server.measures import Measures
from wenfang.server.presence import PRESENCE, Presence
from wenfang.server.settings import ServeSettings

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LOG = logging.getLogger("wenfang.server")
REQUEST_ID = re.compile(r"[\w.-]{1,64}")
UPLOADS = re.compile(
    r"/v1/(files|images/edits|images/variations|audio/transcriptions|audio/translations"
    r"|content_provenance_checks)\b"
)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """ASGI middleware around the whole application."""

    app: App
    settings: ServeSettings
    measures: Measures

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request, or the life of the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = name
        started, status = time.monotonic(), 0
        read = _Bounded(scope=scope, receive=receive, settings=self.settings)
        PRESENCE.set(read.presence)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = name
                headers["x-content-type-options"] = "nosniff"
                headers["openai-processing-ms"] = str(round((time.monotonic() - started) * 1000))
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                read.presence.end()
            await send(message)

        try:
            read.refuse_by_head()
            await self.app(scope, read, answer)
        except Fault as fault:  # from outside of the application: the body's bounds
            if not status:
                await answer_of(fault)(scope, receive, answer)
        except Exception:
            LOG.critical("request %s failed", name)
            if not status:
                await answer_of(Fault(500, t(OURS), "internal_error"))(scope, receive, answer)
            raise
        finally:
            read.presence.end()
            route = scope.get("route")
            path = getattr(route, "path", "other")
            if read.presence.left:
                self.measures.left.labels(path).inc()
            self.measures.answered(scope["method"], path, status, time.monotonic() - started)


def _request_id(headers: Headers) -> str:
    """The caller's, where it is a plain word; else a new one."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"


class _Bounded:
    """Reads a body that is neither too large nor too slow."""

    def __init__(
        self, *, scope: MutableMapping[str, Any], receive: Receive, settings: ServeSettings
    ) -> None:
        self._scope, self._receive, self._settings = scope, receive, settings
        upload = UPLOADS.match(scope["path"])
        self._most = settings.upload_bytes if upload else settings.body_bytes
        self._seen, self._whole = 0, False
        self.presence = Presence(self._next)

    def refuse_by_head(self) -> None:
        """Refuse what says itself that it is too large."""
        told = Headers(scope=self._scope).get("content-length", "")
        if told.isdigit() and int(told) > self._most:
            raise self._too_large()

    async def __call__(self) -> Message:
        """The next message; Fault 413 beyond the bound, 408 after too long a silence."""
        if self._whole:
            await self.presence.until_left()
            return {"type": "http.disconnect"}
        return await self._next()

    async def _next(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the client to leave
        try:
            message = await asyncio.wait_for(self._receive(), self._settings.head_s)
        except TimeoutError:
            raise Fault(
                408, t("the body did not come in time; send it again"), "request_timeout"
            ) from None
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._seen > self._most:
                raise self._too_large()
        return message

    def _too_large(self) -> Fault:
        return Fault(
            413,
            t("the body is larger than {most} bytes; send less", most=self._most),
            "body_too_large",
        )
