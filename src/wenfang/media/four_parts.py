"""Music for four voices upon a grid of sixteenths, and what can be heard of its key and metre.

T sixteenths, four voices from the highest: soprano, alto, tenor, bass
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import MediaError
from wenfang.media.midi import Note
from wenfang.media.score import TICKS, Key, Metre, Part, Score

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
SIXTEENTH, BEAT, REST = TICKS // 4, 4, -1
SUNG_PROGRAM, SUNG_VELOCITY = 52, 78  # choir; a middling force
LONGEST = 4096  # sixteenths: 256 bars
Grid = NDArray[np.int16]  # (T, 4) pitches, REST for silence

# How much each step above the tonic belongs to a key (Krumhansl & Kessler 1982).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
ENDING_WEIGHT = 0.35  # of the last bass note, beside a correlation
WHOLE_BARS_WEIGHT = 0.8  # of an end that fills its bar, beside how much downbeats stand out


@dataclass(frozen=True, kw_only=True, eq=False)
class FourParts:
    """A piece.

    pitches  (T, 4) what sounds in each sixteenth
    struck   (T, 4) bool, where a note begins; a pitch that goes on unstruck is held
    beats    of a bar, each a quarter note
    upbeat   sixteenths before the first bar line, fewer than a bar has
    """

    pitches: Grid
    struck: NDArray[np.bool_]
    beats: int = 4
    upbeat: int = 0
    key: Key = Key(tonic=0)

    def __post_init__(self) -> None:
        assert self.pitches.ndim == 2
        assert self.pitches.shape[1] == len(VOICES)
        assert self.struck.shape == self.pitches.shape

    @classmethod
    def of_pitches(cls, pitches: Grid) -> FourParts:
        """Of a grid alone: every change of pitch is a new note, key and metre are heard."""
        grid = np.asarray(pitches, np.int16)
        struck = np.ones(grid.shape, np.bool_)
        struck[1:] = grid[1:] != grid[:-1]
        struck &= grid != REST
        beats, upbeat = heard_metre(grid, struck)
        key = heard_key(grid)
        return cls(pitches=grid, struck=struck, beats=beats, upbeat=upbeat, key=key)

    def __len__(self) -> int:
        """Sixteenths."""
        return len(self.pitches)

    @property
    def bar(self) -> int:
        """Sixteenths of a bar."""
        return self.beats * BEAT

    @property
    def bars(self) -> int:
        """Bars, an upbeat and an incomplete end counted."""
        return -(-(len(self) - self.upbeat) // self.bar) + (self.upbeat > 0)

    def place(self, at: int) -> tuple[int, int]:
        """(bar, sixteenth within it) of a sixteenth; an upbeat stands at the end of bar 0."""
        shifted = at - self.upbeat + (self.bar if self.upbeat else 0)
        return divmod(shifted, self.bar)

    def events(self, voice: int) -> list[tuple[int, int, int]]:
        """(start, length, pitch) of each note of a voice."""
        found: list[tuple[int, int, int]] = []
        for at, (pitch, begins) in enumerate(
            zip(self.pitches[:, voice].tolist(), self.struck[:, voice].tolist(), strict=True)
        ):
            if pitch == REST:
                continue
            goes_on = found and found[-1][0] + found[-1][1] == at and found[-1][2] == pitch
            if begins or not goes_on:
                found.append((at, 1, pitch))
            else:
                start, length, _ = found[-1]
                found[-1] = (start, length + 1, pitch)
        return found

    def articulated(self) -> FourParts:
        """The same with held notes struck again, as singers do who share one text.

        On a beat where two other voices strike, whoever has held for a beat or longer strikes too;
        but for the last chord.
        """
        struck = self.struck.copy()
        last = max((at for at in range(len(self)) if self.struck[at].any()), default=0)
        for at in range(BEAT, last, BEAT):
            if self.struck[at].sum() < 2:
                continue
            for voice in range(len(VOICES)):
                held = self.pitches[at - BEAT : at + 1, voice]
                if held[0] != REST and (held == held[0]).all():
                    struck[at, voice] = True
        return FourParts(
            pitches=self.pitches, struck=struck, beats=self.beats, upbeat=self.upbeat, key=self.key
        )

    def score(self, bpm: float = 84.0, title: str = "") -> Score:
        """Four parts at one tempo; an upbeat fills the end of a bar that begins with silence."""
        ahead = (self.bar - self.upbeat) % self.bar if self.upbeat else 0
        parts = tuple(
            Part(
                name=name,
                program=SUNG_PROGRAM,
                notes=tuple(
                    Note(
                        start_ticks=(ahead + start) * SIXTEENTH,
                        duration_ticks=length * SIXTEENTH,
                        pitch=pitch,
                        velocity=SUNG_VELOCITY,
                    )
                    for start, length, pitch in self.events(voice)
                ),
            )
            for voice, name in enumerate(VOICES)
        )
        metres = ((0, Metre(beats=self.beats)),)
        keys = ((0, self.key),)
        return Score(parts=parts, metres=metres, keys=keys, title=title).at_tempo(bpm)


def four_parts_of(score: Score, name: str = "the score") -> FourParts:
    """Upon the grid: of four parts or more the four with most notes, by their voices' names, or
    else from high to low; of fewer, the first stand from the top and the rest are silent.

    A part's highest note counts where several sound. raises MediaError where there is no pitched
    note, or more than LONGEST sixteenths
    """
    parts = sorted((one for one in score.parts if not one.drums and one.notes),
                   key=lambda one: -len(one.notes))[: len(VOICES)]  # fmt: skip
    if not parts:
        raise MediaError("{name} has no pitched notes; give a melody", name=name)
    if not all(part.name in VOICES for part in parts):
        parts.sort(key=lambda one: -float(np.mean([note.pitch for note in one.notes])))
    else:
        parts.sort(key=lambda one: VOICES.index(one.name))
    length = max(1, round(score.end_ticks / SIXTEENTH))
    if length > LONGEST:
        raise MediaError(
            "{name} has {count} bars, the limit is {limit}; give a part of it",
            name=name,
            count=length // (4 * BEAT),
            limit=LONGEST // (4 * BEAT),
        )
    pitches = np.full((length, len(VOICES)), REST, np.int16)
    struck = np.zeros(pitches.shape, np.bool_)
    for voice, part in enumerate(parts):
        for note in sorted(part.notes, key=lambda one: (one.start_ticks, one.pitch)):
            first = min(round(note.start_ticks / SIXTEENTH), length - 1)
            after = max(first + 1, round((note.start_ticks + note.duration_ticks) / SIXTEENTH))
            pitches[first:after, voice] = note.pitch
            struck[first, voice] = True
    silent = int(np.argmax((pitches != REST).any(axis=1)))
    metre = score.metres[0][1]
    beats = max(1, metre.beats * 4 // metre.unit)
    bar = beats * BEAT
    first = silent // bar * bar  # whole bars of silence are left out
    kept, begun = pitches[first:], struck[first:]
    ahead = silent - first
    upbeat = (bar - ahead) % bar
    key = score.keys[0][1] if score.keys else heard_key(kept)
    return FourParts(
        pitches=kept[ahead:], struck=begun[ahead:], beats=beats, upbeat=upbeat, key=key
    )


def heard_key(pitches: Grid) -> Key:
    """The key whose steps fit what sounds, the last bass note counting for much of a tonic."""
    sounding = pitches[pitches != REST] % 12
    counts = np.bincount(sounding.astype(np.int64), minlength=12).astype(np.float64)
    if not counts.any():
        return Key(tonic=0)
    low = [int(row[row != REST].min()) % 12 for row in pitches[-1:] if (row != REST).any()]
    best, found = -np.inf, Key(tonic=0)
    for minor, profile in ((False, MAJOR), (True, MINOR)):
        for tonic in range(12):
            fit = float(np.corrcoef(np.roll(profile, tonic), counts)[0, 1])
            value = (0.0 if np.isnan(fit) else fit) + ENDING_WEIGHT * (tonic in low)
            if value > best:
                best, found = value, Key(tonic=tonic, minor=minor)
    return found


def heard_metre(pitches: Grid, struck: NDArray[np.bool_]) -> tuple[int, int]:
    """(beats of a bar, sixteenths of the upbeat): where long notes begin and harmonies change.

    Bars of three and of four beats are tried, from each beat; ends that fill a bar are preferred.
    """
    weight = _weights(pitches, struck)
    best, found = -np.inf, (4, 0)
    for beats in (4, 3):
        for first in range(min(beats, len(weight))):
            down = np.zeros(len(weight), np.bool_)
            down[first::beats] = True
            if down.all():
                continue
            apart = weight[down].mean() - weight[~down].mean()
            whole = (len(pitches) - first * BEAT) % (beats * BEAT) == 0
            value = float(apart) + WHOLE_BARS_WEIGHT * whole
            if value > best:
                best, found = value, (beats, first * BEAT)
    return found


def _weights(pitches: Grid, struck: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each beat: how long what begins there lasts, and how new its harmony is."""
    lengths = np.zeros(pitches.shape)
    run = np.zeros(pitches.shape[1])
    for at in range(len(pitches) - 1, -1, -1):
        run += 1
        lengths[at] = np.where(struck[at], run, 0)
        run = np.where(struck[at], 0, run)
    found = []
    for at in range(0, len(pitches) - BEAT + 1, BEAT):
        held = np.minimum(lengths[at], 4 * BEAT).sum() / (4 * BEAT)
        before = set((pitches[at - 1] % 12).tolist()) if at else set()
        now = set((pitches[at] % 12).tolist())
        new = len(now - before) / len(VOICES) if at else 0.0
        found.append(held + new + 0.5 * bool(struck[at, -1]))
    return np.array(found or [0.0])


def joined_parts(pieces: Sequence[FourParts]) -> FourParts:
    """One after the other, in the metre and key of the first."""
    first = pieces[0]
    return FourParts(
        pitches=np.concatenate([one.pitches for one in pieces]),
        struck=np.concatenate([one.struck for one in pieces]),
        beats=first.beats,
        upbeat=first.upbeat,
        key=first.key,
    )
