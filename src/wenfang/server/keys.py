"""API keys: shown once, kept as hashes, each for one person in one project."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wenfang.database import Database, now
from wenfang.errors import DatabaseError, NotFoundError, UsageError
from wenfang.server.callers import ROLES, Caller, Limits, Role
from wenfang.server.people import (
    memberships,
    metadata,
    normal,
    people,
    projects,
    shown,
    with_holders,
)
from wenfang.server.tokens import digest, key_id, new_key, same

TOUCH_S = 60.0  # a key's last use is as old as this at most; not every request writes
NAME_MOST = 64
LIST_MOST = 10_000

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("person", sa.Text, sa.ForeignKey("people.id"), nullable=False),
    sa.Column("project", sa.Text, sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("revoked_at", sa.Float),
    sa.Column("used_at", sa.Float),
    sa.Column("requests_a_minute", sa.Integer),
    sa.Column("seconds_a_day", sa.Float),
    sa.Column("storage_bytes", sa.BigInteger),
    sa.Column("requests_a_day", sa.Integer),
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A key that somebody asks for.

    person      name or id of whom it acts for
    role        at most that person's in the project; None: the same
    lasts_s     until it expires; None: it does not
    """

    name: str
    person: str
    project: str
    role: Role | None = None
    lasts_s: float | None = None
    limits: Limits = Limits()


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key as everybody may see it who manages it; times are seconds since 1970."""

    id: str
    name: str
    person: str
    person_name: str
    project: str
    role: Role
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    used_at: float | None
    limits: Limits

    def record(self) -> dict[str, Any]:
        """As JSON."""
        moments = ("created_at", "expires_at", "revoked_at", "used_at")
        times = {name: getattr(self, name) for name in moments}
        return {
            "id": self.id,
            "object": "key",
            "name": self.name,
            "person": {"id": self.person, "name": self.person_name},
            "project": shown(self.project),
            "role": self.role,
            **{name: None if at is None else int(at) for name, at in times.items()},
            "requests_a_minute": self.limits.requests_a_minute,
            "requests_a_day": self.limits.requests_a_day,
            "seconds_a_day": self.limits.seconds_a_day,
            "storage_bytes": self.limits.storage_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Keys of one database."""

    database: Database

    def add(self, wanted: Wanted) -> tuple[Key, str]:
        """A new key and its secret, which nothing here can show again.

        raises NotFoundError for somebody who has no role in that project, UsageError for a role
        that is higher than theirs
        """
        name, secret = new_key()
        with self.database.writing() as connection:
            person = _member(connection, wanted)
            role = wanted.role or person.role
            if ROLES.index(role) > ROLES.index(person.role):
                raise UsageError(
                    "{name} is {theirs} in this project; a key of theirs cannot be {role}",
                    name=person.name,
                    theirs=person.role,
                    role=role,
                )
            expires: Any = None if wanted.lasts_s is None else now() + wanted.lasts_s
            values = {
                "id": name,
                "hash": digest(secret),
                "name": wanted.name[:NAME_MOST],
                "person": person.id,
                "project": wanted.project,
                "role": role,
                "created_at": now(),
                "expires_at": expires,
                **vars(wanted.limits),
            }
            connection.execute(sa.insert(keys).values(values))
            return _of(connection.execute(_SHOWN.where(keys.c.id == name)).one()), secret

    def keys(
        self, project: str | None = None, after: str = "", limit: int = LIST_MOST
    ) -> list[Key]:
        """Those of one project or of all, revoked ones included, in the order of their ids."""
        query = _SHOWN.where(keys.c.id > after).order_by(keys.c.id).limit(limit)
        if project is not None:
            query = query.where(keys.c.project == project)
        with self.database.reading() as connection:
            return [_of(row) for row in connection.execute(query)]

    def revoke(self, name: str, project: str | None = None) -> Key:
        """End a key, at once; NotFoundError where it is not of that project."""
        mine = keys.c.id == name
        if project is not None:
            mine &= keys.c.project == project
        with self.database.writing() as connection:
            ended = sa.update(keys).where(mine, keys.c.revoked_at.is_(None))
            connection.execute(ended.values(revoked_at=now()))
            row = connection.execute(_SHOWN.where(mine)).first()
        if row is None:
            raise NotFoundError("there is no key {name}", name=name)
        return _of(row)

    def caller(self, secret: str) -> Caller | None:
        """Whose key it is; None: unknown, revoked, expired, or its person has left the project.

        Their role is the key's, and never more than they have now.
        """
        name = key_id(secret)
        with self.database.reading() as connection:
            row = connection.execute(_VALID.where(keys.c.id == name)).first()
        known = row.hash if row is not None else digest("")
        if not same(known, digest(secret)) or row is None:
            return None
        if row.stale:
            self._touch(row.id)
        return Caller(
            person=row.person,
            name=row.person_name,
            project=row.project,
            role=min(row.role, row.own_role, key=ROLES.index),
            key=row.id,
            limits=_limits(row),
        )

    def _touch(self, name: str) -> None:
        # A database that is busy for long refuses to write; the key is good all the same.
        with suppress(DatabaseError), self.database.writing() as connection:
            connection.execute(sa.update(keys).where(keys.c.id == name).values(used_at=now()))


_SHOWN = sa.select(keys, people.c.name.label("person_name")).select_from(keys.join(people))
_VALID = (
    with_holders(keys)
    .add_columns((sa.func.coalesce(keys.c.used_at, 0) < now() - TOUCH_S).label("stale"))
    .where(
        keys.c.revoked_at.is_(None),
        sa.or_(keys.c.expires_at.is_(None), keys.c.expires_at > now()),
    )
)


def _member(connection: sa.Connection, wanted: Wanted) -> Any:
    """The person and their role in the project that a key is wanted for."""
    name = wanted.person
    query = (
        sa.select(people.c.id, people.c.name, memberships.c.role)
        .join(memberships, memberships.c.person == people.c.id)
        .join(projects, projects.c.id == memberships.c.project)
        .where(
            sa.or_(people.c.id == name, people.c.name == normal(name)),
            people.c.removed_at.is_(None),
            projects.c.id == wanted.project,
            projects.c.revoked_at.is_(None),
        )
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(
            "{name} has no role in the project {project}; give one first",
            name=name,
            project=shown(wanted.project),
        )
    return row


def _limits(row: Any) -> Limits:
    return Limits(
        requests_a_minute=row.requests_a_minute,
        requests_a_day=row.requests_a_day,
        seconds_a_day=row.seconds_a_day,
        storage_bytes=row.storage_bytes,
    )


def _of(row: Any) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        person=row.person,
        person_name=row.person_name,
        project=row.project,
        role=row.role,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
        limits=_limits(row),
    )
