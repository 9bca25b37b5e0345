"""Pieces as rows: who asked for them, which job makes them, and what came of it."""

from __future__ import annotations

import mimetypes
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wenfang.database import Database
from wenfang.errors import NotFoundError
from wenfang.jobs import ENDED, Job, Queue
from wenfang.seal.statement import sealed_facts
from wenfang.server.filing import metadata, served
from wenfang.server.paging import Rows, absent
from wenfang.server.storing import credit, enter_made

pieces = sa.Table(
    "pieces",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("scenario", sa.Text, nullable=False),
    sa.Column("asked", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Index("pieces_of_project", "project", "created_at", "id"),
)
ROWS = Rows(table=pieces, prefix="piece-", what="piece")
WORDS_CHARACTERS = 4000
SETTLED_AT_ONCE = 200
ELSEWHERE = ("request", "environment")  # facts that are shown already, or are nobody's business


def folder_of(name: str) -> Path:
    """Where the files of a piece are, by an id that the database gave out."""
    return served("pieces", name)


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The pieces of all projects, with the jobs that make them."""

    database: Database
    queue: Queue

    def open(self, values: Mapping[str, Any], key: str) -> Any:
        """Enter a new piece, which is kept for a key; its row."""
        name = values["id"]
        with self.database.writing() as connection:
            enter_made(connection, key, name, folder_of(name), values["job"])
            made = sa.insert(pieces).values(values).returning(*pieces.c)
            return connection.execute(made).one()

    def one(self, project: str, name: str) -> tuple[Any, Job | None]:
        """A piece with the state of its job; Fault 404 where the project has none of that id."""
        return self.settled(ROWS.one(self.database, project, name))

    def forget(self, row: Any) -> None:
        """Forget a piece, and remove its files; Fault 404 where it is gone already."""
        with self.database.writing() as connection:
            gone = connection.execute(sa.delete(pieces).where(pieces.c.id == row.id)).rowcount
            credit(connection, row.id)
        if not gone:
            raise absent(ROWS.what, row.id)
        shutil.rmtree(folder_of(row.id), ignore_errors=True)

    def settle_all(self, project: str) -> None:
        """Bring the newest rows of a project up to date, so that they are found by their words."""
        asked = (
            sa.select(pieces)
            .where(pieces.c.project == project, pieces.c.state.not_in(ENDED))
            .order_by(pieces.c.created_at.desc())
            .limit(SETTLED_AT_ONCE)
        )
        with self.database.reading() as connection:
            rows = connection.execute(asked).all()
        for row in rows:
            self.settled(row)

    def settled(self, row: Any) -> tuple[Any, Job | None]:
        """The row with the state of its job; what came of it is kept in the row."""
        if row.state == "done":  # what ended otherwise may have been tried again
            return row, None
        try:
            job = self.queue.job(row.job)
        except NotFoundError:
            return row, None
        if job.state == row.state:
            return row, job
        values: dict[str, Any] = {"state": job.state, "error": job.error}
        if job.state == "done":
            values["result"] = result_of(row.id, job.result or {})
            words = f"{row.words} {values['result']['text'] or ''}"
            values["words"] = words_of(words)
        changed = sa.update(pieces).where(pieces.c.id == row.id).values(values)
        with self.database.writing() as connection:
            return connection.execute(changed.returning(*pieces.c)).one(), job

    def page(
        self,
        project: str,
        *,
        words: str,
        scenario: str | None,
        after: str | None,
        limit: int,
    ) -> tuple[Sequence[Any], bool]:
        """Some of a project's pieces, newest first, and whether more follow."""
        self.settle_all(project)
        wanted: list[sa.ColumnElement[bool]] = []
        if scenario is not None:
            wanted.append(pieces.c.scenario == scenario)
        for word in words.split():
            wanted.append(pieces.c.words.contains(word.lower(), autoescape=True))
        return ROWS.page(self.database, project, *wanted, after=after, limit=limit)


def words_of(text: str) -> str:
    """What a piece is found by."""
    plain = text.encode("utf-8", "replace").decode().replace("\0", " ")
    return " ".join(plain.lower().split())[:WORDS_CHARACTERS]


def result_of(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a piece that is done: its text, its files, and what was found of them.

    result  of its job
    """
    folder = folder_of(name)
    paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    paths = [path for path in paths if not path.name.startswith(".")]
    made: Mapping[str, Any] = next(iter(result.get("pieces") or ()), {})
    published = [path for path in paths if path.with_name(f"{path.name}.wenfang.json").is_file()]
    facts: dict[str, Any] = {}
    for path in published:
        facts |= sealed_facts(path)
    return {
        "text": made.get("text"),
        "manifest": made.get("piece"),
        "files": [_file(path) for path in paths],
        "report": {
            "file": next((path.name for path in published if path.stem == "report"), None),
            "facts": {key: value for key, value in facts.items() if key not in ELSEWHERE},
            "verdicts": [shown_verdict(one) for one in made.get("verdicts") or ()],
        },
    }


def _file(path: Path) -> dict[str, Any]:
    kind = "application/c2pa" if path.suffix == ".c2pa" else mimetypes.guess_type(path.name)[0]
    return {
        "name": path.name,
        "bytes": path.stat().st_size,
        "media_type": kind or "application/octet-stream",
    }


def shown_verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict with the name of its file in place of where that lies on the server."""
    return {**verdict, "path": re.split(r"[\\/]", str(verdict["path"]))[-1]}


def record(row: Any, job: Job | None) -> dict[str, Any]:
    """A piece as it is shown."""
    result = row.result or {"text": None, "manifest": None, "files": [], "report": None}
    files = [
        {**one, "url": f"/v1/pieces/{row.id}/files/{one['name']}"} for one in result["files"]
    ]  # fmt: skip
    progress = job.record()["progress"] if job else None
    return {
        "id": row.id,
        "object": "piece",
        "created_at": int(row.created_at),
        "state": row.state,
        "job": row.job,
        "progress": progress,
        "scenario": row.scenario,
        **row.asked,
        "text": result["text"],
        "files": files,
        "manifest": result["manifest"],
        "report": result["report"],
        "error": row.error,
    }


def new_row(name: str, job: str, asked: Mapping[str, Any], about: Mapping[str, Any]) -> Any:
    """A row of a piece that is queued.

    asked  brief, commercial, private, model; a private piece's brief is not kept
    about  scenario, project, person
    """
    brief = asked["brief"]
    subject = " ".join(str(brief.get(one, "")) for one in ("subject", "title", "brand"))
    kept = {**asked, "brief": None} if asked["private"] else dict(asked)
    return {
        "id": name,
        "created_at": time.time(),
        "job": job,
        "asked": kept,
        "state": "queued",
        "words": words_of("" if asked["private"] else f"{about['scenario']} {subject}"),
        **about,
    }
