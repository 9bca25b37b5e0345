"""Numbers with known answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from wenfang.evaluator import Quatrain, bits, kneser_ney_bits, quatrain_rates, title_ranking

GOOD = ("白日依山盡", "黃河入海流", "欲窮千里目", "更上一層樓")


class Known:
    """An index of training material that knows some lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines

    def contains(self, line: str) -> bool:
        return line in self.lines

    def longest_copy(self, text: str) -> tuple[int, str]:
        return max(((len(one), one) for one in self.lines if one in text), default=(0, ""))


def test_a_uniform_guess_of_eight_takes_three_bits() -> None:
    nats, counts = np.array([10 * math.log(8), 6 * math.log(8)]), np.array([10.0, 6.0])
    assert bits(nats, counts) == pytest.approx(3)


def test_the_baseline_learns_what_always_follows() -> None:
    sequences = [[1, 2, 3, 4, 0]] * 50
    scored = np.array([False, True, True, True, True])
    plain, told = kneser_ney_bits(sequences, sequences[:5], scored, 3)
    assert told <= plain < 1  # a uniform guess takes 2.3


POEMS = [Quatrain(title=f"題{n}", lines=(str(n),) * 4) for n in range(30)]


def knowing(titles: Sequence[str], poems: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    cost = [
        0.0 if title == f"題{lines[0]}" else 1.0 for title, lines in zip(titles, poems, strict=True)
    ]
    return np.array(cost), np.ones(len(cost))


def test_one_who_knows_every_title_ranks_them_all_first() -> None:
    assert title_ranking(knowing, POEMS) == 1
    assert title_ranking(knowing, POEMS[:3]) == 1  # fewer titles than candidates


def test_one_who_cannot_tell_gets_no_hit() -> None:
    def same(titles: Sequence[str], poems: object) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(titles)), np.ones(len(titles))

    assert title_ranking(same, POEMS) == 0


def test_a_guess_hits_one_in_ten() -> None:
    draw = np.random.default_rng(0)

    def guess(titles: Sequence[str], poems: object) -> tuple[np.ndarray, np.ndarray]:
        return draw.random(len(titles)), np.ones(len(titles))

    assert title_ranking(guess, POEMS * 40) == pytest.approx(0.1, abs=0.03)


def test_rates_count_form_rhyme_and_copies() -> None:
    broken = ("白日依山盡", "黃河入海", "白日依山盡", "更上一層月")
    rates = quatrain_rates([GOOD, broken], Known("白日依山盡"))
    assert rates["form_share"] == 0.5
    assert rates["rhyme_share"] == 0.5
    assert rates["distinct_lines_share"] == 0.5
    assert rates["poems_with_copied_line_share"] == 1
    assert quatrain_rates([GOOD], Known())["poems_with_copied_line_share"] == 0
