"""Where the words of a text lie, as an encoder reads them: its tokens, put together to words.

Chinese is written without spaces: there a word is what the tokenizer holds as one token, at least
one whole character. Elsewhere it is a run of letters, digits and apostrophes.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from wenfang.data.parallel import HAN
from wenfang.tokenizer import Tokenizer

# Kana and Hangul beside Han: what is no run of letters with spaces around it.
UNSPACED = re.compile(rf"[{HAN}\u3040-\u30ff]")
JAMO = range(0x1160, 0x1200)  # vowels and finals that join the Hangul letter before


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A text without compatibility forms and case, and where each of its characters came from.

    places  [first, end) in the original, one for each character of `text`
    """

    text: str
    places: tuple[tuple[int, int], ...]


def fold(text: str) -> Folded:
    """`text` as `MaskedLayout.plain` makes it, piece by piece, so that places are known."""
    characters: list[str] = []
    places: list[tuple[int, int]] = []
    for first, end in _clusters(text):
        for character in unicodedata.normalize("NFKC", text[first:end]).casefold():
            if character.isspace():
                if not characters or characters[-1] == " ":
                    continue
                character = " "
            characters.append(character)
            places.append((first, end))
    if characters and characters[-1] == " ":
        characters.pop()
        places.pop()
    return Folded(text="".join(characters), places=tuple(places))


def as_it_stands(text: str) -> Folded:
    """`text` for a tokenizer that folds by itself."""
    return Folded(text=text, places=tuple((n, n + 1) for n in range(len(text))))


def _clusters(text: str) -> list[tuple[int, int]]:
    """Characters with the marks that are composed with them."""
    starts = [
        place
        for place, character in enumerate(text)
        if place == 0 or not (unicodedata.combining(character) or ord(character) in JAMO)
    ]
    return list(pairwise([*starts, len(text)]))


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word: its place [first, end) in the original text, and in the list of tokens."""

    first: int
    end: int
    tokens: range


def words_of(folded: Folded, tokenizer: Tokenizer) -> tuple[list[int], list[Word]]:
    """Ids of the whole text, and its words; marks and spaces are none."""
    ids, spans = tokenizer.spans(folded.text)
    groups: list[tuple[int, int, int, int]] = []  # first, end in folded; first, end in tokens
    for number, (first, end) in enumerate(_stripped(folded.text, span) for span in spans):
        if groups and _goes_on(folded.text, groups[-1][1], first):
            before = groups[-1]
            groups[-1] = (before[0], max(before[1], end), before[2], number + 1)
        else:
            groups.append((first, end, number, number + 1))
    words = [
        Word(
            first=folded.places[first][0],
            end=folded.places[end - 1][1],
            tokens=range(start, stop),
        )
        for first, end, start, stop in groups
        if any(character.isalnum() for character in folded.text[first:end])
    ]
    return ids, words


def _stripped(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """A token's place without the spaces that it begins or ends with."""
    first, end = span
    while first < end and text[first].isspace():
        first += 1
    while end > first and text[end - 1].isspace():
        end -= 1
    return first, end


def _goes_on(text: str, end: int, first: int) -> bool:
    """Whether a token that begins at `first` belongs to the word that ends at `end`."""
    if first < end:  # another byte of the same character
        return True
    return first == end and 0 < end < len(text) and _joined(text[end - 1]) and _joined(text[end])


def _joined(character: str) -> bool:
    return character == "'" or (character.isalnum() and not UNSPACED.match(character))
