"""What a kind of job does, and what it may tell while it does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wenfang import config
from wenfang.errors import BusyError, DatabaseError, DiskError, EndpointError, WenfangError
from wenfang.jobs.job import Job
from wenfang.jobs.queue import Queue

GIVEN = "given"
REPORT_EVERY_S = 0.5
REPORT_EVERY_SHARE = 1e-3  # of the time so far: a long job tells some thousands, not millions
# Faults that pass by themselves, or that a person mends without touching the job.
TRANSIENT: tuple[type[WenfangError], ...] = (BusyError, DatabaseError, DiskError, EndpointError)


@dataclass(kw_only=True)
class Task:
    """One attempt at a job, as its handler sees it.

    folder   of the job's own files; every attempt has the same
    given    within it, of files that say what is asked; erased with the request of a private job
    """

    job: Job
    queue: Queue
    folder: Path
    _began_at: float = field(default_factory=time.monotonic, init=False)
    _told_at: float = field(default=float("-inf"), init=False)
    _step: str = field(default="", init=False)

    @property
    def given(self) -> Path:
        """Where it lies."""
        return self.folder / GIVEN

    def report(self, step: str, done: float, total: float, **more: Any) -> None:
        """How far the present step is; told twice a second at most, later less, and at its ends.

        A database that does not answer loses a report, never the work. Where the lease is lost,
        the attempt ends here as by Ctrl-C.
        """
        now = time.monotonic()
        end = step != self._step or done >= total
        pause = max(REPORT_EVERY_S, (now - self._began_at) * REPORT_EVERY_SHARE)
        if not end and now - self._told_at < pause:
            return
        self._told_at, self._step = now, step
        self._say(lambda: self.queue.progress(self.job, step, done, total, more))

    def tell(self, kind: str, **content: Any) -> None:
        """Something that shall be told at once and kept: a loss, a sample, a warning."""
        self._say(lambda: self.queue.tell(self.job, kind, content))

    def _say(self, say: Callable[[], bool]) -> None:
        try:
            held = say()
        except DatabaseError:
            return
        if not held:  # another worker has the job: two must not do it side by side
            raise KeyboardInterrupt


@dataclass(frozen=True, kw_only=True)
class Handler:
    """One kind of job.

    request  the frozen dataclass of what is asked, by which malformed requests are refused
    run      does it and returns its result as JSON; it may be run again after a fault, and must
             then go on from what is finished or do the same again
    subject  whose past jobs foretell this one, and how many units of it are asked
    check    refuses, before it is queued, what cannot work
    """

    request: type[Any]
    run: Callable[[Any, Task], Mapping[str, Any]]
    subject: Callable[[Any], tuple[str, float]]
    check: Callable[[Any], None] = field(default=lambda asked: None)

    def read(self, content: Mapping[str, Any], where: str) -> Any:
        """The request of a job; ConfigError for one that is none."""
        return config.from_dict(self.request, content, where=where)


Handlers = Mapping[str, Handler]
