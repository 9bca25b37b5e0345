"""What music for several voices is like: numbers of one piece, and how many real pieces have such.

Pitch-class entropy, scale consistency, empty bars and groove follow MusPy (Dong et al. 2020,
arXiv:2008.01951) and Wu & Yang (2020, arXiv:2008.01307).

T sixteenths
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from wenfang.knowledge.part_writing import is_parallel
from wenfang.media.four_parts import BEAT, REST, VOICES, FourParts

MAJOR_STEPS = (0, 2, 4, 5, 7, 9, 11)
NAMES = (
    "pitch_class_entropy_bits",
    "scale_consistency_share",
    "groove_consistency_share",
    "empty_bars_share",
    "crossings_a_bar",
    "parallels_a_bar",
    "notes_a_beat",
    "dissonant_beats_share",
)
DISSONANT = (1, 2, 6, 10, 11)  # semitones within an octave: seconds, sevenths, tritones


def piece_numbers(piece: FourParts) -> dict[str, float]:
    """NAMES of one piece.

    scale_consistency_share   notes in the scale that holds most of them (of all majors, whose
                              steps are those of the natural minors)
    groove_consistency_share  1 - how many places of a bar begin something in one bar and not in
                              the next
    crossings_a_bar, parallels_a_bar  sixteenths with a voice above a higher one; fifths and octaves
                              that two voices move in together
    dissonant_beats_share     beats upon which two voices stand in a second, a seventh or a tritone
    """
    sounding = piece.pitches != REST
    notes = piece.pitches[piece.struck & sounding] % 12
    counts = np.bincount(notes.astype(np.int64), minlength=12).astype(np.float64)
    total = max(1.0, counts.sum())
    bars = max(1, piece.bars)
    empty = [not sounding[rows].any() for rows in _bars(piece)]
    return {
        "pitch_class_entropy_bits": _entropy_bits(counts),
        "scale_consistency_share": max(
            counts[[(tonic + step) % 12 for step in MAJOR_STEPS]].sum() / total
            for tonic in range(12)
        ),
        "groove_consistency_share": _groove(piece),
        "empty_bars_share": float(np.mean(empty)) if empty else 1.0,
        "crossings_a_bar": crossings(piece) / bars,
        "parallels_a_bar": parallels(piece) / bars,
        "notes_a_beat": len(notes) / max(1.0, len(piece) / BEAT),
        "dissonant_beats_share": _dissonant(piece),
    }


def _bars(piece: FourParts) -> list[NDArray[np.int64]]:
    """The rows of each bar."""
    places = np.array([piece.place(at)[0] for at in range(len(piece))], np.int64)
    return [np.flatnonzero(places == bar) for bar in range(piece.bars)]


def _entropy_bits(counts: NDArray[np.float64]) -> float:
    shares = counts[counts > 0] / max(1.0, counts.sum())
    return float(-(shares * np.log2(shares)).sum()) if shares.size else 0.0


def _groove(piece: FourParts) -> float:
    begun = np.asarray(piece.struck.any(axis=1))
    whole = [begun[rows] for rows in _bars(piece) if len(rows) == piece.bar]
    if len(whole) < 2:
        return 1.0
    grid = np.stack(whole)
    return float(1 - (grid[1:] != grid[:-1]).mean())


def _dissonant(piece: FourParts) -> float:
    beats = [at for at in range(len(piece)) if piece.place(at)[1] % BEAT == 0]
    chords = [[pitch for pitch in piece.pitches[at].tolist() if pitch != REST] for at in beats]
    found = [
        any(abs(one - other) % 12 in DISSONANT for one, other in combinations(chord, 2))
        for chord in chords
    ]
    return float(np.mean(found)) if found else 0.0


def crossings(piece: FourParts) -> int:
    """Sixteenths at which a voice sounds above a higher one."""
    return sum(
        bool((np.diff(row[row != REST].astype(np.int64)) > 0).any()) for row in piece.pitches
    )


def parallels(piece: FourParts) -> int:
    """Fifths and octaves that two voices move in together, from one sixteenth to the next."""
    found = 0
    for before, after in zip(piece.pitches[:-1].tolist(), piece.pitches[1:].tolist(), strict=True):
        if before == after:
            continue
        found += sum(
            is_parallel((before[upper], before[lower]), (after[upper], after[lower]))
            for upper, lower in combinations(range(len(VOICES)), 2)
        )
    return found


def beside_real(
    made: Sequence[FourParts], real: Sequence[FourParts]
) -> Mapping[str, tuple[float, float, float, float]]:
    """For each of NAMES: the mean of what was made, and of real pieces their mean and the middle
    half's bounds.
    """
    ours, theirs = (
        {name: [piece_numbers(one)[name] for one in pieces] for name in NAMES}
        for pieces in (made, real)
    )
    return {
        name: (
            float(np.mean(ours[name])),
            float(np.mean(theirs[name])),
            float(np.percentile(theirs[name], 25)),
            float(np.percentile(theirs[name], 75)),
        )
        for name in NAMES
    }
