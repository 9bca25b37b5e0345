"""The process that does the work of jobs: one job after the other, so that it stays warm.

It writes results into the database by itself, and only while it holds the job's lease. The worker
that started it renews the lease, asks it to stop by SIGTERM, and buries it where it dies.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from wenfang.database import Database
from wenfang.database.connection import URL_VARIABLE
from wenfang.errors import DatabaseError, StoppedError, WenfangError
from wenfang.jobs.handler import TRANSIENT, Handlers, Task
from wenfang.jobs.job import Job, described
from wenfang.jobs.queue import Queue
from wenfang.language import speaking
from wenfang.store import home

T = TypeVar("T")
LOOK_S = 1.0
CLOSING_S = 10.0  # for a process with large libraries to end by itself
TRY_AGAIN_S = 1.0
INTERRUPT_AGAIN_S = 20.0  # what a first interrupt began, writing a state for instance, may end
ORPHAN_GRACE_SHARE = 0.6  # of a lease: an orphan is gone before another worker has its job
REASON_CHARACTERS = 300
ENDED, LEAVES = b".", b"!"  # the job ended; and the process as well
GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(kw_only=True)
class Hand:
    """A hand as its worker sees it."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, handlers: str, queue: Queue, device: str) -> Hand:
        """A fresh process that knows the handlers at `module:NAME`, and no GPU but its own."""
        code = f"from {__name__} import main; main()"
        process = subprocess.Popen(
            # -P: the folder that the worker stands in holds no modules of ours.
            [sys.executable, "-P", "-c", code, handlers, str(os.getpid()), str(queue.lease_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the worker, which asks us
            env={**os.environ, URL_VARIABLE: queue.database.url, GPUS: visible_gpus(device)},
        )
        return cls(process=process)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    @property
    def exit_code(self) -> int:
        """How it ended; below zero: by a signal."""
        return self.process.wait()

    def begin(self, job: Job) -> None:
        """Give it a claimed job, by its name: a long line could be cut, or wait for its reader."""
        assert self.process.stdin
        claimed = {"id": job.id, "worker": job.worker, "attempts": job.attempts}
        with suppress(BrokenPipeError):  # it died; `alive` says so
            self.process.stdin.write(json.dumps(claimed).encode() + b"\n")

    def wait(self, seconds: float) -> bool:
        """Whether the job ended within so many seconds; sooner where it dies."""
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        said = self.process.stdout.read(1) if ready else None
        if said == b"" or said == LEAVES:
            self.close()
        return said in (ENDED, LEAVES)

    def stop(self) -> None:
        """Ask for a safe point."""
        self.process.terminate()

    def kill(self) -> None:
        """End it at once."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def close(self) -> None:
        """Let it go; it has nothing to do."""
        assert self.process.stdin
        self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSING_S)
        self.kill()


def visible_gpus(device: str) -> str:
    """The GPU of that name alone, as CUDA counts those that are visible here; else none."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return ""
    seen = [one for one in os.environ.get(GPUS, "").split(",") if one]
    return seen[int(number)] if int(number) < len(seen) else number


class _Attempts:
    """The loop inside of the process."""

    def __init__(self, handlers: Handlers, queue: Queue) -> None:
        self.handlers, self.queue = handlers, queue
        self.working = False
        self.interrupted_at = float("-inf")

    @property
    def interrupted(self) -> bool:
        """Whether an interrupt cut something off: half an import, for instance, stays half."""
        return self.interrupted_at > 0

    def interrupt(self, number: int, frame: object) -> None:
        """SIGTERM: what Ctrl-C does, while there is something to stop."""
        now = time.monotonic()
        if self.working and now - self.interrupted_at > INTERRUPT_AGAIN_S:
            self.interrupted_at = now
            raise KeyboardInterrupt

    def attempt(self, claimed: Mapping[str, Any]) -> None:
        """Do a job and write down how it ended."""
        from wenfang.device import forget_peak_memory, peak_memory_bytes

        job = _insist(lambda: self.queue.job(claimed["id"]))
        if (job.worker, job.attempts) != (claimed["worker"], claimed["attempts"]):
            return  # the lease was lost before anything began
        forget_peak_memory()
        started = time.monotonic()
        end: Callable[[float, int], bool] | None = None
        try:
            self.working = True
            with speaking(job.language):
                end = self._outcome(job)
            self.working = False
        except (KeyboardInterrupt, StoppedError):
            self.working = False
        seconds, peak_bytes = time.monotonic() - started, peak_memory_bytes()
        if end is None:
            _insist(lambda: self.queue.stopped(job, seconds, peak_bytes))
        else:
            _insist(lambda: end(seconds, peak_bytes))

    def _outcome(self, job: Job) -> Callable[[float, int], bool]:
        """How to write down what came of it."""
        try:
            result = self._result(job)
        except StoppedError:
            raise
        except WenfangError as error:
            if self.interrupted:  # whatever it looks like: a library that was cut off in itself
                raise KeyboardInterrupt from error
            told = described(error)
            transient = isinstance(error, TRANSIENT)
            return lambda seconds, peak: self.queue.fail(
                job, told, seconds, peak, transient=transient
            )
        if self.interrupted:  # and somebody took it for a fault of one part among many
            raise KeyboardInterrupt
        return lambda seconds, peak: self.queue.finish(job, result, seconds, peak)

    def _result(self, job: Job) -> Mapping[str, Any]:
        try:
            handler = self.handlers[job.kind]
            task = Task(job=job, queue=self.queue, folder=home() / "jobs" / job.id)
            result = dict(handler.run(handler.read(job.request, job.id), task))
            json.dumps(result, allow_nan=False)
            return result
        except WenfangError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise WenfangError(
                "{kind}: {reason} ({place})",
                kind=type(error).__name__,
                reason=" ".join(str(error).split())[:REASON_CHARACTERS],
                place=_place(error),
            ) from error


def _place(error: Exception) -> str:
    """The line where a fault came up: the last that is neither Python's nor a library's."""
    frames = traceback.extract_tb(error.__traceback__)
    last = ([frame for frame in frames if _is_ours(frame.filename)] or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def _is_ours(file: str) -> bool:
    room = Path(__file__).parent
    if Path(file).is_relative_to(room.parent):
        return not Path(file).is_relative_to(room)
    paths = sysconfig.get_paths()
    return not file.startswith((paths["stdlib"], paths["purelib"], paths["platlib"], "<"))


def _insist(ask: Callable[[], T]) -> T:
    """Until the database answers: the work is done, and only its word is missing."""
    while True:
        try:
            return ask()
        except DatabaseError:
            time.sleep(TRY_AGAIN_S)


def _watch_parent(parent: int, lease_s: float) -> None:
    """End with the worker: nobody would renew our lease."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(min(LOOK_S, lease_s / 10))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(lease_s * ORPHAN_GRACE_SHARE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _answers() -> IO[bytes]:
    """Our standard output for the worker alone; whatever else is printed goes to its errors."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb", buffering=0)


def _handlers(reference: str) -> Handlers:
    module, _, name = reference.partition(":")
    found: Handlers = getattr(importlib.import_module(module), name)
    return found


def main() -> None:
    """Do the jobs that come in on standard input, one JSON line each."""
    reference, parent, lease_s = sys.argv[1:]
    answers = _answers()
    _watch_parent(int(parent), float(lease_s))
    queue = Queue(database=_insist(Database.open), lease_s=float(lease_s))
    attempts = _Attempts(_handlers(reference), queue)
    signal.signal(signal.SIGTERM, attempts.interrupt)
    for line in sys.stdin.buffer:
        attempts.attempt(json.loads(line))
        with suppress(BrokenPipeError):  # the worker is gone, and what it waited for is written
            answers.write(LEAVES if attempts.interrupted else ENDED)
        if attempts.interrupted:
            return
