"""Answers of /v1/responses that are kept, so that a talk can go on from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wenfang.database import Database, now
from wenfang.server.paging import Rows

PREFIX = "resp_"
KEPT_S = 30 * 86_400.0
metadata = sa.MetaData()

responses = sa.Table(
    "responses",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("talk", sa.JSON, nullable=False),
    sa.Index("responses_by_age", "created_at"),
)
ROWS = Rows(table=responses, prefix=PREFIX, what="response")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One answer.

    content  as it was given, in OpenAI's shape
    talk     role and content of every turn before it, and of its own; no instructions
    """

    content: Mapping[str, Any]
    talk: Sequence[Mapping[str, str]]


def keep(database: Database, project: str, person: str, one: Kept) -> None:
    """Keep an answer, and forget those that are too old."""
    row = {
        "id": one.content["id"],
        "project": project,
        "person": person,
        "created_at": now(),
        "content": dict(one.content),
        "talk": [dict(turn) for turn in one.talk],
    }
    with database.writing() as connection:
        connection.execute(responses.delete().where(responses.c.created_at < now() - KEPT_S))
        connection.execute(responses.insert().values(**row))


def find(database: Database, project: str, name: str) -> Kept:
    """The answer of that id; Fault 404 where the project has none."""
    row = ROWS.one(database, project, name)
    return Kept(content=row.content, talk=row.talk)


def forget(database: Database, project: str, name: str) -> None:
    """Forget an answer; Fault 404 where the project has none. Later ones of its talk stay."""
    ROWS.one(database, project, name)
    with database.writing() as connection:
        connection.execute(
            responses.delete().where(responses.c.id == name, responses.c.project == project)
        )
