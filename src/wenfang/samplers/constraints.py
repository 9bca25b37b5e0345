"""What a text must be: an answer to a JSON Schema, a match of a pattern, with and without terms."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wenfang.errors import ConfigError

SCHEMA_BYTES_MAX = 64 * 2**10
PATTERN_CHARACTERS_MAX = 10_000
TERMS_MAX, TERM_CHARACTERS_MAX = 64, 200
STOPS_MAX = 16


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Held while a text is drawn; a text that breaks one is never returned.

    schema     a JSON Schema, as JSON text
    pattern    a regular expression that the whole text matches (Rust's syntax, without anchors,
               look-around and back-references)
    required   terms that stand in the text as they are written here, words as whole words
    forbidden  terms that do not, whatever their case, words as whole words
    """

    schema: str = ""
    pattern: str = ""
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.schema and (self.pattern or self.required or self.forbidden):
            raise ConfigError(
                "constraints.schema stands alone; say in the schema what its texts may hold"
            )
        if len(self.schema.encode()) > SCHEMA_BYTES_MAX:
            raise ConfigError("constraints.schema is larger than 64 kB; make it smaller")
        if len(self.pattern) > PATTERN_CHARACTERS_MAX:
            raise ConfigError(
                "constraints.pattern has {count} characters; at most {most} are read",
                count=len(self.pattern),
                most=PATTERN_CHARACTERS_MAX,
            )
        for name in ("required", "forbidden"):
            _require_terms(name, getattr(self, name))

    @property
    def given(self) -> bool:
        """Whether anything is asked at all."""
        return bool(self.schema or self.pattern or self.required or self.forbidden)

    @property
    def parsed_schema(self) -> Any:
        """The schema as an object; ConfigError where it is no JSON object."""
        try:
            found = json.loads(self.schema)
        except json.JSONDecodeError as error:
            raise ConfigError(
                "constraints.schema is no JSON (line {line}: {reason}); check it",
                line=error.lineno,
                reason=error.msg,
            ) from None
        if not isinstance(found, dict):
            raise ConfigError("constraints.schema is no JSON object; write it as {{…}}")
        return found


def _require_terms(name: str, terms: Sequence[str]) -> None:
    if len(terms) > TERMS_MAX:
        raise ConfigError(
            "constraints.{name} holds {count} terms; at most {most} are kept",
            name=name,
            count=len(terms),
            most=TERMS_MAX,
        )
    for term in terms:
        if not term.strip() or len(term) > TERM_CHARACTERS_MAX or not term.isprintable():
            raise ConfigError(
                "constraints.{name}: {term!r} is empty, unprintable or longer than {most} "
                "characters; mend or leave it out",
                name=name,
                term=term[:TERM_CHARACTERS_MAX],
                most=TERM_CHARACTERS_MAX,
            )


def require_stops(stops: Sequence[str]) -> None:
    """ConfigError for texts that nothing could end at."""
    if len(stops) > STOPS_MAX or any(not one for one in stops):
        raise ConfigError("stop holds an empty text, or more than {most}; mend it", most=STOPS_MAX)


def cut_at(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of `stops`, and whether there is one."""
    places = [text.find(one) for one in stops if one in text]
    return (text[: min(places)], True) if places else (text, False)


class Watch:
    """Ends a row at a stop text and tells the first row's text as it grows.

    decode   tokens to text
    on_text  is told each new piece; held back: what may still become a stop text, and
             characters whose bytes are not all there
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stops: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self._decode, self._stops, self._on_text = decode, tuple(stops), on_text
        self._told = 0
        # A character is at most four tokens of bytes.
        self._tail = 4 * max((len(one) for one in stops), default=0) + 4

    def __call__(self, row: int, tokens: Sequence[int]) -> bool:
        """Whether the row ends after these tokens."""
        ended = bool(self._stops) and cut_at(self._decode(tokens[-self._tail :]), self._stops)[1]
        if row == 0 and self._on_text:
            self._tell(self._decode(tokens), ended)
        return ended

    def close(self, text: str) -> None:
        """Tell what is left of the first row's text, now that it is whole."""
        if self._on_text and len(text) > self._told:
            self._on_text(text[self._told :])
        self._told = max(self._told, len(text))

    def _tell(self, text: str, ended: bool) -> None:
        assert self._on_text is not None
        ready = cut_at(text, self._stops)[0] if ended else text[: self._sure(text)]
        if len(ready) > self._told:
            self._on_text(ready[self._told :])
            self._told = len(ready)

    def _sure(self, text: str) -> int:
        """How many characters no later token can change or cut away."""
        end = len(text.rstrip("\ufffd"))
        for stop in self._stops:
            held = next(
                (n for n in range(len(stop) - 1, 0, -1) if text[:end].endswith(stop[:n])), 0
            )
            end -= held
        return end
