"""Given film edited: trimmed, joined, faster or slower, without the parts where nobody speaks.

Every change gives a new film whose frames are made while they are gone through. Frames are whole,
and the sound is cut where they are, so that both stay in step to a sample. Captions go along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from wenfang.compose import clean
from wenfang.compose.reel import (
    Chained,
    as_long,
    count_of,
    duration_of,
    moved,
    picked,
    samples_between,
    size_of,
)
from wenfang.compose.reframe import Fill, Size, placed
from wenfang.errors import ConfigError, MediaError
from wenfang.media.audio import Samples, Sound, resample
from wenfang.media.quiet import above, runs, step_length_s, step_powers
from wenfang.media.video import LIMIT_DURATION_S, LIMIT_FRAMES, Caption, Film
from wenfang.media.video_times import FASTEST, SLOWEST

SOFT_S = 0.005  # a cut sound is let down and up so fast that no click is heard
MOST_FILMS = 1000
LONGEST_DISSOLVE_S = 10.0
BLOCK_STEPS = 6000  # of a sound that is measured at once
STRETCHED_S, SEARCHED_S = 300.0, 2.0  # of a sound that is made faster at once; where it is cut
Spans = list[tuple[int, int]]  # (first, after the last) frame of each part that stays


def trimmed(film: Film, start_s: float = 0.0, end_s: float | None = None) -> Film:
    """What lies between two times, to the nearest frame; to the end where none is given.

    raises MediaError where that is no part of the film
    """
    count, fps = count_of(film), film.fps
    length_s = float(count / fps)
    end_s = length_s if end_s is None else end_s
    if not (isfinite(start_s) and isfinite(end_s) and 0 <= start_s < end_s):
        raise MediaError("a cut from {start} to {end} s has no meaning; give a start from 0 s on "
                         "and a later end",
                         start=round(start_s, 3), end=round(end_s, 3))  # fmt: skip
    first, after = round(start_s * fps), min(count, round(end_s * fps))
    if first >= after:
        raise MediaError("no frame of a film of {length} s lies between {start} and {end} s; "
                         "give other times",
                         length=round(length_s, 3), start=round(start_s, 3),
                         end=round(end_s, 3))  # fmt: skip
    return kept(film, [(first, after)])


def kept(film: Film, spans: Spans, cross_s: float = SOFT_S) -> Film:
    """The parts of a film one after another, each of some frames; nothing of the others.

    cross_s  how long the sound of a part fades out under the next
    """
    picks = np.concatenate([np.arange(*span) for span in spans])
    sound = film.sound
    if sound is not None:
        sound = replace(sound, samples=_kept_samples(sound, spans, film.fps, cross_s))
    lengths = np.cumsum([0, *(after - first for first, after in spans)]) / float(film.fps)
    edges = np.array(spans, np.float64).ravel() / float(film.fps)
    places = np.stack((lengths[:-1], lengths[1:]), axis=1).ravel()
    captions = moved(
        film.captions, lambda time_s: float(np.interp(time_s, edges, places)), float(lengths[-1])
    )
    return replace(film, frames=picked(film, picks), sound=sound, captions=captions)


def _kept_samples(sound: Sound, spans: Spans, fps: Fraction, cross_s: float) -> Samples:
    """The samples of parts; what followed a part fades out under the beginning of the next."""
    reach = round(cross_s * sound.sample_rate_hz)
    parts = []
    for place, (first, after) in enumerate(spans):
        part = samples_between(sound, first, after, fps)
        ended = spans[place - 1][1] if place else first
        if ended != first and reach:
            begun = round(ended * sound.sample_rate_hz / fps)
            over = sound.samples[begun : begun + min(reach, len(part))]
            rise = _rise(min(reach, len(part)))
            part = part.copy()
            part[: len(rise)] *= rise
            part[: len(over)] += over * rise[::-1][: len(over)]
        parts.append(part)
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _rise(length: int) -> Samples:
    """(N, 1) gains from nothing to all, along a half wave; with their mirror they are one."""
    share = (np.arange(length, dtype=np.float32) + 0.5) / max(1, length)
    return np.asarray((1 - np.cos(np.pi * share)) / 2, np.float32)[:, None]


def at_speed(film: Film, speed: float) -> Film:
    """Faster or slower; the sound keeps its pitch. MediaError for a speed that cannot be played."""
    if not isfinite(speed) or not clean.LEAST_SPEED <= speed <= clean.MOST_SPEED:
        raise MediaError("a speed of {value} cannot be played; give {least} to {most}",
                         value=speed, least=clean.LEAST_SPEED, most=clean.MOST_SPEED)  # fmt: skip
    if speed == 1:
        return film
    count = count_of(film)
    made = max(1, round(count / speed))
    middles = (np.arange(made) + 0.5) * speed
    picks = np.minimum(middles.astype(np.int64), count - 1)
    sound = film.sound
    if sound is not None:
        sound = as_long(_stretched(sound, speed), made, film.fps)
    captions = moved(film.captions, lambda time_s: time_s / speed, float(made / film.fps))
    return replace(film, frames=picked(film, picks), sound=sound, captions=captions)


def _stretched(sound: Sound, speed: float) -> Sound:
    """`clean.at_speed` of a part at a time, cut where it is quiet: it needs much memory."""
    rate_hz, parts, at = sound.sample_rate_hz, [], 0
    soft = round(SOFT_S * rate_hz)
    while at < len(sound.samples):
        cut = _quietest(sound, at + round(STRETCHED_S * rate_hz))
        part = clean.at_speed(replace(sound, samples=sound.samples[at:cut]), speed).samples
        if at:
            part[:soft] *= _rise(len(part[:soft]))
        if cut < len(sound.samples):
            part[-soft:] *= _rise(len(part[-soft:]))[::-1]
        parts.append(part)
        at = cut
    return replace(sound, samples=np.concatenate(parts)) if parts else sound


def _quietest(sound: Sound, near: int) -> int:
    """The sample, within SEARCHED_S before `near`, where least is heard; the end if it is near."""
    rate_hz = sound.sample_rate_hz
    reach, step = round(SEARCHED_S * rate_hz), max(1, round(clean.STEP_S * rate_hz))
    if near + reach >= len(sound.samples):
        return len(sound.samples)
    powers = step_powers(sound.samples[near - reach : near], rate_hz, clean.STEP_S)
    return near - reach + int(powers.argmin()) * step + step // 2


@dataclass(frozen=True, kw_only=True)
class Silences:
    """What is cut out where nobody is heard.

    below_db   how much quieter than the loudest step of the film silence is
    least_s    shorter silences stay
    margin_s   of a silence stays before and after what is heard
    cross_s    how long sounds fade into each other where something was cut
    """

    below_db: float = -45.0
    least_s: float = 0.6
    margin_s: float = 0.15
    cross_s: float = 0.02

    def __post_init__(self) -> None:
        given = {"least_s": self.least_s, "margin_s": self.margin_s, "cross_s": self.cross_s}
        for name, value in given.items():
            if not isfinite(value) or not 0 <= value <= 60:
                raise ConfigError("{name} of a silence is {value}; give 0 to 60 s",
                                  name=name, value=value)  # fmt: skip
        if not isfinite(self.below_db) or not -120 <= self.below_db < 0:
            raise ConfigError("a silence of {value} dB has no meaning; give -120 to below 0 dB",
                              value=self.below_db)  # fmt: skip


def without_silence(film: Film, asked: Silences | None = None) -> Film:
    """The film cut where nobody is heard; picture and sound together.

    raises MediaError for a film without sound, or in which nothing is heard
    """
    asked = asked or Silences()
    if film.sound is None:
        raise MediaError("the film has no sound that could tell where to cut; give its times")
    count, fps = count_of(film), film.fps
    step_s = step_length_s(film.sound.sample_rate_hz, clean.STEP_S)
    heard = runs(above(_powers(film.sound), asked.below_db))
    if not heard:
        raise MediaError("nothing is heard in the sound; give another")
    spoken = [(begun * step_s, ended * step_s) for begun, ended in heard]
    spans: Spans = []
    for begun_s, ended_s in _longer(spoken, float(count / fps), asked):
        first, after = round(begun_s * fps), min(count, round(ended_s * fps))
        if spans and first <= spans[-1][1]:
            spans[-1] = spans[-1][0], after
        elif first < after:
            spans.append((first, after))
    return kept(film, spans, asked.cross_s)


def _longer(
    spoken: Sequence[tuple[float, float]], length_s: float, asked: Silences
) -> list[tuple[float, float]]:
    """What is heard, with its margins and with the silences that are too short to be cut."""
    found: list[tuple[float, float]] = []
    ended = 0.0
    for begun_s, ended_s in spoken:
        if begun_s - ended < asked.least_s:
            first = found.pop()[0] if found else 0.0
        else:
            first = begun_s - asked.margin_s
        found.append((max(0.0, first), min(length_s, ended_s + asked.margin_s)))
        ended = ended_s
    if length_s - ended < asked.least_s:
        found[-1] = found[-1][0], length_s
    return found


def _powers(sound: Sound) -> NDArray[np.float64]:
    """Of every step of a sound, measured a part at a time: whole it would need five times as much
    memory.
    """
    size = BLOCK_STEPS * max(1, round(clean.STEP_S * sound.sample_rate_hz))
    starts = range(0, max(1, len(sound.samples)), size)
    return np.concatenate([
        step_powers(sound.samples[at : at + size], sound.sample_rate_hz, clean.STEP_S)
        for at in starts
    ])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Join:
    """How films become one.

    dissolve_s  how long one film fades into the next, picture and sound; 0: a hard cut
    size, fps   of the whole; None: the first film's
    fill        how frames of another shape stand in it: "bars", "blur" or "crop"
    """

    dissolve_s: float = 0.0
    size: Size | None = None
    fps: Fraction | None = None
    fill: Fill = "bars"

    def __post_init__(self) -> None:
        if not isfinite(self.dissolve_s) or not 0 <= self.dissolve_s <= LONGEST_DISSOLVE_S:
            raise ConfigError("a dissolve of {value} s has no meaning; give 0 to {most} s",
                              value=self.dissolve_s, most=LONGEST_DISSOLVE_S)  # fmt: skip
        if self.fps is not None and not SLOWEST <= self.fps <= FASTEST:
            raise ConfigError("{fps} frames a second cannot be written; give 0.1 to 240",
                              fps=float(self.fps))  # fmt: skip


def joined(films: Sequence[Film], asked: Join | None = None) -> Film:
    """One film after another, in one size and at one rate; silence where a film has no sound.

    raises MediaError for no film, too many, too long a whole, or a film too short to dissolve
    """
    asked = asked or Join()
    if not films or len(films) > MOST_FILMS:
        raise MediaError("{count} films cannot be joined; give 1 to {most}",
                         count=len(films), most=MOST_FILMS)  # fmt: skip
    fps = asked.fps or films[0].fps
    width, height = asked.size or size_of(films[0])
    size = width + width % 2, height + height % 2
    films = [placed(at_rate(one, fps), size, asked.fill) for one in films]
    counts = [count_of(one) for one in films]
    dissolve = round(asked.dissolve_s * fps) if len(films) > 1 else 0
    for place, count in enumerate(counts):
        if dissolve * ((place > 0) + (place < len(films) - 1)) > count:
            raise MediaError("film {number} lasts {length} s, too short to dissolve for "
                             "{dissolve} s; dissolve faster",
                             number=place + 1, length=round(float(count / fps), 3),
                             dissolve=asked.dissolve_s)  # fmt: skip
    frames = Chained(parts=[one.frames for one in films], counts=counts, dissolve=dissolve)
    if len(frames) > LIMIT_FRAMES or len(frames) > LIMIT_DURATION_S * fps:
        raise MediaError("the joined film would last {length} s, the limit is {limit} s; "
                         "join fewer",
                         length=round(float(len(frames) / fps), 1),
                         limit=LIMIT_DURATION_S)  # fmt: skip
    begun = [sum(counts[:place]) - place * dissolve for place in range(len(films))]
    return Film(
        frames=frames, fps=fps, sound=_joined_sound(films, begun, counts, fps),
        captions=_joined_captions(films, begun, len(frames), fps),
    )  # fmt: skip


def at_rate(film: Film, fps: Fraction) -> Film:
    """The film at another rate: each frame is the one that is seen in the middle of its time."""
    if fps == film.fps:
        return film
    count = count_of(film)
    made = max(1, round(count * fps / film.fps))
    step = film.fps / fps
    picks = (2 * np.arange(made) + 1) * step.numerator // (2 * step.denominator)
    frames = picked(film, np.minimum(picks, count - 1))
    return replace(film, frames=frames, fps=fps, sound=as_long(film.sound, made, fps))


def _joined_sound(
    films: Sequence[Film], begun: Sequence[int], counts: Sequence[int], fps: Fraction
) -> Sound | None:
    """One sound in as many channels as the widest; films dissolve at equal power."""
    heard = [one.sound for one in films if one.sound is not None]
    if not heard:
        return None
    rate_hz = heard[0].sample_rate_hz
    channels = max(one.samples.shape[1] for one in heard)
    frames = begun[-1] + counts[-1]
    whole = np.zeros((round(frames * rate_hz / fps), channels), np.float32)
    soft = round(SOFT_S * rate_hz)
    for place, (film, first, count) in enumerate(zip(films, begun, counts, strict=True)):
        if film.sound is None:
            continue
        start, end = (round(one * rate_hz / fps) for one in (first, first + count))
        part = np.zeros((end - start, channels), np.float32)
        samples = resample(film.sound, rate_hz).samples[: end - start]
        part[: len(samples)] = samples  # one channel fills both
        over, under = soft, soft
        if place and (shared := begun[place - 1] + counts[place - 1] - first):
            over = round(shared * rate_hz / fps)
        if place + 1 < len(films) and (shared := first + count - begun[place + 1]):
            under = round(shared * rate_hz / fps)
        if place:
            part[:over] *= _quarter(len(part[:over]))
        if place + 1 < len(films):
            part[-under:] *= _quarter(len(part[-under:]))[::-1]
        whole[start:end] += part
    return Sound(samples=np.clip(whole, -1, 1, out=whole), sample_rate_hz=rate_hz)


def _quarter(length: int) -> Samples:
    """(N, 1) gains from nothing to all along a quarter of a wave; with their mirror, one power."""
    share = (np.arange(length, dtype=np.float32) + 0.5) / max(1, length)
    return np.sin(np.pi / 2 * share)[:, None]


def _joined_captions(
    films: Sequence[Film], begun: Sequence[int], count: int, fps: Fraction
) -> tuple[Caption, ...]:
    """All captions; one that runs into the next film ends where that begins to speak."""
    found: list[Caption] = []
    for film, first in zip(films, begun, strict=True):
        offset_s = float(first / fps)
        for one in moved(film.captions, offset_s.__add__, float(count / fps)):
            if found and found[-1].end_s > one.start_s > found[-1].start_s:
                found[-1] = replace(found[-1], end_s=one.start_s)
            found.append(one)
    return tuple(found)


def parts_at(film: Film, times_s: Sequence[float]) -> list[Film]:
    """The film cut at some times, in order; every part can be gone through by itself."""
    length_s = duration_of(film)
    edges = [0.0, *(one for one in times_s if 0 < one < length_s), length_s]
    return [
        trimmed(film, start_s, end_s)
        for start_s, end_s in pairwise(edges)
        if round(start_s * film.fps) < round(end_s * film.fps)
    ]
