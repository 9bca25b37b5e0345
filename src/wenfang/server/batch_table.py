"""Batches as rows: where each one stands, and who moved it there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wenfang.database import Database, take_turns
from wenfang.language import t
from wenfang.server.faults import Fault
from wenfang.server.filing import enter_file, metadata
from wenfang.server.paging import Rows

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("input_file", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("output_kept_s", sa.Integer, nullable=False),
    sa.Column("metadata", sa.JSON(none_as_null=True)),
    sa.Column("moments", sa.JSON, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("completed", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("usage", sa.JSON, nullable=False),
    sa.Column("errors", sa.JSON(none_as_null=True)),
    sa.Column("output_file", sa.Text),
    sa.Column("error_file", sa.Text),
    sa.Index("batches_of_project", "project", "created_at", "id"),
)
ROWS = Rows(table=batches, prefix="batch_", what="batch")
OPEN = ("validating", "in_progress", "finalizing", "cancelling")
EXPIRED = "expired"  # among the moments: decided, though not ended yet
MOMENTS = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at",
           "cancelling_at", "cancelled_at")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The batches of all projects."""

    database: Database

    def open(self, values: Mapping[str, Any], most_lines: int | None = None) -> Any:
        """Enter a new batch; its row.

        raises Fault 429 where more than `most_lines` of the project would wait for their answers
        """
        with self.database.writing() as connection:
            if most_lines is not None:
                take_turns(connection, f"batches of {values['project']}")
                waiting = self._waiting_lines(connection, values["project"])
                if waiting + values["total"] > most_lines:
                    message = t(
                        "{waiting} lines of this project's batches wait, and these are {count}; "
                        "at most {most} may wait",
                        waiting=waiting,
                        count=values["total"],
                        most=most_lines,
                    )
                    hour = {"retry-after": "3600"}
                    raise Fault(429, message, "too_many_lines", headers=hour)
            return connection.execute(
                sa.insert(batches).values(values).returning(*batches.c)
            ).one()  # fmt: skip

    @staticmethod
    def _waiting_lines(connection: sa.Connection, project: str) -> int:
        waiting = batches.c.total - batches.c.completed - batches.c.failed
        asked = sa.select(sa.func.coalesce(sa.func.sum(waiting), 0)).where(
            batches.c.project == project, batches.c.status.in_(OPEN)
        )
        return int(connection.execute(asked).scalar_one())

    def unfinished(self, project: str | None = None) -> list[str]:
        """Ids of those that something is still to be done for."""
        asked = sa.select(batches.c.id).where(batches.c.status.in_(OPEN))
        if project is not None:
            asked = asked.where(batches.c.project == project)
        with self.database.reading() as connection:
            return [row.id for row in connection.execute(asked)]

    def row(self, name: str) -> Any:
        """A batch by its id."""
        with self.database.reading() as connection:
            return connection.execute(sa.select(batches).where(batches.c.id == name)).one()

    def move(
        self, name: str, before: Iterable[str], after: str, *marks: str, **values: Any
    ) -> bool:
        """Bring a batch from one of some states into another; False where it is in none of them.

        The moment is written down beside it, and what else of `marks` was decided in it.
        """
        with self.database.writing() as connection:
            asked = sa.select(batches.c.status, batches.c.moments).where(batches.c.id == name)
            row = connection.execute(asked.with_for_update()).one()
            if row.status not in before:
                return False
            at = int(time.time())
            moments = {**row.moments, f"{after}_at": at, **dict.fromkeys(marks, at)}
            changed = sa.update(batches).where(batches.c.id == name)
            connection.execute(changed.values(status=after, moments=moments, **values))
            return True

    def count(self, name: str, **values: Any) -> None:
        """Write down how far it is."""
        with self.database.writing() as connection:
            connection.execute(sa.update(batches).where(batches.c.id == name).values(**values))

    def end(self, name: str, after: str, made: Iterable[dict[str, Any]], **values: Any) -> None:
        """End a batch: its files are entered and counted, and it is done, or none of it."""
        asked = sa.select(batches).where(batches.c.id == name).with_for_update()
        with self.database.writing() as connection:
            row = connection.execute(asked).one()
            if row.status not in OPEN:
                return  # another server has ended it
            moments = {**row.moments, f"{after}_at": int(time.time())}
            for one in made:
                enter_file(connection, one, row.key)
            changed = sa.update(batches).where(batches.c.id == name)
            connection.execute(changed.values(status=after, moments=moments, **values))


def record(row: Any) -> dict[str, Any]:
    """A batch in OpenAI's shape."""
    return {
        "id": row.id,
        "object": "batch",
        "endpoint": row.endpoint,
        "model": row.model,
        "errors": {"object": "list", "data": row.errors} if row.errors else None,
        "input_file_id": row.input_file,
        "completion_window": "24h",
        "status": row.status,
        "output_file_id": row.output_file,
        "error_file_id": row.error_file,
        "created_at": int(row.created_at),
        "expires_at": int(row.expires_at),
        **{name: row.moments.get(name) for name in MOMENTS},
        "request_counts": {
            "total": row.total,
            "completed": row.completed,
            "failed": row.failed,
        },
        "usage": usage(row.usage),
        "metadata": row.metadata,
    }


def usage(counted: Mapping[str, int]) -> dict[str, Any]:
    """Tokens in OpenAI's shape."""
    read, written = counted.get("read", 0), counted.get("written", 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
