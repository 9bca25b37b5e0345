"""Files that clients keep here: rows in the database, bytes under the home by their ids."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wenfang.atomic import disk_errors
from wenfang.database import Database
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.paging import Order, Rows, absent, fresh_id
from wenfang.server.storing import credit, enter
from wenfang.store import home

DAY_S = 86_400
KEPT_S = 30 * DAY_S  # what belongs to batches, unless somebody says otherwise

metadata = sa.MetaData()
files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Index("files_of_project", "project", "created_at", "id"),
)
ROWS = Rows(table=files, prefix="file-", what="file")


def served(*names: str) -> Path:
    """A place in this home that belongs to the server."""
    return home().joinpath("served", *names)


def place_of(name: str) -> Path:
    """The bytes of the file with that id, which the database must have given out."""
    return served("files", name)


@dataclass(frozen=True, kw_only=True)
class Filing:
    """The files of all projects."""

    database: Database

    def keep(
        self, caller: Caller, path: Path, *, purpose: str, filename: str, kept_s: int | None
    ) -> Any:
        """Take a file over by moving it; its row.

        kept_s  seconds after which it is forgotten
        """
        row = new_row(caller.project, caller.person, purpose=purpose, filename=filename,
                      size=path.stat().st_size, kept_s=kept_s)  # fmt: skip
        target = place_of(row["id"])
        adopt(path, target)
        try:
            with self.database.writing() as connection:
                return enter_file(connection, row, caller.key)
        except BaseException:
            target.unlink(missing_ok=True)  # without its row nobody would ever find it
            raise

    def one(self, project: str, name: str) -> Any:
        """The row of a file; Fault 404 where the project has none of that id any more."""
        row = ROWS.one(self.database, project, name)
        if row.expires_at is not None and row.expires_at <= time.time():
            raise absent(ROWS.what, name)
        return row

    def page(
        self, project: str, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> tuple[Sequence[Any], bool]:
        """Some of a project's files, and whether more follow."""
        self.forget_expired()
        wanted = [files.c.purpose == purpose] if purpose is not None else []
        return ROWS.page(
            self.database, project, *wanted, after=after, limit=limit, order=order
        )  # fmt: skip

    def delete(self, project: str, name: str) -> Any:
        """Forget a file and remove its bytes; its row.

        raises Fault 404 where the project has none, or has none any more: of two that delete it
               at once, one does
        """
        row = self.one(project, name)
        with self.database.writing() as connection:
            gone = connection.execute(sa.delete(files).where(files.c.id == row.id)).rowcount
            credit(connection, row.id)
        if not gone:
            raise absent(ROWS.what, name)
        place_of(row.id).unlink(missing_ok=True)
        return row

    def forget_expired(self) -> None:
        """Remove what was to be kept until now."""
        at = time.time()
        old = sa.and_(files.c.expires_at.is_not(None), files.c.expires_at <= at)
        with self.database.reading() as connection:
            if connection.execute(sa.select(files.c.id).where(old).limit(1)).first() is None:
                return
        with self.database.writing() as connection:
            removed = connection.execute(sa.delete(files).where(old).returning(files.c.id))
            gone = [row.id for row in removed]
        for name in gone:
            place_of(name).unlink(missing_ok=True)

    def copy(self, row: Any, target: Path) -> None:
        """The bytes of a file at a second place, which stays when the file is deleted."""
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(place_of(row.id), target)
            except FileNotFoundError:
                message = "its bytes are gone from the disk; upload it again"
                raise Fault(404, message, "not_found") from None


def enter_file(connection: sa.Connection, row: Mapping[str, Any], key: str) -> Any:
    """Enter a file, and count its bytes for the key that it came by; its row."""
    enter(connection, key, row["id"], size=row["bytes"], expires_at=row["expires_at"])
    return connection.execute(sa.insert(files).values(row).returning(*files.c)).one()


def new_row(
    project: str, person: str, *, purpose: str, filename: str, size: int, kept_s: int | None
) -> dict[str, Any]:
    """A row of a file that comes into being now."""
    at = time.time()
    return {
        "id": fresh_id(ROWS.prefix),
        "project": project,
        "person": person,
        "purpose": purpose,
        "filename": filename,
        "bytes": size,
        "created_at": at,
        "expires_at": at + kept_s if kept_s is not None else None,
    }


def adopt(path: Path, target: Path) -> None:
    """Move a file within the disk, once its bytes are on it."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(path, target)


def record(row: Any) -> dict[str, Any]:
    """A file in OpenAI's shape."""
    return {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": int(row.created_at),
        "expires_at": int(row.expires_at) if row.expires_at is not None else None,
        "filename": row.filename,
        "purpose": row.purpose,
        "status": "processed",
        "status_details": None,
    }
