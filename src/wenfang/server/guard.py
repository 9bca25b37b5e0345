"""The door of the application: nobody passes unknown, too often, or unrecorded.

It decides by a request's head alone, so that a stranger's body is never read, and it closes what
it was not told to leave open, so that a route cannot forget to ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.datastructures import MutableHeaders

from wenfang.database import Database
from wenfang.errors import WenfangError
from wenfang.language import t
from wenfang.server import audit
from wenfang.server.callers import Caller
from wenfang.server.entry import Asking, caller_of, refuse_by_method
from wenfang.server.faults import Fault
from wenfang.server.limits import Buckets
from wenfang.server.settings import ServeSettings
from wenfang.server.spending import METER, Meter, refuse_beyond, spent
from wenfang.server.tokens import key_id

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

LOG = logging.getLogger("wenfang.server")
SPENDS = ("POST", "PUT", "PATCH")  # a key whose quota is used up may still look and delete
REFUSED_A_MINUTE = 60  # rows of refused keys: a flood of them must not fill the disk
NOBODY_ANSWERED = 499


def spends(asking: Asking) -> bool:
    """Whether a request counts for a key's quotas, and is refused where they are used up."""
    return asking.method in SPENDS and not asking.path.endswith("/cancel")


@dataclass(frozen=True, kw_only=True)
class Guard:
    """ASGI middleware: puts the Caller into the request's state.

    token  the hash of the token that `wenfang serve` printed; "" without one
    """

    app: App
    settings: ServeSettings
    database: Database
    token: str = ""
    keys: Buckets = field(default_factory=Buckets)
    refused: Buckets = field(default_factory=Buckets)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request; Fault where it may not pass."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return
        asking = Asking.of(scope)
        if asking.is_public(self.settings):
            await self.app(scope, receive, send)
            return
        caller, headers = await self._admit(asking, scope)
        scope["state"]["caller"] = caller
        meter = Meter(requests=int(spends(asking)))
        ending = _Ending(guard=self, scope=scope, caller=caller, asking=asking, meter=meter)
        METER.set(ending.meter)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                ending.status = message["status"]
                MutableHeaders(scope=message).update(headers)
            elif not message.get("more_body", False):
                await ending.keep()  # an answer ends only when it is written down
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            await ending.keep()

    async def _admit(
        self, asking: Asking, scope: MutableMapping[str, Any]
    ) -> tuple[Caller, Mapping[str, str]]:
        """Who asks, and what their answer's head says of their limits."""
        needs_database = asking.key or asking.session
        arguments = asking, self.settings, self.database, self.token
        try:
            if needs_database:
                caller = await asyncio.to_thread(caller_of, *arguments)
            else:
                caller = caller_of(*arguments)
        except WenfangError as error:
            raise Fault.of(error) from None
        except Fault as fault:
            if needs_database and fault.status in (401, 403):
                await self._record_refused(asking, scope, fault)
            raise
        refuse_by_method(asking, caller)
        headers: Mapping[str, str] = {}
        if caller.limits.requests_a_minute:
            left = self.keys.take(caller.key, caller.limits.requests_a_minute)
            headers = left.headers()
            if not left.granted:
                message = t("this key may ask {count} times a minute; wait a little",
                            count=left.limit)  # fmt: skip
                raise Fault(429, message, "rate_limit_exceeded", headers=headers)
        await self._refuse_beyond(caller, asking)
        return caller, headers

    async def _refuse_beyond(self, caller: Caller, asking: Asking) -> None:
        if caller.limits.has_quota and spends(asking):
            try:
                await asyncio.to_thread(refuse_beyond, self.database, caller)
            except WenfangError as error:
                raise Fault.of(error) from None

    async def _record_refused(
        self, asking: Asking, scope: MutableMapping[str, Any], fault: Fault
    ) -> None:
        client = scope.get("client") or ("", 0)
        if not self.refused.take(str(client[0]), REFUSED_A_MINUTE).granted:
            return
        deed = audit.Deed(
            event="key refused",
            method=asking.method,
            route=asking.path,
            subject=f"{fault.code} {key_id(asking.key)}".strip(),
            status=fault.status,
            request=scope["state"]["request_id"],
        )
        await write_down(self.database, Caller(), deed)


@dataclass(kw_only=True)
class _Ending:
    """What is written down of one request, once."""

    guard: Guard
    scope: MutableMapping[str, Any]
    caller: Caller
    asking: Asking
    meter: Meter
    status: int = NOBODY_ANSWERED
    kept: bool = False

    async def keep(self) -> None:
        """The row of the audit log, and what was spent."""
        if self.kept or not self.asking.changes:
            return
        self.kept = True
        route = getattr(self.scope.get("route"), "path", self.asking.path)
        told = self.scope["state"].get("subject")
        deed = audit.Deed(
            event="request",
            method=self.asking.method,
            route=route,
            subject=told or ",".join(map(str, self.scope.get("path_params", {}).values())),
            status=self.status,
            request=self.scope["state"]["request_id"],
        )
        await write_down(self.guard.database, self.caller, deed, self.meter)


async def write_down(
    database: Database, caller: Caller, deed: audit.Deed, meter: Meter | None = None
) -> None:
    """Write a row of the audit log; what was done already is not undone where that fails."""

    def write() -> None:
        with database.writing() as connection:
            audit.write(connection, caller, deed)
            if meter is not None:
                spent(connection, caller, meter)

    try:
        await asyncio.to_thread(write)
    except WenfangError as error:
        LOG.critical("request %s is not in the audit log: %s", deed.request, error)
