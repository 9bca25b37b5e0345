"""Melodies to compare with: rows of intervals, so that a transposed copy is a copy.

A melody is the row of the highest notes that begin together (the skyline of Uitdenbogerd and
Zobel 1998), of each voice apart and of all voices together; percussion has no melody. Lengths
are not compared. A note that is struck again counts once, so that slow and ornamented-by-repeat
forms of a tune are the same, and so that a drone is not a copy of another drone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wenfang.data.gram_index import NOTHING, GramIndex
from wenfang.data.index_file import damaged, read_index, write_index
from wenfang.data.ngrams import Hashes, gram_hashes, mix
from wenfang.media.midi import PERCUSSION_CHANNEL, Note

KIND = "melody_index"
MELODY_INDEX = "melodies.safetensors"  # its name in a bundle, as of any folder of indexes
GRAM_SIZE = 12  # intervals
# A scale, a trill or a broken chord is nobody's: 12 intervals say something only where there are
# so many different ones, and where they are no figure of so few that is played again and again.
LEAST_DIFFERENT = 4
LONGEST_FIGURE = 4

Melody = Sequence[Note]


class Copied(NamedTuple):
    """The longest run of intervals that a known melody holds, and the name of that melody."""

    intervals: int
    name: str


def top_lines(notes: Melody) -> list[list[int]]:
    """Pitches of the highest notes that begin together: of each voice, and of all voices."""
    voices: defaultdict[tuple[int, int], list[Note]] = defaultdict(list)
    pitched = [note for note in notes if note.channel != PERCUSSION_CHANNEL]
    for note in pitched:
        voices[note.track, note.channel].append(note)
    lines = [_skyline(voice) for voice in voices.values()]
    return [*lines, _skyline(pitched)] if len(lines) > 1 else lines


def _skyline(notes: Melody) -> list[int]:
    highest: dict[int, int] = {}
    for note in notes:
        highest[note.start_ticks] = max(highest.get(note.start_ticks, 0), note.pitch)
    return [highest[start] for start in sorted(highest)]


def intervals(pitches: Sequence[int]) -> NDArray[np.int64]:
    """Semitones from each different pitch to the next."""
    heights = np.asarray(pitches, np.int64)
    steps = heights[1:] - heights[:-1]
    return np.asarray(steps[steps != 0])


def _grams(steps: NDArray[np.int64]) -> Hashes:
    return gram_hashes(mix((steps + 128).astype(np.uint64)), GRAM_SIZE)


def _telling(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(grams,) True where the intervals of an n-gram are a tune and not a mere figure."""
    if len(steps) < GRAM_SIZE:
        return np.zeros(0, np.bool_)
    rows = np.lib.stride_tricks.sliding_window_view(steps, GRAM_SIZE)
    different = (np.diff(np.sort(rows, axis=1), axis=1) != 0).sum(axis=1) + 1
    figures = [
        (rows[:, period:] == rows[:, :-period]).all(axis=1)
        for period in range(1, LONGEST_FIGURE + 1)
    ]
    return np.asarray((different >= LEAST_DIFFERENT) & ~np.any(figures, axis=0))


@dataclass(frozen=True, kw_only=True)
class MelodyIndex:
    """Interval n-grams of melodies; `names` (one a line) says which piece each line is of."""

    grams: GramIndex
    names: tuple[str, ...]

    @classmethod
    def build(cls, melodies: Iterable[tuple[str, Melody]]) -> MelodyIndex:
        """Index (name, notes) pairs."""
        names: list[str] = []

        def lines() -> Iterator[Hashes]:
            for name, notes in melodies:
                for line in top_lines(notes):
                    names.append(name)
                    steps = intervals(line)
                    yield _grams(steps)[_telling(steps)]

        return cls(grams=GramIndex.build(lines()), names=tuple(names))

    def longest_copy(self, notes: Melody) -> Copied:
        """The longest run of intervals of any line of `notes` that one known line holds.

        0 below GRAM_SIZE; mere figures are not in the index and end a run.
        """
        return max((self._line(line) for line in top_lines(notes)), default=Copied(0, ""))

    def _line(self, pitches: Sequence[int]) -> Copied:
        span = self.grams.longest_run(_grams(intervals(pitches)))
        if span == NOTHING:
            return Copied(0, "")
        return Copied(span.found + GRAM_SIZE - 1, self.names[span.owner])

    def save(self, path: Path) -> None:
        """Write one .safetensors file, atomically."""
        write_index(path, KIND, self.grams.pack(), {"format": 1, "names": list(self.names)})

    @classmethod
    def load(cls, path: Path) -> MelodyIndex:
        """Read what `save` wrote; BundleError where the file is none."""
        arrays, about = read_index(path, KIND)
        try:
            names = tuple(map(str, about["names"]))
            return cls(grams=GramIndex.unpack(arrays, len(names)), names=names)
        except (KeyError, TypeError, ValueError) as reason:
            raise damaged(path, str(reason)) from None
