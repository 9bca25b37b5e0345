"""What is kept for a key: each thing counts its bytes from the moment it is entered until it goes.

Files and tunings are entered and credited in the transaction that enters or removes them, so that
nothing is counted or credited twice; a job is entered right after it was queued. What a job makes
is measured where it lies, as the worker that makes it knows no keys; what was made without a key
belongs to nobody's limit.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from wenfang.database import Database
from wenfang.jobs.tables import jobs
from wenfang.server.people import metadata
from wenfang.store import home

stored = sa.Table(
    "stored",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, sa.ForeignKey("keys.id"), nullable=False),
    sa.Column("bytes", sa.BigInteger),  # none: what lies at `place` is measured when it is asked
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Index("stored_by_key", "key"),
)


def enter(
    connection: sa.Connection,
    key: str,
    name: str,
    *,
    size: int,
    expires_at: float | None = None,
) -> None:
    """Count a thing of so many bytes, which ends by itself at `expires_at`; nothing without key."""
    if key:
        row = {"id": name, "key": key, "bytes": size, "place": "", "job": ""}
        _insert(connection, {**row, "expires_at": expires_at})


def enter_made(connection: sa.Connection, key: str, name: str, place: Path, job: str = "") -> None:
    """Count what a job makes at a place of this home.

    job  its id; "" as long as it has none
    """
    if key:
        below = str(place.relative_to(home()))
        _insert(connection, {"id": name, "key": key, "bytes": None, "place": below, "job": job})


def _insert(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """A row; who enters a thing again, as a job by its own key, enters it once."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    made = dialect.insert(stored).values(row)
    connection.execute(made.on_conflict_do_nothing(index_elements=["id"]))


def enter_job(connection: sa.Connection, name: str, job: str) -> None:
    """Tell which job makes a thing that was entered before it had one."""
    connection.execute(sa.update(stored).where(stored.c.id == name).values(job=job))


def credit(connection: sa.Connection, name: str) -> bool:
    """A thing is gone, and with it its bytes; whether it counted."""
    return connection.execute(sa.delete(stored).where(stored.c.id == name)).rowcount > 0


def credit_expired(database: Database) -> None:
    """Forget what has ended by itself; it has not counted since."""
    with database.writing() as connection:
        connection.execute(sa.delete(stored).where(stored.c.expires_at <= time.time()))


def kept_bytes(database: Database, key: str) -> int:
    """How many bytes are kept for a key now. It reads the disk for what is being made."""
    made_by = stored.outerjoin(jobs, jobs.c.id == stored.c.job)
    # What only its job's row led to is nobody's any more once the queue has forgotten that.
    reached = sa.or_(stored.c.id != stored.c.job, jobs.c.id.is_not(None))
    theirs = stored.c.key == key, reached
    unmeasured = (
        sa.select(stored.c.id, stored.c.place, stored.c.job, jobs.c.state)
        .select_from(made_by)
        .where(*theirs, stored.c.bytes.is_(None))
    )
    lasting = sa.or_(stored.c.expires_at.is_(None), stored.c.expires_at > time.time())
    told = sa.select(sa.func.coalesce(sa.func.sum(stored.c.bytes), 0)).select_from(made_by)
    with database.reading() as connection:
        rows = connection.execute(unmeasured).all()
        known = connection.execute(told.where(*theirs, lasting)).scalar_one()
    sizes = {row.id: folder_bytes(home() / row.place) for row in rows}
    # What lies on another machine cannot be measured here.
    final = {row.id: sizes[row.id] for row in rows if _is_final(row) and sizes[row.id]}
    if final:
        with database.writing() as connection:
            for name, size in final.items():
                measured = sa.update(stored).where(stored.c.id == name)
                connection.execute(measured.values(bytes=size))
    return int(known) + sum(sizes.values())


def _is_final(row: Any) -> bool:
    """Whether nothing changes any more: its job is done, or was forgotten since."""
    return bool(row.job) and row.state in ("done", None)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files of a folder; 0 where there is none."""
    total = 0
    for place, _, names in os.walk(folder):  # which passes over folders that are gone meanwhile
        for name in names:
            with suppress(FileNotFoundError):  # a temporary one, gone in this moment
                found = os.lstat(os.path.join(place, name))
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total
