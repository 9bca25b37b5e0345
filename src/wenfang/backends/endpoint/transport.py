"""How an endpoint is asked, whatever for: what passes, what does not, and what is never told.

What may pass (too many requests, a fault of the server, a dropped line) is asked again with growing
waits; what will not (a wrong key, an unknown model) is told at once.

A key goes to its endpoint and nowhere else: not through a proxy to this machine, not after a
redirect, and not into an error that repeats what the endpoint said.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeVar

from wenfang.backends.endpoint.settings import Endpoint, EndpointSettings, endpoint_manifest
from wenfang.backends.endpoint.spending import Ledger
from wenfang.backends.endpoint.stream import broken, printable
from wenfang.errors import ConfigError, DependencyError, EndpointError
from wenfang.language import t
from wenfang.store import Manifest, offline

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 529)
RETRY_AFTER_MAX_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 20.0
ERROR_BYTES_MAX = 64 * 2**10
# Local servers want any word for a key; a shorter one is no secret, and may stand in any text.
SECRET_CHARACTERS = 16


class Passing(Exception):  # noqa: N818
    """What may go well at another time: what happened, and how long the endpoint asks to wait."""

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.what, self.wait_s = what, wait_s


@dataclass
class Clock:
    """Time, so that a test need not wait; `date` in seconds since 1970."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    date: Callable[[], float] = time.time


@dataclass(frozen=True, kw_only=True)
class Post:
    """What is sent: the path after the URL, the JSON body, and the type that is wanted back."""

    path: str
    body: Mapping[str, Any]
    accept: str


class Transport:
    """The line to one endpoint.

    key  sent as a bearer token to this endpoint and kept nowhere else

    raises ConfigError where WENFANG_OFFLINE forbids the network
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: EndpointSettings,
        key: str = "",
        clock: Clock | None = None,
    ) -> None:
        if offline():
            raise ConfigError(
                "{name} needs the network, and WENFANG_OFFLINE forbids it; name what is on this "
                "machine, or unset WENFANG_OFFLINE",
                name=endpoint.name,
            )
        self.endpoint, self.settings = endpoint, settings
        self._key, self._clock = key, clock or Clock()

    def __repr__(self) -> str:
        """Without the key."""
        return f"Transport({self.endpoint.name})"

    def bare(self, value: object) -> object:
        """What an endpoint said, without the key that it may have repeated."""
        secret = isinstance(value, str) and len(self._key) >= SECRET_CHARACTERS
        return str(value).replace(self._key, "…") if secret else value

    @contextmanager
    def discreet(self) -> Iterator[None]:
        """Within it no error of an endpoint tells the key."""
        try:
            yield
        except EndpointError as error:
            bare = {name: self.bare(value) for name, value in error.values.items()}
            raise EndpointError(error.template, **bare) from None

    def persist(self, attempt: Callable[[int, float], T]) -> T:
        """What an attempt gives, told its number and the deadline; after Passing, another one.

        raises EndpointError where no attempt is left, and what an attempt raises
        """
        deadline = self._clock.now() + self.settings.total_s
        for number in range(self.settings.attempts):
            try:
                return attempt(number, deadline)
            except Passing as reason:
                self._wait(reason, number, deadline)
        raise AssertionError("unreachable")

    def _wait(self, reason: Passing, attempt: int, deadline: float) -> None:
        """Before the next attempt; raises EndpointError where there is none."""
        growing = min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S) * (0.5 + random.random())
        wait_s = max(reason.wait_s, growing)
        last = attempt + 1 == self.settings.attempts
        if last or self._clock.now() + wait_s > deadline or reason.wait_s > RETRY_AFTER_MAX_S:
            raise EndpointError(
                "{host} gave no answer in {attempts} attempts: {what}; try again later, or "
                "another endpoint",
                host=self.endpoint.host,
                attempts=attempt + 1,
                what=reason.what,
            ) from None
        self._clock.sleep(wait_s)

    def post(self, post: Post, deadline: float, read: Callable[[str, Iterator[bytes]], T]) -> T:
        """What `read` makes of a good answer, told its type and its bytes as they come.

        raises Passing, EndpointError for what will not pass, and what `read` raises
        """
        httpx = _library()
        headers = {"accept-encoding": "identity", "accept": post.accept}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        how = {
            "timeout": httpx.Timeout(self.settings.read_s, connect=self.settings.connect_s),
            "trust_env": not self.endpoint.of_this_machine,  # a proxy of the environment
            "follow_redirects": False,
        }
        url = f"{self.endpoint.url}/{post.path}"
        try:
            with (
                httpx.Client(**how) as client,
                client.stream("POST", url, json=post.body, headers=headers) as response,
            ):
                self._require_good(response, deadline)
                kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
                return read(kind, self._timed(response.iter_raw(), deadline))
        except httpx.TimeoutException:
            raise Passing(t("no answer in time")) from None
        except (httpx.InvalidURL, UnicodeError):
            raise EndpointError("{url} is no URL; correct it", url=self.endpoint.url) from None
        except httpx.HTTPError as error:
            raise Passing(printable(str(error)) or type(error).__name__) from None

    def _require_good(self, response: httpx.Response, deadline: float) -> None:
        status, host = response.status_code, self.endpoint.host
        if status == 200:
            encoding = response.headers.get("content-encoding", "identity").lower()
            if encoding not in ("", "identity"):
                raise broken(host, t("a compressed answer that was not asked for"))
            return
        what = f"{status} {told_error(self._timed(response.iter_raw(), deadline))}".strip()
        if status in PASSING:
            asked = response.headers.get("retry-after", "")
            raise Passing(what, _retry_after_s(asked, self._clock.date()))
        self._refuse(status, what)

    def _refuse(self, status: int, what: str) -> NoReturn:
        host = self.endpoint.host
        if 300 <= status < 400:
            raise EndpointError(
                "{host} wants to send the request elsewhere ({what}), which is not done; name "
                "the right URL",
                host=host,
                what=what,
            )
        if status in (401, 403):
            raise EndpointError(
                "{host} refuses the key ({what}); set {variable}",
                host=host,
                what=what,
                variable=self.settings.key_variable,
            )
        if status == 404:
            raise EndpointError(
                "{host} knows no such address or model ({what}); check {name}",
                host=host,
                what=what,
                name=self.endpoint.name,
            )
        raise EndpointError("{host} refuses the request: {what}", host=host, what=what)

    def _timed(self, chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
        """The same, until the deadline: an answer that drips for ever is none."""
        for chunk in chunks:
            if self._clock.now() > deadline:
                raise EndpointError(
                    "{host} was still answering after {seconds} s; raise total_s in "
                    "endpoints.json, or ask for less",
                    host=self.endpoint.host,
                    seconds=f"{self.settings.total_s:g}",
                )
            yield chunk


def _library() -> Any:
    try:
        import httpx
    except ImportError:
        raise DependencyError(
            "endpoints need httpx; install it with pip install 'wenfang[remote]'"
        ) from None
    return httpx


def whole_answer(chunks: Iterator[bytes], host: str, most: int) -> bytes:
    """All bytes of an answer that is not streamed; EndpointError for more than `most`."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > most:
            raise broken(host, t("an answer of more than {count} bytes", count=most))
    return bytes(data)


def told_error(chunks: Iterator[bytes]) -> str:
    """What an error page says, as far as it is short and readable."""
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) > ERROR_BYTES_MAX:
            break
    try:
        content = json.loads(data.decode("utf-8", "replace"))
        error = content.get("error", content)
        return printable(str(error.get("message", error)) if isinstance(error, dict) else error)
    except (ValueError, AttributeError, RecursionError, TypeError):
        return ""


def _retry_after_s(text: str, now_s: float) -> float:
    """Seconds that an endpoint asks to wait, as a number or as a date (RFC 9110, 10.2.3)."""
    try:
        wait = float(text)
    except ValueError:
        try:
            wait = parsedate_to_datetime(text).timestamp() - now_s
        except (ValueError, OverflowError):
            return 0.0
    return wait if 0 <= wait < math.inf else 0.0


class EndpointClient:
    """One model of one endpoint: the line to it, and what asking it costs.

    key  sent as a bearer token to this endpoint and kept nowhere else
    run  what this program run has spent there, which the caps are for; this client's own if None

    raises ConfigError where WENFANG_OFFLINE forbids the network, or `price` is missing beside a cap
    """

    price: ClassVar[Literal["output_price", "character_price"]]

    def __init__(
        self,
        endpoint: Endpoint,
        settings: EndpointSettings,
        key: str = "",
        clock: Clock | None = None,
        run: Ledger | None = None,
    ) -> None:
        settings.require_prices(self.price)
        self.endpoint, self.settings = endpoint, settings
        self._transport = Transport(endpoint, settings, key, clock)
        self.name = endpoint.name
        self.ledger = Ledger(settings)
        self._run = run or self.ledger
        self.made_from: tuple[Manifest, ...] = (endpoint_manifest(endpoint, settings),)

    def __repr__(self) -> str:
        """Without the key."""
        return f"{type(self).__name__}({self.name})"
