"""Rules of writing for several voices, as every textbook of harmony has them."""

from __future__ import annotations

PERFECT = (0, 7)  # semitones within an octave: unison or octave, and fifth
Pair = tuple[int | None, int | None]  # pitches of two voices; None or below 0 for silence


def is_parallel(before: Pair, after: Pair) -> bool:
    """Whether two voices go the same way from a fifth to a fifth, or from an octave to an octave.

    Voices that stand still, or of which one does, are not parallel.
    """
    pitches = (*before, *after)
    if any(pitch is None or pitch < 0 for pitch in pitches):
        return False
    upper, lower, upper_after, lower_after = (int(pitch) for pitch in pitches if pitch is not None)
    ways = (upper_after - upper, lower_after - lower)
    if ways[0] * ways[1] <= 0:
        return False
    interval = (upper - lower) % 12
    return interval in PERFECT and (upper_after - lower_after) % 12 == interval
