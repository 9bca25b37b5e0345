"""How many different things a set holds in effect: the Vendi score, and likeness of two texts.

Friedman & Dieng 2023, arXiv:2210.02410: the exponential of the entropy of the eigenvalues of
K / N, where K is the likeness of every two of N things. N things without anything in common count
N, N equal ones count 1. The likeness of texts is the cosine of their counts of n-grams, n = 2 to 4
weighted alike, of characters of Chinese and words of the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wenfang.data.units import units
from wenfang.metrics.text import Grams, grams

ORDERS = (2, 3, 4)
# N texts need N**2 likenesses and N**3 steps.
SAMPLES = 1000

Kernel = NDArray[np.floating]


def vendi_score(kernel: Kernel) -> float:
    """Vendi score of a likeness matrix (N, N): positive semi-definite, ones on its diagonal."""
    count = len(kernel)
    if count == 0:
        return 0.0
    shares = np.linalg.eigvalsh(kernel / count)
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def text_kernel(samples: Sequence[str]) -> Kernel:
    """(N, N) likeness of texts, 0..1; an empty text is like nothing but another empty one."""
    split = [units(sample) for sample in samples]
    return np.asarray(sum(_order_kernel(split, order) for order in ORDERS) / len(ORDERS))


def _order_kernel(split: Sequence[Sequence[str]], order: int) -> Kernel:
    columns: dict[tuple[str, ...], int] = {}
    rows = []
    for sequence in split:
        # A text too short for an n-gram is its own one.
        table: Grams = grams(sequence, order) or Counter([tuple(sequence)])
        places = np.array([columns.setdefault(gram, len(columns)) for gram in table])
        rows.append((places, np.array(list(table.values()), np.float64)))
    kernel = np.eye(len(rows))
    dense = np.zeros(len(columns))
    for one, (places, counts) in enumerate(rows):
        dense[places] = counts
        length = math.sqrt(float(counts @ counts))
        for other in range(one):
            their_places, their_counts = rows[other]
            product = float(dense[their_places] @ their_counts)
            likeness = product / (length * math.sqrt(float(their_counts @ their_counts)))
            kernel[one, other] = kernel[other, one] = likeness
        dense[places] = 0
    return kernel


def vendi(samples: Sequence[str]) -> dict[str, float]:
    """Vendi score of texts, and its share of their number; of more than SAMPLES the first."""
    taken = samples[:SAMPLES]
    score = vendi_score(text_kernel(taken))
    return {"vendi_score": score, "vendi_ratio": score / len(taken) if taken else 1.0}


def likeness(one: str, others: Sequence[str]) -> list[float]:
    """How like `one` each of `others` is, 0..1."""
    return [float(text_kernel([one, other])[0, 1]) for other in others]
