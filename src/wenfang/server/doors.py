"""/session: people log in with a password, and out again."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, SecretStr

from wenfang.language import t
from wenfang.server.audit import Deed
from wenfang.server.callers import Caller, Viewer
from wenfang.server.entry import NO_STORE, Asking, cookie, foreign
from wenfang.server.faults import Fault
from wenfang.server.guard import write_down
from wenfang.server.people import (
    PASSWORD_MOST,
    PROJECT_CHARACTERS,
    People,
    meant,
    shown,
)
from wenfang.server.place import Here, Place
from wenfang.server.sessions import LASTS_S, Sessions
from wenfang.server.tokens import csrf_of
from wenfang.server.wire import Body, now_s

router = APIRouter(prefix="/session", tags=["session"])

BY_ADDRESS_A_MINUTE, BY_NAME_A_MINUTE = 20, 10

ProjectName = Annotated[str, Field(pattern=f"^{PROJECT_CHARACTERS}$")]


class LoginBody(Body):
    """Who comes in, and in which project they begin; without one, in the first of theirs."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.@+-]+$")]
    password: Annotated[SecretStr, Field(min_length=1, max_length=PASSWORD_MOST)]
    project: ProjectName | None = None


class MoveBody(Body):
    """Another project to go on in."""

    project: ProjectName


def _told(caller: Caller, token: str) -> dict[str, Any]:
    """Who somebody is, and what a page must send beside the cookie."""
    return {
        "object": "session",
        "person": caller.person,
        "name": caller.name,
        "project": shown(caller.project),
        "role": caller.role,
        "key": caller.key or None,
        "csrf_token": csrf_of(token) if token else None,
    }


def _token(request: Request, caller: Caller) -> str:
    """The session's token where the caller came by one."""
    by_session = caller.person and not caller.key
    return Asking.of(request.scope).session if by_session else ""


@router.post("")
async def log_in(body: LoginBody, request: Request, here: Here) -> Response:
    """Begin a session: its token goes into a cookie that no script can read."""
    asking = Asking.of(request.scope)
    if asking.from_elsewhere:
        raise foreign()
    _not_too_often(here, request, body.name)
    people, sessions = People(database=here.database), Sessions(database=here.database)
    async with here.passwords:  # hashing takes 64 MiB and a core each
        person = await asyncio.to_thread(
            people.verified, body.name, body.password.get_secret_value()
        )
    if person is None:
        await _record(here, request, Caller(), "login refused", 401)
        raise Fault(401, t("the name or the password is not right"), "invalid_login")
    project = None if body.project is None else meant(body.project)
    caller, token = await asyncio.to_thread(sessions.begin, person, project)
    if asking.session:
        await asyncio.to_thread(sessions.end, asking.session)
    await _record(here, request, caller, "login", 200)
    told = {**_told(caller, token), "expires_at": now_s() + LASTS_S}
    headers = {"set-cookie": cookie(token, here.settings, asking, lasts_s=LASTS_S), **NO_STORE}
    return JSONResponse(told, headers=headers)


def _not_too_often(here: Place, request: Request, name: str) -> None:
    address = request.client.host if request.client else ""
    for bucket, a_minute in (
        (f"address {address}", BY_ADDRESS_A_MINUTE),
        (f"name {name.casefold()}", BY_NAME_A_MINUTE),
    ):
        left = here.logins.take(bucket, a_minute)
        if not left.granted:
            message = t("too many tries; wait a little")
            raise Fault(429, message, "rate_limit_exceeded", headers=left.headers())


async def _record(
    here: Place,
    request: Request,
    caller: Caller,
    event: Literal["login", "login refused"],
    status: int,
) -> None:
    deed = Deed(
        event=event,
        method=request.method,
        route="/session",
        status=status,
        request=request.state.request_id,
    )
    await write_down(here.database, caller, deed)


@router.get("")
async def show_session(request: Request, caller: Viewer) -> Response:
    """Who asks: by a session, by a key, or from this machine."""
    return JSONResponse(_told(caller, _token(request, caller)), headers=NO_STORE)


@router.patch("")
def move_session(body: MoveBody, request: Request, here: Here, caller: Viewer) -> Response:
    """Go on in another project that one has a role in."""
    token = _needed(request, caller)
    sessions = Sessions(database=here.database)
    sessions.move(token, caller, meant(body.project))
    return JSONResponse(_told(sessions.caller(token) or caller, token), headers=NO_STORE)


@router.delete("", status_code=204)
async def log_out(request: Request, here: Here, caller: Viewer) -> Response:
    """End the session; its token is worth nothing from now on."""
    token = _needed(request, caller)
    await asyncio.to_thread(Sessions(database=here.database).end, token)
    gone = cookie("", here.settings, Asking.of(request.scope))
    return Response(status_code=204, headers={"set-cookie": gone, **NO_STORE})


def _needed(request: Request, caller: Caller) -> str:
    token = _token(request, caller)
    if not token:
        raise Fault(404, t("there is no session: you came without one"), "no_session")
    return token
