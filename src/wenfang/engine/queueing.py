"""Work that is queued instead of done at once. Only what submits or does it loads a model's code.

`working` holds the table of what the kinds do; it is named here, not imported.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from wenfang import config
from wenfang.database import Database
from wenfang.errors import ConfigError, DatabaseError, NotFoundError
from wenfang.jobs import Estimate, Happening, Job, Queue, Submission, Worker, estimate
from wenfang.store import home

Kind: TypeAlias = Literal["create", "generate", "train", "evaluate", "prepare", "seal", "film"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What takes seconds to minutes: a worker for these alone goes on while another one trains.
SHORT: tuple[Kind, ...] = ("create", "generate", "seal", "film")
SHORT_PLACES = 4
TABLE = "wenfang.engine.working:HANDLERS"
KEPT_S = 30 * 86_400.0  # done and cancelled jobs; those that failed are kept thrice as long
FAILED_KEPT = 3
PATIENCE_S = 60.0  # with a database that is started again, for who only looks
PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A job that waits now, what it is likely to take, and whether anybody works."""

    job: Job
    estimate: Estimate | None
    workers: int

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        guess = config.to_dict(self.estimate) if self.estimate else None
        return {"job": self.job.record(), "estimate": guess, "workers": self.workers}


def open_queue() -> Queue:
    """The queue of this home, or of WENFANG_DATABASE_URL."""
    return Queue(database=Database.open())


def submit(kind: str, request: object, queue: Queue | None = None, **about: Any) -> Queued:
    """Queue a verb's request, a dataclass of `working` or its JSON; refused if it cannot work.

    about  fields of Submission: priority, key, project, person
    raises NotFoundError for a kind that is none, and what the verb itself would raise
    """
    from wenfang.engine.working import HANDLERS

    handler = HANDLERS.get(kind)
    if handler is None:
        raise NotFoundError(
            "there is no kind of job {kind}; there are: {names}", kind=kind, names=", ".join(KINDS)
        )
    content = config.to_dict(request)
    asked = handler.read(content, kind)
    _require_json(content, kind)
    handler.check(asked)
    subject, units = handler.subject(asked)
    wanted = Submission(kind=kind, request=content, subject=subject, units=units)
    wanted = replace(wanted, **about)
    queue = queue or open_queue()
    guess = estimate(queue, wanted)
    return Queued(job=queue.submit(wanted), estimate=guess, workers=len(queue.owners()))


def _require_json(content: object, kind: str) -> None:
    try:
        json.dumps(content, allow_nan=False)
    except (TypeError, ValueError):
        raise ConfigError(
            "{kind}: the request is not JSON; NaN and infinity, for instance, are not", kind=kind
        ) from None


def work(
    *,
    device: str = "",
    short: bool = False,
    until_empty: bool = False,
    follow: int = 0,
    on_job: Callable[[Job], None] = lambda job: None,
) -> int:
    """Be a worker, until stopped or until nothing is left; how many jobs were begun.

    short  only jobs of the kinds SHORT, on a place beside those that other workers own; where
           those own GPUs, nothing: the same seed would draw something else beside them
    """
    from wenfang.device import owned_devices

    devices = owned_devices()
    if short and not device:
        if devices[0].startswith("cuda"):
            return 0
        devices = tuple(f"cpu:{len(devices) + number}" for number in range(SHORT_PLACES))
    # More places of the processor than there are cores for may be asked for; GPUs not.
    if device and device not in devices and not re.fullmatch(r"cpu:\d{1,3}", device):
        raise ConfigError(
            "there is no device {device} here; there are: {names}",
            device=device,
            names=", ".join((*devices, "cpu:0, cpu:1 …")),
        )
    worker = Worker(
        queue=open_queue(),
        handlers=TABLE,
        kinds=SHORT if short else KINDS,
        device=device,
        devices=devices,
        follow=follow,
        on_job=on_job,
    )
    return worker.run(until_empty=until_empty)


def watch(queue: Queue, job: Job, pause: Callable[[], None], after: int = 0) -> Iterator[Happening]:
    """What a job tells, as it comes, until it has ended; a database may be away for a while.

    pause  waits between two looks
    raises DatabaseError where it is away for longer
    """
    heard_at = time.monotonic()
    while True:
        try:
            ended = queue.job(job.id).ended  # asked first: nothing is told after the end
            found = queue.happenings(job, after, limit=PAGE)
            heard_at = time.monotonic()
        except DatabaseError:
            if time.monotonic() - heard_at > PATIENCE_S:
                raise
            ended, found = False, []
        for one in found:
            after = one.id
            yield one
        if len(found) < PAGE:
            if ended:
                return
            pause()


def story(queue: Queue, job: Job) -> list[Happening]:
    """All that a job has told so far."""
    told: list[Happening] = []
    while found := queue.happenings(job, told[-1].id if told else 0, limit=PAGE):
        told += found
    return told


def files_of(job: Job) -> list[Path]:
    """Every file that a job published, pieces first."""
    result: Any = job.result or {}
    own = result.get("files", ())
    listed = own.values() if isinstance(own, Mapping) else own
    named = [one.get("file") if isinstance(one, Mapping) else one for one in listed]
    pieces = [path for piece in result.get("pieces", ()) for path in piece["files"]]
    return [Path(str(path)) for path in (*pieces, *named) if path]


def text_of(job: Job) -> str:
    """The words of the first thing that a job made."""
    result: Any = job.result or {}
    made = result.get("pieces") or result.get("generated") or [{}]
    return str(made[0].get("text") or "")


def read_as_of(job: Job) -> str:
    """The words that its first picture was drawn for, where those asked for were not learnt."""
    result: Any = job.result or {}
    made = result.get("generated") or [{}]
    return str(made[0].get("read_as") or "")


def run_folder(job: Job) -> Path:
    """Where a training job's run lies."""
    asked = str(job.request.get("output") or "")
    return Path(asked) if asked else home() / "runs" / job.id


def clean(queue: Queue, older_s: float = KEPT_S) -> int:
    """Forget jobs that ended long ago, and what they told; what they made stays."""
    good = queue.clean(("done", "cancelled"), older_s)
    return good + queue.clean(("failed", "dead"), older_s * FAILED_KEPT)
