"""Interpolated modified Kneser-Ney n-grams: the baseline that a language model has to beat.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3:

    P_k(w | h) = (a(hw) - D_k(a(hw))) / a(h.) + gamma_k(h) P_{k-1}(w | h without its first token)
    gamma_k(h) = (D1 N1(h.) + D2 N2(h.) + D3 N3+(h.)) / a(h.)
    Y = n1 / (n1 + 2 n2)    D1 = 1 - 2Y n2/n1    D2 = 2 - 3Y n3/n2    D3 = 3 - 4Y n4/n3

a(hw) is the count at the highest order and, below it, the number of different tokens seen to the
left of hw. An n-gram that begins a sequence has no left context to hand it on to a higher order,
so it keeps its count (Heafield et al. 2013); for a single token the beginning of a sequence is one
more left neighbour. A history never seen hands the word to the next shorter one; order 0 is
uniform, 1/V.

Storage: the k-gram (g, w) has the key  id(g) * V + w,  where id(g) is the place of g among the
sorted keys one order below. Keys fit 64 bits at every order, and looking up is a binary search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import ConfigError, DataError

Tokens = Sequence[int] | NDArray[np.integer]
Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

# Where a corpus is too small to estimate them (KenLM's --discount_fallback).
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
UNSEEN = -1


@dataclass(frozen=True, kw_only=True)
class _Order:
    """All k-grams of one order. G of them, after H histories."""

    keys: Integers  # (G,) sorted
    discounted: Reals  # (G,) a(hw) - D(a(hw))
    totals: Reals  # (H,) a(h.)
    kept_back: Reals  # (H,) gamma(h) a(h.): the mass taken off by the discounts
    discounts: tuple[float, float, float]

    def place(self, keys: Integers) -> Integers:
        """Place of each key, UNSEEN where there is none or the key is negative."""
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[found] == keys, found, UNSEEN)

    def mix(self, histories: Integers, places: Integers, lower: Reals) -> Reals:
        """P_k from P_{k-1}: all arguments (T,), UNSEEN where the training text has none."""
        totals = np.where(histories >= 0, self.totals[histories], 0.0)
        seen = np.where(places >= 0, self.discounted[places], 0.0)
        mixed = (seen + self.kept_back[histories] * lower) / np.maximum(totals, 1.0)
        return np.where(totals > 0, mixed, lower)


def discounts_from(counts: Integers) -> tuple[float, float, float]:
    """(D1, D2, D3+) from the counts of counts of `counts`; within 0 <= D_i <= i."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == count)) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    estimates = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    one, two, three = (min(max(d, 0.0), float(i)) for i, d in enumerate(estimates, 1))
    return one, two, three


def _order(keys: Integers, adjusted: Integers, histories: Integers, history_count: int) -> _Order:
    discounts = discounts_from(adjusted)
    by_count = np.array([0.0, *discounts])
    taken = by_count[np.minimum(adjusted, 3)]
    return _Order(
        keys=keys,
        discounted=adjusted - taken,
        totals=_summed(histories, adjusted, history_count),
        kept_back=_summed(histories, taken, history_count),
        discounts=discounts,
    )


def _summed(histories: Integers, values: Integers | Reals, history_count: int) -> Reals:
    return np.bincount(histories, values, history_count).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class KneserNey:
    """A trained model over tokens 0 .. vocabulary_size-1. Make one with `KneserNey.fit`."""

    vocabulary_size: int
    orders: tuple[_Order, ...]

    @classmethod
    def fit(cls, sequences: Iterable[Tokens], vocabulary_size: int, order: int = 4) -> KneserNey:
        """Count `sequences`; n-grams do not reach from one sequence into the next.

        A begin token, if wanted, is part of the sequence. Raises DataError where there is
        nothing to count or a token lies outside the vocabulary, ConfigError if order < 1.
        """
        if order < 1:
            raise ConfigError("order: expected a whole number from 1, got {order}", order=order)
        tokens, positions = _joined(sequences, vocabulary_size)
        if not len(tokens):
            raise DataError("the training sequences are empty; give at least one token")
        return cls(
            vocabulary_size=vocabulary_size,
            orders=tuple(_count(tokens, positions, vocabulary_size, order)),
        )

    @property
    def order(self) -> int:
        """The longest n-gram counted, in tokens."""
        return len(self.orders)

    @property
    def discounts(self) -> tuple[tuple[float, float, float], ...]:
        """(D1, D2, D3+) of every order, from 1 up."""
        return tuple(level.discounts for level in self.orders)

    def log_probabilities(self, sequence: Tokens) -> Reals:
        """(T,) nats: log P of each token given what stands before it in `sequence`."""
        return self.log_probabilities_of([sequence])

    def log_probabilities_of(
        self, sequences: Iterable[Tokens], barred: Sequence[int] = ()
    ) -> Reals:
        """(T,) nats of many sequences, one after the other; much faster than one by one.

        Every token outside `barred` is scored as if those inside could not have come: what a
        model is owed that need not guess where a line of known length ends.
        """
        tokens, positions = _joined(sequences, self.vocabulary_size)
        probabilities = self._probabilities(tokens, positions, tokens)
        lost = np.zeros_like(probabilities)
        for one in set(barred):
            lost += self._probabilities(tokens, positions, np.full_like(tokens, one))
        lost[np.isin(tokens, list(barred))] = 0.0
        logarithms: Reals = np.log(probabilities) - np.log1p(-lost)
        return logarithms

    def _probabilities(self, tokens: Integers, positions: Integers, asked: Integers) -> Reals:
        """(T,) probability of the token `asked` at each place, after what stands before it."""
        probabilities = np.full(len(tokens), 1.0 / self.vocabulary_size)
        places = tokens
        for k, level in enumerate(self.orders, 1):
            histories = np.zeros_like(tokens) if k == 1 else _one_later(places, positions, k)
            places = self._extend(k, histories, tokens)
            asked_places = self._extend(k, histories, asked)
            probabilities = level.mix(histories, asked_places, probabilities)
        return probabilities

    def distribution(self, history: Tokens) -> Reals:
        """(V,) probabilities of the token after `history` (which may be empty); they sum to 1."""
        past, _ = _joined([history], self.vocabulary_size)
        tokens = np.arange(self.vocabulary_size, dtype=np.int64)
        probabilities = np.full(self.vocabulary_size, 1.0 / self.vocabulary_size)
        for k, level in enumerate(self.orders[: len(past) + 1], 1):
            place = self._place_of(past[len(past) - k + 1 :])
            histories = np.full(self.vocabulary_size, place)
            places = self._extend(k, histories, tokens)
            probabilities = level.mix(histories, places, probabilities)
        return probabilities

    def _extend(self, k: int, histories: Integers, tokens: Integers) -> Integers:
        """Place of (history, token) among the k-grams, UNSEEN after an unseen history."""
        keys = np.where(histories >= 0, histories * self.vocabulary_size + tokens, UNSEEN)
        return self.orders[k - 1].place(keys)

    def _place_of(self, gram: Integers) -> int:
        """Place of one n-gram among those of its length; the empty one is 0."""
        place = np.zeros(1, dtype=np.int64)
        for k in range(1, len(gram) + 1):
            place = self._extend(k, place, gram[k - 1 : k])
        return int(place[0])


def _joined(sequences: Iterable[Tokens], vocabulary_size: int) -> tuple[Integers, Integers]:
    """(T,) tokens of all sequences in a row, and the place of each within its sequence."""
    arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    tokens = np.concatenate([np.empty(0, dtype=np.int64), *arrays])
    if len(tokens) and not (tokens.min() >= 0 and tokens.max() < vocabulary_size):
        wrong = int(tokens.min()) if tokens.min() < 0 else int(tokens.max())
        raise DataError(
            "token {token} is outside the vocabulary of {size}; encode with the same tokenizer",
            token=wrong,
            size=vocabulary_size,
        )
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    return tokens, np.arange(len(tokens)) - np.repeat(starts, lengths)


def _one_later(places: Integers, positions: Integers, k: int) -> Integers:
    """Of the (k-1)-gram ending one token earlier; UNSEEN where the sequence is too young."""
    return np.where(positions >= k - 1, np.roll(places, 1), UNSEEN)


def _count(
    tokens: Integers, positions: Integers, vocabulary_size: int, order: int
) -> Iterable[_Order]:
    """Yield order 1, 2, ... `order`. Order k is finished when order k+1 shows its left sides."""
    # Every token of the vocabulary is a 1-gram, seen or not, so that its place is itself.
    keys: Integers = np.arange(vocabulary_size, dtype=np.int64)
    places, ends = tokens, np.arange(len(tokens))
    histories = np.zeros(vocabulary_size, dtype=np.int64)
    history_count = 1
    for k in range(1, order + 1):
        at_end = _places_at(places, ends, len(tokens))
        if k == order:
            yield _order(keys, np.bincount(places, minlength=len(keys)), histories, history_count)
            return
        longer = np.flatnonzero(positions >= k)
        longer_keys = at_end[longer - 1] * vocabulary_size + tokens[longer]
        next_keys, first, places = np.unique(longer_keys, return_index=True, return_inverse=True)
        adjusted = np.bincount(at_end[longer[first]], minlength=len(keys))
        adjusted += _at_beginnings(at_end, positions, k, len(keys))
        yield _order(keys, adjusted, histories, history_count)
        if not len(next_keys):
            return  # no sequence is longer than k tokens
        history_count, keys, ends = len(keys), next_keys, longer
        histories = keys // vocabulary_size


def _places_at(places: Integers, ends: Integers, length: int) -> Integers:
    """(length,) place of the n-gram that ends at each token, UNSEEN where none does."""
    at_end = np.full(length, UNSEEN, dtype=np.int64)
    at_end[ends] = places
    return at_end


def _at_beginnings(at_end: Integers, positions: Integers, k: int, size: int) -> Integers:
    """(size,) how often each k-gram begins a sequence; for single tokens whether it ever does."""
    counts = np.bincount(at_end[positions == k - 1], minlength=size)
    return np.minimum(counts, 1) if k == 1 else counts
