"""Group normalisation and SiLU in one go, over maps with channels last (numba).

torch goes over a map five times for the two; this does three times within the cache. The logistic
function is told by a rational function for the hyperbolic tangent (coefficients of Eigen's `ptanh`,
MathFunctionsImpl.h), which vector units can do.

B batch, P places of a map, C channels; every array is float32 and contiguous.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from wenfang.models.kernel import kernel, shared_kernel

Array = np.ndarray

MOST = np.float32(7.90531110763549805)  # beyond it float32's tangent is 1
A1, A3, A5, A7 = map(
    np.float32, (4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05,
                 5.12229709037114e-08)
)  # fmt: skip
A9, A11, A13 = map(np.float32, (-8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16))
B0, B2, B4, B6 = map(
    np.float32, (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04,
                 1.19825839466702e-06)
)  # fmt: skip
HALF, ONE, NOUGHT = np.float32(0.5), np.float32(1), np.float32(0)


@kernel
def _sample(
    x: Array, added: Array, gain: Array, move: Array, groups: int, eps: float, out: Array
) -> None:
    """One map (P, C); added, gain and move (C,)."""
    places, channels = x.shape
    wide = channels // groups
    total = np.zeros(channels, np.float32)
    for p in range(places):
        for c in range(channels):
            total[c] += x[p, c]
    mean = np.empty(channels, np.float32)
    for g in range(groups):
        found = np.float64(0)
        for c in range(g * wide, (g + 1) * wide):
            found += total[c] + np.float64(places) * added[c]
        for c in range(g * wide, (g + 1) * wide):
            # What is left of the group's mean once the channel's own is added.
            mean[c] = np.float32(found / (wide * places)) - added[c]
    total[:] = NOUGHT
    for p in range(places):
        for c in range(channels):
            off = x[p, c] - mean[c]
            total[c] += off * off
    scale = np.empty(channels, np.float32)
    shift = np.empty(channels, np.float32)
    for g in range(groups):
        found = np.float64(0)
        for c in range(g * wide, (g + 1) * wide):
            found += total[c]
        per = np.float32(1 / np.sqrt(found / (wide * places) + eps))
        for c in range(g * wide, (g + 1) * wide):
            scale[c] = per * gain[c]
            shift[c] = move[c] - mean[c] * scale[c]
    for p in range(places):
        for c in range(channels):
            v = x[p, c] * scale[c] + shift[c]
            t = min(max(v * HALF, -MOST), MOST)
            s = t * t
            above = A13
            above = above * s + A11
            above = above * s + A9
            above = above * s + A7
            above = above * s + A5
            above = above * s + A3
            above = above * s + A1
            below = B6
            below = below * s + B4
            below = below * s + B2
            below = below * s + B0
            out[p, c] = HALF * v * (ONE + t * above / below)


@kernel
def alone(
    x: Array, added: Array, gain: Array, move: Array, groups: int, eps: float, out: Array
) -> None:
    """Maps (B, P, C) one after the other; added, gain and move (B, C), or (1, C) for all."""
    for b in range(x.shape[0]):
        more, by, to = b % len(added), b % len(gain), b % len(move)
        _sample(x[b], added[more], gain[by], move[to], groups, eps, out[b])


@shared_kernel
def together(
    x: Array, added: Array, gain: Array, move: Array, groups: int, eps: float, out: Array
) -> None:
    """The same, shared by threads."""
    for b in prange(x.shape[0]):
        more, by, to = b % len(added), b % len(gain), b % len(move)
        _sample(x[b], added[more], gain[by], move[to], groups, eps, out[b])
