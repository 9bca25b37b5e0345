"""Who did what, and when: rows that are written once. The database itself refuses to change them.

A row names people, keys and requests by their ids, and never holds what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from wenfang.database import Database, now
from wenfang.server.callers import Caller
from wenfang.server.people import metadata, shown

TEXT_MOST = 200
Event = Literal["request", "login", "login refused", "key refused", "command"]

audit = sa.Table(
    "audit",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What is written down of one request, or of one command.

    route    as the API describes it, with no ids in it
    subject  the ids that it was about
    status   of HTTP; 0 where nothing was answered
    request  the request's id
    """

    event: Event
    method: str
    route: str
    subject: str = ""
    status: int = 0
    request: str = ""


def write(connection: sa.Connection, caller: Caller, deed: Deed) -> None:
    """One more row."""
    values = {
        "at": now(),
        "event": deed.event,
        "person": caller.person,
        "key": caller.key,
        "project": caller.project,
        "method": deed.method,
        "route": _plain(deed.route),
        "subject": _plain(deed.subject),
        "status": deed.status,
        "request": deed.request,
    }
    connection.execute(sa.insert(audit).values(values))


def _plain(text: str) -> str:
    # A path is a stranger's text: PostgreSQL refuses NUL in it, UTF-8 a lone surrogate.
    readable = "".join(c if c.isprintable() else "?" for c in text[:TEXT_MOST])
    return readable.encode(errors="replace").decode()


def page(
    database: Database, *, project: str | None, after: int | None, limit: int, newest_first: bool
) -> list[dict[str, Any]]:
    """Rows of one project, or of all, beyond that one."""
    query = sa.select(audit).limit(limit)
    if project is not None:
        query = query.where(audit.c.project == project)
    if after is not None:
        query = query.where(audit.c.id < after if newest_first else audit.c.id > after)
    query = query.order_by(audit.c.id.desc() if newest_first else audit.c.id)
    with database.reading() as connection:
        return [_record(row) for row in connection.execute(query)]


def _record(row: Any) -> dict[str, Any]:
    return {
        "id": f"audit_{row.id}",
        "object": "audit",
        "created_at": int(row.at),
        "event": row.event,
        "person": row.person,
        "key": row.key,
        "project": shown(row.project),
        "method": row.method,
        "route": row.route,
        "subject": row.subject,
        "status": row.status,
        "request": row.request,
    }
