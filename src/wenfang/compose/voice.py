"""A synthetic voice made easier on the ear: less rumble and buzz, even loudness, a small room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wenfang.compose.mix import RATE_HZ, Mix, levelled
from wenfang.compose.perform import Room, in_room
from wenfang.media.audio import Sound, resample

# Gain in decibels by frequency, between which it is straight over the octaves.
CURVE_DB = ((40, -30), (80, -6), (130, 0), (220, 1.5), (700, 0), (1600, 0.5), (3000, -2.5),
            (4500, -4), (7000, -3), (10_000, -9), (16_000, -24))  # fmt: skip
STUDIO = Room(fall_s=0.25, wet_db=-19.0, dull_hz=5000.0)
WINDOW_S, STRENGTH, MOST_DB = 0.4, 0.45, 9.0
AIR_S = 0.35  # of the room's sound after the last word


def polished(voice: Sound, room: Room = STUDIO, asked: Mix | None = None) -> Sound:
    """(N, 2) at RATE_HZ: the voice, AIR_S longer, as loud as `asked`."""
    finer = resample(voice, RATE_HZ)
    samples = np.concatenate(
        (finer.samples[:, 0].astype(np.float64), np.zeros(round(AIR_S * RATE_HZ)))
    )
    even = _even(_shaped(samples))
    both = Sound(samples=np.stack((even, even), axis=1).astype(np.float32), sample_rate_hz=RATE_HZ)
    return levelled(in_room(both, room), asked or Mix())


def _shaped(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    size = len(samples)
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / RATE_HZ), 1.0)
    places, gains = (np.array(column, np.float64) for column in zip(*CURVE_DB, strict=True))
    curve = np.interp(np.log2(frequency), np.log2(places), gains)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (curve / 20), size)


def _even(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quiet words louder and loud ones quieter, by STRENGTH of what they are off the middle."""
    width = round(WINDOW_S * RATE_HZ)
    kernel = np.hanning(width + 2)[1:-1]
    size = 1 << (len(samples) + width).bit_length()
    power = np.fft.irfft(np.fft.rfft(samples**2, size) * np.fft.rfft(kernel / kernel.sum(), size))
    level = np.sqrt(np.maximum(power[width // 2 :][: len(samples)], 1e-12))
    spoken = level > level.max() * 0.03
    if not spoken.any():
        return samples
    middle = float(np.median(level[spoken]))
    gain_db = np.clip(20 * np.log10(middle / level) * STRENGTH, -MOST_DB, MOST_DB)
    gain_db = np.where(spoken, gain_db, 0.0)
    steps = np.fft.rfft(gain_db, size) * np.fft.rfft(kernel / kernel.sum(), size)
    smooth = np.fft.irfft(steps, size)[width // 2 :][: len(samples)]
    return np.asarray(samples * 10 ** (smooth / 20))
