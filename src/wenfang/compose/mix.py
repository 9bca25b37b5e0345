"""Sounds laid over each other: gain, place, fades, music that gives way to speech, one loudness.

All is arithmetic on samples, so that the same tracks give the same mix.

N frames, C channels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import MediaError
from wenfang.media.audio import Samples, Sound, resample
from wenfang.media.loudness import SILENCE_LUFS, loudness_lufs, true_peaks
from wenfang.media.quiet import above, runs, step_powers

RATE_HZ = 48_000
LONGEST_S = 1800.0
MOST_TRACKS = 100
Curve = NDArray[np.float64]  # (N,) gains

# Where somebody speaks: louder than this beside the loudest of the track, within these seconds.
SPOKEN_DB, STEP_S = -35.0, 0.02
HELD_S, FALL_S, RISE_S = 0.35, 0.25, 0.7  # of pauses that stay lowered; of the way down and up
LOOK_AHEAD_S = 0.005
TRIES = 6


@dataclass(frozen=True, kw_only=True)
class Track:
    """One sound in a mix.

    start_s    when it begins; what lies before 0 or after the end is cut
    gain_db    as it is at 0
    pan        -1 left to 1 right, by equal power
    fade_in_s, fade_out_s  along a quarter of a sine
    speech     music gives way to it
    ducked_db  what this track loses under speech; 0: nothing
    """

    sound: Sound
    start_s: float = 0.0
    gain_db: float = 0.0
    pan: float = 0.0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    speech: bool = False
    ducked_db: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What comes out.

    duration_s  None: until the last track ends
    lufs        integrated loudness; None: as the tracks give it
    peak_dbtp   true peak that nothing passes; None: whatever it is, for a mix that goes on
    """

    duration_s: float | None = None
    rate_hz: int = RATE_HZ
    lufs: float | None = -14.0
    peak_dbtp: float | None = -1.0


def mix(tracks: Sequence[Track], asked: Mix | None = None) -> Sound:
    """A stereo sound of all tracks, exactly as long as asked.

    raises MediaError for a number without a meaning, no track, too many, or a mix of over half an
    hour
    """
    asked = asked or Mix()
    _require(tracks, asked)
    placed = [(track, stereo(resample(track.sound, asked.rate_hz), track.pan)) for track in tracks]
    ends = [track.start_s + len(samples) / asked.rate_hz for track, samples in placed]
    seconds = max(ends) if asked.duration_s is None else asked.duration_s
    if not 0 < seconds <= LONGEST_S:
        raise MediaError(
            "a mix of {seconds} s cannot be made; give more than 0 and at most {limit} s",
            seconds=round(seconds, 2),
            limit=LONGEST_S,
        )
    frames = round(seconds * asked.rate_hz)
    whole = np.zeros((frames, 2))
    lowered = _lowered(placed, frames, asked.rate_hz)
    for track, samples in placed:
        first = round(track.start_s * asked.rate_hz)
        own = slice(max(0, -first), max(0, min(len(samples), frames - first)))
        there = slice(first + own.start, first + max(own.start, own.stop))
        gains = _faded(len(samples), track, asked.rate_hz)[own]
        if track.ducked_db:
            gains = gains * 10 ** (-abs(track.ducked_db) * lowered[there] / 20)
        whole[there] += samples[own] * gains[:, None]
    return levelled(Sound(samples=whole.astype(np.float32), sample_rate_hz=asked.rate_hz), asked)


def _require(tracks: Sequence[Track], asked: Mix) -> None:
    if not tracks:
        raise MediaError("there is nothing to mix; give a track")
    if len(tracks) > MOST_TRACKS:
        raise MediaError(
            "{count} tracks are too many to mix, the limit is {limit}; join some first",
            count=len(tracks),
            limit=MOST_TRACKS,
        )
    for number, track in enumerate(tracks, 1):
        given = {
            "start_s": track.start_s,
            "gain_db": track.gain_db,
            "pan": track.pan,
            "fade_in_s": track.fade_in_s,
            "fade_out_s": track.fade_out_s,
            "ducked_db": track.ducked_db,
        }
        for name, value in given.items():
            bounded = not name.startswith("fade") or value >= 0
            if not isfinite(value) or not bounded or (name == "pan" and abs(value) > 1):
                raise MediaError(
                    "track {number}: {name} is {value}, which has no meaning; give another",
                    number=number,
                    name=name,
                    value=value,
                )
        if not np.isfinite(track.sound.samples).all():
            raise MediaError(
                "track {number} has samples that are no numbers; make it again", number=number
            )
    if asked.duration_s is not None and not isfinite(asked.duration_s):
        raise MediaError("duration_s is no number; give seconds")


def stereo(sound: Sound, pan: float = 0.0) -> NDArray[np.float64]:
    """(N, 2) of a sound, moved aside by equal power; a stereo sound keeps its sides' balance."""
    angle = (pan + 1) * np.pi / 4
    gains = np.array([np.cos(angle), np.sin(angle)]) * np.sqrt(2)
    return np.asarray(sound.samples.astype(np.float64) * gains)


def _faded(frames: int, track: Track, rate_hz: int) -> Curve:
    gains = np.full(frames, 10 ** (track.gain_db / 20))
    rising, falling = (
        min(frames, round(seconds * rate_hz)) for seconds in (track.fade_in_s, track.fade_out_s)
    )
    if rising:
        gains[:rising] *= np.sin(np.linspace(0, np.pi / 2, rising, endpoint=False))
    if falling:
        gains[frames - falling :] *= np.sin(np.linspace(np.pi / 2, 0, falling))
    return gains


def _lowered(
    placed: Sequence[tuple[Track, NDArray[np.float64]]], frames: int, rate_hz: int
) -> Curve:
    """(N,) how much music gives way to speech: 0 not at all, 1 fully, with slow ways between."""
    step = max(1, round(STEP_S * rate_hz))
    steps = -(-frames // step)
    spoken = np.zeros(steps, np.bool_)
    for track, samples in placed:
        if not track.speech or not len(samples):
            continue
        heard = np.flatnonzero(above(step_powers(samples, rate_hz, STEP_S), SPOKEN_DB))
        places = heard + round(track.start_s / STEP_S)
        spoken[places[(places >= 0) & (places < steps)]] = True
    if not spoken.any():
        return np.zeros(frames)
    speaking = np.flatnonzero(spoken)
    for before, after in pairwise(speaking):
        if (after - before) * STEP_S <= HELD_S + RISE_S:
            spoken[before:after] = True
    # Down before the first word is heard, and up again after the last.
    down, up = (round(seconds / STEP_S) for seconds in (FALL_S, RISE_S))
    held = round(HELD_S / STEP_S)
    level = np.zeros(steps)
    for begun, ended in runs(spoken):
        at = np.arange(steps)
        rise = np.clip((at - (begun - down)) / down, 0, 1)
        fall = np.clip((ended + held + up - at) / up, 0, 1)
        np.maximum(level, np.minimum(rise, fall), out=level)
    smooth = (1 - np.cos(np.pi * level)) / 2
    return np.interp(np.arange(frames), (np.arange(steps) + 0.5) * step, smooth)


def levelled(sound: Sound, asked: Mix) -> Sound:
    """The same at the loudness asked, with no true peak above what is asked.

    Peaks are let down over LOOK_AHEAD_S by a smooth gain, which costs loudness, so that the gain
    before it is found by some tries. Silence stays silent.
    """
    samples, rate_hz = sound.samples.astype(np.float64), sound.sample_rate_hz
    ceiling = np.inf if asked.peak_dbtp is None else 10 ** (asked.peak_dbtp / 20)
    found = SILENCE_LUFS if asked.lufs is None else loudness_lufs(sound.samples, rate_hz)
    if asked.lufs is None or found <= SILENCE_LUFS:
        return Sound(samples=limited(samples, ceiling, rate_hz), sample_rate_hz=rate_hz)
    gain_db = asked.lufs - found
    out = sound.samples
    for _ in range(TRIES):
        out = limited(samples * 10 ** (gain_db / 20), ceiling, rate_hz)
        off = asked.lufs - loudness_lufs(out, rate_hz)
        if abs(off) < 0.05:
            break
        gain_db += off
    return Sound(samples=out, sample_rate_hz=rate_hz)


def limited(samples: NDArray[np.float64], ceiling: float, rate_hz: int) -> Samples:
    """(N, C) with true peaks at most at `ceiling`."""
    out = samples
    if np.isinf(ceiling):
        return out.astype(np.float32)
    # A gain that changes moves the peaks between frames a little, so it may take a second pass.
    for _ in range(3):
        peaks = true_peaks(out.astype(np.float32))
        if peaks.max(initial=0.0) <= ceiling:
            break
        wanted = np.minimum(1.0, 0.999 * ceiling / np.maximum(peaks, 1e-9))
        out = out * _smoothed(wanted, max(1, round(LOOK_AHEAD_S * rate_hz)))[:, None]
    return out.astype(np.float32)


def _smoothed(wanted: Curve, reach: int) -> Curve:
    """A gain nowhere above `wanted`: its least within `reach`, and the mean of that."""
    window = 2 * reach + 1
    least = np.pad(wanted, (2 * reach, 2 * reach), constant_values=1.0)
    spanned = 1
    while spanned < window:  # the least of twice as many, or of as many as are missing
        further = min(spanned, window - spanned)
        least = np.minimum(least[:-further], least[further:])
        spanned += further
    sums = np.cumsum(np.concatenate(([0.0], least)))
    return np.asarray((sums[window:] - sums[:-window]) / window)


def joined(sounds: Sequence[Sound], cross_s: float = 0.0) -> Sound:
    """One sound after another at the first one's rate, each over the end of the one before.

    The two of a cross-fade keep their power together. raises MediaError where there is nothing
    """
    if not sounds:
        raise MediaError("there is nothing to join; give a sound")
    rate_hz = sounds[0].sample_rate_hz
    parts = [stereo(resample(one, rate_hz)) for one in sounds]
    whole = parts[0]
    for part in parts[1:]:
        shared = min(round(cross_s * rate_hz), len(whole), len(part))
        angle = (np.arange(shared) + 0.5)[:, None] / max(shared, 1) * np.pi / 2
        kept = len(whole) - shared
        over = whole[kept:] * np.cos(angle) + part[:shared] * np.sin(angle)
        whole = np.concatenate((whole[:kept], over, part[shared:]))
    return Sound(samples=whole.astype(np.float32), sample_rate_hz=rate_hz)
