"""Any OpenAI-compatible endpoint as a writer.

Answers are streamed, so that a silent endpoint is noticed. What may pass (too many requests, a
fault of the server, a dropped line) is asked again with growing waits; what will not (a wrong key,
an unknown model) is told at once. An answer that breaks off is thrown away and asked for anew: no
half of a text is ever given back as a whole. It is paid for all the same, and counted.

A key goes to its endpoint and nowhere else: not through a proxy to this machine, not after a
redirect, not into an error that repeats what the endpoint said, and not into an answer.
"""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from wenfang.backends.endpoint.request import Schema, request_body, required_bytes
from wenfang.backends.endpoint.settings import Endpoint, EndpointSettings
from wenfang.backends.endpoint.spending import Ledger, estimated_tokens
from wenfang.backends.endpoint.stream import (
    ANSWER_BYTES_MAX,
    Answer,
    broken,
    events,
    printable,
    take,
)
from wenfang.backends.writer import Ask, Draft, OnText
from wenfang.errors import CheckError, ConfigError, DependencyError, EndpointError
from wenfang.language import t
from wenfang.samplers.constraints import cut_at, require_stops
from wenfang.store import Manifest, offline

if TYPE_CHECKING:
    import httpx

PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 529)
RETRY_AFTER_MAX_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 20.0
ERROR_BYTES_MAX = 64 * 2**10
# What models put around JSON where their server does not hold them to a schema.
FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", re.DOTALL)
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


class OpenAiWriter:
    """Drafts by one model of one endpoint.

    key  sent as a bearer token to this endpoint and kept nowhere else
    run  what this program run has spent there, which the caps are for; this writer's own if None

    raises ConfigError where WENFANG_OFFLINE forbids the network
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: EndpointSettings,
        key: str = "",
        clock: Clock | None = None,
        run: Ledger | None = None,
    ) -> None:
        if offline():
            raise ConfigError(
                "{name} needs the network, and WENFANG_OFFLINE forbids it; name a bundle or a "
                "folder, or unset WENFANG_OFFLINE",
                name=endpoint.name,
            )
        self.endpoint, self.settings = endpoint, settings
        self.name = endpoint.name
        self.ledger = Ledger(settings)
        self._run = run or self.ledger
        self._key, self._clock = key, clock or Clock()
        self.made_from: tuple[Manifest, ...] = (
            Manifest(
                kind="bundle",
                name=endpoint.model,
                media_type="application/x-wenfang-endpoint",
                licence=settings.licence,
                facts={"endpoint": endpoint.url, "model": endpoint.model},
            ),
        )

    def __repr__(self) -> str:
        """Without the key."""
        return f"OpenAiWriter({self.name})"

    def facts(self) -> dict[str, object]:
        """What was spent, for manifests."""
        return self.ledger.facts()

    def write(self, ask: Ask, on_text: OnText = lambda text: None) -> list[Draft]:
        """`ask.count` drafts, one request each; on_text hears the first one as it comes.

        raises EndpointError where no answer is to be had, BudgetError before a cap is passed,
        BriefError for a prompt that cannot be sent, CheckError for an answer that does not meet
        the schema
        """
        require_stops(ask.stop)
        size = required_bytes(ask)
        schema = None if ask.schema is None else Schema(ask.schema)
        silent: OnText = lambda text: None  # noqa: E731
        drafts = []
        try:
            for number in range(ask.count):
                told = silent if number else on_text
                answer = self._asked(replace(ask, seed=ask.seed + number), told, size)
                drafts.append(self._checked(answer, ask, schema))
        except EndpointError as error:
            bare = {name: self._bare(value) for name, value in error.values.items()}
            raise EndpointError(error.template, **bare) from None
        return drafts

    def _bare(self, value: object) -> object:
        """What an endpoint said, without the key that it may have repeated."""
        secret = isinstance(value, str) and len(self._key) >= SECRET_CHARACTERS
        return str(value).replace(self._key, "…") if secret else value

    def _asked(self, ask: Ask, on_text: OnText, size: int) -> Answer:
        told = on_text
        deadline = self._clock.now() + self.settings.total_s
        for attempt in range(self.settings.attempts):
            self._run.require_room(size, ask.maximum_tokens)
            try:
                body = request_body(ask, self.endpoint.model, self.settings)
                return self._answer(body, size, told, deadline)
            except Passing as reason:
                told = lambda text: None  # noqa: E731  # what was shown cannot be taken back
                self._wait(reason, attempt, deadline)
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

    def _answer(self, body: dict[str, Any], size: int, on_text: OnText, deadline: float) -> Answer:
        httpx = _library()
        headers = {"accept-encoding": "identity", "accept": "text/event-stream"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        how = {
            "timeout": httpx.Timeout(self.settings.read_s, connect=self.settings.connect_s),
            "trust_env": not self.endpoint.of_this_machine,  # a proxy of the environment
            "follow_redirects": False,
        }
        url = f"{self.endpoint.url}/chat/completions"
        try:
            with (
                httpx.Client(**how) as client,
                client.stream("POST", url, json=body, headers=headers) as response,
            ):
                self._require_good(response, deadline)
                return self._read(response, size, on_text, deadline)
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
        what = f"{status} {_told(self._timed(response.iter_raw(), deadline))}".strip()
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
                name=self.name,
            )
        raise EndpointError("{host} refuses the request: {what}", host=host, what=what)

    def _read(
        self, response: httpx.Response, size: int, on_text: OnText, deadline: float
    ) -> Answer:
        answer, host = Answer(), self.endpoint.host
        chunks = self._timed(response.iter_raw(), deadline)
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in ("application/json", "text/event-stream"):
            raise broken(host, t("content of the type {kind}", kind=printable(kind, 60) or "-"))
        # An endpoint that does not stream sends all at once.
        whole = kind == "application/json"
        try:
            for event in [_whole(chunks, host)] if whole else events(chunks, host):
                if piece := take(answer, event, host):
                    on_text(piece)
        finally:
            self._count(answer, size)
        if not answer.finish:
            raise Passing(t("the answer broke off"))
        return answer

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

    def _count(self, answer: Answer, size: int) -> None:
        told = answer.usage
        reading, writing = told or (size // 2 + 1, estimated_tokens(answer.text))
        for ledger in {id(one): one for one in (self.ledger, self._run)}.values():
            ledger.spend(reading, writing, estimated=told is None)

    def _checked(self, answer: Answer, ask: Ask, schema: Schema | None) -> Draft:
        host = self.endpoint.host
        if answer.declined:
            raise EndpointError(
                "the model of {host} declines to answer; ask differently, or name another",
                host=host,
            )
        if answer.finish not in ("stop", "length"):
            raise EndpointError(
                "{host} ended its answer with {finish}; ask differently, or another endpoint",
                host=host,
                finish=printable(answer.finish, 40),
            )
        if self._bare(answer.text) != answer.text:
            raise broken(host, t("the key back in its answer"))
        text, cut = cut_at(answer.text, ask.stop)
        finish: Literal["stop", "length"] = "stop" if cut or answer.finish == "stop" else "length"
        if schema:
            text = FENCE.sub(r"\1", text)
            self._require_met(schema, text, ask, finish)
        nats = math.fsum(answer.nats) if answer.nats else None
        tokens = answer.usage[1] if answer.usage else None
        return Draft(text=text, tokens=tokens, log_probability_nats=nats, finish=finish)

    def _require_met(self, schema: Schema, text: str, ask: Ask, finish: str) -> None:
        against = schema.against(text)
        if against and finish == "length":
            raise CheckError(
                "the answer of {host} was cut at {count} tokens before it met the schema; raise "
                "sampling.maximum_tokens, or ask for less",
                host=self.endpoint.host,
                count=ask.maximum_tokens,
            )
        if against:
            raise CheckError(
                "{host} sent {what}; ask again, or name another writer",
                host=self.endpoint.host,
                what=against,
            )


def _library() -> Any:
    try:
        import httpx
    except ImportError:
        raise DependencyError(
            "endpoints need httpx; install it with pip install 'wenfang[remote]'"
        ) from None
    return httpx


def _told(chunks: Iterator[bytes]) -> str:
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


def _whole(chunks: Iterator[bytes], host: str) -> dict[str, Any]:
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) > ANSWER_BYTES_MAX:
            raise broken(host, t("an answer of more than {count} bytes", count=ANSWER_BYTES_MAX))
    try:
        found = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise broken(host, t("an event that is not JSON"))
    return found


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
