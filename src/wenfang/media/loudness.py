"""How loud a sound is to a listener: gated loudness in LUFS, true peak in dBTP (ITU-R BS.1770-4).

N frames, C channels: 1 or 2
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wenfang.media.audio import Samples

BLOCK_S, HOPS_A_BLOCK, GATE_LUFS, RELATIVE_GATE_LU = 0.4, 4, -70.0, -10.0
SILENCE_LUFS = -120.0
MAX_BLOCKS = 1_000  # of a long sound, evenly chosen
FINER, REACH = 4, 12  # samples between two, and how many on either side tell them
PART_FRAMES = 1 << 16


def loudness_lufs(samples: Samples, sample_rate_hz: int) -> float:
    """Integrated loudness of (N, C) samples; SILENCE_LUFS where nothing passes the gates.

    K-weighting acts on the spectra of blocks of 0.4 s, three quarters of each shared with the next.
    """
    size = round(BLOCK_S * sample_rate_hz)
    if len(samples) < size:
        samples = np.concatenate([samples, np.zeros((size - len(samples), samples.shape[1]))])
    starts = np.arange(0, len(samples) - size + 1, size // HOPS_A_BLOCK)
    chosen = np.linspace(0, len(starts) - 1, min(len(starts), MAX_BLOCKS)).round().astype(int)
    weights = _k_weights(np.asarray(np.fft.rfftfreq(size, 1 / sample_rate_hz), np.float64))
    powers = np.array([_power(samples[at : at + size], weights) for at in starts[chosen]])
    loud = powers[_lufs(powers) > GATE_LUFS]
    if not loud.size:
        return SILENCE_LUFS
    kept = loud[_lufs(loud) > _lufs(loud.mean()) + RELATIVE_GATE_LU]
    return float(_lufs(kept.mean()))


def true_peaks(samples: Samples) -> NDArray[np.float64]:
    """(N,) the highest value of any channel from each frame to the next, at FINER places of it.

    Between frames a sound is what its band limit makes of it (a windowed sinc of 2 REACH frames).
    """
    found: NDArray[np.float64] = np.abs(samples).max(axis=1).astype(np.float64)
    filters = _between()
    for channel in samples.T:
        padded = np.pad(channel.astype(np.float64), REACH)
        for start in range(0, len(channel), PART_FRAMES):
            part = padded[start : start + PART_FRAMES + 2 * REACH]
            for taps in filters:
                # The value at frame n + k / FINER lies after REACH frames of the padded part.
                finer = np.convolve(part, taps, "valid")[1 : 1 + PART_FRAMES]
                place = slice(start, start + len(finer))
                np.maximum(found[place], np.abs(finer), out=found[place])
    return found


def true_peak_dbtp(samples: Samples) -> float:
    """The true peak of (N, C) samples, in decibels of full scale; SILENCE_LUFS for none."""
    peak = float(true_peaks(samples).max(initial=0.0))
    return 20 * float(np.log10(peak)) if peak > 0 else SILENCE_LUFS


def _between() -> list[NDArray[np.float64]]:
    """Taps that tell the values at each fraction of a frame, to be convolved with."""
    places = np.arange(-REACH, REACH)
    found = []
    for number in range(1, FINER):
        at = places + number / FINER
        window = np.cos(np.pi * at / (2 * REACH)) ** 2
        taps = np.sinc(at) * window
        found.append(taps / taps.sum())
    return found


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
