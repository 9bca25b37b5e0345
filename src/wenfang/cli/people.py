"""people, keys and projects: who may ask the server, and what."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from wenfang.cli import show
from wenfang.cli.options import AsJson, missing
from wenfang.errors import UsageError
from wenfang.language import t

if TYPE_CHECKING:
    from wenfang.database import Database
    from wenfang.server.callers import Role
    from wenfang.server.keys import Key
    from wenfang.server.people import Person

DAY_S = 86_400.0
DAYS_MOST = 36_500
PASSWORD_LINE_MOST = 4096  # characters that are read of standard input

Name = Annotated[str, typer.Argument(help=t("A person's name."))]
RoleName = Annotated[str, typer.Option(help=t("viewer, maker, reviewer or admin."))]
ProjectName = Annotated[str, typer.Option(help=t("The project."))]
NoPassword = Annotated[
    bool, typer.Option("--no-password", help=t("They only use keys, and do not log in."))
]


def _database() -> Database:
    """The database of this home; DependencyError where the server is not installed."""
    from wenfang.database import Database

    try:
        import argon2  # noqa: F401 - which the first password would miss

        from wenfang.server import people  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing(error, "server") from None
    return Database.open()


def _record(database: Database, command: str, subject: str) -> None:
    """A row of the audit log: who sits at this machine did this."""
    from wenfang.server import audit
    from wenfang.server.callers import Caller

    with database.writing() as connection:
        deed = audit.Deed(event="command", method="", route=command, subject=subject)
        audit.write(connection, Caller(), deed)


def _role(name: str) -> Role:
    from wenfang.server.callers import ROLES

    for one in ROLES:
        if one == name:
            return one
    names = ", ".join(ROLES)
    raise UsageError("there is no role {role}; there are: {names}", role=name, names=names)


def _password() -> str:
    """From the terminal, twice and without echo; or the first line of standard input."""
    from getpass import getpass

    if not sys.stdin.isatty():
        found = sys.stdin.readline(PASSWORD_LINE_MOST).rstrip("\r\n")
        if not found:
            raise UsageError("no password came on standard input; write it there, in one line")
        return found
    found = getpass(t("password: "))
    if getpass(t("once more: ")) != found:
        raise UsageError("the two passwords are not the same")
    return found


def _show(person: Person, as_json: bool) -> int:
    if as_json:
        show.as_json(person.record())
    else:
        print(f"{person.name}  {_roles(person)}")
    return 0


def _roles(person: Person) -> str:
    from wenfang.server.people import shown

    return ", ".join(f"{shown(project)}: {role}" for project, role in person.roles.items())


def people_add(
    name: Name,
    role: RoleName = "maker",
    project: ProjectName = "default",
    no_password: NoPassword = False,
    as_json: AsJson = False,
) -> int:
    """Add somebody; their password is asked for, or read from standard input."""
    from wenfang.server.people import People, meant

    database = _database()
    chosen = _role(role)
    password = "" if no_password else _password()
    found = People(database=database).add(name, chosen, meant(project), password)
    _record(database, "people add", found.id)
    return _show(found, as_json)


def people_list(as_json: AsJson = False) -> int:
    """Who may ask, and their roles."""
    from wenfang.server.people import People

    found = People(database=_database()).people()
    if as_json:
        show.as_json([one.record() for one in found])
    elif found:
        show.table([(one.name, _roles(one)) for one in found], (t("person"), t("roles")))
    else:
        print(t("there is nobody yet; add somebody: wenfang people add NAME"))
    return 0


def people_role(
    name: Name,
    role: Annotated[str, typer.Argument(help=t("viewer, maker, reviewer, admin, or none."))],
    project: ProjectName = "default",
    as_json: AsJson = False,
) -> int:
    """Give somebody a role in a project, or take it away."""
    from wenfang.server.people import People, meant

    database = _database()
    chosen = None if role == "none" else _role(role)
    found = People(database=database).give(name, meant(project), chosen)
    _record(database, "people role", found.id)
    return _show(found, as_json)


def people_password(name: Name, as_json: AsJson = False) -> int:
    """Set somebody's password, and end their sessions."""
    from wenfang.server.people import People
    from wenfang.server.sessions import Sessions

    database = _database()
    people = People(database=database)
    found = people.set_password(people.person(name).id, _password())
    Sessions(database=database).end_all(found.id)
    _record(database, "people password", found.id)
    return _show(found, as_json)


def people_remove(name: Name, as_json: AsJson = False) -> int:
    """Remove somebody; their keys and sessions end with them."""
    from wenfang.server.people import People
    from wenfang.server.sessions import Sessions

    database = _database()
    found = People(database=database).remove(name)
    Sessions(database=database).end_all(found.id)
    _record(database, "people remove", found.id)
    if as_json:
        show.as_json({"id": found.id, "name": found.name, "removed": True})
    else:
        print(t("{name} is removed", name=found.name))
    return 0


def keys_add(
    name: Annotated[str, typer.Argument(help=t("What the key is for."))],
    person: Annotated[str, typer.Option(help=t("Whose key it is."))],
    project: ProjectName = "default",
    role: Annotated[str, typer.Option(help=t("At most theirs, which it is by default."))] = "",
    days: Annotated[
        int | None, typer.Option(min=1, max=DAYS_MOST, help=t("Until it expires; never."))
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help=t("A limit: requests_a_minute, requests_a_day, seconds_a_day or storage_bytes."),
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make an API key. It is shown once, and kept nowhere."""
    from wenfang.config import override
    from wenfang.server.callers import Limits
    from wenfang.server.keys import Keys, Wanted
    from wenfang.server.people import meant

    database = _database()
    wanted = Wanted(
        name=name,
        person=person,
        project=meant(project),
        role=_role(role) if role else None,
        lasts_s=None if days is None else days * DAY_S,
        limits=override(Limits(), list(limits or ())),
    )
    found, secret = Keys(database=database).add(wanted)
    _record(database, "keys add", found.id)
    if as_json:
        show.as_json({**found.record(), "key": secret})
    else:
        print(secret)
        print(t("keep it now: it is not shown again"), file=sys.stderr)
    return 0


def keys_list(as_json: AsJson = False) -> int:
    """Keys, without what they say."""
    from wenfang.server.keys import Keys

    found = Keys(database=_database()).keys()
    if as_json:
        show.as_json([one.record() for one in found])
    elif found:
        head = (t("key"), t("name"), t("person"), t("project"), t("role"), t("state"))
        show.table([_row(one) for one in found], head)
    else:
        print(t("there are no keys; make one: wenfang keys add NAME --person PERSON"))
    return 0


def _row(key: Key) -> tuple[str, ...]:
    from wenfang.server.people import shown

    return key.id, key.name, key.person_name, shown(key.project), key.role, _state(key)


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return t("revoked")
    if key.expires_at is None:
        return t("good")
    until = datetime.fromtimestamp(key.expires_at, UTC)
    if until <= datetime.now(UTC):
        return t("expired")
    return t("good until {day}", day=until.date().isoformat())


def keys_revoke(
    key: Annotated[str, typer.Argument(help=t("A key's id; wenfang keys list shows them."))],
    as_json: AsJson = False,
) -> int:
    """End a key, at once."""
    from wenfang.server.keys import Keys

    database = _database()
    found = Keys(database=database).revoke(key)
    _record(database, "keys revoke", found.id)
    if as_json:
        show.as_json(found.record())
    else:
        print(t("{name} is revoked", name=found.id))
    return 0


def projects_add(
    name: Annotated[str, typer.Argument(help=t("Small letters, digits, - and _."))],
    as_json: AsJson = False,
) -> int:
    """Make a project: what is made in it is seen in no other."""
    from wenfang.server.people import People

    database = _database()
    found = People(database=database).add_project(name)
    _record(database, "projects add", found.id)
    if as_json:
        show.as_json(found.record())
    else:
        print(found.id)
    return 0


def projects_list(as_json: AsJson = False) -> int:
    """Projects."""
    from wenfang.server.people import People, shown

    found = People(database=_database()).projects()
    if as_json:
        show.as_json([one.record() for one in found])
    else:
        print("\n".join(shown(one.id) for one in found))
    return 0


def projects_revoke(
    name: Annotated[str, typer.Argument(help=t("A project's name."))], as_json: AsJson = False
) -> int:
    """Close a project: nobody comes in any more; what was made in it stays."""
    from wenfang.server.people import People, meant

    database = _database()
    found = People(database=database).revoke_project(meant(name))
    _record(database, "projects revoke", found.id)
    if as_json:
        show.as_json({**found.record(), "revoked": True})
    else:
        print(t("{name} is closed", name=name))
    return 0


PEOPLE_COMMANDS: dict[str, Callable[..., int]] = {
    "add": people_add,
    "list": people_list,
    "role": people_role,
    "password": people_password,
    "remove": people_remove,
}
KEY_COMMANDS: dict[str, Callable[..., int]] = {
    "add": keys_add,
    "list": keys_list,
    "revoke": keys_revoke,
}
PROJECT_COMMANDS: dict[str, Callable[..., int]] = {
    "add": projects_add,
    "list": projects_list,
    "revoke": projects_revoke,
}
