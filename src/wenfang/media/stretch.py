"""Sound made slower, faster, higher or lower, each without the other.

N frames, C channels
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wenfang.media.audio import Sound, resample

SEARCH_S = 0.012  # how far a piece may be moved to fit the one before it


def stretched(sound: Sound, speed: float = 1.0, semitones: float = 0.0) -> Sound:
    """(N / speed, C) at the same rate: `speed` times as fast and `semitones` higher.

    A sound of a rate below 16 kHz comes back at twice the rate.
    """
    if speed == 1 and not semitones:
        return sound
    higher = 2 ** (semitones / 12)
    if semitones and sound.sample_rate_hz < 16_000:
        sound = resample(sound, 2 * sound.sample_rate_hz)
    rate_hz, count = sound.sample_rate_hz, round(len(sound.samples) / speed)
    changed = sound
    if semitones:
        taken = replace(sound, sample_rate_hz=round(rate_hz * higher))
        changed = resample(taken, rate_hz)
    samples = paced(changed, speed / higher).samples[:count]
    return Sound(
        samples=np.pad(samples, ((0, count - len(samples)), (0, 0))), sample_rate_hz=rate_hz
    )


def paced(sound: Sound, speed: float) -> Sound:
    """(N / speed, C): pieces laid over each other where they fit best (WSOLA, Verhelst & Roelands
    1993).
    """
    rate = sound.sample_rate_hz
    size = 2 * round(0.02 * rate)
    if speed == 1 or len(sound.samples) < 3 * size:
        return sound
    half, reach = size // 2, round(SEARCH_S * rate)
    count = round(len(sound.samples) / speed)
    padded = np.pad(sound.samples.astype(np.float64), ((reach, size + 2 * reach), (0, 0)))
    mono = padded.mean(axis=1)
    window = np.hanning(size + 1)[:-1][:, None]
    out = np.zeros((count + 2 * size, padded.shape[1]))
    begun = reach
    for at in range(0, count, half):
        out[at : at + size] += padded[begun : begun + size] * window
        natural = mono[begun + half : begun + half + half]  # what would have come next
        wanted = min(round((at + half) * speed), len(sound.samples)) + reach
        begun = _best(mono, natural, wanted, reach)
    out[:half] /= np.maximum(window[:half], 1e-3)  # nothing lies under the first rise
    return replace(sound, samples=out[:count].astype(np.float32))


def _best(mono: NDArray[np.float64], natural: NDArray[np.float64], wanted: int, reach: int) -> int:
    """Where, near `wanted`, the sound is most like what would have come next."""
    first = max(0, wanted - reach)
    room = mono[first : wanted + reach + len(natural)]
    if len(room) <= len(natural):
        return min(wanted, len(mono) - 2 * len(natural))
    size = 1 << (len(room) - 1).bit_length()
    alike = np.fft.irfft(np.fft.rfft(room, size) * np.fft.rfft(natural, size).conj(), size)
    alike = alike[: len(room) - len(natural) + 1]
    sums = np.cumsum(np.concatenate(([0.0], room**2)))
    energy = sums[len(natural) :] - sums[: -len(natural)]
    best = first + int(np.argmax(alike / np.sqrt(np.maximum(energy, 1e-9))))
    return min(best, len(mono) - 2 * len(natural))
