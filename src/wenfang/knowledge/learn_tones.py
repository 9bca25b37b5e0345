"""Learns which characters are level (平) and which oblique (仄) from quatrains alone.

In regulated verse the 2nd, 4th and 6th characters of a line alternate in tone, and a couplet's
lines oppose each other while neighbouring couplets agree (粘對): one hidden sign a poem explains
up to twelve characters. Lines 2 and 4 end in one tone (mostly level), line 3 in the other. A
two-valued mixture fitted by expectation and maximisation (EM) finds the hidden signs and, for each
character, the share of its uses that are level. Modern readings only break ties for rare ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Poem = Sequence[str]
Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

ROUNDS = 25
LEVEL_RHYME_LOG_ODDS = 2.5  # nine in ten rhymes are level: this, too, says which sign is "level"
PRIOR_WEIGHT = 4.0  # a modern reading counts as much as four uses
SHARE_RANGE = (0.03, 0.97)  # no single character may decide a poem's sign
LINE_SIGNS = (1, -1, -1, 1)
POSITION_SIGNS = {1: 1, 3: -1, 5: 1}
ENDING_SIGNS = {1: 1, 2: -1, 3: 1}


@dataclass(frozen=True, kw_only=True)
class Tones:
    """What was learned.

    level_share  character -> share of its uses that are level, 0 to 1
    uses         character -> how many uses in telling positions
    level_rhyme  (poems,) probability that the poem rhymes in level tone
    """

    level_share: dict[str, float]
    uses: dict[str, int]
    level_rhyme: Floats


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Telling places of all poems: three arrays of one length (character, sign, poem)."""

    character: Whole
    sign: Whole
    poem: Whole
    poems: int
    vocabulary: int

    def posterior(self, log_odds: Floats, prior: float) -> Floats:
        """(poems,) probability that the poem's hidden sign is +1."""
        weights = self.sign * log_odds[self.character]
        total = np.bincount(self.poem, weights=weights, minlength=self.poems) + prior
        return np.asarray(1 / (1 + np.exp(-np.clip(total, -30, 30))))

    def counts(self, sign_probability: Floats) -> tuple[Floats, Floats]:
        """(V,) expected level uses and (V,) uses of each character."""
        level = sign_probability[self.poem]
        level = np.where(self.sign > 0, level, 1 - level)
        size = self.vocabulary
        return (
            np.bincount(self.character, weights=level, minlength=size).astype(np.float64),
            np.bincount(self.character, minlength=size).astype(np.float64),
        )


def learn_tones(poems: Sequence[Poem], modern_level: Mapping[str, float]) -> Tones:
    """Tones of every character in `poems`.

    modern_level  character -> chance that its modern reading was level (0.5 where missing)
    """
    vocabulary = sorted({character for poem in poems for line in poem for character in line})
    index = {character: place for place, character in enumerate(vocabulary)}
    inside, endings = _inside(poems, index), _endings(poems, index)
    prior = np.array([modern_level.get(character, 0.5) for character in vocabulary])
    share, uses, level_rhyme = _fit(inside, endings, prior)
    return Tones(
        level_share={c: float(share[i]) for c, i in index.items()},
        uses={c: int(uses[i]) for c, i in index.items()},
        level_rhyme=level_rhyme,
    )


def _fit(inside: _Places, endings: _Places, prior: Floats) -> tuple[Floats, Floats, Floats]:
    """EM; the first round knows nothing but that rhymes are mostly level."""
    log_odds = np.zeros(len(prior))
    for round_ in range(ROUNDS):
        level_rhyme = endings.posterior(log_odds, LEVEL_RHYME_LOG_ODDS)
        level, uses = endings.counts(level_rhyme)
        if round_:
            inner_level, inner_uses = inside.counts(inside.posterior(log_odds, 0.0))
            level, uses = level + inner_level, uses + inner_uses
        share = (level + PRIOR_WEIGHT * prior) / (uses + PRIOR_WEIGHT)
        bounded = np.clip(share, *SHARE_RANGE)
        log_odds = np.log(bounded / (1 - bounded))
    return share, uses, level_rhyme


def _inside(poems: Sequence[Poem], index: Mapping[str, int]) -> _Places:
    places = [
        (index[line[position]], LINE_SIGNS[number] * sign, poem)
        for poem, lines in enumerate(poems)
        for number, line in enumerate(lines)
        for position, sign in POSITION_SIGNS.items()
        if position < len(line) - 1
    ]
    return _places(places, len(poems), len(index))


def _endings(poems: Sequence[Poem], index: Mapping[str, int]) -> _Places:
    places = [
        (index[lines[number][-1]], sign, poem)
        for poem, lines in enumerate(poems)
        for number, sign in ENDING_SIGNS.items()
    ]
    return _places(places, len(poems), len(index))


def _places(rows: list[tuple[int, int, int]], poems: int, vocabulary: int) -> _Places:
    table = np.array(rows, dtype=np.int64)
    return _Places(
        character=table[:, 0],
        sign=table[:, 1],
        poem=table[:, 2],
        poems=poems,
        vocabulary=vocabulary,
    )
