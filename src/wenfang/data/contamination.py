"""Evaluation text must not be trained on: records that share a 13-gram with it are left out.

13 words as in GPT-3 (Brown et al. 2020, appendix C); 13 characters for Chinese. Of a part that is
held out whole, near repeats are left out too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wenfang.data.duplicates import band_keys, shingles
from wenfang.data.ngrams import Hashes, Unit, matter


@dataclass(frozen=True, kw_only=True)
class EvaluationText:
    """Hashes of the n-grams of evaluation sets: 8 bytes in memory for each.

    A text shorter than `size` is one n-gram, found only where it stands alone.
    """

    grams: Hashes
    size: int
    unit: Unit

    @classmethod
    def build(cls, texts: Iterable[str], *, size: int, unit: Unit) -> EvaluationText:
        """Gather the n-grams of `texts`."""
        parts = [shingles(text, size, unit) for text in texts if matter(text)]
        grams = np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
        return cls(grams=grams, size=size, unit=unit)

    def shared(self, text: str) -> int:
        """How many n-grams of `text` are in an evaluation set."""
        if len(self.grams) == 0 or not matter(text):
            return 0
        return int(np.count_nonzero(_found(shingles(text, self.size, self.unit), self.grams)))


@dataclass(frozen=True, kw_only=True)
class NearText:
    """MinHash keys of a held-out part; a text that shares one nearly repeats a part's text."""

    keys: Hashes
    shingle_size: int
    unit: Unit

    @classmethod
    def build(cls, texts: Iterable[str], *, shingle_size: int, unit: Unit) -> NearText:
        """Gather the keys of `texts`."""
        parts = [band_keys(text, shingle_size, unit) for text in texts if matter(text)]
        keys = np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
        return cls(keys=keys, shingle_size=shingle_size, unit=unit)

    def repeated_by(self, text: str) -> bool:
        """Whether `text` nearly repeats one of the texts."""
        if len(self.keys) == 0 or not matter(text):
            return False
        return bool(_found(band_keys(text, self.shingle_size, self.unit), self.keys).any())


def _found(wanted: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """(n,) which of `wanted` (n,) are in the sorted `known`; np.isin would sort it each time."""
    places = np.searchsorted(known, wanted)
    places[places == len(known)] = 0
    return np.asarray(known[places] == wanted)
