"""Where a sound is quiet: its power step by step, and runs of steps.

N frames, C channels, S steps
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def step_powers(samples: NDArray[np.floating], rate_hz: int, step_s: float) -> NDArray[np.float64]:
    """(S,) mean square of each `step_s` of (N, C), all channels; the last one filled up."""
    step = max(1, round(step_s * rate_hz))
    square = (samples.astype(np.float64) ** 2).mean(axis=1)
    return np.asarray(np.pad(square, (0, -len(square) % step)).reshape(-1, step).mean(axis=1))


def step_length_s(rate_hz: int, step_s: float) -> float:
    """How long a step of `step_powers` is: a whole number of frames."""
    return max(1, round(step_s * rate_hz)) / rate_hz


def above(powers: NDArray[np.float64], below_loudest_db: float) -> NDArray[np.bool_]:
    """(S,) what is louder than so many decibels below the loudest; nothing where all is silent."""
    return np.asarray(powers > powers.max(initial=0.0) * 10 ** (below_loudest_db / 10))


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, after the last) of each run of steps that are marked."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marked.view(np.int8), [0]))))
    return [(int(begun), int(ended)) for begun, ended in edges.reshape(-1, 2)]
