"""Laws of the Kneser-Ney baseline, against a slow reference written from the formulas."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from wenfang.errors import ConfigError, DataError
from wenfang.metrics.kneser_ney import FALLBACK_DISCOUNTS, KneserNey, discounts_from

VOCABULARY = 7
Gram = tuple[int, ...]


def toy_corpus(seed: int = 3, count: int = 60) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    # Skewed, so that counts of 1, 2, 3 and 4 all occur; token 0 begins, token 6 never appears.
    frequencies = [0.5, 0.2, 0.15, 0.1, 0.05]
    return [
        [0, *rng.choice([1, 2, 3, 4, 5], p=frequencies, size=rng.integers(1, 9))]
        for _ in range(count)
    ]


class DictionaryReference:
    """Chen & Goodman's formulas over dictionaries, one probability at a time."""

    def __init__(self, sequences: Sequence[Sequence[int]], order: int) -> None:
        self.order = order
        counts: dict[int, Counter[Gram]] = defaultdict(Counter)
        left: dict[Gram, set[int]] = defaultdict(set)
        begins: Counter[Gram] = Counter()
        for sequence in sequences:
            for k in range(1, order + 1):
                for start in range(len(sequence) - k + 1):
                    gram = tuple(int(token) for token in sequence[start : start + k])
                    counts[k][gram] += 1
                    if start:
                        left[gram].add(int(sequence[start - 1]))
                    else:
                        begins[gram] += 1
        self.adjusted: dict[int, dict[Gram, int]] = {order: dict(counts[order])}
        for k in range(1, order):
            self.adjusted[k] = {
                gram: len(left[gram]) + (min(begins[gram], 1) if k == 1 else begins[gram])
                for gram in counts[k]
            }
        self.discounts = {k: self.estimate(list(a.values())) for k, a in self.adjusted.items()}

    @staticmethod
    def estimate(values: list[int]) -> tuple[float, ...]:
        n1, n2, n3, n4 = (values.count(c) for c in (1, 2, 3, 4))
        if 0 in (n1, n2, n3, n4):
            return FALLBACK_DISCOUNTS
        y = n1 / (n1 + 2 * n2)
        raw = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        return tuple(min(max(d, 0.0), i) for i, d in enumerate(raw, 1))

    def probability(self, token: int, history: Gram) -> float:
        k = len(history) + 1
        lower = 1 / VOCABULARY if k == 1 else self.probability(token, history[1:])
        after = {g: c for g, c in self.adjusted[k].items() if g[:-1] == history}
        total = sum(after.values())
        if not total:
            return lower
        discount = {g: self.discounts[k][min(c, 3) - 1] if c else 0.0 for g, c in after.items()}
        gram = (*history, token)
        seen = after[gram] - discount[gram] if gram in after else 0.0
        return (seen + sum(discount.values()) * lower) / total


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_it_agrees_with_the_formulas_over_dictionaries(order: int) -> None:
    corpus = toy_corpus()
    model, slow = KneserNey.fit(corpus, VOCABULARY, order), DictionaryReference(corpus, order)
    for k in range(1, order + 1):
        assert model.discounts[k - 1] == pytest.approx(slow.discounts[k], abs=1e-12)
    for sequence in [*toy_corpus(seed=11, count=10), [0, 6, 1, 1, 6], [5, 5, 5], [6]]:
        gram = [int(token) for token in sequence]
        expected = [
            math.log(slow.probability(token, tuple(gram[max(0, t - order + 1) : t])))
            for t, token in enumerate(gram)
        ]
        assert model.log_probabilities(sequence) == pytest.approx(expected, abs=1e-12)


def test_the_toy_corpus_estimates_discounts_and_does_not_fall_back() -> None:
    model = KneserNey.fit(toy_corpus(), VOCABULARY, 4)
    assert sum(discounts != FALLBACK_DISCOUNTS for discounts in model.discounts) >= 2


@pytest.mark.parametrize(
    "history",
    [[], [0], [0, 1], [1, 1, 1], [0, 1, 2, 1, 1], [6], [6, 6, 6], [6, 1, 1], [1, 6, 1], [5, 4, 5]],
    ids=str,
)
def test_a_distribution_sums_to_one(history: list[int]) -> None:
    model = KneserNey.fit(toy_corpus(), VOCABULARY, 4)
    distribution = model.distribution(history)
    assert abs(distribution.sum() - 1.0) < 1e-9
    assert (distribution > 0).all()


def test_distribution_and_log_probabilities_are_the_same_model() -> None:
    model = KneserNey.fit(toy_corpus(), VOCABULARY, 4)
    sequence = [0, 1, 2, 1, 1, 6, 3]
    one_by_one = [
        math.log(model.distribution(sequence[max(0, t - 3) : t])[token])
        for t, token in enumerate(sequence)
    ]
    assert model.log_probabilities(sequence) == pytest.approx(one_by_one, abs=1e-12)


def test_many_sequences_score_as_each_alone() -> None:
    model = KneserNey.fit(toy_corpus(), VOCABULARY, 4)
    some = toy_corpus(seed=5, count=8)
    together = model.log_probabilities_of(some)
    assert together == pytest.approx(np.concatenate([model.log_probabilities(s) for s in some]))


def test_barred_tokens_give_their_share_to_the_others() -> None:
    model = KneserNey.fit(toy_corpus(), VOCABULARY, 4)
    sequence, barred = [0, 1, 2, 1, 5, 6, 3], (0, 5)
    measured = model.log_probabilities_of([sequence], barred)
    for place, token in enumerate(sequence):
        distribution = model.distribution(sequence[max(0, place - 3) : place])
        left = 1.0 if token in barred else 1.0 - distribution[list(barred)].sum()
        assert measured[place] == pytest.approx(math.log(distribution[token] / left))


def test_a_token_never_seen_gets_its_share_of_the_uniform_floor() -> None:
    model = KneserNey.fit(toy_corpus(), VOCABULARY, 1)
    unigram = model.orders[0]
    kept_back = float(unigram.kept_back[0] / unigram.totals[0])
    assert model.distribution([])[6] == pytest.approx(kept_back / VOCABULARY)


def test_discounts_follow_chen_and_goodman() -> None:
    counts = np.array([1] * 40 + [2] * 15 + [3] * 8 + [4] * 5 + [9], dtype=np.int64)
    y = 40 / 70
    expected = (1 - 2 * y * 15 / 40, 2 - 3 * y * 8 / 15, 3 - 4 * y * 5 / 8)
    assert discounts_from(counts) == pytest.approx(expected)
    assert discounts_from(np.array([1, 1, 2])) == FALLBACK_DISCOUNTS


def test_sequences_shorter_than_the_order_still_make_a_model() -> None:
    model = KneserNey.fit([[1], [1, 2]], 3, order=4)
    assert abs(model.distribution([1]).sum() - 1) < 1e-9


def test_keys_do_not_overflow_at_a_large_vocabulary() -> None:
    big = 1_000_003
    model = KneserNey.fit([[big - 1] * 6 + [5]], big, order=5)
    assert np.exp(model.log_probabilities([big - 1] * 6)[5]) > 0.3


def test_wrong_tokens_and_orders_are_named() -> None:
    with pytest.raises(DataError, match="token 7 is outside the vocabulary of 7"):
        KneserNey.fit([[1, 7]], VOCABULARY)
    with pytest.raises(DataError, match="token -1 "):
        KneserNey.fit(toy_corpus(), VOCABULARY).log_probabilities([-1])
    with pytest.raises(DataError, match="empty"):
        KneserNey.fit([], VOCABULARY)
    with pytest.raises(ConfigError, match="order"):
        KneserNey.fit([[1]], VOCABULARY, order=0)
