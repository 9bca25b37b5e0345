"""PDF's values (ISO 32000-2, 7.3): read from bytes within a budget, and written as bytes."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_DEPTH = 48
BYTES_PER_TOKEN = 100
MAX_TOKENS = 100_000  # of the objects that are read in one file: a fifth of a second


class PdfFault(Exception):  # noqa: N818 - never shown, each caller says what it means
    """Bytes that are no PDF, or more of them than is read."""


class Name(bytes):
    """A name without its slash."""


class Real(bytes):
    """A number with a fraction, as it was written, so that it is written back the same."""


class Word(bytes):
    """`true`, `false` or another keyword."""


class Ref(NamedTuple):
    """A reference to an object of the file."""

    number: int
    generation: int


class Dictionary(dict[bytes, object]):
    """A dictionary by name; the last value of a key stands, as readers take it.

    repeated  the values that a later one of the same key displaced
    """

    def __init__(self, pairs: list[tuple[bytes, object]] | None = None) -> None:
        super().__init__(pairs or [])
        self.repeated: list[tuple[bytes, object]] = []
        if len(self) < len(pairs or []):
            last = {key: place for place, (key, _) in enumerate(pairs or [])}
            self.repeated = [one for place, one in enumerate(pairs or []) if place != last[one[0]]]

    def with_value(self, key: bytes, value: object) -> Dictionary:
        """A copy in which `key` stands once."""
        return Dictionary([*((one, self[one]) for one in self if one != key), (key, value)])


class Stream(NamedTuple):
    """A stream's dictionary and its bytes, still encoded."""

    dictionary: Dictionary
    raw: bytes


class Budget:
    """How many tokens may still be read."""

    def __init__(self, tokens: int = MAX_TOKENS) -> None:
        self.tokens = tokens

    def spend(self, tokens: int = 1) -> None:
        """Count tokens; PdfFault when there are none left."""
        self.tokens -= tokens
        if self.tokens < 0:
            raise PdfFault("too much to read")


SPACE = rb"(?:[\0\t\n\f\r ]|%[^\r\n]*+)*+"
_TOKEN = re.compile(
    SPACE + rb"(?:(?P<ref>(\d{1,10})[\0\t\n\f\r ]++(\d{1,5})[\0\t\n\f\r ]++R(?![A-Za-z0-9]))"
    rb"|(?P<real>[+-]?(?:\d*\.\d+|\d+\.))|(?P<integer>[+-]?\d{1,18})"
    rb"|/(?P<name>[^\0\t\n\f\r ()<>\[\]{}/%]*+)|(?P<open><<)|(?P<close>>>)"
    rb"|<(?P<hex>[0-9A-Fa-f\0\t\n\f\r ]*+)>|(?P<string>\()|(?P<list>\[)|(?P<end>\])"
    rb"|(?P<word>[A-Za-z]++))"
)
_IN_STRING = re.compile(rb"[^()\\]++|\\.|\\\r\n|[()]", re.DOTALL)
_NAME_CODE = re.compile(rb"#([0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"\\(\r\n|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_WORDS: dict[bytes, object] = {b"true": True, b"false": False, b"null": None}


class Parser:
    """Reads values from `data`, beginning at `position`."""

    def __init__(self, data: bytes, position: int, budget: Budget) -> None:
        self.data = data
        self.position = position
        self._budget = budget

    def value(self, depth: int = 0) -> object:
        """The next value; PdfFault where none stands."""
        kind, found = self._next()
        if kind in ("end", "close") or depth > MAX_DEPTH:
            raise PdfFault(kind)
        return self._value(kind, found, depth)

    def _next(self) -> tuple[str, re.Match[bytes]]:
        found = _TOKEN.match(self.data, self.position)
        if found is None or found.lastgroup is None:
            raise PdfFault("token")
        self._move(found.end())
        return found.lastgroup, found

    def _move(self, position: int) -> None:
        """Go on behind a token; long ones, comments before them too, cost more."""
        self._budget.spend(1 + (position - self.position) // BYTES_PER_TOKEN)
        self.position = position

    def _value(self, kind: str, found: re.Match[bytes], depth: int) -> object:
        text = found[kind]
        if kind == "ref":
            return Ref(int(found[2]), int(found[3]))
        if kind == "integer":
            return int(text)
        if kind == "real":
            return Real(text)
        if kind == "name":
            return Name(_NAME_CODE.sub(lambda code: bytes([int(code[1], 16)]), text))
        if kind == "hex":
            digits = b"".join(text.replace(b"\0", b"").split()).decode("ascii")
            return bytes.fromhex(digits + "0" * (len(digits) % 2))
        if kind == "string":
            return self._string()
        if kind == "word":
            return _WORDS.get(text, Word(text))
        return self._list(depth) if kind == "list" else self._dictionary(depth)

    def _list(self, depth: int) -> list[object]:
        values: list[object] = []
        while True:
            kind, found = self._next()
            if kind == "end":
                return values
            if kind == "close" or depth >= MAX_DEPTH:
                raise PdfFault("list")
            values.append(self._value(kind, found, depth + 1))

    def _dictionary(self, depth: int) -> Dictionary:
        pairs: list[tuple[bytes, object]] = []
        while True:
            kind, found = self._next()
            if kind == "close":
                return Dictionary(pairs)
            if kind != "name":
                raise PdfFault("dictionary")
            key = self._value(kind, found, depth)
            assert isinstance(key, bytes)
            pairs.append((key, self.value(depth + 1)))

    def _string(self) -> bytes:
        """A string in parentheses, which may hold others in pairs."""
        start, depth = self.position, 1
        while depth:
            found = _IN_STRING.match(self.data, self.position)
            if found is None:
                raise PdfFault("string")
            self._move(found.end())
            depth += {b"(": 1, b")": -1}.get(found[0], 0)
        return _ESCAPE.sub(_unescaped, self.data[start : self.position - 1])


def _unescaped(found: re.Match[bytes]) -> bytes:
    text = found[1]
    if text.isdigit():
        return bytes([int(text, 8) & 0xFF])
    return b"" if text in (b"\n", b"\r", b"\r\n") else _ESCAPED.get(text, text)


_IN_NAME = re.compile(rb"[^!-~]|[()<>\[\]{}/%#]")


def written(value: object) -> bytes:
    """A value as it stands in a file."""
    if isinstance(value, Name):
        return b"/" + _IN_NAME.sub(lambda one: b"#%02X" % one[0][0], bytes(value))
    if isinstance(value, Real | Word):
        return bytes(value)
    if isinstance(value, bytes):
        escaped = value.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        return b"(" + escaped.replace(b"\r", b"\\r") + b")"
    if isinstance(value, Ref):
        return b"%d %d R" % value
    if isinstance(value, dict):
        return b"<<" + b"".join(written(Name(key)) + b" " + written(value[key])
                                for key in value) + b">>"  # fmt: skip
    if isinstance(value, list):
        return b"[" + b" ".join(map(written, value)) + b"]"
    if isinstance(value, Stream):
        head = value.dictionary.with_value(b"Length", len(value.raw))
        return written(head) + b"\nstream\n" + value.raw + b"\nendstream"
    if isinstance(value, bool) or value is None:
        return {True: b"true", False: b"false", None: b"null"}[value]
    assert isinstance(value, int)
    return b"%d" % value


def number_of(value: object) -> float:
    """A number's value; PdfFault for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Real):
        raise PdfFault("number")
    return float(value)


def text_of(value: object) -> str:
    """A text string: UTF-16 or UTF-8 behind a mark, else taken as Latin."""
    if not isinstance(value, bytes):
        return ""
    if value.startswith((b"\xfe\xff", b"\xff\xfe")):
        return value.decode("utf-16", "replace")
    if value.startswith(b"\xef\xbb\xbf"):
        return value[3:].decode("utf-8", "replace")
    return value.decode("latin-1")
