"""The lines of a batch: what is asked, what is wrong with it, what was answered and kept."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wenfang.atomic import disk_errors

LINES_MOST = 50_000
NAME_CHARACTERS = 512
FIELDS = ("custom_id", "method", "url", "body")
OUTPUT, ERRORS = "output.jsonl", "errors.jsonl"
NUMBERED = re.compile(r"_(\d+)$")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the input.

    number  from 1
    body    as JSON bytes; empty where `error` says what is wrong
    error   code and message
    """

    number: int
    name: str | None
    body: bytes = b""
    model: str | None = None
    error: tuple[str, str] | None = None


def read_lines(path: Path, endpoint: str, most_bytes: int) -> Iterator[Line]:
    """Every line that is not blank, the malformed ones too.

    most_bytes  of one line; the rest of a longer one is passed over
    """
    seen: set[str] = set()
    for number, text in _texts(path, most_bytes):
        if text is None:
            message = f"line {number} is longer than {most_bytes} bytes"
            yield Line(number=number, name=None, error=("line_too_long", message))
            continue
        yield _line(number, text, endpoint, seen)


def line_count(path: Path, most_bytes: int) -> int:
    """How many lines `read_lines` would give."""
    return sum(1 for _ in _texts(path, most_bytes))


def _texts(path: Path, most_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    with path.open("rb") as stream:
        number = 0
        while text := stream.readline(most_bytes + 1):
            number += 1
            long = len(text) > most_bytes
            while len(text) > most_bytes and not text.endswith(b"\n"):
                text = stream.readline(most_bytes + 1)
            if long:
                yield number, None
            elif text.strip():
                yield number, text


def _line(number: int, text: bytes, endpoint: str, seen: set[str]) -> Line:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _wrong(number, None, "invalid_json_line", "is not JSON")
    if not isinstance(found, dict):
        return _wrong(number, None, "invalid_json_line", "is not a JSON object")
    name = found.get("custom_id")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARACTERS or not name.isprintable():
        reason = f"needs a custom_id, a text of 1 to {NAME_CHARACTERS} characters"
        return _wrong(number, None, "invalid_custom_id", reason)
    if name in seen:
        return _wrong(number, name, "duplicate_custom_id", "has a custom_id of an earlier line")
    seen.add(name)
    if strange := [one for one in found if one not in FIELDS]:
        reason = f"has a field that is not known, {strange[0][:80]!r}"
        return _wrong(number, name, "unknown_parameter", reason)
    if found.get("method") != "POST":
        return _wrong(number, name, "invalid_method", "needs the method POST")
    if found.get("url") != endpoint:
        return _wrong(number, name, "invalid_url", f"needs the url {endpoint} of its batch")
    body = found.get("body")
    if not isinstance(body, dict):
        return _wrong(number, name, "invalid_body", "needs a body, a JSON object")
    if body.get("stream"):
        return _wrong(number, name, "invalid_body", "asks for a stream, which no batch has")
    model = body.get("model")
    return Line(
        number=number,
        name=name,
        body=json.dumps(body).encode(),
        model=model if isinstance(model, str) else None,
    )


def _wrong(number: int, name: str | None, code: str, reason: str) -> Line:
    return Line(number=number, name=name, error=(code, f"line {number} {reason}"))


@dataclass
class Kept:
    """What is answered of one batch, on the disk line by line: nothing is answered twice.

    numbers  of the lines that are done
    usage    tokens read and written
    """

    folder: Path
    batch: str
    numbers: set[int] = field(default_factory=set)
    completed: int = 0
    failed: int = 0
    usage: dict[str, int] = field(default_factory=lambda: {"read": 0, "written": 0})
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def recover(self) -> None:
        """Read what an earlier server kept, without the line that it was writing when it died."""
        for name in (OUTPUT, ERRORS):
            path = self.folder / name
            if not path.is_file():
                continue
            whole = 0
            with path.open("r+b") as stream:
                for text in stream:
                    if not text.endswith(b"\n"):
                        break
                    whole += len(text)
                    self._count(json.loads(text), good=name == OUTPUT)
                stream.truncate(whole)

    def keep(self, line: Line, record: Mapping[str, Any], *, good: bool) -> None:
        """Write an answer down; it is on the disk when this returns."""
        content = {"id": f"{self.batch}_{line.number}", "custom_id": line.name, **record}
        path = self.folder / (OUTPUT if good else ERRORS)
        text = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._writing, disk_errors(path), path.open("ab") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
            self._count(content, good=good)

    def _count(self, content: Mapping[str, Any], *, good: bool) -> None:
        number = NUMBERED.search(str(content["id"]))
        assert number
        self.numbers.add(int(number[1]))
        if not good:
            self.failed += 1
            return
        self.completed += 1
        spent = content["response"]["body"].get("usage") or {}
        for name, words in (
            ("read", ("prompt_tokens", "input_tokens")),
            ("written", ("completion_tokens", "output_tokens")),
        ):
            self.usage[name] += sum(int(spent.get(word) or 0) for word in words)
