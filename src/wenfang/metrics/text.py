"""Measures of text: compression, diversity, repetition, copying. No model is loaded here.

Chinese is counted by character and everything else by word; punctuation, spaces and case are set
aside (`data.units`). A metric is `metric(samples, references) -> {"name_unit": float}`; one that
needs no references does not ask for any. Ratios lie in 0..1. Where nothing can be measured (no
text long enough to hold an n-gram) the ratio is that of a text that shows no fault.

Distinct-n: Li et al. 2016, arXiv:1510.03055. Self-BLEU: Zhu et al. 2018, arXiv:1802.01886.
Seq-rep-n: Welleck et al. 2020, arXiv:1908.04319; rep-n is the same (Su et al. 2022,
arXiv:2202.06417).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from wenfang.data.units import units
from wenfang.errors import DataError

Grams = Counter[tuple[str, ...]]

# The published measure samples a few hundred to a thousand texts; the score falls as N grows.
SELF_BLEU_SAMPLES = 1000
BLEU_ORDER = 4


class CopyIndex(Protocol):
    """What is asked of an index of training material (`data.training_index` has one)."""

    def contains(self, line: str) -> bool:
        """Whether `line` is a whole line of the training material."""

    def longest_copy(self, text: str) -> tuple[int, str]:
        """Units of the longest run of `text` that the training material holds, and the run."""


def grams(sequence: Sequence[str], size: int) -> Grams:
    """How often each run of `size` units occurs in `sequence`."""
    return Counter(zip(*(sequence[start:] for start in range(size)), strict=False))


# Compression ------------------------------------------------------------------------------------


def bits_per_byte(negative_log_likelihood_nats: float, utf8_bytes: int) -> float:
    """sum(-ln P) / (ln 2 * bytes): comparable between models with different tokenizers.

    Raises DataError where the sum is negative or not finite, or nothing was scored.
    """
    return _bits(negative_log_likelihood_nats, utf8_bytes)


def bits_per_character(negative_log_likelihood_nats: float, characters: int) -> float:
    """sum(-ln P) / (ln 2 * characters), over the characters scored; raises like bits_per_byte."""
    return _bits(negative_log_likelihood_nats, characters)


def compression(negative_log_likelihood_nats: float, texts: Sequence[str]) -> dict[str, float]:
    """Bits per UTF-8 byte and per character of `texts`, whose every token was scored."""
    return {
        "bits_per_byte": bits_per_byte(
            negative_log_likelihood_nats, sum(len(text.encode("utf-8")) for text in texts)
        ),
        "bits_per_character": bits_per_character(
            negative_log_likelihood_nats, sum(map(len, texts))
        ),
    }


def _bits(nats: float, count: int) -> float:
    if not math.isfinite(nats) or nats < 0:
        raise DataError(
            "the summed negative log-likelihood is {nats}; it must be finite and not negative",
            nats=nats,
        )
    if count < 1:
        raise DataError("nothing was scored; bits need at least one byte or character")
    return nats / (math.log(2) * count)


# Diversity --------------------------------------------------------------------------------------


def distinct(samples: Sequence[str]) -> dict[str, float]:
    """Different n-grams over all n-grams of all samples together, n = 1, 2, 3; 1 is best."""
    split = [units(sample) for sample in samples]
    return {f"distinct_{n}_ratio": _distinct(split, n) for n in (1, 2, 3)}


def _distinct(split: Sequence[Sequence[str]], size: int) -> float:
    together: Grams = Counter()
    for sequence in split:
        together.update(grams(sequence, size))
    return len(together) / together.total() if together else 1.0


def distinct_lines(samples: Sequence[str]) -> dict[str, float]:
    """Different lines over all lines of all samples; lines without a unit are left out."""
    lines = [tuple(units(line)) for sample in samples for line in sample.splitlines()]
    kept = [line for line in lines if line]
    return {"distinct_lines_ratio": len(set(kept)) / len(kept) if kept else 1.0}


def self_bleu(samples: Sequence[str]) -> dict[str, float]:
    """Mean BLEU-4 of each sample against all the others; 0 is best.

    Of more than SELF_BLEU_SAMPLES the first that many are taken. Sentence BLEU with clipped
    counts and the closest reference length; an order without a match counts 0.1 matches
    (smoothing method 1 of Chen & Cherry 2014). Orders longer than the sample are left out.
    """
    split = [units(sample) for sample in samples[:SELF_BLEU_SAMPLES]]
    split = [sequence for sequence in split if sequence]
    if len(split) < 2:
        return {"self_bleu_4_ratio": 0.0}
    counted = [[grams(sequence, n) for sequence in split] for n in range(1, BLEU_ORDER + 1)]
    others = [_two_largest(order) for order in counted]
    lengths = Counter(map(len, split))
    scores = [
        _bleu([order[i] for order in counted], others, i, _closest_other(len(sequence), lengths))
        for i, sequence in enumerate(split)
    ]
    return {"self_bleu_4_ratio": sum(scores) / len(scores)}


Largest = Mapping[tuple[str, ...], tuple[int, int, int]]


def _two_largest(counted: Sequence[Grams]) -> Largest:
    """n-gram -> (largest count in one sample, that sample, largest count in any other).

    With it the maximum over "all but this one" costs no second pass over the samples.
    """
    largest: dict[tuple[str, ...], tuple[int, int, int]] = {}
    for owner, table in enumerate(counted):
        for gram, count in table.items():
            first, first_owner, second = largest.get(gram, (0, -1, 0))
            if count > first:
                largest[gram] = (count, owner, first)
            else:
                largest[gram] = (first, first_owner, max(second, count))
    return largest


def _closest_other(length: int, lengths: Counter[int]) -> int:
    """Length of another sample that is nearest to `length`, the shorter of two equally near."""
    choices = [other for other in lengths if other != length or lengths[other] > 1]
    return min(choices, key=lambda other: (abs(other - length), other))


def _bleu(tables: Sequence[Grams], others: Sequence[Largest], own: int, reference: int) -> float:
    length = tables[0].total()
    logarithms = []
    for table, largest in zip(tables, others, strict=True):
        if not table:
            break
        matched = sum(
            min(count, largest[gram][2] if largest[gram][1] == own else largest[gram][0])
            for gram, count in table.items()
        )
        logarithms.append(math.log((matched or 0.1) / table.total()))
    brevity = min(1.0, math.exp(1 - reference / length))
    return brevity * math.exp(sum(logarithms) / len(logarithms))


# Repetition -------------------------------------------------------------------------------------


def repetition(samples: Sequence[str]) -> dict[str, float]:
    """1 - different n-grams / n-grams inside each sample, averaged; 0 is best.

    rep_2, rep_3 and, by the name it was published under, seq_rep_4. A sample too short to hold
    an n-gram is left out of that mean.
    """
    split = [units(sample) for sample in samples]
    return {
        name: _mean([repeated(sequence, n) for sequence in split if len(sequence) >= n])
        for name, n in (("rep_2_ratio", 2), ("rep_3_ratio", 3), ("seq_rep_4_ratio", 4))
    }


def repeated(sequence: Sequence[str], size: int) -> float:
    """1 - different n-grams / n-grams of one sequence; 0 where it is too short to have any."""
    table = grams(sequence, size)
    return 1 - len(table) / table.total() if table else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


# Copying ----------------------------------------------------------------------------------------


def copying(samples: Sequence[str], references: CopyIndex) -> dict[str, float]:
    """How much of `samples` stands in the training material behind the index `references`.

    longest_copy_*_units  the longest copied run of a sample, the worst and the mean
    copied_lines_ratio    lines that are whole lines of the training material
    """
    runs = [float(references.longest_copy(sample)[0]) for sample in samples]
    lines = [line for sample in samples for line in sample.splitlines() if units(line)]
    return {
        "longest_copy_max_units": max(runs, default=0.0),
        "longest_copy_mean_units": _mean(runs),
        "copied_lines_ratio": _mean([float(references.contains(line)) for line in lines]),
    }


METRICS: dict[str, Callable[[Sequence[str]], dict[str, float]]] = {
    "distinct": distinct,
    "distinct_lines": distinct_lines,
    "self_bleu": self_bleu,
    "repetition": repetition,
}


def describe(samples: Sequence[str], references: CopyIndex | None = None) -> dict[str, float]:
    """Every measure of METRICS, and copying where an index is given."""
    measured = {k: value for metric in METRICS.values() for k, value in metric(samples).items()}
    return measured | (copying(samples, references) if references is not None else {})
