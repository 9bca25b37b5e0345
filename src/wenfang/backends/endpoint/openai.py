"""Any OpenAI-compatible endpoint as a writer.

Answers are streamed, so that a silent endpoint is noticed. What may pass (too many requests, a
fault of the server, a dropped line) is asked again with growing waits; what will not (a wrong key,
an unknown model) is told at once. An answer that breaks off is thrown away and asked for anew: no
half of a text is ever given back as a whole.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

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
from wenfang.errors import BriefError, DependencyError, EndpointError
from wenfang.language import t
from wenfang.store import Manifest

if TYPE_CHECKING:
    import httpx

PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 529)
RETRY_AFTER_MAX_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 20.0
ERROR_BYTES_MAX = 64 * 2**10
PROMPT_BYTES_MAX = 4 * 2**20


class Passing(Exception):  # noqa: N818
    """What may go well at another time: what happened, and how long the endpoint asks to wait."""

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.what, self.wait_s = what, wait_s


@dataclass
class Clock:
    """Time, so that a test need not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class OpenAiWriter:
    """Drafts by one model of one endpoint.

    key  sent as a bearer token to this endpoint and kept nowhere else
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: EndpointSettings,
        key: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.endpoint, self.settings = endpoint, settings
        self.name = endpoint.name
        self.ledger = Ledger(settings)
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
        BriefError for a prompt that is too long to send
        """
        size = len(ask.prompt.encode()) + len(ask.system.encode())
        if size > PROMPT_BYTES_MAX:
            raise BriefError(
                "the prompt has {count} bytes; at most {most} are sent; divide it",
                count=size,
                most=PROMPT_BYTES_MAX,
            )
        silent: OnText = lambda text: None  # noqa: E731
        return [
            self._draft(ask, ask.seed + number, on_text if not number else silent, size)
            for number in range(ask.count)
        ]

    def _draft(self, ask: Ask, seed: int, on_text: OnText, size: int) -> Draft:
        told = on_text
        deadline = self._clock.now() + self.settings.total_s
        for attempt in range(self.settings.attempts):
            self.ledger.require_room(size, ask.maximum_tokens)
            try:
                answer = self._answer(ask, seed, told, deadline)
                self._count(answer, ask, size)
                return self._checked(answer, ask)
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

    def _answer(self, ask: Ask, seed: int, on_text: OnText, deadline: float) -> Answer:
        httpx = _library()
        headers = {"accept-encoding": "identity", "accept": "text/event-stream"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        timeout = httpx.Timeout(self.settings.read_s, connect=self.settings.connect_s)
        try:
            with (
                httpx.Client(timeout=timeout, follow_redirects=False) as client,
                client.stream(
                    "POST",
                    f"{self.endpoint.url}/chat/completions",
                    json=request_body(ask, self.endpoint.model, seed),
                    headers=headers,
                ) as response,
            ):
                self._require_good(response)
                return self._read(response, on_text, deadline)
        except httpx.TimeoutException:
            raise Passing(t("no answer in time")) from None
        except httpx.InvalidURL:
            raise EndpointError("{url} is no URL; correct it", url=self.endpoint.url) from None
        except httpx.HTTPError as error:
            raise Passing(printable(str(error)) or type(error).__name__) from None

    def _require_good(self, response: httpx.Response) -> None:
        status, host = response.status_code, self.endpoint.host
        if status == 200:
            encoding = response.headers.get("content-encoding", "identity").lower()
            if encoding not in ("", "identity"):
                raise broken(host, t("a compressed answer that was not asked for"))
            return
        what = f"{status} {_told(response)}".strip()
        if status in PASSING:
            raise Passing(what, _retry_after_s(response.headers.get("retry-after", "")))
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
                "{host} refuses the key ({what}); set WENFANG_OPENAI_KEY", host=host, what=what
            )
        if status == 404:
            raise EndpointError(
                "{host} knows no such address or model ({what}); check {name}",
                host=host,
                what=what,
                name=self.name,
            )
        raise EndpointError("{host} refuses the request: {what}", host=host, what=what)

    def _read(self, response: httpx.Response, on_text: OnText, deadline: float) -> Answer:
        answer, host = Answer(), self.endpoint.host
        chunks = self._timed(response.iter_raw(), deadline)
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind == "application/json":  # an endpoint that does not stream
            on_text(take(answer, _whole(chunks, host), host))
        elif kind == "text/event-stream":
            for event in events(chunks, host):
                if piece := take(answer, event, host):
                    on_text(piece)
        else:
            raise broken(host, t("content of the type {kind}", kind=printable(kind, 60) or "-"))
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

    def _count(self, answer: Answer, ask: Ask, size: int) -> None:
        told = answer.usage
        reading, writing = told or (size // 2 + 1, estimated_tokens(answer.text))
        self.ledger.spend(reading, writing, estimated=told is None)

    def _checked(self, answer: Answer, ask: Ask) -> Draft:
        if answer.finish not in ("stop", "length"):
            raise EndpointError(
                "{host} ended its answer with {finish}; ask differently, or another endpoint",
                host=self.endpoint.host,
                finish=printable(answer.finish, 40),
            )
        finish = "stop" if answer.finish == "stop" else "length"
        text = _until(answer.text, ask.stop)
        if ask.schema is not None:
            require_schema(text, ask.schema, self.endpoint.host)
        nats = math.fsum(answer.nats) if answer.nats else None
        tokens = answer.usage[1] if answer.usage else None
        return Draft(text=text, tokens=tokens, log_probability_nats=nats, finish=finish)  # type: ignore[arg-type]


def request_body(ask: Ask, model: str, seed: int) -> dict[str, Any]:
    """What is sent: nothing but what the ask holds."""
    messages = [{"role": "system", "content": ask.system}] if ask.system else []
    body: dict[str, Any] = {
        "model": model,
        "messages": [*messages, {"role": "user", "content": ask.prompt}],
        "temperature": ask.temperature,
        "max_tokens": ask.maximum_tokens,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if ask.stop:
        body["stop"] = list(ask.stop)
    if ask.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": dict(ask.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def require_schema(text: str, schema: Any, host: str) -> None:
    """raises EndpointError where an answer does not meet the schema that was asked for."""
    try:
        import jsonschema
    except ImportError:
        raise DependencyError(
            "answers with a schema need jsonschema; install it with pip install 'wenfang[remote]'"
        ) from None
    try:
        jsonschema.validate(json.loads(text), schema)
    except (json.JSONDecodeError, RecursionError):
        raise broken(host, t("an answer that is not JSON, though a schema was asked for")) from None
    except jsonschema.ValidationError as error:
        raise broken(
            host, t("an answer that breaks the schema ({what})", what=printable(error.message))
        ) from None


def _library() -> Any:
    try:
        import httpx
    except ImportError:
        raise DependencyError(
            "endpoints need httpx; install it with pip install 'wenfang[remote]'"
        ) from None
    return httpx


def _told(response: httpx.Response) -> str:
    """What an error page says, as far as it is short and readable."""
    data = b""
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > ERROR_BYTES_MAX:
            break
    try:
        content = json.loads(data.decode("utf-8", "replace"))
        error = content.get("error", content)
        return printable(str(error.get("message", error)) if isinstance(error, dict) else error)
    except (json.JSONDecodeError, AttributeError, RecursionError, TypeError):
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


def _retry_after_s(text: str) -> float:
    """Seconds that an endpoint asks to wait; a date, which few send, counts as nothing said."""
    try:
        wait = float(text)
    except ValueError:
        return 0.0
    return wait if 0 <= wait < math.inf else 0.0


def _until(text: str, stop: tuple[str, ...]) -> str:
    """Up to the first stop text, for endpoints that give it back."""
    places = [text.find(one) for one in stop if one and one in text]
    return text[: min(places)] if places else text
