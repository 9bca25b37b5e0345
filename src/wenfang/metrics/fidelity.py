"""How like real samples made ones are, by the vectors that a named extractor makes of both.

Every function takes features (N, D) float64 and knows nothing of where they come from; who reports
a number names the extractor, its hash, N, and what real samples score against each other. Frechet
distance: Heusel et al. 2017, arXiv:1706.08500. Unbiased kernel distance: Binkowski et al. 2018,
arXiv:1801.01401. Precision and recall: Kynkaanniemi et al. 2019, arXiv:1904.06991. Density and
coverage: Naeem et al. 2020, arXiv:2002.09797.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import ConfigError

Features = NDArray[np.float64]
ROWS = 1000  # of a matrix of distances that are in memory at a time


def standardised(features: Features, reference: Features) -> Features:
    """Features less the reference's mean, over its deviations; an axis that is constant stays 0."""
    spread = reference.std(0)
    return np.asarray((features - reference.mean(0)) / np.where(spread > 0, spread, 1.0))


def frechet_distance(real: Features, made: Features) -> float:
    """Squared distance of the normal distributions that fit both; biased upwards by about D / N."""
    _require_like(real, made)
    difference = real.mean(0) - made.mean(0)
    one, other = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, made))
    # The trace of the root of a product is the sum of the roots of its eigenvalues.
    shared = np.sqrt(np.clip(np.linalg.eigvals(one @ other).real, 0, None)).sum()
    return float(difference @ difference + np.trace(one) + np.trace(other) - 2 * shared)


def kernel_distance(real: Features, made: Features) -> float:
    """Unbiased squared maximum mean discrepancy of standardised features, kernel (x.y / D + 1)^3.

    It is 0 on average for samples of one distribution, so it may be below 0. Features are
    standardised by the real ones, without which the kernel follows the largest axis alone.
    """
    _require_like(real, made)
    one, other = standardised(real, real), standardised(made, real)
    n, m = len(one), len(other)
    within = (_kernel_sum(one, one) - _kernel_diagonal(one)) / (n * (n - 1))
    within += (_kernel_sum(other, other) - _kernel_diagonal(other)) / (m * (m - 1))
    return float(within - 2 * _kernel_sum(one, other) / (n * m))


def _kernel_sum(one: Features, other: Features) -> float:
    """Of every row with every other's."""
    width = one.shape[1]
    blocks = (one[i : i + ROWS] @ other.T for i in range(0, len(one), ROWS))
    return float(sum(((block / width + 1) ** 3).sum() for block in blocks))


def _kernel_diagonal(x: Features) -> float:
    return float((((x * x).sum(1) / x.shape[1] + 1) ** 3).sum())


def neighbourhoods(features: Features, k: int) -> Features:
    """(N,) distance of each row to its k-th nearest other row."""
    if not 0 < k < len(features):
        raise ConfigError(
            "{k} nearest neighbours of {count} samples; ask for fewer, or give more",
            k=k,
            count=len(features),
        )
    found = [
        np.partition(squares, k, axis=1)[:, k]  # the nearest of all is the row itself
        for squares in _squares(features, features)
    ]
    return np.asarray(np.sqrt(np.concatenate(found)))


def _squares(one: Features, other: Features) -> Iterator[Features]:
    """Squared distances of all rows, in blocks (ROWS, M)."""
    lengths = (other * other).sum(1)
    for start in range(0, len(one), ROWS):
        part = one[start : start + ROWS]
        squares = (part * part).sum(1)[:, None] + lengths - 2 * part @ other.T
        yield np.clip(squares, 0, None)


def spread_of_samples(real: Features, made: Features, k: int = 5) -> dict[str, float]:
    """Where made samples lie among real ones, a real one's neighbourhood reaching to its k-th.

    precision_share  made samples in the neighbourhood of a real one
    recall_share     real samples in the neighbourhood of a made one
    density_ratio    neighbourhoods that a made sample lies in, over k; 1 for one distribution
    coverage_share   real samples with a made one in their neighbourhood
    """
    _require_like(real, made)
    around_real, around_made = neighbourhoods(real, k), neighbourhoods(made, k)
    in_real = np.zeros(len(made))
    covered, recalled = [], []
    for start, squares in zip(range(0, len(real), ROWS), _squares(real, made), strict=True):
        distances = np.sqrt(squares)
        inside = distances <= around_real[start : start + ROWS, None]
        in_real += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distances <= around_made).any(1))
    return {
        "precision_share": float((in_real > 0).mean()),
        "recall_share": float(np.concatenate(recalled).mean()),
        "density_ratio": float(in_real.mean() / k),
        "coverage_share": float(np.concatenate(covered).mean()),
    }


def nearest_distances(queries: Features, known: Features) -> Features:
    """(Q,) distance of each query to the nearest known row."""
    found = [squares.min(1) for squares in _squares(queries, known)]
    return np.asarray(np.sqrt(np.concatenate(found)))


def _require_like(real: Features, made: Features) -> None:
    if min(len(real), len(made)) < 2 or real.shape[1] != made.shape[1]:
        raise ConfigError(
            "features of {real} real and {made} made samples cannot be compared; both need two "
            "rows or more, of one width",
            real=real.shape,
            made=made.shape,
        )
