"""Lists of rows as OpenAI pages them: so many, after the one that was seen last."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Query

from wenfang.database import Database
from wenfang.server.faults import Fault

ID_BYTES = 12
PAGE, PAGE_MOST = 20, 100
Order = Literal["asc", "desc"]
After = Annotated[str | None, Query(max_length=64, description="the id that was seen last")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MOST)]


def fresh_id(prefix: str) -> str:
    """`file-…`; 24 hexadecimal digits that nobody guesses."""
    return f"{prefix}{secrets.token_hex(ID_BYTES)}"


def absent(what: str, name: str) -> Fault:
    """The answer where there is no such thing, or where it is another project's."""
    shown = name[:80] if name.isprintable() else "…"
    return Fault(404, f"there is no {what} {shown!r}", "not_found")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One kind of thing: a table with the columns id, project and created_at.

    prefix  of its ids
    what    it is called
    digits  of an id, hexadecimal: nothing else reaches the database
    inner   prefix of the ids in the table, where that is another one
    only    conditions of the rows that are of this kind
    """

    table: sa.Table
    prefix: str
    what: str
    digits: int = 2 * ID_BYTES
    inner: str = ""
    only: tuple[sa.ColumnElement[bool], ...] = ()

    def one(self, database: Database, project: str, name: str) -> Any:
        """The row of that id; Fault 404 where the project has none."""
        table = self.table
        if re.fullmatch(f"{re.escape(self.prefix)}[0-9a-f]{{{self.digits}}}", name):
            inner = (self.inner or self.prefix) + name.removeprefix(self.prefix)
            asked = self._of(project).where(table.c.id == inner)
            with database.reading() as connection:
                row = connection.execute(asked).first()
            if row is not None:
                return row
        raise absent(self.what, name)

    def page(
        self,
        database: Database,
        project: str,
        *conditions: sa.ColumnElement[bool],
        after: str | None = None,
        limit: int = PAGE,
        order: Order = "desc",
    ) -> tuple[Sequence[Any], bool]:
        """So many rows of a project, newest first unless asked otherwise; whether more follow.

        raises Fault 400 where `after` names none
        """
        table = self.table
        place = sa.tuple_(table.c.created_at, table.c.id)
        asked = self._of(project).where(*conditions).limit(limit + 1)
        if after is not None:
            try:
                row = self.one(database, project, after)
            except Fault:
                message = f"after names no {self.what} here"
                raise Fault(400, message, "invalid_value", param="after") from None
            seen = sa.tuple_(row.created_at, row.id)
            asked = asked.where(place < seen if order == "desc" else place > seen)
        columns = (table.c.created_at, table.c.id)
        asked = asked.order_by(*(one.desc() if order == "desc" else one for one in columns))
        with database.reading() as connection:
            rows = connection.execute(asked).all()
        return rows[:limit], len(rows) > limit

    def _of(self, project: str) -> Any:
        return sa.select(self.table).where(self.table.c.project == project, *self.only)
