"""Which word stands for which: IBM Model 1 (Brown et al. 1993), a baseline that knows no order.

Learnt from pairs of sentences alone, by expectation maximisation; a sentence's translation is
then the one whose words are likeliest, given its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Sentences = Sequence[Sequence[int]]
UNSEEN = 1e-5  # chance of a word that was never seen beside another


@dataclass(frozen=True, kw_only=True)
class WordTable:
    """t(target word | source word), of the pairs of words that were seen together.

    codes  (N,) int64, sorted, source x size + target; the source `size - 1` stands for no word
    chance (N,) float64
    """

    size: int
    codes: NDArray[np.int64]
    chance: NDArray[np.float64]

    @classmethod
    def learn(
        cls, sources: Sentences, targets: Sentences, vocabulary_size: int, rounds: int = 6
    ) -> WordTable:
        """By `rounds` of expectation maximisation from a uniform table."""
        size = vocabulary_size + 1
        codes, groups, first = [], [], 0
        for source, target in zip(sources, targets, strict=True):
            own = np.array([*source, size - 1], dtype=np.int64)
            codes.append((own[:, None] * size + np.array(target, dtype=np.int64)).ravel())
            groups.append(np.tile(first + np.arange(len(target)), len(own)))
            first += len(target)
        known, place = np.unique(np.concatenate(codes), return_inverse=True)
        group = np.concatenate(groups)
        owner = known // size
        chance = np.full(len(known), 1.0)
        for _ in range(rounds):
            share = chance[place]
            share /= np.bincount(group, share)[group]
            counts = np.bincount(place, share, minlength=len(known))
            chance = counts / np.bincount(owner, counts)[owner]
        return cls(size=size, codes=known, chance=chance)

    def among(self, sources: Sequence[int], targets: Sequence[int]) -> NDArray[np.float64]:
        """t(target | source) of every two of these words, (S, T); UNSEEN where there is none."""
        wanted = np.array(sources)[:, None] * self.size + np.array(targets)
        place = np.searchsorted(self.codes, wanted).clip(max=len(self.codes) - 1)
        found: NDArray[np.float64] = np.where(
            self.codes[place] == wanted, self.chance[place], 0.0
        ).clip(min=UNSEEN)
        return found

    def scores(self, sources: Sentences, targets: Sentences) -> NDArray[np.float64]:
        """Mean log probability of a word of each target, given each source: (S, T) nats."""
        words = sorted({word for target in targets for word in target})
        column = {word: number for number, word in enumerate(words)}
        counts = np.zeros((len(targets), len(words)))
        for row, target in enumerate(targets):
            for word in target:
                counts[row, column[word]] += 1 / len(target)
        rows = [
            np.log(self.among([*source, self.size - 1], words).mean(0)) @ counts.T
            for source in sources
        ]
        return np.stack(rows)
