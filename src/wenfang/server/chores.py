"""Work of the server's own that outlives a request: batches, and files that are looked through.

What is to be done stands in the database; a server that starts takes up what the last one left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from wenfang.errors import WenfangError
from wenfang.server.faults import Fault
from wenfang.server.presence import PRESENCE

LOG = logging.getLogger("wenfang.server")
LINES_AT_ONCE = 2  # of all batches together: whoever waits for an answer comes first
AGAIN_S = 5.0  # before another try, where the database or the models' process gave no answer


@dataclass
class Chores:
    """What runs beside the requests of one server.

    lines  of batches that are answered at once
    """

    lines: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LINES_AT_ONCE))
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, name: str, work: Any) -> None:
        """Do `work()`, a coroutine function, unless what has that name is being done.

        A fault of the surroundings is waited out; any other one is logged, and its row stays as
        it is until the next start.
        """
        if name in self._running:
            return
        task = asyncio.get_running_loop().create_task(_do(name, work), name=name)
        self._running[name] = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task.get_name(), None)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            LOG.exception("%s failed", task.get_name(), exc_info=fault)

    async def close(self) -> None:
        """Break everything off; what is written down is gone on with by the next server."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _do(name: str, work: Any) -> None:
    PRESENCE.set(None)  # whoever began it need not stay
    while True:
        coroutine: Coroutine[Any, Any, None] = work()
        try:
            await coroutine
        except (Fault, WenfangError) as error:
            status = error.status if isinstance(error, Fault) else error.http_status
            LOG.warning("%s: %s", name, error)
            if status < 500:
                return
            await asyncio.sleep(AGAIN_S)
        else:
            return
