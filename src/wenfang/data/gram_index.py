"""Which documents hold which n-grams, so that a copy is found together with where it came from.

A document is anything that is a row of hashes: the n-grams of a text, of a melody's intervals.
Hashes and owners are two sorted arrays (12 bytes for each distinct n-gram of each document), so
that a question about k n-grams is k searches. A 64-bit hash is taken for another with chance
n / 2**64. Consecutive n-grams that all stand in one document are called a run; they need not
stand there in that order, which is why documents should be short (see `text_index`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wenfang.data.ngrams import Hashes
from wenfang.errors import DataError

LIMIT_GRAMS = 8_000_000  # 96 MB
# A question never expands to more pairs (n-gram, owner) than this; of a commonplace n-gram only
# the first owners count.
LIMIT_PAIRS = 4_000_000
LEAST_OWNERS = 4

Keys = NDArray[np.int64]


class Span(NamedTuple):
    """`found` n-grams, from n-gram `first` on, that stand in the document `owner` (-1: none)."""

    first: int
    found: int
    owner: int


NOTHING = Span(0, 0, -1)


@dataclass(frozen=True, kw_only=True)
class GramIndex:
    """Sorted hashes and their owners.

    codes   (n,) uint64, increasing; an n-gram of many documents stands many times
    owners  (n,) uint32, numbers of documents, increasing among equal codes
    """

    codes: Hashes
    owners: NDArray[np.uint32]

    @classmethod
    def build(cls, documents: Iterable[Hashes]) -> GramIndex:
        """Index the n-grams of `documents`; raises DataError past LIMIT_GRAMS."""
        codes, owners, total = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)], 0
        for number, grams in enumerate(documents):
            distinct = np.unique(grams)
            total += len(distinct)
            if total > LIMIT_GRAMS:
                raise DataError(
                    "there is more to compare with than {limit} n-grams; name a smaller folder",
                    limit=LIMIT_GRAMS,
                )
            codes.append(distinct)
            owners.append(np.full(len(distinct), number, np.uint32))
        together = np.concatenate(codes)
        order = np.argsort(together, kind="stable")
        return cls(codes=together[order], owners=np.concatenate(owners)[order])

    def longest_run(self, grams: Hashes) -> Span:
        """The longest run of consecutive `grams` that one document holds; the first of equals."""
        keys, stride = self._hits(grams)
        if len(keys) == 0:
            return NOTHING
        breaks = np.flatnonzero(np.diff(keys) != 1) + 1
        starts = np.concatenate(([0], breaks))
        lengths = np.diff(np.concatenate((starts, [len(keys)])))
        best = int(np.argmax(lengths))
        return _span(int(keys[starts[best]]), int(lengths[best]), stride)

    def densest(self, grams: Hashes, window: int) -> Span:
        """The run of `window` consecutive `grams` of which one document holds the most.

        `found` is how many of them it holds.
        """
        keys, stride = self._hits(grams, window)
        if len(keys) == 0:
            return NOTHING
        counts = np.searchsorted(keys, keys + window) - np.arange(len(keys))
        best = int(np.argmax(counts))
        return _span(int(keys[best]), int(counts[best]), stride)

    def _hits(self, grams: Hashes, apart: int = 1) -> tuple[Keys, int]:
        """Every (owner, place) of a known n-gram as sorted owner * stride + place, and stride.

        Places of one owner lie less than `stride - apart` from each other.
        """
        stride = len(grams) + apart + 1
        most = max(LIMIT_PAIRS // max(len(grams), 1), LEAST_OWNERS)
        left = np.searchsorted(self.codes, grams, "left")
        counts = np.minimum(np.searchsorted(self.codes, grams, "right") - left, most)
        places = np.repeat(np.arange(len(grams)), counts)
        offsets = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        owners = self.owners[np.repeat(left, counts) + offsets].astype(np.int64)
        return np.sort(owners * stride + places), stride

    def pack(self) -> dict[str, NDArray[np.generic]]:
        """The arrays by name, for a .safetensors file."""
        return {"codes": self.codes, "owners": self.owners}

    @classmethod
    def unpack(cls, arrays: Mapping[str, NDArray[np.generic]], documents: int) -> GramIndex:
        """What `pack` gave; ValueError where it is no index of `documents` documents."""
        codes: Any = arrays["codes"]
        owners: Any = arrays["owners"]
        if codes.dtype != np.uint64 or owners.dtype != np.uint32:
            raise ValueError("the arrays of an index of n-grams are of another kind")
        if codes.ndim != 1 or codes.shape != owners.shape:
            raise ValueError("the arrays of an index of n-grams do not fit each other")
        if len(owners) and int(owners.max()) >= documents:
            raise ValueError("an n-gram belongs to a document that is not named")
        if np.any(codes[1:] < codes[:-1]):
            raise ValueError("the n-grams of an index are not sorted")
        return cls(codes=codes, owners=owners)


def _span(key: int, count: int, stride: int) -> Span:
    owner, first = divmod(key, stride)
    return Span(first, count, owner)
