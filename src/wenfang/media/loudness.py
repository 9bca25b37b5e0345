"""How loud a sound is to a listener: gated loudness in LUFS (ITU-R BS.1770-4, mono or stereo)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wenfang.media.audio import Samples

BLOCK_S, GATE_LUFS, RELATIVE_GATE_LU = 0.4, -70.0, -10.0
SILENCE_LUFS = -120.0
MAX_BLOCKS = 1_000  # of a long sound, evenly chosen


def loudness_lufs(samples: Samples, sample_rate_hz: int) -> float:
    """Integrated loudness of (N, C) samples; SILENCE_LUFS where nothing passes the gates.

    Blocks of 0.4 s do not overlap here, and K-weighting acts on their spectra.
    """
    size = round(BLOCK_S * sample_rate_hz)
    if len(samples) < size:
        samples = np.concatenate([samples, np.zeros((size - len(samples), samples.shape[1]))])
    count = len(samples) // size
    chosen = np.unique(np.linspace(0, count - 1, min(count, MAX_BLOCKS)).round().astype(int))
    weights = _k_weights(np.asarray(np.fft.rfftfreq(size, 1 / sample_rate_hz), np.float64))
    powers = np.array([_power(samples[one * size : (one + 1) * size], weights) for one in chosen])
    loud = powers[_lufs(powers) > GATE_LUFS]
    if not loud.size:
        return SILENCE_LUFS
    kept = loud[_lufs(loud) > _lufs(loud.mean()) + RELATIVE_GATE_LU]
    return float(_lufs(kept.mean()))


def _power(block: Samples, weights: NDArray[np.float64]) -> float:
    """Weighted mean square of a block, channels added."""
    energy = np.abs(np.fft.rfft(block.astype(np.float64), axis=0)) ** 2
    return float(2 * (energy.sum(axis=1) * weights).sum() / len(block) ** 2)


def _lufs(power: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(power, 1e-12)))


def _k_weights(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared gain of the analogue prototypes of both filters: a high shelf and a high pass."""
    s = 1j * frequency_hz / 1681.97
    gain, root = 10 ** (3.99984 / 20), 10 ** (3.99984 / 40)
    shelf = (gain * s**2 + root * s / 0.7072 + 1) / (s**2 + s / 0.7072 + 1)
    s = 1j * frequency_hz / 38.1355
    high = s**2 / (s**2 + s / 0.5003 + 1)
    return np.asarray(np.abs(shelf * high) ** 2)
