"""What a job is, and what it says of itself while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.errors import WenfangError

State = Literal["queued", "running", "paused", "done", "failed", "dead", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
ENDED: tuple[State, ...] = ("done", "failed", "dead", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job that is asked for.

    subject   what past jobs tell of how long this one takes: a scenario, a recipe
    units     how much of it, in whatever the subject is counted in: briefs, steps
    priority  the higher, the sooner
    key       the same twice is one job
    project, person  whose it is; empty on a machine of one person
    language  in which it tells what happens to it; empty: that of who asks
    """

    kind: str
    request: Mapping[str, Any]
    subject: str = ""
    units: float = 1.0
    priority: int = 0
    key: str | None = None
    project: str = ""
    person: str = ""
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row: what is asked, how far it is, and how it ended. Times are seconds since 1970.

    state       "dead": given up after faults that were nobody's wish; "failed": it cannot work
    asked       "cancel" or "pause" where its worker is to stop it
    attempts    how often it was claimed
    strikes     faults in a row without progress
    done, total of the present step
    language    of its messages and reports
    seconds     spent on it by all attempts
    peak_bytes  of memory, at most, in one attempt
    error       its class, its line for people, and the program's exit code
    """

    id: str
    kind: str
    subject: str
    units: float
    request: Mapping[str, Any]
    project: str
    person: str
    language: str
    key: str | None
    state: State
    asked: str
    priority: int
    attempts: int
    strikes: int
    created_at: float
    available_at: float
    started_at: float | None
    finished_at: float | None
    worker: str
    lease_until: float | None
    step: str
    done: float
    total: float
    furthest: float
    seconds: float
    peak_bytes: int
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ENDED

    def record(self) -> dict[str, Any]:
        """What is shown of it: no lease and no counters of the queue's own."""
        return {
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "state": self.state,
            "asked": self.asked or None,
            "priority": self.priority,
            "project": self.project or None,
            "person": self.person or None,
            "attempts": self.attempts,
            "created_at": moment(self.created_at),
            "started_at": moment(self.started_at),
            "finished_at": moment(self.finished_at),
            "progress": {"step": self.step, "done": self.done, "of": self.total},
            "seconds": round(self.seconds, 3),
            "peak_memory_bytes": self.peak_bytes or None,
            "request": self.request,
            "result": self.result,
            "error": self.error,
        }


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that a job told: "state", "progress", or what its handler calls it."""

    id: int
    job: str
    at: float
    kind: str
    content: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """As it is shown."""
        return {"id": self.id, "at": moment(self.at), "kind": self.kind, **self.content}


def erased(request: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of a private job's request once the job has ended: which one it was."""
    return {"private": True, "erased": True, "sha256": sha256_bytes(canonical_json(request))}


def is_erased(request: Mapping[str, Any]) -> bool:
    """Whether only a digest is left of it."""
    return bool(request.get("erased"))


def moment(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def described(error: WenfangError) -> dict[str, Any]:
    """An error as a job keeps it."""
    return {
        "type": type(error).__name__,
        "message": str(error),
        "exit_code": error.exit_code,
    }
