"""The audible label: the rhythm 短长 短短, Morse A I, as soft tones, and found again in samples.

Reported rule: China's measures of 2025 and GB 45438-2025 ask for a spoken sentence or this rhythm
at the start, the end or a middle place of a sound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wenfang.media.audio import Samples, Sound
from wenfang.media.loudness import loudness_lufs

# (sounding, length in units): A is short long, I is short short.
RHYTHM = ((True, 1), (False, 1), (True, 3), (False, 3), (True, 1), (False, 1), (True, 1))
UNITS = sum(length for _, length in RHYTHM)
UNIT_S = 0.14
PITCH_HZ = 880.0  # A5
PAUSE_S = 0.45
REST_S = 0.12  # of silence behind a rhythm at the very end
ATTACK_S, RELEASE_S = 0.012, 0.03
OVERTONE = 0.12  # of the octave, which makes the tone less of a test tone
BELOW_LU = 2.0  # the tones are this much softer than the content
SOFTEST_LUFS, LOUDEST_LUFS, USUAL_LUFS = -36.0, -12.0, -23.0
FAINT_DBFS = -50.0
TONAL = 0.5  # share of the power while sounding that must be the tone's
TOLERANCE = 0.4  # of a unit, and of three units' third
WINDOW_S = 4.0  # at either end, where the rhythm is looked for


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A rhythm found in samples: where, its unit, and how loud its tone is in dB of full scale."""

    start_s: float
    unit_s: float
    level_dbfs: float
    tonal: float


def motif(like: Sound) -> Samples:
    """(M, C) samples of the rhythm at the rate, the channels and near the loudness of `like`."""
    rate = like.sample_rate_hz
    tones = np.concatenate([_tone(length, rate) if on else _rest(length, rate)
                            for on, length in RHYTHM])  # fmt: skip
    samples = np.repeat(tones[:, None], like.samples.shape[1], axis=1)
    wanted = loudness_lufs(like.samples, rate) - BELOW_LU
    if wanted < -70:
        wanted = USUAL_LUFS
    wanted = min(max(wanted, SOFTEST_LUFS), LOUDEST_LUFS)
    gain = 10 ** ((wanted - loudness_lufs(samples, rate)) / 20)
    return (samples * min(gain, 0.5 / float(np.abs(samples).max()))).astype(np.float32)


def _rest(units: int, rate_hz: int) -> NDArray[np.float64]:
    return np.zeros(round(units * UNIT_S * rate_hz))


def _tone(units: int, rate_hz: int) -> NDArray[np.float64]:
    """A tone that swells and dies away smoothly, so that it does not click."""
    count = round(units * UNIT_S * rate_hz)
    time = np.arange(count) / rate_hz
    wave = np.sin(2 * np.pi * PITCH_HZ * time) + OVERTONE * np.sin(4 * np.pi * PITCH_HZ * time)
    rise, fall = time / ATTACK_S, (count / rate_hz - time) / RELEASE_S
    swell = np.clip(np.minimum(rise, fall), 0, 1)
    return np.asarray(wave * (0.5 - 0.5 * np.cos(np.pi * swell)))


def with_rhythm(like: Sound, position: str) -> tuple[Samples, Samples, dict[str, object]]:
    """(samples to put before, samples to put behind, facts) for a sound: one of both is empty."""
    rate, tones = like.sample_rate_hz, motif(like)
    nothing = tones[:0]
    pause, rest = (
        np.zeros((round(seconds * rate), tones.shape[1]), np.float32)
        for seconds in (PAUSE_S, REST_S)
    )
    facts: dict[str, object] = {"form": "rhythm", "position": position}
    facts |= {"unit_s": UNIT_S, "pitch_hz": PITCH_HZ}
    if position == "start":
        return np.concatenate([tones, pause]), nothing, {**facts, "start_s": 0.0}
    start_s = round(like.duration_s + PAUSE_S, 3)
    return nothing, np.concatenate([pause, tones, rest]), {**facts, "start_s": start_s}


def recorded_tone(facts: Mapping[str, Any] | None) -> tuple[float, float]:
    """(unit in s, pitch in Hz) of a record, our own where there is none; ValueError if absurd."""
    if not facts:
        return UNIT_S, PITCH_HZ
    unit_s, pitch_hz = float(facts["unit_s"]), float(facts["pitch_hz"])
    if not (0.05 <= unit_s <= 0.3 and 200 <= pitch_hz <= 3_500):
        raise ValueError("tone")
    return unit_s, pitch_hz


def find_rhythm(sound: Sound, unit_s: float, pitch_hz: float) -> Heard | None:
    """The first rhythm of that unit and pitch in a short sound; None if it is not there.

    The tone's envelope is cut at half its height into runs, and four of them must have the lengths
    and the gaps of RHYTHM within TOLERANCE.
    """
    rate = sound.sample_rate_hz
    if len(sound.samples) < UNITS * unit_s * rate or pitch_hz >= rate / 2:
        return None
    samples = sound.samples.astype(np.float64)
    window = max(1, round(unit_s / 4 * rate))
    mono = samples[:, np.argmax((samples**2).sum(axis=0))]
    tone, power = _envelope(mono, pitch_hz / rate, window), _smooth(mono**2, window)
    for height in _heights(tone):
        runs = _runs(tone > height / 2)
        for start, lengths in _fours(runs):
            fits = _unit(lengths, unit_s * rate)
            if fits is None or not _stands_alone(runs, start, unit_s * rate, len(mono)):
                continue
            sounding = _middle(runs[start : start + 4])
            level = float(np.median(tone[sounding]))
            share = float(np.median(tone[sounding] ** 2 / 2 / np.maximum(power[sounding], 1e-12)))
            dbfs = 20 * math.log10(max(level, 1e-9))
            if dbfs >= FAINT_DBFS and share >= TONAL:
                begin = runs[start][0] / rate
                return Heard(start_s=begin, unit_s=fits / rate, level_dbfs=dbfs, tonal=share)
    return None


def _envelope(mono: NDArray[np.float64], cycles: float, window: int) -> NDArray[np.float64]:
    """Amplitude of a tone of `cycles` a sample, averaged over `window`."""
    turn = np.exp(-2j * np.pi * cycles * np.arange(len(mono)))
    return np.asarray(2 * np.abs(_smooth(mono * turn, window)))


def _smooth(values: NDArray[Any], window: int) -> NDArray[Any]:
    """Running mean over `window`, centred, of the same length."""
    total = np.concatenate([[0], np.cumsum(values)])
    low = np.clip(np.arange(len(values)) - window // 2, 0, len(values))
    high = np.clip(low + window, 0, len(values))
    return np.asarray((total[high] - total[low]) / window)


def _heights(tone: NDArray[np.float64]) -> Iterator[float]:
    """Heights that the rhythm may have: the content beside it can be louder at its pitch."""
    top = float(tone.max())
    for step in range(8):
        yield top * 0.7**step


def _runs(sounding: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, end) of every stretch that sounds; at most a thousand."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sounding, [False]]).astype(np.int8)))
    return [(int(one), int(two)) for one, two in edges.reshape(-1, 2)[:1000]]


def _fours(runs: list[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    """(index, lengths of tone, gap, tone, …) of each four runs in a row."""
    for index in range(len(runs) - 3):
        four = runs[index : index + 4]
        edges = [edge for run in four for edge in run]
        yield index, [two - one for one, two in pairwise(edges)]


def _unit(lengths: list[int], near: float) -> float | None:
    """The unit that fits all lengths, if it is within a quarter of `near`."""
    shape = [length for _, length in RHYTHM]
    unit = sum(lengths) / UNITS
    fits = all(
        abs(one / unit - wanted) <= TOLERANCE * (1 if wanted == 1 else 1.5)
        for one, wanted in zip(lengths, shape, strict=True)
    )
    return unit if fits and abs(unit / near - 1) <= 0.25 else None


def _stands_alone(runs: list[tuple[int, int]], start: int, unit: float, size: int) -> bool:
    """Whether two units of silence, or the sound's end, lie on both sides of four runs."""
    before = runs[start][0] - (runs[start - 1][1] if start else -size)
    after = (runs[start + 4][0] if start + 4 < len(runs) else 2 * size) - runs[start + 3][1]
    return min(before, after) >= 2 * unit


def _middle(runs: list[tuple[int, int]]) -> NDArray[np.int64]:
    """Sample numbers in the middle half of each run."""
    parts = [np.arange(one + (two - one) // 4, two - (two - one) // 4) for one, two in runs]
    return np.concatenate(parts)
