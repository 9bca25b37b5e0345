"""How well a rhyme checker tells real rhymes from shuffled ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wenfang.knowledge.rhyme import RhymeTable

Pair = tuple[str, str]
Checker = Callable[[str, str], bool]
SHUFFLES = 5


@dataclass(frozen=True, kw_only=True)
class RhymeMeasure:
    """Shares between 0 and 1.

    pairs             real pairs measured: one a poem, the last characters of lines 2 and 4
    accepted          of the real pairs
    rejected          of the same characters shuffled, mean of SHUFFLES shuffles
    chance_agreement  of two poems of the set, drawn at random, that are in one class: what even a
                      perfect checker cannot reject
    """

    pairs: int
    accepted: float
    rejected: float
    chance_agreement: float


def rhyme_pairs(
    poems: Iterable[Sequence[str]], table: RhymeTable, *, characters: int, tone: str
) -> list[Pair]:
    """The rhyme characters of the poems with lines of `characters` in that rhyme tone.

    The rule uses tones only, never rhyme classes: a poem belongs to "level" unless a rhyme
    character is known to be only oblique, and to "oblique" where both are known to be only that.
    A poem that does not rhyme at all stays in, and counts against acceptance. "any" takes all.
    """
    pairs = [
        (lines[1][-1], lines[3][-1])
        for lines in poems
        if len(lines) == 4 and all(len(line) == characters for line in lines)
    ]
    if tone == "any":
        return pairs
    wanted = 0 if tone == "level" else 2
    return [pair for pair in pairs if sum(table.tone(c) == "oblique" for c in pair) == wanted]


def measure_rhymes(rhymes: Checker, pairs: Sequence[Pair], table: RhymeTable) -> RhymeMeasure:
    """Acceptance of real pairs and rejection of shuffled ones.

    A shuffle pairs the rhyme character of line 2 with that of line 4 of another poem of the set,
    by a random cyclic order (no poem meets itself), drawn by Philox from the shuffle's number.
    Shuffled pairs that happen to rhyme are left in and count against rejection.
    """
    if len(pairs) < 2:
        return RhymeMeasure(pairs=len(pairs), accepted=0, rejected=0, chance_agreement=0)
    accepted = sum(rhymes(*pair) for pair in pairs) / len(pairs)
    wrong = sum(rhymes(*pair) for seed in range(SHUFFLES) for pair in _shuffled(pairs, seed))
    return RhymeMeasure(
        pairs=len(pairs),
        accepted=accepted,
        rejected=1 - wrong / (SHUFFLES * len(pairs)),
        chance_agreement=_chance(pairs, table),
    )


def _shuffled(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(pairs))
    after = np.roll(order, 1)
    return [(pairs[i][0], pairs[j][1]) for i, j in zip(order, after, strict=True)]


def _chance(pairs: Sequence[Pair], table: RhymeTable) -> float:
    """Sum of squared shares of the classes, a poem's class being one that both rhymes share."""
    shared = [table.rhyme_class(a) & table.rhyme_class(b) for a, b in pairs]
    counts = Counter(min(names) for names in shared if names)
    total = sum(counts.values())
    return sum((count / total) ** 2 for count in counts.values()) if total else 0.0
