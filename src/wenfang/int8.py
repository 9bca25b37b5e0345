"""Numbers in 8 bits: a symmetric integer for each weight and one scale a row.

weight ~ scale[row] * integer, integer in -127..127 (the per-channel scheme of Jacob et al. 2018,
arXiv:1712.05877, without a zero point).
"""

from __future__ import annotations

import numpy as np

LARGEST = 127


def quantise(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., N, K) float32 -> integers (..., N, K) int8 and scales (..., N) float32."""
    largest = np.abs(weight).max(axis=-1)
    scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return np.rint(weight / scale[..., None]).astype(np.int8), scale


def restore(integers: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The weights that integers and scales stand for: (..., N, K), (..., N) -> float32."""
    weight: np.ndarray = integers.astype(np.float32) * scale[..., None]
    return weight
