"""The verbs as calls in a process of their own, so that a server stays awake while models work.

A call is a verb's name and a mapping of plain values; its answers come one after another, the last
one marked. Texts of one model share their steps in the main thread; everything else waits in one
of two lines: quick verbs (vectors, checks), and slow ones (pictures, sounds).
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Literal

from wenfang.engine import serving_verbs
from wenfang.engine.batching import TextBatch
from wenfang.engine.serving_texts import TextDesk, text_model
from wenfang.engine.verb import Verb, require_wanted
from wenfang.errors import WenfangError
from wenfang.language import set_language, speaking

Line = Literal["quick", "slow"]
IDLE_S = 0.2  # how long the main thread sleeps at most while no text is written


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer to a call.

    last   nothing follows
    error  class, line for people and HTTP status, where the call failed
    """

    call: int
    content: Any = None
    last: bool = False
    error: Mapping[str, Any] | None = None


@dataclass(kw_only=True)
class Serving:
    """What runs in the process: it reads calls from a connection until that is closed."""

    connection: Connection
    _desk: TextDesk = field(init=False)
    _lines: dict[Line, ThreadPoolExecutor] = field(init=False)
    _stopped: dict[int, threading.Event] = field(default_factory=dict, init=False)
    _languages: dict[int, str] = field(default_factory=dict, init=False)
    _sending: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        """Begin both lines."""
        self._desk = TextDesk()
        self._lines = {
            "quick": ThreadPoolExecutor(1, "quick"),
            "slow": ThreadPoolExecutor(1, "slow"),
        }
        self._beginning = ThreadPoolExecutor(1, "beginning")

    def run(self) -> None:
        """Until the other end is closed."""
        self._send({"ready": True})
        while True:
            try:
                while self.connection.poll(0.0 if self._desk.busy else IDLE_S):
                    self._take(self.connection.recv())
            except (EOFError, OSError):
                return  # who asked is gone
            self._write()

    def _write(self) -> None:
        """One step of all texts. A fault of ours ends those that share it, and not the process."""
        with ExitStack() as stack:
            stack.push(self._end_all)
            for call, content, last in self._desk.step():
                if isinstance(content, WenfangError):
                    self._end(call, content)
                else:
                    self._answer(Answer(call=call, content=content, last=last))

    def _end_all(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        """Tell a fault to all whose texts share the step; whether the process goes on."""
        if not isinstance(error, Exception):
            return False
        for call in self._desk.clear():
            self._end(call, error)
        return True

    def _take(self, message: Mapping[str, Any]) -> None:
        call, verb = int(message["call"]), str(message["verb"])
        if verb == "stop":
            self._desk.leave(call)
            self._languages.pop(call, None)
            if (stopped := self._stopped.get(call)) is not None:
                stopped.set()
            return
        run = partial(self._begin, call, verb, message["content"])
        self._languages[call] = str(message.get("language", ""))
        context = copy_context()
        context.run(set_language, self._languages[call])
        # In a thread of its own, so that a fault of ours ends this call and not the process.
        begun = self._beginning.submit(context.run, run)
        if begun.exception() is not None:
            self._end(call, begun.exception())

    def _begin(self, call: int, verb: str, content: Mapping[str, Any]) -> None:
        """Give a call to the texts that share steps, or to one of the two lines."""
        if verb == "text" and isinstance(text_model(str(content["model"])), TextBatch):
            self._desk.join(call, content)
            return
        known = serving_verbs.VERBS[verb]
        self._stopped[call] = threading.Event()
        done = self._lines[known.line].submit(copy_context().run, self._do, call, known, content)
        done.add_done_callback(partial(self._done, call))

    def _do(self, call: int, verb: Verb, content: Mapping[str, Any]) -> None:
        stopped = self._stopped[call]
        require_wanted(stopped.is_set)
        for one in verb.run(content, stopped.is_set):
            self._answer(Answer(call=call, content=one))
        self._answer(Answer(call=call, last=True))

    def _done(self, call: int, future: Future[None]) -> None:
        stopped = self._stopped.pop(call).is_set()
        if stopped:  # what came up when nobody waited any more is nobody's business
            self._answer(Answer(call=call, last=True))
        else:
            self._end(call, future.exception())

    def _end(self, call: int, error: BaseException | None) -> None:
        """The last word of a call that failed, in the language of who asked."""
        with speaking(self._languages.get(call, "")):
            if isinstance(error, WenfangError):
                self._fail(call, error)
            elif error is not None:
                self._break(call, error)

    def _fail(self, call: int, error: WenfangError) -> None:
        told = {
            "type": type(error).__name__,
            "message": str(error),
            "status": error.http_status,
        }
        self._answer(Answer(call=call, last=True, error=told))

    def _break(self, call: int, error: BaseException) -> None:
        """A fault of ours: the trace goes to the log, one line to who asked."""
        traceback.print_exception(error)
        told = {"type": "WenfangError", "message": "", "status": 500}
        self._answer(Answer(call=call, last=True, error=told))

    def _answer(self, answer: Answer) -> None:
        if answer.last:
            self._languages.pop(answer.call, None)
        self._send(
            {
                "call": answer.call,
                "content": answer.content,
                "last": answer.last,
                "error": answer.error,
            }
        )

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            try:
                self.connection.send(dict(message))
            except (BrokenPipeError, OSError):
                return  # who asked is gone; `run` ends


def serve(connection: Connection) -> None:
    """The process from beginning to end."""
    Serving(connection=connection).run()
