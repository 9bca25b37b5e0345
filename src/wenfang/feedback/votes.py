"""Votes in the database, and what they say of whether a piece may be published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import sqlalchemy as sa

from wenfang.database import Database, now
from wenfang.errors import ConfigError

Kind = Literal["approve", "reject", "edit", "choice"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DECISIONS: tuple[Kind, ...] = ("approve", "reject")
CHARACTERS_MOST = 100_000

metadata = sa.MetaData()

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("rater", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("piece", sa.Text, nullable=False),
    sa.Column("candidates", sa.JSON, nullable=False),
    sa.Column("chosen", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Index("feedback_by_piece", "piece", "id"),
    sqlite_autoincrement=True,
)

review_rules = sa.Table(
    "review_rules",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("approval", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Vote:
    """One choice of one person.

    piece       that it is about; of a choice between several, the chosen one, or nothing
    candidates  what was shown, in the order in which it was shown
    chosen      the better one; empty: none of them, or both alike
    text        as it was edited
    facts       what else is worth keeping: scenario, brief, model
    """

    kind: Kind
    piece: str = ""
    candidates: Sequence[str] = ()
    chosen: str = ""
    reason: str = ""
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    project: str = ""
    rater: str = ""
    id: int = 0
    at: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a vote that says nothing, or something that was not shown."""
        if self.kind == "choice":
            if len(self.candidates) < 2:
                raise ConfigError("a choice is between two pieces or more; show two")
            if self.chosen and self.chosen not in self.candidates:
                raise ConfigError("{piece} was not among what was shown", piece=self.chosen)
        elif not self.piece:
            raise ConfigError("a vote is about a piece; name it")
        if self.kind == "reject" and not self.reason.strip():
            raise ConfigError("say why it is rejected; whoever makes the next one needs to know")
        if self.kind == "edit" and not self.text.strip():
            raise ConfigError("the edited text is empty; write it, or reject the piece")
        if len(self.text) > CHARACTERS_MOST or len(self.reason) > CHARACTERS_MOST:
            raise ConfigError("that is longer than {most} characters", most=CHARACTERS_MOST)


@dataclass(frozen=True, kw_only=True)
class Votes:
    """All votes of a database."""

    database: Database

    def add(self, vote: Vote) -> Vote:
        """Keep a vote for good."""
        values = {
            "at": now(),
            "project": vote.project,
            "rater": vote.rater,
            "kind": vote.kind,
            "piece": vote.piece,
            "candidates": list(vote.candidates),
            "chosen": vote.chosen,
            "reason": vote.reason,
            "text": vote.text,
            "facts": dict(vote.facts),
        }
        with self.database.writing() as connection:
            made = sa.insert(feedback).values(values).returning(*feedback.c)
            return _vote(connection.execute(made).one())

    def of(self, piece: str, project: str) -> list[Vote]:
        """What was said of a piece, oldest first."""
        asked = (
            sa.select(feedback)
            .where(feedback.c.piece == piece, feedback.c.project == project)
            .order_by(feedback.c.id)
        )
        with self.database.reading() as connection:
            return [_vote(row) for row in connection.execute(asked)]

    def all(self, project: str, after: int = 0, limit: int = 1000) -> list[Vote]:
        """Every vote of a project later than `after`, oldest first."""
        asked = (
            sa.select(feedback)
            .where(feedback.c.project == project, feedback.c.id > after)
            .order_by(feedback.c.id)
            .limit(limit)
        )
        with self.database.reading() as connection:
            return [_vote(row) for row in connection.execute(asked)]

    def decisions(self, pieces: Sequence[str], project: str) -> dict[str, Kind]:
        """The newest decision on each of these pieces that has one."""
        asked = (
            sa.select(feedback.c.piece, feedback.c.kind)
            .where(
                feedback.c.piece.in_(pieces),
                feedback.c.project == project,
                feedback.c.kind.in_(DECISIONS),
            )
            .order_by(feedback.c.id)
        )
        with self.database.reading() as connection:
            return {row.piece: row.kind for row in connection.execute(asked)}

    def needs_approval(self, project: str) -> bool:
        """Whether a project publishes nothing before somebody approved it."""
        asked = sa.select(review_rules.c.approval).where(review_rules.c.project == project)
        with self.database.reading() as connection:
            return bool(connection.execute(asked).scalar())

    def set_approval(self, project: str, *, needed: bool) -> None:
        """Ask for approval in a project, or no longer."""
        with self.database.writing() as connection:
            mine = review_rules.c.project == project
            connection.execute(sa.delete(review_rules).where(mine))
            values = {"project": project, "approval": needed}
            connection.execute(sa.insert(review_rules).values(values))

    def may_publish(self, piece: str, project: str) -> bool:
        """Whether a piece may leave its project."""
        if not self.needs_approval(project):
            return self.decisions([piece], project).get(piece) != "reject"
        return self.decisions([piece], project).get(piece) == "approve"


def _vote(row: Any) -> Vote:
    return Vote(**row._mapping)
