"""Small jobs for tests, and a worker of them as a program of its own.

python job_handlers.py URL LEASE_S DEVICE [--drain] [--follow PID] [--log FILE]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wenfang.jobs.hand
import wenfang.jobs.queue
import wenfang.jobs.worker
from wenfang.database import Database
from wenfang.errors import BriefError, BusyError
from wenfang.jobs import Handler, Job, Queue, Task, Worker

TABLE = "job_handlers:HANDLERS"
FOLDER = str(Path(__file__).parent)

# As everywhere else, only sooner.
wenfang.jobs.queue.BACKOFF_S = 0.05
wenfang.jobs.worker.POLL_S = 0.05
wenfang.jobs.hand.TRY_AGAIN_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a small job does: `steps` steps, each of which takes `step_s`."""

    steps: int = 1
    step_s: float = 0.0
    deadly: tuple[int, ...] = ()  # attempts that end by SIGKILL, after one further step


def _count(asked: Asked, task: Task) -> dict[str, Any]:
    """Steps that are each kept in a file; goes on from what an earlier attempt did."""
    task.folder.mkdir(parents=True, exist_ok=True)
    path = task.folder / "steps"
    done = len(path.read_text().split()) if path.exists() else 0
    task.report("counting", done, asked.steps)
    while done < asked.steps:
        time.sleep(asked.step_s)
        with path.open("a") as stream:
            stream.write(f"{task.job.attempts}\n")
        done += 1
        task.tell("step", number=done)
        task.report("counting", done, asked.steps)
        if task.job.attempts in asked.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
    return {"steps": done}


def _refuse(asked: Asked, task: Task) -> dict[str, Any]:
    raise BriefError("{what} cannot be made", what="this")


def _meet_somebody(asked: Asked, task: Task) -> dict[str, Any]:
    raise BusyError("{what} is in use", what="it")


def _stumble(asked: Asked, task: Task) -> dict[str, Any]:
    raise ValueError("a bug\non two lines")


def _break_import(asked: Asked, task: Task) -> dict[str, Any]:
    """As a library does that Ctrl-C cuts off while it is imported: an error of another kind."""
    task.report("importing", 0, 1)
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        raise ImportError("could not be initialised") from None
    return {}


def _be_deaf(asked: Asked, task: Task) -> dict[str, Any]:
    """Hear no signal at all."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    task.report("deaf", 0, 1)
    time.sleep(30)
    return {}


def _remember(asked: Asked, task: Task) -> dict[str, Any]:
    """Hold so many megabytes for a moment."""
    held = bytearray(asked.steps * 2**20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    return {"bytes": len(held), "process": os.getpid()}


def _leave(asked: Asked, task: Task) -> dict[str, Any]:
    """As a library does that thinks that the process is its own; better the second time."""
    return {} if task.job.attempts > 1 else sys.exit(7)


def _look_around(asked: Asked, task: Task) -> dict[str, Any]:
    return {"gpus": os.environ["CUDA_VISIBLE_DEVICES"], "pid": os.getpid(), "folder": sys.path[0]}


def _handler(run: Callable[[Asked, Task], dict[str, Any]]) -> Handler:
    return Handler(request=Asked, run=run, subject=lambda asked: ("small", float(asked.steps)))


HANDLERS = {
    "count": _handler(_count),
    "refuse": _handler(_refuse),
    "meet": _handler(_meet_somebody),
    "stumble": _handler(_stumble),
    "break_import": _handler(_break_import),
    "deaf": _handler(_be_deaf),
    "remember": _handler(_remember),
    "look": _handler(_look_around),
    "object": _handler(lambda asked, task: {"one": object()}),
    "nan": _handler(lambda asked, task: {"loss": float("nan")}),
    "leave": _handler(_leave),
}
KINDS = tuple(HANDLERS)


def environment(home: Path) -> dict[str, str]:
    """Of a worker whose hand finds this module."""
    return {**os.environ, "PYTHONPATH": FOLDER, "WENFANG_HOME": str(home)}


def start(url: str, home: Path, *words: object) -> subprocess.Popen[bytes]:
    """A worker as a program of its own."""
    command = [sys.executable, __file__, url, *map(str, words)]
    return subprocess.Popen(command, env=environment(home))


def main() -> None:
    """Work, or claim only."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("lease_s", type=float)
    parser.add_argument("device")
    parser.add_argument("--drain", action="store_true")
    parser.add_argument("--follow", type=int, default=0)
    parser.add_argument("--claim", action="store_true")
    asked = parser.parse_args()
    queue = Queue(database=Database.open(asked.url), lease_s=asked.lease_s)
    if asked.claim:
        while job := queue.claim(asked.device, KINDS):
            print(job.id)
        return

    def tell(job: Job) -> None:
        with suppress(BrokenPipeError):
            print(job.id, job.state, flush=True)

    worker = Worker(
        queue=queue,
        handlers=TABLE,
        kinds=KINDS,
        device=asked.device,
        follow=asked.follow,
        grace_s=1.0,
        on_job=tell,
    )
    worker.run(until_empty=asked.drain)


if __name__ == "__main__":
    main()
