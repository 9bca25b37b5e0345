"""The queue: who may do what, decided by the database in one statement each."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from wenfang.database import Database, now
from wenfang.errors import JobError, NotFoundError
from wenfang.jobs.job import (
    ENDED,
    Happening,
    Job,
    State,
    Submission,
    described,
    erased,
    is_erased,
)
from wenfang.jobs.tables import devices, job_events, jobs
from wenfang.language import language

LEASE_S = 30.0
STRIKES_MOST = 5  # faults in a row without progress, after which a job is given up
BACKOFF_S, BACKOFF_MOST_S = 2.0, 600.0
PRIORITY_MOST = 100
FORWARD = 0.01  # of a step: less is no progress that forgives earlier faults


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Jobs in a database, shared by all that open it.

    lease_s  how long a worker may be silent before another one takes its job
    """

    database: Database
    lease_s: float = LEASE_S

    def submit(self, asked: Submission) -> Job:
        """A new job; the one that has the same key, where there is one."""
        at: Any = now()
        values = {
            "id": f"job-{secrets.token_hex(10)}",
            "kind": asked.kind,
            "subject": asked.subject,
            "units": asked.units,
            "request": dict(asked.request),
            "project": asked.project,
            "person": asked.person,
            "language": asked.language or language(),
            "key": asked.key,
            "state": "queued",
            "asked": "",
            "priority": max(-PRIORITY_MOST, min(PRIORITY_MOST, asked.priority)),
            "attempts": 0,
            "strikes": 0,
            "created_at": at,
            "available_at": at,
            "worker": "",
            "step": "",
            "done": 0.0,
            "total": 0.0,
            "furthest": 0.0,
            "seconds": 0.0,
            "peak_bytes": 0,
        }
        with self.database.writing() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            made = (
                dialect.insert(jobs).values(values).on_conflict_do_nothing(index_elements=["key"])
            )
            row = connection.execute(made.returning(*jobs.c)).first()
            if row is None:
                known = sa.select(jobs).where(jobs.c.key == asked.key)
                return _job(connection.execute(known).one())
            _tell(connection, row.id, "state", {"state": "queued"})
            return _job(row)

    def claim(self, worker: str, kinds: Sequence[str]) -> Job | None:
        """The next job for this worker, which holds its lease from now on; None: there is none.

        Jobs whose worker fell silent go back first, or are given up.
        """
        with self.database.writing() as connection:
            self._recover(connection)
            chosen = (
                sa.select(jobs.c.id)
                .where(
                    jobs.c.state == "queued",
                    jobs.c.available_at <= now(),
                    jobs.c.kind.in_(kinds),
                )
                .order_by(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
                .scalar_subquery()
            )
            claimed = (
                sa.update(jobs)
                .where(jobs.c.id == chosen)
                .values(
                    state="running",
                    asked="",
                    worker=worker,
                    attempts=jobs.c.attempts + 1,
                    started_at=sa.func.coalesce(jobs.c.started_at, now()),
                    lease_until=now() + self.lease_s,
                )
            )
            row = connection.execute(claimed.returning(*jobs.c)).first()
            if row is None:
                return None
            _tell(connection, row.id, "state", {"state": "running", "attempt": row.attempts})
            return _job(row)

    def renew(self, job: Job) -> str | None:
        """Keep the lease: "", or "cancel" or "pause" where that is asked; None: it is lost."""
        with self.database.writing() as connection:
            kept = _held(job).values(lease_until=now() + self.lease_s).returning(jobs.c.asked)
            row = connection.execute(kept).first()
            return None if row is None else str(row.asked)

    def progress(
        self, job: Job, step: str, done: float, total: float, more: Mapping[str, Any]
    ) -> bool:
        """How far a step is; False where the lease is lost. Progress forgives earlier faults."""
        share = done / total if total else 0.0
        further = jobs.c.furthest + FORWARD < share
        with self.database.writing() as connection:
            moved = _held(job).values(
                step=step,
                done=done,
                total=total,
                strikes=sa.case((further, 0), else_=jobs.c.strikes),
                furthest=sa.case((further, share), else_=jobs.c.furthest),
            )
            if connection.execute(moved).rowcount == 0:
                return False
            content = {"step": step, "done": done, "of": total, **more}
            _tell(connection, job.id, "progress", content)
            return True

    def tell(self, job: Job, kind: str, content: Mapping[str, Any]) -> bool:
        """Keep something that a running job says; False where the lease is lost."""
        with self.database.writing() as connection:
            # The row is locked first, so that a job's events commit in the order of their ids.
            if connection.execute(_held(job).values(worker=job.worker)).rowcount == 0:
                return False
            _tell(connection, job.id, kind, content)
            return True

    def finish(self, job: Job, result: Mapping[str, Any], seconds: float, peak_bytes: int) -> bool:
        """End a job well; False where the lease is lost, and with it the right to do so.

        Asked again after an answer that got lost, it says True once more.
        """
        values = {"state": "done", "result": dict(result), "error": None, "finished_at": now()}
        return self._end(job, values, seconds, peak_bytes)

    def fail(
        self,
        job: Job,
        error: Mapping[str, Any],
        seconds: float,
        peak_bytes: int = 0,
        *,
        transient: bool = False,
    ) -> bool:
        """End a job badly, or queue it again after a pause where the fault may pass."""
        if not transient:
            values = {"state": "failed", "error": dict(error), "finished_at": now()}
            return self._end(job, values, seconds, peak_bytes)
        with self.database.writing() as connection:
            struck = _held(job).values(
                **_struck(dict(error)),
                seconds=jobs.c.seconds + seconds,
                peak_bytes=_larger(peak_bytes),
            )
            row = connection.execute(struck.returning(jobs.c.id, jobs.c.state)).first()
            if row is None:
                return False
            _erase(connection, row.id, row.state)
            _tell(connection, row.id, "state", {"state": row.state, "error": dict(error)})
            return True

    def stopped(self, job: Job, seconds: float, peak_bytes: int = 0) -> bool:
        """A job that stopped at a safe point: as was wished, or queued to go on at once."""
        values = {
            "state": _wished("queued"),
            "available_at": now(),
            "finished_at": sa.case((jobs.c.asked == "cancel", now()), else_=None),
        }
        return self._end(job, values, seconds, peak_bytes)

    def ask(self, name: str, wish: str) -> Job:
        """Ask for "cancel", "pause", "resume" or "retry"; JobError where that cannot be.

        What runs is told to stop at a safe point; everything else changes at once.
        """
        job = self.job(name)
        with self.database.writing() as connection:
            self._recover(connection)  # nobody would hear what is asked of a worker that is gone
            for states, values in _WISHES[wish]:
                changed = (
                    sa.update(jobs)
                    .where(jobs.c.id == job.id, jobs.c.state.in_(states))
                    .values(values)
                    .returning(*jobs.c)
                )
                row = connection.execute(changed).first()
                if row is not None:
                    if wish == "retry" and is_erased(row.request):
                        raise JobError(
                            "{id} was private, so what it was asked was erased when it ended; ask "
                            "it anew",
                            id=job.id,
                        )
                    told = {"asked": wish} if row.state == "running" else {"state": row.state}
                    _erase(connection, job.id, row.state)
                    _tell(connection, job.id, "state", told)
                    now_so = sa.select(jobs).where(jobs.c.id == job.id)
                    return _job(connection.execute(now_so).one())
        raise JobError(
            "{id} is {state}; it cannot be asked to {wish}",
            id=job.id,
            state=self.job(job.id).state,
            wish=wish,
        )

    def job(self, name: str) -> Job:
        """The job of that id, or of a beginning of one that is like no other's."""
        begun = name.removeprefix("job-")
        rows: Sequence[Any] = ()
        if re.fullmatch("[0-9a-f]+", begun):
            with self.database.reading() as connection:
                named = jobs.c.id.startswith(f"job-{begun}")
                rows = connection.execute(sa.select(jobs).where(named).limit(2)).all()
        if len(rows) != 1:
            raise NotFoundError(
                "there is no job {name}, or more than one; wenfang jobs list shows them", name=name
            )
        return _job(rows[0])

    def jobs(
        self,
        *,
        states: Sequence[str] = (),
        kinds: Sequence[str] = (),
        project: str | None = None,
        before: Job | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Jobs, newest first; `before`: those that are older than that one."""
        asked = sa.select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        if states:
            asked = asked.where(jobs.c.state.in_(states))
        if kinds:
            asked = asked.where(jobs.c.kind.in_(kinds))
        if project is not None:
            asked = asked.where(jobs.c.project == project)
        if before is not None:
            place = sa.tuple_(jobs.c.created_at, jobs.c.id)
            asked = asked.where(place < sa.tuple_(before.created_at, before.id))
        with self.database.reading() as connection:
            return [_job(row) for row in connection.execute(asked)]

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        asked = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        with self.database.reading() as connection:
            return {str(state): int(count) for state, count in connection.execute(asked)}

    def happenings(self, job: Job, after: int = 0, limit: int = 1000) -> list[Happening]:
        """What a job told, in order, later than the event `after`."""
        asked = (
            sa.select(job_events)
            .where(job_events.c.job == job.id, job_events.c.id > after)
            .order_by(job_events.c.id)
            .limit(limit)
        )
        with self.database.reading() as connection:
            return [Happening(**row._mapping) for row in connection.execute(asked)]

    def past(self, kind: str, subject: str, limit: int) -> list[Job]:
        """Jobs like this one that ended well: first those of one attempt, of them the newest."""
        asked = (
            sa.select(jobs)
            .where(jobs.c.kind == kind, jobs.c.subject == subject, jobs.c.state == "done")
            .order_by(jobs.c.attempts > 1, jobs.c.finished_at.desc())
            .limit(limit)
        )
        with self.database.reading() as connection:
            return [_job(row) for row in connection.execute(asked)]

    def own(self, device: str, worker: str) -> bool:
        """Own a device, or go on owning it; False where another worker does by now."""
        with self.database.writing() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            values = {"worker": worker, "lease_until": now() + self.lease_s}
            made = dialect.insert(devices).values(name=device, **values)
            kept = made.on_conflict_do_update(
                index_elements=["name"],
                set_=values,
                where=sa.or_(devices.c.worker == worker, devices.c.lease_until < now()),
            )
            return connection.execute(kept.returning(devices.c.name)).first() is not None

    def disown(self, device: str, worker: str) -> None:
        """Let go of a device."""
        with self.database.writing() as connection:
            mine = sa.and_(devices.c.name == device, devices.c.worker == worker)
            connection.execute(sa.delete(devices).where(mine))

    def owners(self) -> dict[str, str]:
        """Workers that live, by the device that each owns."""
        asked = sa.select(devices).where(devices.c.lease_until >= now())
        with self.database.reading() as connection:
            return {row.name: row.worker for row in connection.execute(asked)}

    def leases(self) -> dict[str, float]:
        """Until when each device is owned, by the database's clock, past or not."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(devices.c.name, devices.c.lease_until))
            return {row.name: row.lease_until for row in rows}

    def clean(self, states: Sequence[State], older_s: float) -> int:
        """Forget jobs, with what they told, that ended this long ago; how many they were."""
        gone = sa.delete(jobs).where(
            jobs.c.state.in_([one for one in states if one in ENDED]),
            jobs.c.finished_at < now() - older_s,
        )
        with self.database.writing() as connection:
            return connection.execute(gone).rowcount

    def _end(self, job: Job, values: dict[str, Any], seconds: float, peak_bytes: int) -> bool:
        values |= {
            "asked": "",
            "lease_until": None,
            "seconds": jobs.c.seconds + seconds,
            "peak_bytes": _larger(peak_bytes),
        }
        with self.database.writing() as connection:
            ended = _held(job).values(values).returning(jobs.c.state, jobs.c.error)
            row = connection.execute(ended).first()
            if row is None:
                asked = sa.select(sa.true()).where(
                    jobs.c.id == job.id,
                    jobs.c.worker == job.worker,
                    jobs.c.attempts == job.attempts,
                    jobs.c.state == values["state"],
                )
                return connection.execute(asked).first() is not None
            _erase(connection, job.id, row.state)
            told = {"state": row.state}
            if row.error and row.state == "failed":
                told["error"] = row.error
            _tell(connection, job.id, "state", told)
            return True

    def _recover(self, connection: Connection) -> None:
        """Take jobs from workers that fell silent."""
        gone = described(JobError("its worker fell silent: it was killed, or its machine stopped"))
        silent = (
            sa.select(jobs.c.id)
            .where(jobs.c.state == "running", jobs.c.lease_until < now())
            .with_for_update(skip_locked=True)
        )
        freed = sa.update(jobs).where(jobs.c.id.in_(silent)).values(**_struck(gone))
        for row in connection.execute(freed.returning(jobs.c.id, jobs.c.state)).all():
            _erase(connection, row.id, row.state)
            _tell(connection, row.id, "state", {"state": row.state, "error": gone})


def _held(job: Job) -> Any:
    """Change a job only while this attempt holds its lease, late or not."""
    return sa.update(jobs).where(
        jobs.c.id == job.id,
        jobs.c.state == "running",
        jobs.c.worker == job.worker,
        jobs.c.attempts == job.attempts,
    )


def _struck(error: dict[str, Any]) -> dict[str, Any]:
    """A fault: stopped where that was asked anyway, given up at last, or queued after a pause."""
    last = jobs.c.strikes + 1 >= STRIKES_MOST
    ends = sa.or_(jobs.c.asked == "cancel", sa.and_(last, jobs.c.asked == ""))
    # Each pause is twice the one before.
    pause = sa.literal(1).bitwise_lshift(jobs.c.strikes) * BACKOFF_S
    return {
        "state": _wished(sa.case((last, "dead"), else_="queued")),
        "asked": "",
        "strikes": jobs.c.strikes + 1,
        "lease_until": None,
        "available_at": now() + sa.case((pause > BACKOFF_MOST_S, BACKOFF_MOST_S), else_=pause),
        "finished_at": sa.case((ends, now()), else_=None),
        "error": error,
    }


def _wished(otherwise: Any) -> Any:
    """The state of a job that stopped."""
    wishes = (jobs.c.asked == "cancel", "cancelled"), (jobs.c.asked == "pause", "paused")
    return sa.case(*wishes, else_=otherwise)


def _larger(peak_bytes: int) -> Any:
    larger = jobs.c.peak_bytes < peak_bytes
    return sa.case((larger, sa.literal(peak_bytes, sa.BigInteger)), else_=jobs.c.peak_bytes)


_AGAIN: dict[str, Any] = {
    "state": "queued",
    "asked": "",
    "strikes": 0,
    "error": None,
    "finished_at": None,
    "available_at": now(),
}
# What a wish does, by the state that a job is in; the first that fits.
_WISHES: dict[str, tuple[tuple[tuple[State, ...], dict[str, Any]], ...]] = {
    "cancel": (
        (("running",), {"asked": "cancel"}),
        (("queued", "paused"), {"state": "cancelled", "finished_at": now()}),
    ),
    "pause": ((("running",), {"asked": "pause"}), (("queued",), {"state": "paused"})),
    "resume": ((("paused",), _AGAIN),),
    "retry": ((("failed", "dead", "cancelled"), _AGAIN),),
}


def _erase(connection: Connection, name: str, state: str) -> None:
    """Keep no more than a digest of what a private job was asked, once it has ended."""
    if state not in ENDED:
        return
    asked = sa.select(jobs.c.request).where(jobs.c.id == name)
    request = connection.execute(asked).scalar_one()
    if request.get("private") and not is_erased(request):
        kept = sa.update(jobs).where(jobs.c.id == name).values(request=erased(request))
        connection.execute(kept)


def _tell(connection: Connection, job: str, kind: str, content: Mapping[str, Any]) -> None:
    values = {"job": job, "at": now(), "kind": kind, "content": dict(content)}
    connection.execute(sa.insert(job_events).values(values))


def _job(row: Any) -> Job:
    return Job(**row._mapping)
