"""Evaluation text must not be trained on: records that share a 13-gram with it are left out.

13 words as in GPT-3 (Brown et al. 2020, appendix C); 13 characters for Chinese.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wenfang.data.duplicates import shingles
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
        grams = shingles(text, self.size, self.unit)
        places = np.searchsorted(self.grams, grams)
        places[places == len(self.grams)] = 0
        return int(np.count_nonzero(self.grams[places] == grams))
