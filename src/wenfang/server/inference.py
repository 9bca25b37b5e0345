"""The process that models work in, as the server sees it: calls go in, answers come out."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from wenfang.language import language, t
from wenfang.server.faults import Fault
from wenfang.server.presence import LeftError, while_present
from wenfang.server.spending import note

# What is done to its end whoever waits: it leaves something behind that is kept.
LASTING = ("submit", "keep_run", "discard_run")
LEFT: Mapping[str, Any] = {"left": True}  # in place of an answer: nobody waits for one
START_AGAIN_S = (0.0, 1.0, 5.0, 15.0)  # pauses before the next start, if starts fail in a row


class GoneError(Fault):
    """The models' process ended in the middle of a call."""

    def __init__(self) -> None:
        super().__init__(503, "the model's process ended; send the request again", "engine_gone")


@dataclass
class Inference:
    """Calls to the models' process, which is started again where it dies.

    waiting_most  calls at once; Fault 429 beyond
    """

    waiting_most: int = 512
    starts: int = field(default=0, init=False)
    _calls: dict[int, asyncio.Queue[Mapping[str, Any] | None]] = field(
        default_factory=dict, init=False
    )
    _numbers: itertools.count[int] = field(default_factory=itertools.count, init=False)
    _ready: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _closing: bool = field(default=False, init=False)
    _connection: Connection | None = field(default=None, init=False)
    _sending: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "asking"), init=False
    )
    _process: Any = field(default=None, init=False)

    @property
    def ready(self) -> bool:
        """Whether models can be asked."""
        return self._ready.is_set()

    @property
    def waiting(self) -> int:
        """Calls that are not answered whole."""
        return len(self._calls)

    def start(self) -> None:
        """Start the process and a thread that listens to it; returns before it is ready."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._keep, name="inference", daemon=True).start()

    def close(self) -> None:
        """End the process."""
        self._closing = True
        if self._connection:
            with suppress(OSError):
                self._connection.close()
        if self._process:
            self._process.terminate()
        self._sending.shutdown(wait=False, cancel_futures=True)

    async def ask(self, verb: str, content: Mapping[str, Any]) -> AsyncIterator[Any]:
        """A verb's answers, as they come.

        Leaving the loop early stops the work, and so does the client of this request when it
        closes its connection, unless the verb is a lasting one.
        raises Fault as the verb's error says, GoneError where the process died, LeftError
        """
        if len(self._calls) >= self.waiting_most:
            message = t("{count} requests wait already; try again later", count=self.waiting)
            raise Fault(429, message, "too_many_requests", headers={"retry-after": "5"})
        await self._ready.wait()
        number = next(self._numbers)
        answers: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self._calls[number] = answers
        ended, began = False, time.monotonic()
        left = partial(answers.put_nowait, LEFT)
        try:
            with nullcontext() if verb in LASTING else while_present(left):
                asked = {"call": number, "verb": verb, "content": content, "language": language()}
                await self._send(asked)
                while not ended:
                    answer = await answers.get()
                    if answer is LEFT:
                        raise LeftError
                    ended = answer is None or bool(answer["error"]) or answer["last"]
                    if answer is None:
                        raise GoneError
                    if answer["error"]:
                        raise Fault.told(answer["error"])
                    if answer["content"] is not None:
                        yield answer["content"]
        finally:
            self._calls.pop(number, None)
            note(seconds=time.monotonic() - began)
            if not ended:
                with suppress(RuntimeError):  # the server is closing, and the process with it
                    self._sending.submit(self._write, {"call": number, "verb": "stop"})

    async def once(self, verb: str, content: Mapping[str, Any]) -> Any:
        """The only answer of a verb that has one."""
        found = None
        async for one in self.ask(verb, content):
            found = one
        return found

    async def _send(self, message: Mapping[str, Any]) -> None:
        # A pipe that is full makes its writer wait; the loop must not.
        if not await self._loop.run_in_executor(self._sending, self._write, message):
            raise GoneError

    def _write(self, message: Mapping[str, Any]) -> bool:
        """Send a message; whether the process was there. In the one thread that sends: a pipe takes
        a large message in parts, and a stop must not pass by the call that it is of.
        """
        try:
            if self._connection is not None:
                self._connection.send(message)
        except OSError:
            return False
        return self._connection is not None

    def _keep(self) -> None:
        """Start, listen, and start again."""
        context = get_context("spawn")
        failures = 0
        while not self._closing:
            threading.Event().wait(START_AGAIN_S[min(failures, len(START_AGAIN_S) - 1)])
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), name="wenfang-models")
            process.start()
            theirs.close()
            self._connection, self._process = ours, process
            self.starts += 1
            answered = self._listen(ours)
            failures = 0 if answered else failures + 1
            self._tell(self._gone)
            process.join()

    def _listen(self, connection: Connection) -> bool:
        """Hand answers on until the process ends; whether it had begun to work."""
        answered = False
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                return answered
            answered = True
            self._tell(self._take, message)

    def _tell(self, act: Any, *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(act, *arguments)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "ready" in message:
            self._ready.set()
        elif (waiting := self._calls.get(message["call"])) is not None:
            waiting.put_nowait(message)

    def _gone(self) -> None:
        self._ready.clear()
        for waiting in self._calls.values():
            waiting.put_nowait(None)


def _serve(connection: Connection) -> None:
    """What the models' process does; its code is loaded only there."""
    from wenfang.engine.serving import serve

    serve(connection)
