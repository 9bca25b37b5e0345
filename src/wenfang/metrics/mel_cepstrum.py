"""How near one speech sound is to another by the smooth outlines of their spectra, in decibels.

Mel-cepstral distance (Kubichek 1993): the cosine transform of a frame's levels, cut to its first
numbers, is the outline of the spectrum without the voice's harmonics; its number 0, the loudness,
is left out. The distance of two frames is then the root mean square of the decibels that lie
between their outlines. Frames are matched by dynamic time warping (Sakoe & Chiba 1978), so that
neither speed nor a late beginning counts. Numbers of other programs use other bands, and compare
with none of these.

N pairs, T and U frames, B bands, K numbers of a cepstrum
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import ConfigError

Array = NDArray[np.float64]

NUMBERS = 13
PAIRS = 1000  # that are matched at a time


def mel_cepstra(decibels: Array, numbers: int = NUMBERS) -> Array:
    """(T, K) outlines of (T, B) levels, scaled so that their plain distance is in decibels.

    raises ConfigError where there are fewer bands than numbers
    """
    bands = decibels.shape[1]
    if not 0 < numbers < bands:
        raise ConfigError(
            "{count} levels give fewer than {numbers} numbers of a cepstrum; take more bands",
            count=bands,
            numbers=numbers,
        )
    turns = np.outer(np.arange(1, numbers + 1), np.arange(bands) + 0.5)
    # By Parseval: with sqrt(2 / B) the sum of squares would be that over bands, not their mean.
    return np.asarray(decibels @ np.cos(np.pi * turns / bands).T * (np.sqrt(2) / bands))


def mel_cepstral_distance_db(one: Array, other: Array) -> float:
    """Mean decibels a matched pair of frames, of (T, K) and (U, K) outlines."""
    return float(mel_cepstral_distances_db([one], [other])[0])


def mel_cepstral_distances_db(ones: Sequence[Array], others: Sequence[Array]) -> Array:
    """(N,) of N pairs; each is the same alone and among others.

    raises ConfigError for another number of others, and for a sound without frames
    """
    if len(ones) != len(others) or any(not len(one) for one in (*ones, *others)):
        raise ConfigError("outlines are compared in pairs, and each needs a frame or more")
    found = [
        _warped(ones[start : start + PAIRS], others[start : start + PAIRS])
        for start in range(0, len(ones), PAIRS)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def _warped(ones: Sequence[Array], others: Sequence[Array]) -> Array:
    """Along the cheapest path from the first frames to the last ones; all pairs step together."""
    apart = _frame_distances(_padded(ones), _padded(others))
    count, rows, columns = apart.shape
    cost = np.full((rows + 1, columns + 1, count), np.inf)
    length = np.zeros((rows + 1, columns + 1, count))
    cost[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        column = diagonal - row
        before = ((row, column), (row, column + 1), (row + 1, column))
        costs = np.stack([cost[place] for place in before])
        best = costs.argmin(0)[None]
        lengths = np.stack([length[place] for place in before])
        cost[row + 1, column + 1] = np.take_along_axis(costs, best, 0)[0] + apart[:, row, column].T
        length[row + 1, column + 1] = np.take_along_axis(lengths, best, 0)[0] + 1
    last = [len(one) for one in ones], [len(other) for other in others], np.arange(count)
    return np.asarray(cost[last] / length[last])


def _padded(outlines: Sequence[Array]) -> Array:
    """(N, T, K); what lies behind a sound's last frame is never looked at."""
    longest = max(len(one) for one in outlines)
    return np.stack([np.pad(one, ((0, longest - len(one)), (0, 0))) for one in outlines])


def _frame_distances(ones: Array, others: Array) -> Array:
    """(N, T, U) of (N, T, K) and (N, U, K)."""
    squares = (ones**2).sum(2)[:, :, None] + (others**2).sum(2)[:, None, :]
    products = ones @ others.transpose(0, 2, 1)
    return np.asarray(np.sqrt(np.maximum(squares - 2 * products, 0)))
