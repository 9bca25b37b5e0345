"""Whether the client of a request still waits for its answer.

Whatever works for long asks here, so that no route has to: the gate sets a Presence for each
request, and `Inference.ask`, through which all work of models goes, hears when its client leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from wenfang.language import t
from wenfang.server.faults import Fault

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

LEFT_STATUS = 499  # as proxies write it down; nobody is there to read it


class LeftError(Fault):
    """The client of a request has closed its connection."""

    def __init__(self) -> None:
        super().__init__(LEFT_STATUS, t("the client left; its work was stopped"), "client_left")


class Presence:
    """One request's client, until its answer is complete.

    receive  reads the connection; it is asked by nobody else once somebody watches
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = asyncio.Event()
        self._hearing: dict[int, Callable[[], None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._over = False

    @property
    def left(self) -> bool:
        """Whether the connection was closed before the answer was complete."""
        self._watch()  # who asks once will ask again
        return self._gone.is_set()

    @contextmanager
    def hearing(self, act: Callable[[], None]) -> Iterator[None]:
        """Do `act` once if the client leaves within the block."""
        self._watch()
        number = id(act)
        self._hearing[number] = act
        if self.left:
            act()
        try:
            yield
        finally:
            self._hearing.pop(number, None)

    async def until_left(self) -> None:
        """Wait until the client leaves; for ever where it does not."""
        self._watch()
        await self._gone.wait()

    def end(self) -> None:
        """The answer is complete: what outlives it is not stopped by its client any more."""
        self._over = True
        self._hearing.clear()
        if self._watching is not None:
            self._watching.cancel()

    def _watch(self) -> None:
        if self._watching is None and not self._over:
            self._watching = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass  # a body that no route reads
        except Fault:
            return  # it is too large, or too slow: nobody can tell any more who is there
        if self._over:
            return
        self._gone.set()
        for act in list(self._hearing.values()):
            act()


PRESENCE: ContextVar[Presence | None] = ContextVar("PRESENCE", default=None)


@contextmanager
def while_present(act: Callable[[], None]) -> Iterator[None]:
    """Do `act` once if the present request's client leaves within the block."""
    presence = PRESENCE.get()
    if presence is None:  # a batch's line, or work of the server's own
        yield
        return
    with presence.hearing(act):
        yield


def client_left() -> bool:
    """Whether nobody waits for the present request's answer any more."""
    presence = PRESENCE.get()
    return presence is not None and presence.left
