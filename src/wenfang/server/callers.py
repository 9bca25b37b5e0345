"""Who asks, and what they may: routes state the role that they need.

`server.guard` finds out who asks before a byte of the body is read; here it is only looked up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from wenfang.errors import ConfigError
from wenfang.language import t
from wenfang.server.faults import Fault

Role = Literal["viewer", "maker", "reviewer", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "maker", "reviewer", "admin")  # each may what those before may
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
DEFAULT_PROJECT = ""  # it is always there; its admins are those of the whole server


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a key may use; None: as much as there is.

    requests_a_day  that may change something, lines of batches among them, from midnight UTC
    seconds_a_day   of computing, counted from midnight UTC
    storage_bytes   of what is kept for it: see `server.storing`
    """

    requests_a_minute: int | None = None
    requests_a_day: int | None = None
    seconds_a_day: float | None = None
    storage_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could be asked."""
        for name, value in vars(self).items():
            if value is not None and value <= 0:
                raise ConfigError("{name} is {value}; it must be above 0", name=name, value=value)

    @property
    def has_quota(self) -> bool:
        """Whether something of it can be used up."""
        return (self.requests_a_day, self.seconds_a_day, self.storage_bytes) != (None,) * 3


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One request's person, in one project.

    person  its id; "" is whoever sits at this machine, as on the command line
    name    what people call it
    key     the id of the API key that was given; "" without one
    """

    person: str = ""
    name: str = ""
    project: str = DEFAULT_PROJECT
    role: Role = "admin"
    key: str = ""
    limits: Limits = field(default_factory=Limits)

    def may(self, role: Role) -> bool:
        """Whether this role is theirs, or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def manages_all(self) -> bool:
        """Whether they are an admin of the whole server, and not of one project alone."""
        return self.role == "admin" and self.project == DEFAULT_PROJECT


Given = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(
        HTTPBearer(
            auto_error=False,
            scheme_name="key",
            description="A key of `wenfang keys add`, or the token that `wenfang serve` prints.",
        )
    ),
]


def lacking(role: Role, theirs: Role) -> Fault:
    """What somebody gets whose role is too low."""
    message = t("this needs the role {role}; yours is {yours}", role=role, yours=theirs)
    return Fault(403, message, "permission_denied")


def _known(request: Request, role: Role) -> Caller:
    caller = getattr(request.state, "caller", None)
    if not isinstance(caller, Caller):  # a route that the guard was told to leave open
        raise Fault(401, t("give a key: Authorization: Bearer wf-…"), "key_required")
    if not caller.may(role):
        raise lacking(role, caller.role)
    return caller


def requires(role: Role) -> Callable[[Request, Given], Awaitable[Caller]]:
    """A dependency that gives the caller; Fault 403 where their role is a lower one."""

    async def found(request: Request, given: Given) -> Caller:
        return _known(request, role)

    return found


async def _by_method(request: Request, given: Given) -> Caller:
    return _known(request, "viewer" if request.method in SAFE_METHODS else "maker")


Asked = Annotated[Caller, Depends(_by_method)]  # viewers look, makers do everything else
Viewer = Annotated[Caller, Depends(requires("viewer"))]
Maker = Annotated[Caller, Depends(requires("maker"))]
Admin = Annotated[Caller, Depends(requires("admin"))]
