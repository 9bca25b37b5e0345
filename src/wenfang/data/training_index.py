"""What a model was trained on, as hashes: found again without the text.

An index holds two sets (see sorted_codes): whole lines, cut to as many bits as keep the chance of
taking a new line for a known one below one in a million, and n-grams cut to 30 bits. Runs are
found by chaining: where consecutive n-grams of a text are all known, the run is copied. A single
n-gram is taken for known by mistake with chance n / 2**30 (1.7e-3 for 1.8 million), so a run may
be told one unit too long that often at each end, two units with the square of it; a text of 28
characters without any copy shows a false run of `gram_size` in one case of 25, of one unit more
in one of 15,000. `gram_bits` trades this against size: each bit more halves it for 1/8 byte each.

Letters and digits alone are compared, so punctuation and spaces hide nothing. Runs go over line
ends, not over the end of a text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wenfang.data.index_file import damaged, read_index, write_index
from wenfang.data.ngrams import (
    WORD,
    Hashes,
    Unit,
    gram_hashes,
    line_hashes,
    matter,
    text_grams,
    unit_hashes,
    units_of,
)
from wenfang.data.sorted_codes import SortedCodes
from wenfang.errors import BundleError

INDEX = "index.safetensors"  # its name in a bundle
KIND = "training_index"
LINE_FALSE_POSITIVES = 1e-6
GRAM_BITS = 30
GRAM_SIZE = {"character": 6, "word": 6}
GATHER = 4_000_000
LINE = re.compile(r"[^\n]+")


@dataclass(frozen=True, kw_only=True)
class TrainingIndex:
    """Lines and n-grams of a training set, as sorted hashes.

    gram_size  units in an n-gram; runs shorter than this are not seen, but for whole lines
    unit       of runs: characters for Chinese, words for English
    """

    lines: SortedCodes
    grams: SortedCodes
    gram_size: int
    unit: Unit

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        *,
        unit: Unit = "character",
        gram_size: int | None = None,
        gram_bits: int = GRAM_BITS,
    ) -> TrainingIndex:
        """Index `texts`, each a whole training record; needs 8 bytes for each distinct n-gram."""
        size = gram_size or GRAM_SIZE[unit]
        lines, grams = _Gathered(), _Gathered()
        for text in texts:
            grams.add(gram_hashes(unit_hashes(units_of(text, unit)), size))
            lines.add(line_hashes([line for line in text.split("\n") if matter(line)]))
        whole = lines.distinct()
        return cls(
            lines=SortedCodes.build(whole, line_bits(len(whole))),
            grams=SortedCodes.build(grams.distinct(), gram_bits),
            gram_size=size,
            unit=unit,
        )

    def joined(self, other: TrainingIndex) -> TrainingIndex:
        """An index of the material of both, whose codes are as short as the shorter of the two.

        raises BundleError where the two count runs differently
        """
        if (self.gram_size, self.unit) != (other.gram_size, other.unit):
            raise BundleError(
                "the index of the base counts runs of {size} by {unit}, which cannot be joined; "
                "get the bundle again",
                size=self.gram_size,
                unit=self.unit,
            )
        lines, grams = self.lines.joined(other.lines), self.grams.joined(other.grams)
        return TrainingIndex(lines=lines, grams=grams, gram_size=self.gram_size, unit=self.unit)

    def contains(self, line: str) -> bool:
        """True where the whole of `line` is a line of the training set."""
        return bool(matter(line)) and self._known_line(line)

    def _known_line(self, line: str) -> bool:
        return bool(self.lines.contains(line_hashes([line]))[0])

    def longest_copy(self, text: str) -> tuple[int, str]:
        """The longest run of `text` that is in the training set: its units, and the run itself.

        (0, "") where nothing as long as `gram_size` nor a whole line is copied.
        """
        best = self._longest_run(text)
        for line in LINE.findall(text):
            length = len(units_of(line, self.unit))
            if length > best[0] and self.contains(line):
                best = (length, line.strip())
        return best

    def known_share(self, text: str, window: int) -> float:
        """The largest share, in `window` consecutive n-grams of `text`, that is known; 0..1.

        A shorter text is one window. The training set counts as a whole, so that commonplaces of
        many records add up.
        """
        hits = self.grams.contains(text_grams(text, self.gram_size, self.unit))
        width = min(window, len(hits))
        if width == 0:
            return 0.0
        sums = np.concatenate(([0], np.cumsum(hits)))
        return float((sums[width:] - sums[:-width]).max() / width)

    def _longest_run(self, text: str) -> tuple[int, str]:
        units, starts, ends = _located(text, self.unit)
        hits = self.grams.contains(gram_hashes(unit_hashes(units), self.gram_size))
        first, count = _longest_true(hits)
        if count == 0:
            return 0, ""
        length = count + self.gram_size - 1
        return length, text[starts[first] : ends[first + length - 1]]

    def save(self, path: Path) -> None:
        """Write one .safetensors file, atomically; the same index gives the same bytes."""
        parts = {"lines": self.lines, "grams": self.grams}
        tensors = {}
        for name, codes in parts.items():
            tensors[f"{name}.lower"], tensors[f"{name}.unary"] = codes.pack()
        about = {
            "format": 1,
            "unit": self.unit,
            "gram_size": self.gram_size,
            **{f"{name}_count": len(codes) for name, codes in parts.items()},
            **{f"{name}_bits": codes.bits for name, codes in parts.items()},
        }
        write_index(path, KIND, tensors, about)

    @classmethod
    def load(cls, path: Path) -> TrainingIndex:
        """Read what `save` wrote; BundleError where the file is no index or is damaged."""
        arrays, about = read_index(path, KIND)
        codes: Any = arrays  # of bytes, or `unpack` raises TypeError
        try:
            sets = {
                name: SortedCodes.unpack(
                    codes[f"{name}.lower"],
                    codes[f"{name}.unary"],
                    count=about[f"{name}_count"],
                    bits=about[f"{name}_bits"],
                )
                for name in ("lines", "grams")
            }
            return cls(**sets, gram_size=about["gram_size"], unit=about["unit"])
        except (KeyError, TypeError, ValueError) as reason:
            raise damaged(path, str(reason)) from None


def line_bits(count: int) -> int:
    """Bits of a line's hash, so that a new line passes for one of `count` with chance < 1e-6."""
    return min(max(math.ceil(math.log2(max(count, 1) / LINE_FALSE_POSITIVES)), 32), 64)


class _Gathered:
    """Hashes that are made distinct whenever many have come together."""

    def __init__(self) -> None:
        self._parts: list[Hashes] = []
        self._size = 0
        self._limit = GATHER

    def add(self, hashes: Hashes) -> None:
        self._parts.append(hashes)
        self._size += len(hashes)
        if self._size > self._limit:
            self._parts = [self.distinct()]
            self._size = len(self._parts[0])
            self._limit = max(GATHER, 2 * self._size)

    def distinct(self) -> Hashes:
        return np.unique(np.concatenate([np.zeros(0, np.uint64), *self._parts]))


def _located(text: str, unit: Unit) -> tuple[list[str] | str, list[int], list[int]]:
    """The units of `text` and where in it each begins and ends."""
    if unit == "word":
        found = list(WORD.finditer(text))
        starts, ends = [m.start() for m in found], [m.end() for m in found]
        return [match.group().lower() for match in found], starts, ends
    # Lower case may be longer than its capital (İ), so that places are counted one by one.
    pieces = [(place, piece) for place, one in enumerate(text) for piece in matter(one)]
    starts = [place for place, _ in pieces]
    return "".join(piece for _, piece in pieces), starts, [place + 1 for place in starts]


def _longest_true(hits: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the longest run of True begins and how long it is; the first of equals."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], hits.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    if len(starts) == 0:
        return 0, 0
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best] - starts[best])
