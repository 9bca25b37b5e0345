"""When frames are shown: one constant rate for the times that a file gives its frames.

N frames
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]  # (N,) seconds, rising

COMMON = tuple(
    Fraction(*rate)
    for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1),
                 (60000, 1001), (60, 1), (100, 1), (120, 1), (240, 1))
)  # fmt: skip
SLOWEST, FASTEST = Fraction(1, 10), Fraction(240)
# Frames at uneven times are shown at no lower rate, so that each begins within 20 ms of its time.
UNEVEN_SLOWEST, UNEVEN_FASTEST = Fraction(25), Fraction(60)
EVEN, EVEN_S = 0.45, 0.02  # of a frame, and at most: how far an even one may stand off its place
ROUNDED_S = 0.0015  # times are rounded, often to 1 ms: rates that fit so well fit alike
NEAR = 0.02  # of a common rate: taken for it


def slot(time_s: float, fps: Fraction) -> int:
    """The number of the frame, at a constant rate, that a time is nearest to."""
    return int(np.floor(time_s * float(fps) + 0.5))


def constant_rate(times: Times, told: Sequence[Fraction | None]) -> Fraction:
    """The rate by which frames of these times are best shown.

    told  what the file says of its rate, the most trusted first
    returns that or a common rate where the frames are evenly spaced; else the rate of most of
            them, since an average would drop frames wherever they come fast
    """
    rates = [one for one in told if one and SLOWEST <= one <= FASTEST]
    if len(times) < 2 or times[-1] <= times[0]:
        return rates[0] if rates else Fraction(25)
    after = times - times[0]
    average = Fraction((len(times) - 1) / float(after[-1])).limit_denominator(1001)
    offs = {rate: _off_s(after, rate) for rate in (*rates, *COMMON, average) if rate}
    even = [rate for rate, off_s in offs.items() if off_s < min(EVEN / float(rate), EVEN_S)]
    best = min(even, key=lambda one: max(offs[one], ROUNDED_S), default=Fraction(0))
    if SLOWEST <= best <= FASTEST:
        return best
    steps = np.diff(after)
    usual = Fraction(1 / float(np.median(steps[steps > 0]))).limit_denominator(1001)
    nearest = min(COMMON, key=lambda one: abs(one - usual))
    if abs(nearest - usual) <= NEAR * nearest:
        usual = nearest
    return min(max(usual, UNEVEN_SLOWEST), UNEVEN_FASTEST)


def _off_s(after: Times, rate: Fraction) -> float:
    """How far frames are from their places at a rate, at most."""
    return float(np.abs(after - np.arange(len(after)) / float(rate)).max())
