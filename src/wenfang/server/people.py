"""People, their passwords, and their roles in projects."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from wenfang.database import Database, now
from wenfang.errors import NotFoundError, UsageError
from wenfang.server.callers import DEFAULT_PROJECT, ROLES, Role

NAME_CHARACTERS = r"(?!person_)[\w.@+-]{1,64}"  # a name is never mistaken for an id
PROJECT_CHARACTERS = r"[a-z0-9][a-z0-9_.-]{0,62}"
PASSWORD_LEAST, PASSWORD_MOST = 8, 256  # characters; hashing longer ones would cost, not protect
DEFAULT_SHOWN = "default"
LIST_MOST = 10_000

metadata = sa.MetaData()

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("revoked_at", sa.Float),
)

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("password", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("removed_at", sa.Float),
)

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("person", sa.Text, sa.ForeignKey("people.id"), primary_key=True),
    sa.Column("project", sa.Text, sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who may ask. Never holds the password or its hash."""

    id: str
    name: str
    created_at: float
    has_password: bool
    roles: Mapping[str, Role] = field(default_factory=dict)

    def record(self, project: str | None = None) -> dict[str, Any]:
        """As JSON; with the role in one project alone where one is named."""
        roles = {shown(name): role for name, role in self.roles.items() if project in (None, name)}
        return {
            "id": self.id,
            "object": "person",
            "name": self.name,
            "created_at": int(self.created_at),
            "has_password": self.has_password,
            "roles": roles,
        }


@dataclass(frozen=True, kw_only=True)
class Project:
    """What keeps assets apart."""

    id: str
    created_at: float

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"id": shown(self.id), "object": "project", "created_at": int(self.created_at)}


def shown(project: str) -> str:
    """What people call a project."""
    return project or DEFAULT_SHOWN


def meant(project: str) -> str:
    """The project that people call so; `shown` the other way round."""
    return DEFAULT_PROJECT if project == DEFAULT_SHOWN else project


def with_holders(table: sa.Table) -> sa.Select[Any]:
    """Rows of what people hold in projects (keys, sessions), with `person_name` and `own_role`.

    Only of people who still have a role in the project, and of projects that are open.
    """
    inside = sa.and_(memberships.c.person == people.c.id, memberships.c.project == projects.c.id)
    held = (
        table.join(people, people.c.id == table.c.person)
        .join(projects, projects.c.id == table.c.project)
        .join(memberships, inside)
    )
    named = people.c.name.label("person_name"), memberships.c.role.label("own_role")
    there = people.c.removed_at.is_(None), projects.c.revoked_at.is_(None)
    return sa.select(table, *named).select_from(held).where(*there)


@dataclass(frozen=True, kw_only=True)
class People:
    """People and projects of one database.

    NotFoundError  for somebody, or a project, that is not there or is there no more
    UsageError     for a name or password that cannot be, and where no admin would be left
    """

    database: Database

    def add(self, name: str, role: Role, project: str, password: str = "") -> Person:
        """A new person with a role in one project; without a password they only use keys."""
        name, hashed = _name(name), hash_password(password) if password else None
        values = {"id": f"person_{secrets.token_hex(8)}", "name": name, "password": hashed}
        try:
            with self.database.writing() as connection:
                self._project(connection, project)
                connection.execute(sa.insert(people).values(**values, created_at=now()))
                _give(connection, values["id"] or "", project, _role(role))
                return self._person(connection, values["id"] or "")
        except sa.exc.IntegrityError:
            raise UsageError(
                "there is a person {name} already; change a role with: wenfang people role",
                name=name,
            ) from None

    def person(self, name: str) -> Person:
        """Somebody by name or id."""
        with self.database.reading() as connection:
            return self._person(connection, name)

    def people(
        self, project: str | None = None, after: str = "", limit: int = LIST_MOST
    ) -> list[Person]:
        """Who is there, in one project or at all, in the order of their ids."""
        query = sa.select(people).where(people.c.removed_at.is_(None), people.c.id > after)
        if project is not None:
            inside = sa.select(memberships.c.person).where(memberships.c.project == project)
            query = query.where(people.c.id.in_(inside))
        with self.database.reading() as connection:
            rows = connection.execute(query.order_by(people.c.id).limit(limit)).all()
            roles = _roles(connection, [row.id for row in rows])
        return [_of(row, roles.get(row.id, {})) for row in rows]

    def give(self, name: str, project: str, role: Role | None) -> Person:
        """Change what somebody may in a project; None takes it away."""
        with self.database.writing() as connection:
            found = self._person(connection, name)
            self._project(connection, project)
            if role != "admin" and project == DEFAULT_PROJECT:
                _keep_an_admin(connection, found.id)
            _give(connection, found.id, project, _role(role) if role else None)
            return self._person(connection, found.id)

    def set_password(self, name: str, password: str) -> Person:
        """A new password; whoever is logged in with the old one is logged out by the caller."""
        hashed = hash_password(password)
        with self.database.writing() as connection:
            found = self._person(connection, name)
            changed = sa.update(people).where(people.c.id == found.id)
            connection.execute(changed.values(password=hashed))
            return self._person(connection, found.id)

    def remove(self, name: str) -> Person:
        """Somebody goes: no role, no password; what they made and did keeps their id."""
        with self.database.writing() as connection:
            found = self._person(connection, name)
            _keep_an_admin(connection, found.id)
            connection.execute(sa.delete(memberships).where(memberships.c.person == found.id))
            gone = sa.update(people).where(people.c.id == found.id)
            connection.execute(gone.values(removed_at=now(), password=None))
        return found

    def verified(self, name: str, password: str) -> Person | None:
        """Who logs in so; None, and as slowly, for an unknown name as for a wrong password."""
        with self.database.reading() as connection:
            query = sa.select(people).where(
                people.c.name == normal(name), people.c.removed_at.is_(None)
            )
            row = connection.execute(query).first()
        known = row.password if row is not None else None
        if not _fits(known or _nobodys_hash(), password) or row is None or not known:
            return None
        return self.person(row.id)

    def admins(self) -> int:
        """How many people manage the whole server."""
        with self.database.reading() as connection:
            return len(connection.execute(_ADMINS).all())

    def names(self, ids: Sequence[str]) -> dict[str, str]:
        """What people are called by their ids, those that went included."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(people.c.id, people.c.name).where(
                people.c.id.in_(ids)))  # fmt: skip
            return {row.id: row.name for row in rows}

    def add_project(self, name: str) -> Project:
        """A new project."""
        if not re.fullmatch(PROJECT_CHARACTERS, name):
            raise UsageError(
                "{name} is no name for a project; use small letters, digits, - and _", name=name
            )
        with self.database.writing() as connection:
            known = sa.select(projects.c.id).where(projects.c.id == meant(name))
            if connection.execute(known).first() is not None:
                raise UsageError("there is, or was, a project {name} already", name=name)
            connection.execute(sa.insert(projects).values(id=name, created_at=now()))
            return self._project(connection, name)

    def projects(self, only: str | None = None) -> list[Project]:
        """All that are there, or one of them."""
        query = sa.select(projects).where(projects.c.revoked_at.is_(None))
        if only is not None:
            query = query.where(projects.c.id == only)
        with self.database.reading() as connection:
            rows = connection.execute(query.order_by(projects.c.id))
            return [Project(id=row.id, created_at=row.created_at) for row in rows]

    def revoke_project(self, name: str) -> Project:
        """Nobody comes into a project any more; what was made in it stays."""
        if name == DEFAULT_PROJECT:
            raise UsageError("the project {name} is always there", name=DEFAULT_SHOWN)
        with self.database.writing() as connection:
            found = self._project(connection, name)
            gone = sa.update(projects).where(projects.c.id == name)
            connection.execute(gone.values(revoked_at=now()))
        return found

    def _person(self, connection: Connection, name: str) -> Person:
        query = sa.select(people).where(people.c.removed_at.is_(None))
        either = sa.or_(people.c.id == name, people.c.name == normal(name))
        row = connection.execute(query.where(either)).first()
        if row is None:
            raise NotFoundError("there is no person {name}", name=name)
        return _of(row, _roles(connection, [row.id]).get(row.id, {}))

    def _project(self, connection: Connection, name: str) -> Project:
        query = sa.select(projects).where(projects.c.id == name, projects.c.revoked_at.is_(None))
        row = connection.execute(query).first()
        if row is None:
            raise NotFoundError("there is no project {name}", name=shown(name))
        return Project(id=row.id, created_at=row.created_at)


def hash_password(password: str) -> str:
    """argon2id with the library's own costs; UsageError where it is too short or too long."""
    from argon2 import PasswordHasher

    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise UsageError(
            "a password has {least} to {most} characters", least=PASSWORD_LEAST, most=PASSWORD_MOST
        )
    return PasswordHasher().hash(password)


def _fits(hashed: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    try:
        return PasswordHasher().verify(hashed, password)
    except VerificationError:
        return False


@cache
def _nobodys_hash() -> str:
    """What an unknown name is checked against, so that names cannot be found out by the clock."""
    return hash_password(secrets.token_urlsafe(32))


def normal(name: str) -> str:
    """A name as it is kept and looked for: `Ann` and `ann` are one."""
    return unicodedata.normalize("NFKC", name).casefold()


def _name(name: str) -> str:
    found = normal(name)
    if not re.fullmatch(NAME_CHARACTERS, found):
        raise UsageError(
            "{name} is no name for a person; use up to 64 letters, digits, and . _ @ + -",
            name=name,
        )
    return found


def _role(role: str) -> str:
    if role not in ROLES:
        raise UsageError("there is no role {role}; there are: {names}", role=role,
                         names=", ".join(ROLES))  # fmt: skip
    return role


def _give(connection: Connection, person: str, project: str, role: str | None) -> None:
    old = sa.delete(memberships).where(
        memberships.c.person == person, memberships.c.project == project
    )
    connection.execute(old)
    if role:
        values = {"person": person, "project": project, "role": role}
        connection.execute(sa.insert(memberships).values(values))


def _roles(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Role]]:
    query = (
        sa.select(memberships)
        .join(projects, projects.c.id == memberships.c.project)
        .where(memberships.c.person.in_(ids), projects.c.revoked_at.is_(None))
        .order_by(memberships.c.project)
    )
    found: dict[str, dict[str, Role]] = {}
    for row in connection.execute(query):
        found.setdefault(row.person, {})[row.project] = row.role
    return found


_ADMINS = sa.select(memberships.c.person).where(
    memberships.c.project == DEFAULT_PROJECT, memberships.c.role == "admin"
)


def _keep_an_admin(connection: Connection, leaving: str) -> None:
    # Two admins who remove each other at once must not both succeed.
    if connection.execute(_ADMINS.with_for_update()).scalars().all() == [leaving]:
        raise UsageError("this is the last admin; make somebody else one first")


def _of(row: Any, roles: Mapping[str, Role]) -> Person:
    return Person(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        has_password=row.password is not None,
        roles=roles,
    )
