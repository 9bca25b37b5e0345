"""Who asks: by a key, by a session's cookie, or by sitting at this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from wenfang.database import Database
from wenfang.language import t
from wenfang.server.callers import SAFE_METHODS, Caller, lacking
from wenfang.server.faults import Fault
from wenfang.server.keys import Keys
from wenfang.server.people import meant, shown
from wenfang.server.sessions import COOKIE, Sessions
from wenfang.server.settings import ServeSettings
from wenfang.server.tokens import KEY_PREFIX, csrf_of, digest, same

CSRF_HEADER = "x-csrf-token"
PROJECT_HEADER = "openai-project"  # which OpenAI's clients send
# A proxy's: whoever asks through one does not sit at this machine, though the proxy may.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
# Open to all: is it there, how is it asked, and the door itself.
PUBLIC = re.compile(
    r"(GET|HEAD) (/healthz|/readyz|/favicon\.ico|/openapi\.json)"
    r"|(GET|HEAD) (/docs(/assets/[\w.-]+)?|/login(/page\.(css|js))?)"
    r"|POST /session"
)
STUDIO, SESSION = "/studio", "/session"
LOGIN_PAGE = "/login"
LOCAL_ONLY = re.compile(r"(GET|HEAD) /metrics")  # open on loopback
NO_STORE = {"cache-control": "no-store"}
REFUSED = {"www-authenticate": "Bearer"}


@dataclass(frozen=True, kw_only=True)
class Asking:
    """The head of one request."""

    method: str
    path: str
    headers: Headers
    secure: bool

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> Asking:
        """From an ASGI scope."""
        return cls(
            method=scope["method"],
            path=scope["path"],
            headers=Headers(scope=scope),
            secure=scope.get("scheme") == "https",
        )

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method not in SAFE_METHODS

    @property
    def key(self) -> str:
        """The key that was given; "" without one."""
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        return given.strip() if scheme.lower() == "bearer" else ""

    @property
    def session(self) -> str:
        """The session's token that was given; "" without one."""
        return cookie_parser(self.headers.get("cookie", "")).get(COOKIE, "")

    def is_public(self, settings: ServeSettings) -> bool:
        """Whether anybody may ask this."""
        said = f"{self.method} {self.path}"
        if PUBLIC.fullmatch(said):
            return True
        return settings.on_loopback and bool(LOCAL_ONLY.fullmatch(said)) and self.named_local

    @property
    def named_local(self) -> bool:
        """Whether its Host is a name of this machine that no foreign site can take."""
        hosts = self.headers.getlist("host")
        return len(hosts) == 1 and _is_loopback(hosts[0])

    @property
    def from_elsewhere(self) -> bool:
        """Whether a browser says that a page of another site sent it."""
        host = self.headers.get("host", "")
        if any(_netloc(one) != host for one in self.headers.getlist("origin")):
            return True
        site = self.headers.get("sec-fetch-site", "same-origin")
        # Following a link to here is no foreign page's request.
        followed = not self.changes and self.headers.get("sec-fetch-mode") == "navigate"
        return site not in ("same-origin", "none") and not followed

    @property
    def proves_session(self) -> bool:
        """Whether it says more than the cookie that every page of the world makes browsers send.

        That is the session's CSRF token; in the studio, whose own calls cannot carry it, the
        browser's word that a page of ours sent it.
        """
        if self.path.startswith(f"{STUDIO}/") and "origin" in self.headers:
            return not self.from_elsewhere
        return same(self.headers.get(CSRF_HEADER, ""), csrf_of(self.session))

    @property
    def by_reader(self) -> bool:
        """Whether somebody opens a page of the studio, and can be shown where to log in."""
        opens = self.method == "GET" and "text/html" in self.headers.get("accept", "")
        return opens and (self.path + "/").startswith(f"{STUDIO}/")

    @property
    def forwarded(self) -> bool:
        """Whether a proxy passed it on."""
        return any(name in self.headers for name in FORWARDED)


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def caller_of(asking: Asking, settings: ServeSettings, database: Database, token: str) -> Caller:
    """Who asks. Reads the database where a key or a session is given.

    token   the hash of the one that this server printed
    raises  Fault 401 without one or with a bad one, 403 where a foreign page asks
    """
    if asking.key and (caller := _by_key(asking, settings, database, token)):
        return _in_project(asking, caller)
    if asking.session:
        return _in_project(asking, _by_session(asking, settings, database))
    if settings.auth_required:
        message = t("give a key: Authorization: Bearer wf-…")
        raise _unknown(asking, message, "key_required", REFUSED)
    return _by_place(asking)


def _unknown(asking: Asking, message: str, code: str, headers: Mapping[str, str]) -> Fault:
    """401; a reader of pages is sent to log in instead."""
    if asking.by_reader:
        return Fault(303, message, code, headers={**headers, "location": LOGIN_PAGE})
    return Fault(401, message, code, headers=headers)


def _by_key(
    asking: Asking, settings: ServeSettings, database: Database, token: str
) -> Caller | None:
    """The key's caller; None for what is no key of ours where none is needed."""
    given = asking.key
    if token and same(digest(given), token):
        return Caller()
    if not given.startswith(KEY_PREFIX) and not settings.auth_required:
        return None  # clients send some word or other where none is asked for
    caller = Keys(database=database).caller(given)
    if caller is None:
        message = t("this key is not known, has expired, or was revoked; ask an admin for another")
        raise Fault(401, message, "invalid_api_key", headers=REFUSED)
    return caller


def _by_session(asking: Asking, settings: ServeSettings, database: Database) -> Caller:
    caller = Sessions(database=database).caller(asking.session)
    if caller is None:
        gone = {"set-cookie": cookie("", settings, asking), **REFUSED}
        message = t("this session has ended; log in again")
        raise _unknown(asking, message, "session_ended", gone)
    if asking.changes and not asking.proves_session:
        message = t("send the session's csrf_token in the header {name}", name=CSRF_HEADER)
        raise Fault(403, message, "csrf")
    return caller


def _by_place(asking: Asking) -> Caller:
    """Whoever sits at this machine: only for requests that no stranger's page can have sent."""
    if asking.from_elsewhere:
        raise foreign()
    if asking.forwarded or not asking.named_local:
        message = t("this came through another name or a proxy; give a key, or the printed token")
        raise Fault(401, message, "key_required", headers=REFUSED)
    return Caller()


def _in_project(asking: Asking, caller: Caller) -> Caller:
    """The caller, unless the client names another project than the one that it would work in."""
    wanted = asking.headers.get(PROJECT_HEADER)
    if wanted is not None and caller.person and meant(wanted) != caller.project:
        message = t("you are in the project {name}; the header {header} says another",
                    name=shown(caller.project), header=PROJECT_HEADER)  # fmt: skip
        raise Fault(403, message, "wrong_project")
    return caller


def refuse_by_method(asking: Asking, caller: Caller) -> None:
    """Fault 403 where somebody who may only look changes something.

    Routes ask for roles themselves; this comes before their bodies are read. Viewers may log out,
    and the studio's own calls are no changes before its pages ask for one.
    """
    own = asking.path == SESSION or asking.path.startswith(f"{STUDIO}/")
    if asking.changes and not own and not caller.may("maker"):
        raise lacking("maker", caller.role)


def foreign() -> Fault:
    """What a request gets that a page of another site sent."""
    message = t("a page of another site may not ask this; a proxy must pass on the Host header")
    return Fault(403, message, "foreign_origin")


def cookie(token: str, settings: ServeSettings, asking: Asking, *, lasts_s: int = 0) -> str:
    """A Set-Cookie header; without a token it takes the cookie away."""
    secure = "" if settings.on_loopback and not asking.secure else "; Secure"
    attributes = f"Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}"
    return f"{COOKIE}={token}; {attributes}"
