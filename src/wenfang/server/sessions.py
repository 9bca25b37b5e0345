"""Sessions of people who logged in with a password: a random cookie, kept here as a hash."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from wenfang.database import Database, now
from wenfang.errors import RightsError
from wenfang.server.callers import Caller
from wenfang.server.people import Person, memberships, metadata, projects, shown, with_holders
from wenfang.server.tokens import digest, new_token, same

COOKIE = "wenfang_session"
LASTS_S = 12 * 3600  # a working day; then the password is asked again

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, sa.ForeignKey("people.id"), nullable=False),
    sa.Column("project", sa.Text, sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Sessions of one database. RightsError where somebody has no role in the project."""

    database: Database

    def begin(self, person: Person, project: str | None) -> tuple[Caller, str]:
        """A new session, and its token: in that project, else in the first that they are in.

        A token is always a new one of ours: what the browser sent before is worth nothing.
        """
        chosen = next(iter(person.roles), "") if project is None else project
        if chosen not in person.roles:
            raise _no_role(person.name, chosen)
        token = new_token()
        values = {"hash": digest(token), "person": person.id, "project": chosen}
        with self.database.writing() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.expires_at <= now()))
            lasting = {"created_at": now(), "expires_at": now() + LASTS_S}
            connection.execute(sa.insert(sessions).values(**values, **lasting))
        caller = Caller(
            person=person.id, name=person.name, project=chosen, role=person.roles[chosen]
        )
        return caller, token

    def caller(self, token: str) -> Caller | None:
        """Whose session it is; None: unknown, ended, expired, or they have left the project."""
        hashed = digest(token)
        query = with_holders(sessions).where(
            sessions.c.hash == hashed, sessions.c.expires_at > now()
        )
        with self.database.reading() as connection:
            row = connection.execute(query).first()
        if row is None or not same(row.hash, hashed):
            return None
        return Caller(
            person=row.person, name=row.person_name, project=row.project, role=row.own_role
        )

    def move(self, token: str, caller: Caller, project: str) -> None:
        """Go on in another project."""
        with self.database.writing() as connection:
            inside = sa.select(memberships.c.role).join(projects).where(
                memberships.c.person == caller.person,
                memberships.c.project == project,
                projects.c.revoked_at.is_(None),
            )  # fmt: skip
            if connection.execute(inside).first() is None:
                raise _no_role(caller.name, project)
            moved = sa.update(sessions).where(sessions.c.hash == digest(token))
            connection.execute(moved.values(project=project))

    def end(self, token: str) -> None:
        """Log out: the token is worth nothing from now on."""
        with self.database.writing() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.hash == digest(token)))

    def end_all(self, person: str) -> None:
        """Log somebody out everywhere."""
        with self.database.writing() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.person == person))


def _no_role(name: str, project: str) -> RightsError:
    return RightsError(
        "{name} has no role in the project {project}", name=name, project=shown(project)
    )
