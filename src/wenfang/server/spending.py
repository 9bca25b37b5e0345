"""What keys spend, by the day: requests, and seconds of computing.

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
from wenfang.server.storing import kept_bytes

DAY_S = 86_400

spendings = sa.Table(
    "spendings",
    metadata,
    sa.Column("key", sa.Text, sa.ForeignKey("keys.id"), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("requests", sa.Integer, nullable=False, server_default="0"),
)


@dataclass
class Meter:
    """What one request has spent so far.

    requests  that it counts as: none where it only looks
    """

    seconds: float = 0.0
    requests: int = 0


METER: ContextVar[Meter | None] = ContextVar("METER", default=None)


def note(*, seconds: float) -> None:
    """The present request has spent so much."""
    meter = METER.get()
    if meter is not None:
        meter.seconds += seconds


def spent(connection: sa.Connection, caller: Caller, meter: Meter) -> None:
    """Write down what a key has spent today."""
    if not caller.key or not (meter.seconds or meter.requests):
        return
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    made = dialect.insert(spendings).values(
        key=caller.key, day=_today(), seconds=meter.seconds, requests=meter.requests
    )
    more = {
        "seconds": spendings.c.seconds + made.excluded.seconds,
        "requests": spendings.c.requests + made.excluded.requests,
    }
    connection.execute(made.on_conflict_do_update(index_elements=["key", "day"], set_=more))


def refuse_beyond(database: Database, caller: Caller) -> None:
    """Fault 429 where a key has used up its requests or seconds of today, or its bytes."""
    limits = caller.limits
    if limits.requests_a_day is not None and _requests(database, caller) >= limits.requests_a_day:
        message = t("the {count} requests of this key are used up for today; more from midnight "
                    "UTC", count=limits.requests_a_day)  # fmt: skip
        raise _used_up(message)
    if limits.seconds_a_day is not None and _seconds(database, caller) >= limits.seconds_a_day:
        message = t("the {count} s of this key are used up for today; more from midnight UTC",
                    count=f"{limits.seconds_a_day:g}")  # fmt: skip
        raise _used_up(message)
    most = limits.storage_bytes
    if most is not None and kept_bytes(database, caller.key) >= most:
        message = t("the {count} bytes of this key are full; delete files, pieces, videos or tuned "
                    "models", count=most)  # fmt: skip
        raise Fault(429, message, "insufficient_quota")


def _used_up(message: str) -> Fault:
    tomorrow = {"retry-after": str(math.ceil((_today() + 1) * DAY_S - time.time()))}
    return Fault(429, message, "insufficient_quota", headers=tomorrow)


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


def _requests(database: Database, caller: Caller) -> int:
    asked = sa.select(sa.func.coalesce(sa.func.sum(spendings.c.requests), 0)).where(
        spendings.c.key == caller.key, spendings.c.day == _today()
    )
    with database.reading() as connection:
        return int(connection.execute(asked).scalar_one())
