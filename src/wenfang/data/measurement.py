"""What a rule found, and what several rules measure with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wenfang.data.ngrams import gram_hashes, unit_hashes


class Measurement(NamedTuple):
    """A rule's name, the value it measured, and the bounds that the value must keep."""

    rule: str
    value: float
    least: float
    most: float

    @property
    def kept(self) -> bool:
        """True where the value is within its bounds."""
        return self.least <= self.value <= self.most

    @property
    def threshold(self) -> float:
        """The bound that matters for this value."""
        return self.least if self.value < self.least else self.most


def between(
    rule: str, value: float, *, least: float = float("-inf"), most: float = float("inf")
) -> Measurement:
    """A measurement with the bounds that are given."""
    return Measurement(rule, value, least, most)


def is_han(character: str) -> bool:
    """True for a Chinese character, the extensions and 〇 included."""
    code = ord(character)
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0x20000 <= code <= 0x323AF
        or 0xF900 <= code <= 0xFAFF
        or code == 0x3007
    )


def share(part: float, whole: float) -> float:
    """part / whole, 0 where there is no whole."""
    return part / whole if whole else 0.0


def repeated(items: Sequence[str]) -> tuple[int, int]:
    """How many of `items` came before, and the characters in them."""
    seen: set[str] = set()
    count = characters = 0
    for item in items:
        if item in seen:
            count += 1
            characters += len(item)
        seen.add(item)
    return count, characters


class Grams:
    """Repetition of n-grams in a text, by the hashes of its units (characters or words)."""

    def __init__(self, units: Sequence[str]) -> None:
        self._hashes = unit_hashes(units if isinstance(units, str) else list(units))
        self._lengths = np.fromiter(map(len, units), np.int64, len(units))

    def top_characters(self, size: int) -> int:
        """Characters covered by the most frequent n-gram of `size` units; 0 if none repeats."""
        grams = gram_hashes(self._hashes, size)
        if len(grams) == 0:
            return 0
        _, first, counts = np.unique(grams, return_index=True, return_counts=True)
        count = int(counts.max())
        place = int(first[counts == count].min())
        return count * int(self._lengths[place : place + size].sum()) if count > 1 else 0

    def repeated_characters(self, size: int) -> int:
        """Characters in n-grams that came before, each character once (Gopher, table A1)."""
        grams = gram_hashes(self._hashes, size)
        order = np.argsort(grams, kind="stable")
        again = order[1:][grams[order][1:] == grams[order][:-1]]
        covered = np.zeros(len(self._hashes), np.bool_)
        for offset in range(size):
            covered[again + offset] = True
        return int(self._lengths[covered].sum())
