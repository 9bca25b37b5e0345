"""A sound as a picture of its levels, the log-mel spectrogram, and the way back to a sound.

Bands of equal width on the mel scale (O'Shaughnessy 1987) read the magnitudes of a short-time
Fourier transform. What a picture does not tell: how loud the whole was (its loudest place is
white), what lies more than `range_db` below that (black), levels finer than a step of
range_db / 255, frequencies within a band, and the phases. On the way back magnitudes that would
give such bands are found by non-negative least squares (Lee & Seung 2001), and phases that go with
them by Griffin & Lim (1984) with the momentum of Perraudin et al. (2013).

B bands, T frames, F frequencies, W window and N samples
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import ConfigError, MediaError
from wenfang.media.audio import Sound

Array = NDArray[np.float64]
Spectra = NDArray[np.complex128]
Levels = NDArray[np.uint8]

WHITE = 255
PEAK = 0.9  # of full scale, of a sound that was a picture
FAINT = 1e-9  # beside full scale; nothing recorded is as quiet
HEARD_DB = -50.0  # beside white: what a frame holds that is heard
MAGNITUDE_STEPS = 100
MOMENTUM = 0.99
MOST_SIDE, MOST_SAMPLES = 1024, 65_536


@dataclass(frozen=True, kw_only=True)
class MelScale:
    """How sounds and pictures of `side` x `side` stand for each other.

    side         bands, and frames: pictures are square
    hop, window, transform  in samples; a frame's window lies in the middle of its hop, and the
                 transform may be longer than the window
    lowest_hz    where the lowest band begins; the highest one ends at half of `rate_hz`
    range_db     from white to black
    """

    side: int = 48
    rate_hz: int = 8000
    hop: int = 128
    window: int = 384
    transform: int = 512
    lowest_hz: float = 50.0
    range_db: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        sizes = 1 <= self.side <= MOST_SIDE and 1 <= self.hop <= self.window <= self.transform
        highest = self.rate_hz / 2
        ranges = 0 <= self.lowest_hz < highest <= 96_000 and 0 < self.range_db <= 200
        odd = self.window % self.hop or (self.window - self.hop) % 2
        if not sizes or not ranges or odd or self.transform > MOST_SAMPLES:
            raise ConfigError(
                "this mel scale cannot be computed: side is 1 to {side}, hop divides window and "
                "leaves an even rest, window is at most transform, lowest_hz below half of rate_hz",
                side=MOST_SIDE,
            )

    @property
    def samples(self) -> int:
        """Of a whole picture."""
        return self.side * self.hop

    @property
    def duration_s(self) -> float:
        """Of a whole picture."""
        return self.samples / self.rate_hz


SPEECH = MelScale()


def mel_picture(sound: Sound, scale: MelScale = SPEECH) -> Levels:
    """(B, T) levels, the highest band first; a shorter sound is followed by black.

    Channels are mixed; silence is black.
    raises MediaError for another sample rate, or a sound that is longer than the picture
    """
    if sound.sample_rate_hz != scale.rate_hz or len(sound.samples) > scale.samples:
        raise MediaError(
            "this sound of {rate} Hz and {seconds} s is no picture of at most {most} s at "
            "{wanted} Hz; resample it and cut it",
            rate=sound.sample_rate_hz,
            seconds=f"{sound.duration_s:.2f}",
            most=f"{scale.duration_s:.3f}",
            wanted=scale.rate_hz,
        )
    heard = np.zeros(scale.samples)
    heard[: len(sound.samples)] = sound.samples.mean(axis=1)
    bands = np.abs(_spectra(heard, scale)) @ _bank(scale).T
    loudest = bands.max(initial=0.0)
    if loudest < FAINT:
        return np.zeros((scale.side, scale.side), np.uint8)
    beside = 20 * np.log10(np.maximum(bands / loudest, FAINT))
    shares = np.clip(1 + beside / scale.range_db, 0, 1)
    return np.ascontiguousarray(np.round(shares * WHITE).astype(np.uint8).T[::-1])


def mel_decibels(picture: Levels, scale: MelScale = SPEECH) -> Array:
    """(T, B), the lowest band first: decibels beside white, -range_db for black."""
    return picture[::-1].T.astype(np.float64) / WHITE * scale.range_db - scale.range_db


def heard_frames(picture: Levels, scale: MelScale = SPEECH) -> slice:
    """From the first frame with something louder than HEARD_DB to the last; all if there is none.

    A picture that was drawn has a haze where one of a recording is black.
    """
    loud = np.flatnonzero(mel_decibels(picture, scale).max(axis=1) > HEARD_DB)
    return slice(int(loud[0]), int(loud[-1]) + 1) if loud.size else slice(0, picture.shape[1])


def sound_of(picture: Levels, scale: MelScale = SPEECH, rounds: int = 60) -> Sound:
    """A sound with these levels, as long as the picture, at PEAK of full scale.

    picture  (B, T), the highest band first
    rounds   of Griffin & Lim; the same picture gives the same sound
    raises   MediaError for a picture of another size
    """
    if picture.shape != (scale.side, scale.side):
        raise MediaError(
            "a picture of {shape} is no log-mel of {side} x {side}; give one of that size",
            shape="x".join(map(str, picture.shape)),
            side=scale.side,
        )
    bands = 10 ** (mel_decibels(picture, scale) / 20)
    bands[picture[::-1].T == 0] = 0.0
    heard = _with_phases(_magnitudes(bands, scale), scale, rounds)
    peak = np.abs(heard).max(initial=0.0)
    if peak > 0:
        heard *= PEAK / peak
    return Sound(samples=heard.astype(np.float32)[:, None], sample_rate_hz=scale.rate_hz)


@cache
def _bank(scale: MelScale) -> Array:
    """(B, F) triangles over the frequencies, one up to the next but one middle."""
    edges = _hertz(np.linspace(_mel(scale.lowest_hz), _mel(scale.rate_hz / 2), scale.side + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    at = np.arange(scale.transform // 2 + 1) * scale.rate_hz / scale.transform
    rising, falling = (at - low) / (middle - low), (high - at) / (high - middle)
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None))


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: Array) -> Array:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


@cache
def _window(scale: MelScale) -> Array:
    """(W,), Hann's."""
    return np.hanning(scale.window + 1)[:-1]


def _spectra(heard: Array, scale: MelScale) -> Spectra:
    """(T, F) of (T * hop,) samples; nothing is heard before and after."""
    around = (scale.window - scale.hop) // 2
    padded = np.pad(heard, around)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, scale.window)[:: scale.hop]
    return np.fft.rfft(pieces * _window(scale), scale.transform, axis=1)


def _heard(spectra: Spectra, scale: MelScale) -> Array:
    """(T * hop,) whose spectra come nearest to (T, F) ones: pieces laid over each other."""
    window, hop, overlaps = _window(scale), scale.hop, scale.window // scale.hop
    pieces = np.fft.irfft(spectra, scale.transform, axis=1)[:, : scale.window] * window
    total, weight = (np.zeros((len(spectra) + overlaps - 1, hop)) for _ in range(2))
    for number in range(overlaps):
        part = slice(number * hop, (number + 1) * hop)
        rows = slice(number, number + len(spectra))
        total[rows] += pieces[:, part]
        weight[rows] += window[part] ** 2
    around = (scale.window - hop) // 2
    # Hann's window is 0 at its edge, so the very first and last samples may weigh nothing.
    least = 1e-3 * float((window**2).sum()) / hop
    laid = (total / np.maximum(weight, least)).reshape(-1)
    return laid[around : around + len(spectra) * hop]


def _magnitudes(bands: Array, scale: MelScale) -> Array:
    """(T, F) of 0 or more whose bands are nearest to (T, B), by multiplicative steps."""
    bank = _bank(scale)
    both, wanted = bank.T @ bank, bands @ bank
    found = wanted + FAINT
    for _ in range(MAGNITUDE_STEPS):
        found *= wanted / (found @ both + FAINT)
    return found


def _with_phases(magnitudes: Array, scale: MelScale, rounds: int) -> Array:
    """(T * hop,) by Griffin & Lim from phases of chance, always the same."""
    from wenfang.device import noise  # it loads torch, which reading needs not

    chance = noise(0, "griffin-lim").random(magnitudes.shape)
    spectra = magnitudes * np.exp(2j * np.pi * chance)
    before = spectra
    for _ in range(rounds):
        real = _spectra(_heard(spectra, scale), scale)
        moved = real + MOMENTUM * (real - before)
        before = real
        spectra = magnitudes * moved / np.maximum(np.abs(moved), FAINT)
    return _heard(spectra, scale)
