"""An invisible watermark of sound: a pointer to the manifest, never proof of anything.

A pattern of 1.7 s repeats through the whole file: every frequency between 300 Hz and 6 kHz has a
secret phase, some of them (the sync) known to every reader, the others turned by the coded bits
of the pointer. It is laid under the sound's own masking threshold and under a common ceiling that
keeps the whole 30 dB below the sound. To read it, the sound is whitened, so that only phases are
left, its periods are added up, one correlation finds where the pattern begins, wherever the file
was cut, and the code's decoder reads the pointer. Spread spectrum after Cox et al. (1997); sync by
repetition and correlation after Kirovski and Malvar (2003).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from wenfang.language import keyed
from wenfang.seal.watermark.codes import CODED_BITS, POINTER_BITS, decode, encode
from wenfang.seal.watermark.sound_signal import (
    BAND_HZ,
    HOP,
    WORK_RATE_HZ,
    frame_count,
    frames,
    masked_power,
    overlapped,
    resampled,
    whitened,
)

KIND = "sound-spread-1"
PUBLIC_KEY = b"wenfang sound watermark 1: a pointer, not a proof"
# 27,000 = 2^3 3^3 5^3 transforms fast, and 1.6875 s is no common bar or beat of music.
PERIOD = 27_000
PERIOD_S = PERIOD / WORK_RATE_HZ
MINIMUM_S = 3.0
# A score of 12 is read and believed; the rest is for what coding and cutting take away.
WORTH_SCORE = 16.0
_TRIED_S, _TRIED = 30, "5ea1ed500dab"
CLAIMED_P = 1e-6
_SNR_DB = 30.4
_SYNC_SHARE = 0.18
_FIRST, _LAST = (int(hz * PERIOD_S) for hz in BAND_HZ)
_OVERSAMPLING = 4
_CANDIDATES = 8
# Both bound the memory of a search, whatever the file claims.
_DETECTED_S, _DETECTED_SAMPLES = 300, 16_000_000
_SPEED_LIMIT = 0.0125
_SPEED_STEP = 1e-5
_SPEEDS = 3
_SPEED_PART_S = 20
_RATES_HZ = (8_000, 192_000)

Samples = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search for the watermark found.

    pointer      12 hexadecimal digits, or None
    score        how far the best pattern stands out, in standard deviations of chance
    p_value      an upper bound on the chance that sound without the mark gives such a score: the
                 tail of one pattern times all pointers, offsets, polarities and speeds
    offset_s     where in the sound the pattern first begins, modulo its period
    speed        how many times faster than marked the sound runs
    """

    pointer: str | None
    score: float = 0.0
    p_value: float = 1.0
    offset_s: float = 0.0
    speed: float = 1.0


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    """A key's pattern over the F frequencies of the band.

    phases  (F,) complex of magnitude 1
    owner   (F,) the coded bit that turns the frequency; CODED_BITS for the sync
    """

    phases: NDArray[np.complex128]
    owner: NDArray[np.int64]


@lru_cache(maxsize=4)
def _pattern(key: bytes) -> _Pattern:
    seed = int.from_bytes(hashlib.sha256(key).digest()[:16], "big")
    words = np.random.Philox(key=seed).random_raw(3 * (_LAST - _FIRST)).reshape(3, -1)
    uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    owner = (uniform[1] * CODED_BITS).astype(np.int64)
    owner[uniform[2] < _SYNC_SHARE] = CODED_BITS
    return _Pattern(phases=np.exp(2j * np.pi * uniform[0]), owner=owner)


def worth_marking(samples: Samples, sample_rate_hz: int) -> str | None:
    """Why this sound would carry no mark worth reading (a message template); None if it would."""
    if not _RATES_HZ[0] <= sample_rate_hz <= _RATES_HZ[1]:
        return keyed("the sample rate is outside 8 to 192 kHz")
    if len(samples) < MINIMUM_S * sample_rate_hz:
        return keyed("sound shorter than 3 s holds no watermark")
    if not np.isfinite(samples).all():
        return keyed("the sound holds values that are no numbers")
    if float(np.abs(samples).max(initial=0)) < 2e-3:
        return keyed("the sound is nearly silent")
    part = _loudest(samples, _TRIED_S * sample_rate_hz)
    tried = detect(embed(part, sample_rate_hz, _TRIED), sample_rate_hz, search=False)
    if tried.pointer != _TRIED or tried.score < WORTH_SCORE:
        return keyed("the sound leaves too little room to hide a watermark that can be read again")
    return None


def embed(samples: Samples, sample_rate_hz: int, pointer: str, key: bytes = PUBLIC_KEY) -> Samples:
    """The sound with its mark.

    samples  (N, C) float32 in -1..1; what is silent stays silent, and nothing clips that did not
    pointer  12 hexadecimal digits; ValueError for others
    """
    pattern = _pattern(key)
    turns = np.append(encode(pointer), 1)[pattern.owner]
    spectrum = np.zeros(PERIOD // 2 + 1, np.complex128)
    spectrum[_FIRST:_LAST] = turns * pattern.phases * PERIOD**0.5
    period = np.fft.irfft(spectrum, PERIOD).astype(np.float32)
    hosts, ceiling = _prepared(samples, sample_rate_hz)
    marked = np.empty_like(samples)
    for channel, (original, host) in enumerate(zip(samples.T, hosts, strict=True)):
        mark = resampled(_shaped(host, period, ceiling), WORK_RATE_HZ, sample_rate_hz)
        mark = mark[: len(original)] * ~_silent(original, sample_rate_hz)
        low, high = np.minimum(original, -1), np.maximum(original, 1)
        marked[:, channel] = np.clip(original + mark, low, high)
    return marked


def detect(
    samples: Samples, sample_rate_hz: int, key: bytes = PUBLIC_KEY, search: bool = True
) -> Found:
    """The mark of a sound, from its first five minutes.

    samples  (N, C) float32
    search   also look for a copy that runs up to 1.25 % faster or slower
    """
    if not _RATES_HZ[0] <= sample_rate_hz <= _RATES_HZ[1] or len(samples) < sample_rate_hz // 2:
        return Found(pointer=None)
    heard = samples[: min(_DETECTED_S * sample_rate_hz, _DETECTED_SAMPLES)]
    white = np.zeros(-(-len(heard) * WORK_RATE_HZ // sample_rate_hz))
    for channel in heard.T[:8]:
        finite = np.nan_to_num(channel, posinf=0, neginf=0).clip(-16, 16)
        white += whitened(resampled(finite, sample_rate_hz, WORK_RATE_HZ))
    if not white.any():
        return Found(pointer=None)
    pattern = _pattern(key)
    speeds = 1 + int(2 * _SPEED_LIMIT / _SPEED_STEP) * search
    found = _read(white, pattern, speeds)
    if found.pointer is None and search:
        for speed, slowed in _other_speeds(white):
            other = replace(_read(slowed, pattern, speeds), speed=speed)
            if other.pointer is not None:
                return other
    return found


def _loudest(samples: Samples, length: int) -> Samples:
    """The loudest of the pieces of this length, the last of which may be shorter."""
    pieces = [samples[start : start + length] for start in range(0, len(samples), length)]
    return max(pieces, key=lambda piece: float(np.square(piece, dtype=np.float64).sum()))


def _prepared(samples: Samples, sample_rate_hz: int) -> tuple[list[Samples], float]:
    """The channels at the working rate, and the ceiling of the mark's power."""
    hosts = [resampled(one, sample_rate_hz, WORK_RATE_HZ) for one in samples.T]
    energy = float(np.square(samples, dtype=np.float64).sum()) / sample_rate_hz
    return hosts, _ceiling(hosts, energy)


def _ceiling(hosts: list[Samples], energy: float) -> float:
    """The power that the mark nowhere exceeds, so that its whole stays `_SNR_DB` below `energy`.

    Loud places are where a given mark costs most and a reader gains least, so a ceiling keeps far
    more of it than turning all of it down does.
    """
    steps = np.arange(-150.0, 30.0, 0.25)
    counts, sums = np.zeros(len(steps) + 1), np.zeros(len(steps) + 1)
    for host in hosts:
        for _, spectra in frames(host):
            hidden = masked_power(spectra)
            hidden = hidden[hidden > 1e-15]
            level = np.searchsorted(steps, 10 * np.log10(hidden))
            counts += np.bincount(level, minlength=len(counts))
            sums += np.bincount(level, weights=hidden, minlength=len(sums))
    below, above = np.cumsum(sums)[:-1], counts.sum() - np.cumsum(counts)[:-1]
    # At power 1 each frequency of each frame stands for one sample of the working rate.
    spent = (below + above * 10 ** (steps / 10)) / WORK_RATE_HZ
    allowed = energy * 10 ** (-_SNR_DB / 10)
    return float(10 ** (steps[max(0, int(np.searchsorted(spent, allowed)) - 1)] / 10))


def _shaped(host: Samples, period: Samples, ceiling: float) -> Samples:
    """The repeated pattern with, in every frame, the power that the host hides there."""
    pattern = np.tile(period, -(-len(host) // PERIOD))[: len(host)]
    output = np.zeros((frame_count(len(host)) + 1) * HOP, np.float32)
    for (first, spectra), (_, carrier) in zip(frames(host), frames(pattern), strict=True):
        strength = np.sqrt(np.minimum(masked_power(spectra), np.float32(ceiling)))
        piece = overlapped(carrier[1:-1] * strength)
        output[first * HOP : first * HOP + len(piece)] += piece
    return output[HOP : HOP + len(host)]


def _silent(signal: Samples, sample_rate_hz: int) -> NDArray[np.bool_]:
    """(N,) where a sample lies in 2 ms or more of exact zeros."""
    run = max(2, sample_rate_hz // 500)
    sounding = np.concatenate([[0], np.cumsum(signal != 0)])
    if len(signal) < run:
        return np.asarray(signal == 0)
    starts = sounding[run:] == sounding[:-run]
    inside = np.zeros(len(signal) + 1, np.int64)
    inside[: len(starts)] += starts
    inside[run : run + len(starts)] -= starts
    return np.asarray(np.cumsum(inside[:-1]) > 0)


def _read(white: Values, pattern: _Pattern, speeds: int) -> Found:
    """The pointer of a whitened sound, if its pattern runs at the right speed.

    speeds  how many speeds the caller chose from, which the p value must pay for
    """
    periods = -(-len(white) // PERIOD)
    folded = np.pad(white, (0, periods * PERIOD - len(white))).reshape(-1, PERIOD).sum(axis=0)
    heard = np.fft.rfft(folded)[_FIRST:_LAST]
    deviation = float(np.sqrt(np.square(np.abs(heard)).sum() / 2)) + 1e-30
    straight = heard * pattern.phases.conj()
    best = Found(pointer=None)
    for start, height in _starts(straight, pattern):
        turn = np.exp(2j * np.pi / PERIOD * start * np.arange(_FIRST, _LAST))
        aligned = np.sign(height) * (straight * turn).real
        bits: Values = np.bincount(pattern.owner, aligned, CODED_BITS + 1).astype(np.float64)
        pointer = decode(bits[:CODED_BITS])
        if pointer is None:
            continue
        score = float(np.append(encode(pointer), 1) @ bits) / deviation
        # For a sound of any kind, over the choice of keys, one pattern's score is sub-Gaussian:
        # it is a sum of cosines of independent angles (Hoeffding 1963).
        tests = POINTER_BITS * log(2) + log(2 * PERIOD * _OVERSAMPLING * speeds)
        p_value = exp(min(0.0, max(-690.0, tests - score**2 / 2)))
        if score > best.score:
            claimed = pointer if p_value <= CLAIMED_P else None
            offset_s = start / WORK_RATE_HZ
            best = Found(pointer=claimed, score=score, p_value=p_value, offset_s=offset_s)
    return best


def _starts(straight: NDArray[np.complex128], pattern: _Pattern) -> Iterator[tuple[float, float]]:
    """The likeliest starts of the pattern by its sync: (sample of the period, signed height)."""
    sync = np.zeros(PERIOD * _OVERSAMPLING, np.complex128)
    sync[_FIRST:_LAST] = np.where(pattern.owner == CODED_BITS, straight, 0)
    heights = np.fft.ifft(sync).real
    near = np.arange(-2 * _OVERSAMPLING, 2 * _OVERSAMPLING + 1)
    for _ in range(_CANDIDATES):
        place = int(np.argmax(np.abs(heights)))
        yield place / _OVERSAMPLING, float(heights[place])
        heights[(place + near) % len(heights)] = 0


def _other_speeds(white: Values) -> Iterator[tuple[float, Values]]:
    """Speeds at which the sound's first part repeats itself, and the part at the marked speed.

    The mark repeats every period, so the whitened sound resembles itself one period on, two
    periods on and so forth, which tells the speed to a hundred-thousandth. Magnitudes in place of
    powers keep held notes, which resemble themselves at any distance, from hiding it.
    """
    part = white[: _SPEED_PART_S * WORK_RATE_HZ]
    repeats = min(8, int(len(part) / PERIOD / (1 + _SPEED_LIMIT)))
    size = 1 << (2 * len(part)).bit_length()
    spectrum = np.fft.rfft(part, size)
    heard = np.abs(spectrum)
    hertz = np.arange(len(heard)) * WORK_RATE_HZ / size
    heard[(hertz < BAND_HZ[0]) | (hertz > BAND_HZ[1])] = 0
    alike = np.fft.irfft(heard, size * _OVERSAMPLING)
    speeds = np.arange(1 - _SPEED_LIMIT, 1 + _SPEED_LIMIT, _SPEED_STEP)
    scores = np.zeros(len(speeds))
    for repeat in range(1, repeats + 1):
        lag = repeat * PERIOD / speeds * _OVERSAMPLING
        scores += np.interp(lag, np.arange(int(lag[0]) + 2), alike[: int(lag[0]) + 2])
    fine = np.fft.irfft(spectrum, size * _OVERSAMPLING)[: len(part) * _OVERSAMPLING]
    for _ in range(_SPEEDS if repeats else 0):
        best = int(np.argmax(scores))
        places = np.arange(int(len(part) * speeds[best])) * (_OVERSAMPLING / speeds[best])
        yield float(speeds[best]), np.interp(places, np.arange(len(fine)), fine)
        scores[max(0, best - 10) : best + 11] = -np.inf
