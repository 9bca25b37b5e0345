"""People, keys, projects, and the log of what was done: for admins.

An admin of the default project manages the whole server; an admin of another one manages its keys
and its log, and sees its people. What belongs to other projects is not there for them: 404.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, SecretStr

from wenfang.language import t
from wenfang.server import audit
from wenfang.server.callers import Admin, Caller, Limits, Role
from wenfang.server.entry import NO_STORE
from wenfang.server.faults import Fault
from wenfang.server.keys import Keys, Wanted
from wenfang.server.people import (
    PASSWORD_LEAST,
    PASSWORD_MOST,
    PROJECT_CHARACTERS,
    People,
    meant,
)
from wenfang.server.place import Here
from wenfang.server.sessions import Sessions
from wenfang.server.wire import Body, listed

router = APIRouter(prefix="/v1", tags=["people and keys"])

PAGE, PAGE_MOST = 20, 100
AFTER_CHARACTERS = r"(person|key)_[0-9a-f]{16}"
AUDIT_ID = re.compile(r"audit_([0-9]{1,18})")
SECONDS_MOST, REQUESTS_MOST, BYTES_MOST = 86_400.0, 1_000_000, 2**53

PersonId = Annotated[str, Path(pattern=r"^person_[0-9a-f]{16}$")]
KeyId = Annotated[str, Path(pattern=r"^key_[0-9a-f]{16}$")]
ProjectId = Annotated[str, Path(pattern=f"^{PROJECT_CHARACTERS}$")]
ProjectName = Annotated[str, Field(pattern=f"^{PROJECT_CHARACTERS}$")]
PersonName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.@+-]+$")]
Password = Annotated[SecretStr, Field(min_length=PASSWORD_LEAST, max_length=PASSWORD_MOST)]
After = Annotated[str, Query(pattern=f"^({AFTER_CHARACTERS})?$")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MOST)]


class PersonBody(Body):
    """Somebody new."""

    name: PersonName
    role: Role
    project: ProjectName = "default"
    password: Password | None = None


class ChangeBody(Body):
    """A role in a project ("none" takes it away), or a new password, or both."""

    project: ProjectName = "default"
    role: Role | Literal["none"] | None = None
    password: Password | None = None


class KeyBody(Body):
    """A key for somebody who has a role in the project; `expires_at` in seconds since 1970."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w .@+-]+$")]
    person: PersonName
    project: ProjectName | None = None
    role: Role | None = None
    expires_at: Annotated[int, Field(ge=0, le=2**40)] | None = None
    requests_a_minute: Annotated[int, Field(ge=1, le=REQUESTS_MOST)] | None = None
    requests_a_day: Annotated[int, Field(ge=1, le=REQUESTS_MOST)] | None = None
    seconds_a_day: Annotated[float, Field(gt=0, le=SECONDS_MOST)] | None = None
    storage_bytes: Annotated[int, Field(ge=1, le=BYTES_MOST)] | None = None


class ProjectBody(Body):
    """A new project."""

    name: ProjectName


def _of_all(caller: Caller) -> None:
    """Fault 403 for the admin of one project alone."""
    if not caller.manages_all:
        message = t("this is for the admins of the whole server: those of the project default")
        raise Fault(403, message, "permission_denied")


def _scope(caller: Caller) -> str | None:
    """The project that somebody manages; None: all of them."""
    return None if caller.manages_all else caller.project


def _page(records: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """A page of records, of which one more than asked for was looked for."""
    return listed(records[:limit], more=len(records) > limit)


@router.get("/people")
def list_people(
    here: Here, caller: Admin, after: After = "", limit: Limit = PAGE
) -> dict[str, Any]:
    """Who may ask, and their roles."""
    scope = _scope(caller)
    found = People(database=here.database).people(scope, after, limit + 1)
    return _page([one.record(scope) for one in found], limit)


@router.post("/people")
def add_person(body: PersonBody, request: Request, here: Here, caller: Admin) -> dict[str, Any]:
    """Somebody new, with a role in one project."""
    _of_all(caller)
    password = body.password.get_secret_value() if body.password else ""
    people = People(database=here.database)
    found = people.add(body.name, body.role, meant(body.project), password)
    request.state.subject = found.id
    return found.record()


@router.post("/people/{person}")
def change_person(person: PersonId, body: ChangeBody, here: Here, caller: Admin) -> dict[str, Any]:
    """Give or take a role, set a password; a new password ends their sessions."""
    _of_all(caller)
    people = People(database=here.database)
    found = people.person(person)
    if body.role is not None:
        role = None if body.role == "none" else body.role
        found = people.give(person, meant(body.project), role)
    if body.password is not None:
        found = people.set_password(person, body.password.get_secret_value())
        Sessions(database=here.database).end_all(person)
    return found.record()


@router.delete("/people/{person}")
def remove_person(person: PersonId, here: Here, caller: Admin) -> dict[str, Any]:
    """Somebody goes, and their keys and sessions with them."""
    _of_all(caller)
    found = People(database=here.database).remove(person)
    Sessions(database=here.database).end_all(found.id)
    return {"id": found.id, "object": "person.deleted", "deleted": True}


@router.get("/keys")
def list_keys(here: Here, caller: Admin, after: After = "", limit: Limit = PAGE) -> dict[str, Any]:
    """Keys, without what they say."""
    found = Keys(database=here.database).keys(_scope(caller), after, limit + 1)
    return _page([one.record() for one in found], limit)


@router.post("/keys")
def add_key(body: KeyBody, request: Request, here: Here, caller: Admin) -> Response:
    """A new key. Its secret is in `key` of this answer, and never again anywhere."""
    project = caller.project if body.project is None else meant(body.project)
    if not caller.manages_all and project != caller.project:
        raise Fault(404, t("there is no project {name}", name=body.project), "not_found",
                    param="project")  # fmt: skip
    wanted = Wanted(
        name=body.name,
        person=body.person,
        project=project,
        role=body.role,
        lasts_s=None if body.expires_at is None else _ahead(body.expires_at),
        limits=Limits(
            requests_a_minute=body.requests_a_minute,
            requests_a_day=body.requests_a_day,
            seconds_a_day=body.seconds_a_day,
            storage_bytes=body.storage_bytes,
        ),
    )
    found, secret = Keys(database=here.database).add(wanted)
    request.state.subject = found.id
    return JSONResponse({**found.record(), "key": secret}, headers=NO_STORE)


def _ahead(expires_at: int) -> float:
    ahead = expires_at - time.time()
    if ahead <= 0:
        raise Fault(400, t("expires_at is over already"), "invalid_value", param="expires_at")
    return ahead


@router.delete("/keys/{key}")
def revoke_key(key: KeyId, here: Here, caller: Admin) -> dict[str, Any]:
    """End a key, at once."""
    return Keys(database=here.database).revoke(key, _scope(caller)).record()


@router.get("/projects")
def list_projects(here: Here, caller: Admin) -> dict[str, Any]:
    """What keeps assets apart."""
    found = People(database=here.database).projects(_scope(caller))
    return listed([one.record() for one in found])


@router.post("/projects")
def add_project(body: ProjectBody, request: Request, here: Here, caller: Admin) -> dict[str, Any]:
    """A new project."""
    _of_all(caller)
    found = People(database=here.database).add_project(body.name)
    request.state.subject = found.id
    return found.record()


@router.delete("/projects/{project}")
def revoke_project(project: ProjectId, here: Here, caller: Admin) -> dict[str, Any]:
    """Close a project: its keys and roles are worth nothing; what was made in it stays."""
    _of_all(caller)
    found = People(database=here.database).revoke_project(meant(project))
    return {**found.record(), "object": "project.revoked"}


@router.get("/audit")
def list_audit(
    here: Here,
    caller: Admin,
    after: Annotated[str, Query(pattern=r"^(audit_[0-9]{1,18})?$")] = "",
    limit: Limit = PAGE,
    order: Literal["asc", "desc"] = "desc",
) -> dict[str, Any]:
    """Who did what, newest first unless asked otherwise."""
    beyond = AUDIT_ID.fullmatch(after)
    found = audit.page(
        here.database,
        project=_scope(caller),
        after=int(beyond[1]) if beyond else None,
        limit=limit + 1,
        newest_first=order == "desc",
    )
    names = People(database=here.database).names([one["person"] for one in found])
    return _page([{**one, "name": names.get(one["person"], "")} for one in found], limit)
