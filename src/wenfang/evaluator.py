"""Sample, measure, report: what a bundle is worth, in numbers that anyone can measure again.

An evaluation is sampler × metric. Each function here takes what it needs as a value or a plain
function, so that it is the same for our bundles and for models from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wenfang.device import noise
from wenfang.knowledge import verse
from wenfang.metrics.kneser_ney import KneserNey
from wenfang.metrics.text import CopyIndex, describe

Lines = tuple[str, ...]
Nats = Callable[[Sequence[str], Sequence[Sequence[str]]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Quatrain:
    """A real poem: its title and its lines."""

    title: str
    lines: Lines


def bits(nats: np.ndarray, counts: np.ndarray) -> float:
    """Bits a scored token from summed nats and counts of each sequence."""
    return float(nats.sum() / counts.sum() / math.log(2))


def kneser_ney_bits(
    train: Iterable[Sequence[int]],
    test: Sequence[Sequence[int]],
    scored: np.ndarray,
    order: int,
) -> tuple[float, float]:
    """Bits a scored token of a modified Kneser-Ney model on `test`: plain, and told the layout.

    scored  (V,) bool. Tokens outside it are layout. The second number scores every other token as
            if layout could not have stood in its place.
    """
    model = KneserNey.fit(train, len(scored), order)
    counted = scored[np.concatenate([np.asarray(sequence) for sequence in test])]

    def mean_bits(barred: list[int]) -> float:
        nats = -model.log_probabilities_of(test, barred)
        return float(nats[counted].sum() / counted.sum() / math.log(2))

    return mean_bits([]), mean_bits(np.flatnonzero(~scored).tolist())


def title_ranking(
    nats: Nats, poems: Sequence[Quatrain], *, candidates: int = 10, seed: int = 0
) -> float:
    """Share of poems whose true title, among others drawn from `poems`, explains them best.

    A chance hit has probability 1 / candidates; there are fewer where there are fewer titles.
    """
    titles = sorted({poem.title for poem in poems})
    candidates = min(candidates, len(titles))
    hits = 0
    for index, poem in enumerate(poems):
        others = [title for title in titles if title != poem.title]
        drawn = noise(seed, "titles", index).choice(len(others), candidates - 1, replace=False)
        choices = [poem.title, *(others[i] for i in drawn)]
        cost, _ = nats(choices, [poem.lines] * candidates)
        hits += bool(cost[0] < cost[1:].min())
    return hits / len(poems)


def quatrain_rates(poems: Sequence[Lines], index: CopyIndex) -> dict[str, float]:
    """Form, rhyme, tones, copies and variety of drawn quatrains."""
    kept = {"form": 0, "rhyme": 0, "level_rhyme": 0, "distinct_lines": 0}
    tones = []
    for lines in poems:
        findings = {f.rule: f for f in verse.check(lines, verse.FORMS[len(lines[0])])}
        for rule in kept:
            kept[rule] += findings[rule].passed
        tones.append(findings["tonal_pattern"].value)
    count = len(poems)
    return {
        **{f"{rule}_share": value / count for rule, value in kept.items()},
        "tonal_pattern_mean": sum(tones) / count,
        "poems_with_copied_line_share": sum(
            any(index.contains(line) for line in lines) for lines in poems
        )
        / count,
        **describe(["\n".join(lines) for lines in poems], index),
    }
