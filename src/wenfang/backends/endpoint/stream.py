"""Server-sent events of a chat completion, read with bounds and without trust.

The form is that of the WHATWG's HTML standard, section 9.2, of which endpoints use lines of data
alone; each holds a JSON object, and the last one is `[DONE]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wenfang.errors import EndpointError
from wenfang.language import t

LINE_BYTES_MAX = 2**20
ANSWER_BYTES_MAX = 16 * 2**20
DONE = "[DONE]"


@dataclass
class Answer:
    """What has come of one answer.

    finish  as the endpoint says: "stop", "length", …; empty while it goes on
    nats    log-probabilities of its tokens, where they are told
    usage   (input, output) tokens, where told
    declined  whether the model says that it will not answer
    """

    pieces: list[str] = field(default_factory=list)
    finish: str = ""
    nats: list[float] = field(default_factory=list)
    usage: tuple[int, int] | None = None
    declined: bool = False

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


def events(chunks: Iterable[bytes], host: str) -> Iterator[dict[str, Any]]:
    """The JSON object of every event, until [DONE] or the end.

    raises EndpointError for a line that is no event, no UTF-8, no JSON object, or too long
    """
    for line in _lines(chunks, host):
        if not line or line.startswith(b":"):  # the end of an event; a comment
            continue
        name, _, value = line.partition(b":")
        if name != b"data":
            if name in (b"event", b"id", b"retry"):
                continue
            raise broken(host, t("a line that is no event"))
        try:
            text = value.strip().decode("utf-8")
            if text == DONE:
                return
            found = json.loads(text)
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            raise broken(host, t("an event that is not JSON")) from None
        if not isinstance(found, dict):
            raise broken(host, t("an event that is no object"))
        yield found


def _lines(chunks: Iterable[bytes], host: str) -> Iterator[bytes]:
    rest, total = b"", 0
    for chunk in chunks:
        total += len(chunk)
        if total > ANSWER_BYTES_MAX:
            raise broken(host, t("an answer of more than {count} bytes", count=ANSWER_BYTES_MAX))
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise broken(host, t("a line of more than {count} bytes", count=LINE_BYTES_MAX))
        yield from lines
    if rest:
        yield rest


def broken(host: str, what: str) -> EndpointError:
    """The one line that tells what came instead of an answer."""
    return EndpointError("{host} sent {what}; try again, or another endpoint", host=host, what=what)


def take(answer: Answer, event: dict[str, Any], host: str) -> str:
    """Put one event (or a whole completion) into `answer`; the piece of text that it brought.

    raises EndpointError where the endpoint tells an error, or a field is of the wrong type
    """
    if event.get("error"):
        error = event["error"]
        told = error.get("message", "") if isinstance(error, dict) else error
        raise EndpointError("{host} says: {what}", host=host, what=printable(str(told)))
    _take_usage(answer, event.get("usage"), host)
    choices = event.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise broken(host, t("choices that are no list of objects"))
    if not choices:
        return ""
    first = choices[0]
    told = first.get("delta") or first.get("message") or {}
    piece = told.get("content") if isinstance(told, dict) else told
    answer.declined |= isinstance(told, dict) and bool(told.get("refusal"))
    if not isinstance(piece, str | None):
        raise broken(host, t("content that is no text"))
    if piece:
        answer.pieces.append(piece)
    _take_nats(answer, first.get("logprobs"), host)
    finish = first.get("finish_reason")
    if not isinstance(finish, str | None):
        raise broken(host, t("a finish_reason that is no text"))
    answer.finish = finish or answer.finish
    return piece or ""


def _take_usage(answer: Answer, usage: object, host: str) -> None:
    if usage is None:
        return
    found = (
        [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        if isinstance(usage, dict)
        else []
    )
    if len(found) != 2 or not all(type(one) is int and 0 <= one < 10**9 for one in found):
        raise broken(host, t("a usage without numbers of tokens"))
    answer.usage = (int(found[0] or 0), int(found[1] or 0))


def _take_nats(answer: Answer, told: object, host: str) -> None:
    rows = told.get("content") if isinstance(told, dict) else None
    if rows is None:
        return
    good = isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get("logprob"), int | float) for row in rows
    )
    if not good:
        raise broken(host, t("log-probabilities that are no numbers"))
    answer.nats += [float(row["logprob"]) for row in rows]


def printable(text: str, most: int = 200) -> str:
    """What a stranger says, on one line and bounded."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())[:most]
