"""A score as sound: who plays each part, where they sit, how loud, in which room.

Notes are played by a soundfont; what makes them a performance is here: beats that weigh more, hands
that are never quite together, a slower end, and a room.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wenfang.compose.mix import RATE_HZ, Mix, Track, levelled, mix
from wenfang.config import nearest
from wenfang.device import noise
from wenfang.errors import ConfigError, MediaError
from wenfang.media.audio import Sound
from wenfang.media.midi import Note
from wenfang.media.score import TICKS, Part, Score
from wenfang.media.soundfont import Playing, play

LONGEST_S = 900.0
TAIL_S = 2.5  # of sound after the last note, faded out
DRUMS_DB = -3.0
RELEASE_S = 0.03  # of a key that is struck again


@dataclass(frozen=True, kw_only=True)
class Player:
    """One part's instrument: a program of General MIDI, octaves higher, decibels louder."""

    program: int
    octaves: int = 0
    gain_db: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a room adds: the time until its sound has fallen by 60 dB, and how much there is of it.

    dull_hz  above which the walls swallow
    """

    fall_s: float
    wet_db: float
    dull_hz: float = 6000.0


DRY = Room(fall_s=0.0, wet_db=-200.0)
CHAMBER = Room(fall_s=0.9, wet_db=-15.0)
HALL = Room(fall_s=1.9, wet_db=-12.0)
CHURCH = Room(fall_s=3.0, wet_db=-9.0, dull_hz=4500.0)


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Who plays, from the highest part to the lowest; the last plays whatever lies below.

    players  none: the score's own instruments
    width    how far the parts sit apart, 0 to 1
    looseness_s  how far a note may stray from its time
    slowing  how much longer the last beat lasts, and those before it less and less
    """

    players: tuple[Player, ...] = ()
    room: Room = HALL
    width: float = 0.5
    looseness_s: float = 0.012
    slowing: float = 0.35


ARRANGEMENTS = {
    "own": Arrangement(),
    "choir": Arrangement(
        players=(Player(program=52), Player(program=52, gain_db=-1.5), Player(program=52),
                 Player(program=52, gain_db=1.0)),
        room=CHURCH,
    ),
    "strings": Arrangement(
        players=(Player(program=48), Player(program=48, gain_db=-2.0),
                 Player(program=48, gain_db=-1.0), Player(program=42, gain_db=1.0)),
    ),
    "piano": Arrangement(players=(Player(program=0),), width=0.2, looseness_s=0.008),
    "music-box": Arrangement(
        players=(Player(program=10, octaves=1), Player(program=10, octaves=1, gain_db=-4.0)),
        room=CHAMBER, width=0.3, looseness_s=0.006, slowing=0.6,
    ),
    "organ": Arrangement(players=(Player(program=19),), room=CHURCH, looseness_s=0.0),
    "winds": Arrangement(
        players=(Player(program=73), Player(program=68, gain_db=-4.0),
                 Player(program=71, gain_db=-2.0), Player(program=70)),
        room=CHAMBER,
    ),
    "zither": Arrangement(
        players=(Player(program=73, gain_db=-2.0), Player(program=107), Player(program=107),
                 Player(program=107, gain_db=2.0)),
        looseness_s=0.018, slowing=0.6,
    ),
    "harp": Arrangement(players=(Player(program=46),), width=0.3, slowing=0.5),
}  # fmt: skip


def find_arrangement(name: str) -> Arrangement:
    """By its name; ConfigError names the nearest."""
    if name not in ARRANGEMENTS:
        raise ConfigError(
            "no arrangement is named {name}; did you mean {close}?",
            name=name,
            close=nearest(name, ARRANGEMENTS) or ", ".join(ARRANGEMENTS),
        )
    return ARRANGEMENTS[name]


def perform(
    score: Score, arrangement: Arrangement, seed: int = 0, asked: Mix | None = None
) -> Sound:
    """The score played: stereo, as loud as `asked`, the same for the same seed.

    raises MediaError for a score without notes or of more than a quarter of an hour;
    DependencyError where no soundfont is installed
    """
    parts = [part for part in score.parts if part.notes]
    if not parts:
        raise MediaError("the score has no notes to play; give another")
    if score.duration_s > LONGEST_S:
        raise MediaError(
            "the score lasts {seconds} s, the limit is {limit}; play a part of it",
            seconds=round(score.duration_s),
            limit=LONGEST_S,
        )
    clock = _Clock(score, arrangement.slowing)
    seated = _seated(parts, arrangement)
    sounds = play(
        [
            Playing(
                notes=_played(part, player, clock, (seed, number), arrangement),
                program=player.program,
                drums=part.drums,
            )
            for number, (part, player, _) in enumerate(seated)
        ]
    )
    tracks = [
        Track(sound=sound, gain_db=player.gain_db, pan=pan)
        for sound, (_, player, pan) in zip(sounds, seated, strict=True)
    ]
    asked = asked or Mix()
    seconds = clock.at(score.end_ticks) + TAIL_S
    dry = mix(tracks, Mix(duration_s=seconds, rate_hz=asked.rate_hz, lufs=None, peak_dbtp=None))
    sounding = Track(sound=in_room(dry, arrangement.room, seed), fade_out_s=TAIL_S * 0.8)
    length = seconds if asked.duration_s is None else asked.duration_s
    return mix([sounding], replace(asked, duration_s=length))


def performed_loop(
    score: Score, arrangement: Arrangement, seconds: float, seed: int = 0, rate_hz: int = RATE_HZ
) -> Sound:
    """The score as a loop of exactly `seconds`: what still sounds at its end sounds at its start,
    so that it can be repeated without a seam.
    """
    steady = replace(arrangement, slowing=0.0)
    plain = Mix(rate_hz=rate_hz, lufs=None, peak_dbtp=None, duration_s=seconds + TAIL_S)
    played = perform(score, steady, seed, plain)
    frames = round(seconds * rate_hz)
    whole = played.samples[:frames].copy()
    tail = played.samples[frames:]
    for first in range(0, len(tail), frames):
        over = tail[first : first + frames]
        whole[: len(over)] += over
    return levelled(Sound(samples=whole, sample_rate_hz=rate_hz), Mix(rate_hz=rate_hz))


def _seated(parts: Sequence[Part], arrangement: Arrangement) -> list[tuple[Part, Player, float]]:
    """Each part with its player and its place between left and right, the highest first."""
    drums = [part for part in parts if part.drums]
    pitched = sorted((one for one in parts if not one.drums), key=_height, reverse=True)
    seats = np.linspace(-arrangement.width, arrangement.width, max(2, len(pitched)))
    if len(pitched) == 1:
        seats = np.zeros(1)
    found = []
    for number, part in enumerate(pitched):
        player = Player(program=part.program)
        if arrangement.players:
            player = arrangement.players[min(number, len(arrangement.players) - 1)]
        found.append((part, player, float(seats[number])))
    return found + [(part, Player(program=0, gain_db=DRUMS_DB), 0.0) for part in drums]


def _height(part: Part) -> float:
    return float(np.mean([note.pitch for note in part.notes]))


class _Clock:
    """When a tick sounds, with the last bars slowing down."""

    def __init__(self, score: Score, slowing: float) -> None:
        self.score, self.slowing = score, slowing
        metre = score.metres[-1][1]
        self.end = score.end_ticks
        self.begun = max(0, self.end - 2 * metre.bar_ticks)

    def at(self, tick: int) -> float:
        """Seconds of a tick: a beat near the end lasts longer by the square of how near it is."""
        plain = self.score.seconds_at(tick)
        if tick <= self.begun or self.end == self.begun:
            return plain
        span_s = self.score.seconds_at(self.end) - self.score.seconds_at(self.begun)
        near = (tick - self.begun) / (self.end - self.begun)
        return plain + span_s * self.slowing * near**3 / 3


def _played(
    part: Part, player: Player, clock: _Clock, stream: tuple[int, int], arrangement: Arrangement
) -> list[tuple[float, float, Note]]:
    """Notes with their seconds, as hands would place and weigh them."""
    seed, number = stream
    drawn = noise(seed, "performance", number)
    found = []
    for note in part.notes:
        stray = float(np.clip(drawn.normal(), -2, 2)) * arrangement.looseness_s / 2
        begun = max(0.0, clock.at(note.start_ticks) + stray)
        ended = clock.at(note.start_ticks + note.duration_ticks) + stray
        weight = _weight(clock.score, note.start_ticks) + float(drawn.normal()) * 2
        pitch = note.pitch if part.drums else _octaved(note.pitch, player.octaves)
        loud = int(np.clip(round(note.velocity + weight), 1, 127))
        found.append((begun, max(0.03, ended - begun), replace(note, pitch=pitch, velocity=loud)))
    return _released(found)


def _released(
    played: list[tuple[float, float, Note]],
) -> list[tuple[float, float, Note]]:
    """Each note ends a little before its key is struck again: an end after that would end both."""
    last: dict[int, int] = {}
    found = sorted(played, key=lambda one: (one[0], one[2].pitch))
    for number, (begun, _, note) in enumerate(found):
        if (before := last.get(note.pitch)) is not None:
            start, length, earlier = found[before]
            found[before] = (start, max(0.01, min(length, begun - start - RELEASE_S)), earlier)
        last[note.pitch] = number
    return found


def _octaved(pitch: int, octaves: int) -> int:
    raised = pitch + 12 * octaves
    return raised if 0 <= raised <= 127 else pitch


def _weight(score: Score, tick: int) -> float:
    """How much louder a note is by its place in the bar, in steps of velocity."""
    begun, metre = next(one for one in reversed(score.metres) if one[0] <= tick)
    place = (tick - begun) % metre.bar_ticks
    if place == 0:
        return 7.0
    return 2.0 if place % TICKS == 0 else -3.0


def in_room(sound: Sound, room: Room, seed: int = 0) -> Sound:
    """(N, 2) with a room's answer: noise that falls away and grows darker; of the same length."""
    if room.fall_s <= 0:
        return sound
    rate_hz = sound.sample_rate_hz
    answer = _answer(room, rate_hz, seed)
    size = 1 << (len(sound.samples) + len(answer) - 1).bit_length()
    mixed = np.empty(sound.samples.shape, np.float32)

    def add_to(side: int) -> None:
        dry = sound.samples[:, side]
        spectrum = np.fft.rfft(dry, size) * np.fft.rfft(answer[:, side], size)
        wet = np.fft.irfft(spectrum, size)[: len(dry)]
        mixed[:, side] = dry + wet * 10 ** (room.wet_db / 20)

    with ThreadPoolExecutor(2) as sides:
        list(sides.map(add_to, range(2)))
    return Sound(samples=mixed, sample_rate_hz=rate_hz)


def _answer(room: Room, rate_hz: int, seed: int) -> NDArray[np.float64]:
    """(M, 2) of power 1 on either side, after a short way to the first wall."""
    frames = round(room.fall_s * 1.2 * rate_hz)
    drawn = noise(seed, "room").normal(size=(frames, 2))
    t = np.arange(frames)[:, None] / rate_hz
    # High sounds fall twice as fast: two bands, each with its own fall.
    spectrum = np.fft.rfft(drawn, axis=0)
    frequency = np.fft.rfftfreq(frames, 1 / rate_hz)[:, None]
    low = 1 / (1 + (frequency / room.dull_hz) ** 4)
    high_pass = frequency**2 / (frequency**2 + 150.0**2)
    dark = np.fft.irfft(spectrum * low * high_pass, frames, axis=0)
    light = np.fft.irfft(spectrum * (1 - low) * high_pass, frames, axis=0)
    fall = np.log(1000) / room.fall_s
    answer = dark * np.exp(-fall * t) + 0.5 * light * np.exp(-2 * fall * t)
    answer /= np.sqrt((answer**2).sum(axis=0))
    first = round(0.018 * rate_hz)
    return np.concatenate((np.zeros((first, 2)), answer))
