"""What keys spend, by the day: seconds of computing, and bytes of files.

Whatever spends something says so to `note`, wherever it is; the guard writes it down once, when
the request ends. Jobs count by the person and the project that asked for them, since they end long
after their request did.
"""

from __future__ import annotations

import math
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from wenfang.database import Database, now
from wenfang.jobs.tables import jobs
from wenfang.language import t
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.people import metadata

DAY_S = 86_400

spendings = sa.Table(
    "spendings",
    metadata,
    sa.Column("key", sa.Text, sa.ForeignKey("keys.id"), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)


@dataclass
class Meter:
    """What one request has spent so far."""

    seconds: float = 0.0
    stored_bytes: int = 0


METER: ContextVar[Meter | None] = ContextVar("METER", default=None)


def note(*, seconds: float = 0.0, stored_bytes: int = 0) -> None:
    """The present request has spent so much; a file that is deleted counts negative bytes."""
    meter = METER.get()
    if meter is not None:
        meter.seconds += seconds
        meter.stored_bytes += stored_bytes


def spent(connection: sa.Connection, caller: Caller, seconds: float, stored_bytes: int) -> None:
    """Write down what a key has spent today."""
    if not caller.key or not (seconds or stored_bytes):
        return
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    made = dialect.insert(spendings).values(
        key=caller.key, day=_today(), seconds=seconds, bytes=stored_bytes
    )
    more = {
        "seconds": spendings.c.seconds + made.excluded.seconds,
        "bytes": spendings.c.bytes + made.excluded.bytes,
    }
    connection.execute(made.on_conflict_do_update(index_elements=["key", "day"], set_=more))


def refuse_beyond(database: Database, caller: Caller) -> None:
    """Fault 429 where a key has used up its seconds of today, or its bytes."""
    limits = caller.limits
    if limits.seconds_a_day is not None and _seconds(database, caller) >= limits.seconds_a_day:
        raise Fault(
            429,
            t("the {count} s of this key are used up for today; more from midnight UTC",
              count=f"{limits.seconds_a_day:g}"),
            "insufficient_quota",
            headers={"retry-after": str(math.ceil((_today() + 1) * DAY_S - time.time()))},
        )  # fmt: skip
    if limits.storage_bytes is not None and _bytes(database, caller) >= limits.storage_bytes:
        raise Fault(
            429,
            t("the {count} bytes of this key are full; delete files", count=limits.storage_bytes),
            "insufficient_quota",
        )


def _today() -> int:
    return int(time.time() // DAY_S)


def _seconds(database: Database, caller: Caller) -> float:
    midnight = _today() * DAY_S
    direct = sa.select(sa.func.coalesce(sa.func.sum(spendings.c.seconds), 0.0)).where(
        spendings.c.key == caller.key, spendings.c.day == _today()
    )
    # What runs has not told its seconds yet.
    lasting = sa.case((jobs.c.state == "running", now() - jobs.c.started_at), else_=jobs.c.seconds)
    queued = sa.select(sa.func.coalesce(sa.func.sum(lasting), 0.0)).where(
        jobs.c.person == caller.person,
        jobs.c.project == caller.project,
        jobs.c.started_at >= midnight,
    )
    with database.reading() as connection:
        found = connection.execute(direct).scalar_one(), connection.execute(queued).scalar_one()
    return float(sum(found))


def _bytes(database: Database, caller: Caller) -> int:
    kept = sa.select(sa.func.coalesce(sa.func.sum(spendings.c.bytes), 0))
    with database.reading() as connection:
        found = connection.execute(kept.where(spendings.c.key == caller.key)).scalar_one()
    return int(found)
