"""How a record becomes tokens, and how a request becomes a prompt: one place for both.

A bundle's config names its layout, so that what asks a model speaks as its training did.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wenfang.errors import DataError
from wenfang.tokenizer import BEGIN, END, PADDING, Tokenizer

TITLE_CHARACTERS = 20
SEPARATOR = "<sep>"
LINE_BREAK = "\n"
LABELLED_CHARACTERS = 192

Parts = tuple[list[int], list[int], list[int]]


@dataclass(frozen=True, kw_only=True)
class VerseLayout:
    """`<form> [title <sep>] line NEWLINE line NEWLINE line NEWLINE line <eos>`.

    The form is the number of characters in a line. Punctuation is left out, since the form
    decides it. Titles longer than TITLE_CHARACTERS are cut.
    """

    specials: tuple[str, ...] = ("<5>", "<7>", SEPARATOR)

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its characters from."""
        return [record["title"][:TITLE_CHARACTERS], LINE_BREAK.join(record["lines"])]

    def opening(self, characters: int, tokenizer: Tokenizer) -> list[int]:
        """The token that tells how many characters a line has."""
        return [tokenizer.id(f"<{characters}>")]

    def condition(self, title: str, tokenizer: Tokenizer) -> list[int]:
        """A title and its separator; nothing for an empty title."""
        if not title:
            return []
        return [*tokenizer.encode(title[:TITLE_CHARACTERS]), tokenizer.id(SEPARATOR)]

    def body(self, lines: list[str], tokenizer: Tokenizer) -> list[int]:
        """The poem and its end."""
        return [*tokenizer.encode(LINE_BREAK.join(lines)), tokenizer.id(END)]

    def scored(self, tokenizer: Tokenizer) -> np.ndarray:
        """(V,) bool: tokens that are characters of verse (or unknown ones), not marks of layout."""
        marks = {LINE_BREAK, PADDING, END, *self.specials}
        return np.array([token not in marks for token in tokenizer.tokens()])

    def parts(self, record: Mapping[str, Any], tokenizer: Tokenizer) -> Parts:
        """A record as (opening, condition, body)."""
        lines = record["lines"]
        return (
            self.opening(len(lines[0]), tokenizer),
            self.condition(record["title"], tokenizer),
            self.body(lines, tokenizer),
        )


@dataclass(frozen=True, kw_only=True)
class LabelledLayout:
    """A short text and its class; nothing is generated, so there are no marks of layout.

    Read as people mean it: compatibility forms and case are taken away, spaces left out, and a
    character repeated more than three times is cut to three. The label is the class's number.
    """

    specials: tuple[str, ...] = ()

    def plain(self, text: str) -> str:
        """`text` as the classifier reads it, at most LABELLED_CHARACTERS of it."""
        folded = unicodedata.normalize("NFKC", text).casefold()
        close = re.sub(r"\s+", "", folded)
        return re.sub(r"(.)\1{3,}", r"\1\1\1", close)[:LABELLED_CHARACTERS]

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its characters from."""
        return [self.plain(record["text"])]

    def parts(self, record: Mapping[str, Any], tokenizer: Tokenizer) -> Parts:
        """A record as (opening, condition, body); all of it is body."""
        return [], [], tokenizer.encode(self.plain(record["text"]))

    def label(self, record: Mapping[str, Any]) -> int:
        """The number of the record's class; DataError where it has none."""
        found = record.get("label")
        if not isinstance(found, str | int) or not str(found).isdecimal():
            raise DataError(
                "a record has the label {label}; give a field label with 0, 1, …", label=found
            )
        return int(found)


@dataclass(frozen=True, kw_only=True)
class PairLayout:
    """A prompt and its completion, each closed by <eos>; either may be any text."""

    specials: tuple[str, ...] = ()

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its vocabulary from."""
        return [record["prompt"], record["completion"]]

    def source(self, prompt: str, tokenizer: Tokenizer) -> list[int]:
        """What the encoder reads."""
        return [*tokenizer.encode(prompt), tokenizer.id(END)]

    def target(self, completion: str, tokenizer: Tokenizer) -> list[int]:
        """What the decoder writes."""
        return [*tokenizer.encode(completion), tokenizer.id(END)]

    def pair(self, record: Mapping[str, Any], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
        """A record as source and target."""
        source = self.source(record["prompt"], tokenizer)
        return source, self.target(record["completion"], tokenizer)


@dataclass(frozen=True, kw_only=True)
class CompletionLayout:
    """A prompt and what a causal model writes after it, `<eos>`; only the latter is learnt.

    A foreign model that learnt a token before every text reads it here too.
    """

    specials: tuple[str, ...] = ()

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its vocabulary from."""
        return [record["prompt"], record["completion"]]

    def parts(self, record: Mapping[str, Any], tokenizer: Tokenizer) -> Parts:
        """A record as (opening, condition, body)."""
        opening = [tokenizer.id(BEGIN)] if BEGIN in tokenizer.roles else []
        prompt = tokenizer.encode(record["prompt"])
        return opening, prompt, [*tokenizer.encode(record["completion"]), tokenizer.id(END)]


VERSE, LABELLED = VerseLayout(), LabelledLayout()
COMPLETION = CompletionLayout()
LAYOUTS: dict[str, VerseLayout | LabelledLayout | CompletionLayout] = {
    "verse": VERSE,
    "labelled": LABELLED,
    "completion": COMPLETION,
}
