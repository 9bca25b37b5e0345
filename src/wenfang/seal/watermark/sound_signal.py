"""Signals for the watermark of sound: resampling, short-time spectra, masking, whitening.

Everything works at 16 kHz, where the mark lives below 6 kHz, whatever the file's rate is.
Legend: N samples, T frames, F frequencies.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

WORK_RATE_HZ = 16_000
BAND_HZ = (300.0, 6_000.0)
FRAME, HOP = 512, 256
FREQUENCIES_HZ = np.arange(FRAME // 2 + 1) * WORK_RATE_HZ / FRAME

Signal = NDArray[np.float32]
Spectra = NDArray[np.complex64]
Levels = NDArray[np.float32]

# Sine windows before and after, half overlapped: their squares add up to 1.
_WINDOW = np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME).astype(np.float32)
# Frames handled at once: 16 s, a few dozen MB.
_BATCH_FRAMES = 1_000
# A threshold may rise or fall by no more than 6 dB from one frame (16 ms) to the next, so that
# the mark of an attack does not sound before it.
_STEP = np.float32(4.0)


def resampled(signal: NDArray[np.float32], from_hz: int, to_hz: int) -> Signal:
    """One channel at another rate, band-limited, in step with the first sample.

    Pieces of two seconds under a Hann window, one second apart, so that any two whole-numbered
    rates fit exactly and memory stays small.
    """
    if from_hz == to_hz or not len(signal):
        return signal.astype(np.float32)
    pieces = -(-len(signal) // from_hz) + 1
    padded = np.zeros((pieces + 1) * from_hz, np.float32)
    padded[from_hz : from_hz + len(signal)] = signal
    turn = 2 * np.pi / (2 * from_hz)
    window = (0.5 - 0.5 * np.cos(turn * np.arange(2 * from_hz))).astype(np.float32)
    output = np.zeros((pieces + 1) * to_hz, np.float32)
    kept = min(from_hz, to_hz)
    for piece in range(pieces):
        spectrum = np.fft.rfft(padded[piece * from_hz : (piece + 2) * from_hz] * window)
        wanted = np.zeros(to_hz + 1, spectrum.dtype)
        wanted[:kept] = spectrum[:kept]
        span = slice(piece * to_hz, (piece + 2) * to_hz)
        output[span] += np.fft.irfft(wanted, 2 * to_hz) * (to_hz / from_hz)
    length = -(-len(signal) * to_hz // from_hz)
    return output[to_hz : to_hz + length]


def frame_count(samples: int) -> int:
    """How many frames cover so many samples, each sample twice."""
    return -(-samples // HOP) + 1


def frames(signal: Signal) -> Iterator[tuple[int, Spectra]]:
    """The spectra of half-overlapping frames in batches: (first frame, (T, F)).

    A batch brings one frame more on either side, zeros at the ends, for rules over neighbours.
    """
    count = frame_count(len(signal))
    padded = np.zeros((count + 3) * HOP, np.float32)
    padded[2 * HOP : 2 * HOP + len(signal)] = signal
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    for first in range(0, count, _BATCH_FRAMES):
        last = min(count, first + _BATCH_FRAMES)
        spectra = np.fft.rfft(windows[first : last + 2] * _WINDOW, axis=1)
        yield first, spectra.astype(np.complex64, copy=False)


def overlapped(spectra: Spectra) -> Signal:
    """The signal of spectra (T, F): ((T + 1) * HOP,), its first HOP half faded in."""
    pieces = (np.fft.irfft(spectra, FRAME, axis=1) * _WINDOW).reshape(-1, 2, HOP)
    output = np.zeros((len(pieces) + 1, HOP), np.float32)
    output[:-1] += pieces[:, 0]
    output[1:] += pieces[:, 1]
    return output.reshape(-1)


def whitened(signal: Signal) -> Signal:
    """The signal with every frequency of every frame at magnitude 1: only its phases speak.

    A mark hides where the sound is weak, so loud frequencies must not drown it when it is read.
    What lies 60 dB under its frame or 80 dB under the whole is noise and fades out.
    """
    count = frame_count(len(signal))
    loudness = float(np.sqrt(np.mean(np.square(signal), dtype=np.float64))) if len(signal) else 0.0
    floor = np.float32(1e-4 * loudness * FRAME**0.5 + 1e-9)
    output = np.zeros((count + 1) * HOP, np.float32)
    for first, spectra in frames(signal):
        inner = spectra[1:-1]
        levels = np.abs(inner)
        inner = inner / (levels + np.float32(1e-3) * levels.max(axis=1, keepdims=True) + floor)
        output[first * HOP : (first + len(inner) + 1) * HOP] += overlapped(inner)
    return output[HOP : HOP + len(signal)]


def _bark(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Critical-band rate (Zwicker and Terhardt 1980)."""
    return 13 * np.arctan(0.00076 * frequency_hz) + 3.5 * np.arctan((frequency_hz / 7500) ** 2)


def _spreading() -> Levels:
    """(masker, masked): power 25 dB a bark less below a masker, 10 dB a bark less above it."""
    bark = _bark(FREQUENCIES_HZ)
    distance = bark[None, :] - bark[:, None]
    spread = 10 ** (np.where(distance >= 0, -10 * distance, 25 * distance) / 10)
    spread /= spread.sum(axis=1, keepdims=True)
    # Noise under a tone is heard earlier than a tone under noise; the cautious offset serves both.
    offset = 10 ** (-(MASK_OFFSET_DB + 0.3 * bark) / 10)
    low_hz, high_hz = BAND_HZ[0] - 50, BAND_HZ[1] + 50
    in_band = (low_hz < FREQUENCIES_HZ) & (high_hz > FREQUENCIES_HZ)
    return (spread * offset * in_band).astype(np.float32)


MASK_OFFSET_DB = 14.0
_SPREADING = _spreading()


def masked_power(spectra: Spectra) -> Levels:
    """The power that each frequency hides: (T + 2, F) with its neighbour frames -> (T, F).

    In the unit of a white signal of power 1; nothing outside the band.
    """
    power = np.square(spectra.real) + np.square(spectra.imag)
    hidden = power @ _SPREADING * np.float32(2 / FRAME)
    limit = _STEP * np.minimum(hidden[:-2], hidden[2:])
    lowest: Levels = np.minimum(hidden[1:-1], limit)
    return lowest
