"""What is kept of a client's jobs: counted from when they are queued, until they are forgotten."""

from __future__ import annotations

import shutil
from contextlib import suppress

import sqlalchemy as sa

from wenfang.errors import JobError, NotFoundError
from wenfang.jobs import ENDED, Job
from wenfang.jobs.tables import jobs
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.place import Place
from wenfang.server.storing import credit, enter_made
from wenfang.store import home

JOB_DIGITS = 20  # of the number in its id


def enter_work(here: Place, caller: Caller, name: str) -> Job:
    """A job of a client's that was queued just now: what it leaves in its folder is counted."""
    with here.database.writing() as connection:
        enter_made(connection, caller.key, name, home() / "jobs" / name, name)
    return here.queue.job(name)


def forget_job(here: Place, name: str, what: str) -> None:
    """Forget a job and the files in its folder; one that waits is never done.

    what    the id by which the client knows it
    raises  Fault 409 for one that is being done
    """
    # The queue may have forgotten it already, and a worker may take it in this moment.
    with suppress(NotFoundError, JobError):
        job = here.queue.job(name)
        if job.state in ("queued", "paused"):
            here.queue.ask(job.id, "cancel")
    gone = sa.delete(jobs).where(jobs.c.id == name, jobs.c.state.in_(ENDED))
    with here.database.writing() as connection:
        connection.execute(gone)
        if connection.execute(sa.select(jobs.c.id).where(jobs.c.id == name)).first() is not None:
            message = f"{what} is being made; wait, or cancel it at /v1/jobs/{name}/cancel"
            raise Fault(409, message, "in_progress")
        credit(connection, name)
    shutil.rmtree(home() / "jobs" / name, ignore_errors=True)
