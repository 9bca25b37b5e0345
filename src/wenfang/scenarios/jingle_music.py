"""The music of a jingle: what each variant shall be, pieces drawn for it, and how far they differ.

T sixteenths of a piece, S steps of time that all variants share
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wenfang.backends.composer import Composer, PartSampling
from wenfang.data.part_tokens import MOST_BARS, Asked
from wenfang.device import noise
from wenfang.knowledge.moods import Mood, key_for
from wenfang.media.four_parts import BEAT, REST, FourParts
from wenfang.media.score import Key, Score
from wenfang.scenarios.jingle_brief import JingleBrief

# Pieces drawn for each variant: fewer of longer ones, of which one in two says what is known.
MOST_CANDIDATES, LEAST_CANDIDATES, CANDIDATE_BARS = 24, 12, 64
BPM = (50.0, 130.0)
METRES = (4, 3, 2)  # beats of a bar
# What a filling costs, in octaves off the mood's tempo: one bar alone has no phrase, an odd number
# leans, and bars of two beats are short of breath.
ONE_BAR, ODD_BARS, SHORT_BARS = 0.9, 0.25, 0.25
MOST_OFF, MOST_FILLINGS = 0.45, 3
BREATH_S = 0.25  # of silence in front of the loop point, at least one sixteenth
STEP_S = 0.125
# Of two variants: pieces drawn for one style lie 0.58 to 0.68 apart in the mean, of one bar 0.4.
LEAST_APART = 0.35
CLEAR_CADENCE = 2
# A last chord that lasts longer than either, and longer than two beats, is a standstill.
MOST_FINAL_S, MOST_FINAL_SHARE, FINAL_BEATS = 2.5, 0.3, 2
# Of a tune: notes a beat, different pitches, different lengths.
NOTES_A_BEAT, LEAST_PITCHES, LEAST_LENGTHS = 0.6, 3, 2
DENSER = {"sparse": "even"}  # a few seconds of few notes are no tune

# Who else plays music of a mood, after its own arrangement.
COMPANIONS = {
    "calm": ("harp", "piano", "winds", "zither", "choir"),
    "joyful": ("winds", "music-box", "harp", "strings", "zither"),
    "sad": ("piano", "zither", "harp", "winds", "choir"),
    "solemn": ("organ", "strings", "winds", "piano", "harp"),
    "dark": ("strings", "piano", "choir", "zither", "winds"),
    "tender": ("piano", "music-box", "strings", "winds", "zither"),
    "longing": ("winds", "harp", "strings", "piano", "choir"),
    "playful": ("winds", "piano", "harp", "zither", "strings"),
    "bright": ("harp", "piano", "strings", "music-box", "zither"),
}


class Filling(NamedTuple):
    """Whole bars that last a number of seconds."""

    beats: int
    bars: int
    bpm: float


@dataclass(frozen=True, kw_only=True)
class Style:
    """What a variant shall be.

    late  the name stands at the end, before the last chord; otherwise soon after the beginning
    """

    number: int
    key: Key
    filling: Filling
    density: str
    arrangement: str
    late: bool


def fillings(seconds: float, bpm: float) -> list[Filling]:
    """The best ways to fill a time by whole bars at about a tempo, the best first."""
    found = []
    for beats in METRES:
        for bars in range(1, MOST_BARS + 1):
            needed = bars * beats * 60 / seconds
            if not BPM[0] <= needed <= BPM[1]:
                continue
            cost = abs(log2(needed / bpm)) + SHORT_BARS * (beats == 2)
            cost += ONE_BAR if bars == 1 else ODD_BARS * (bars % 2)
            found.append((cost, Filling(beats, bars, needed)))
    found.sort()
    return [one for cost, one in found if cost <= found[0][0] + MOST_OFF][:MOST_FILLINGS]


def styles(brief: JingleBrief) -> list[Style]:
    """One for each variant: another key, who plays, place of the name, and tempo where it may."""
    mood: Mood = brief.feeling
    ways = fillings(brief.seconds, float(mood.bpm))
    players = [brief.arrangement] if brief.arrangement else [
        mood.arrangement, *COMPANIONS[brief.felt]
    ]  # fmt: skip
    choice = int(noise(brief.seed, "jingle", "key").integers(60))
    return [
        Style(
            number=number + 1,
            key=key_for(mood, choice + number),
            filling=ways[number % len(ways)],
            density=DENSER.get(mood.density, mood.density),
            arrangement=players[number % len(players)],
            late=number % 2 == 0,
        )
        for number in range(brief.variants)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tune:
    """A piece that was drawn for a style.

    copied  the longest run of intervals that it shares with a known melody
    """

    style: Style
    piece: FourParts
    copied: int

    @cached_property
    def final(self) -> int:
        """The sixteenth from which the bass stays upon the last pitch class."""
        bass = self.piece.pitches[:, -1] % 12
        other = np.flatnonzero(bass != bass[-1])
        return int(other[-1]) + 1 if other.size else 0

    @cached_property
    def cadence(self) -> int:
        """0 to 3: the leading tone stands before the last chord, the bass comes from the dominant,
        and the highest voice ends upon the tonic.
        """
        if not self.final:
            return 0
        tonic = self.piece.key.tonic
        before = self.piece.pitches[self.final - 1]
        sounding = {int(one) % 12 for one in before if one != REST}
        leading = (tonic - 1) % 12 in sounding
        dominant = before[-1] != REST and int(before[-1]) % 12 == (tonic + 7) % 12
        return leading + dominant + (int(self.piece.pitches[-1, 0]) % 12 == tonic)

    @cached_property
    def is_tune(self) -> bool:
        """Whether the highest voice moves enough to be one."""
        events = self.piece.events(0)
        return (
            len(events) >= NOTES_A_BEAT * len(self.piece) / BEAT
            and len({pitch for _, _, pitch in events}) >= LEAST_PITCHES
            and len({length for _, length, _ in events}) >= LEAST_LENGTHS
        )

    @property
    def ends_clearly(self) -> bool:
        """Whether the end is heard as one, and is no standstill."""
        beats = (len(self.piece) - self.final) / BEAT
        share = (len(self.piece) - self.final) / len(self.piece)
        seconds = beats * 60 / self.style.filling.bpm
        brief = seconds <= MOST_FINAL_S and share <= MOST_FINAL_SHARE
        return self.cadence >= CLEAR_CADENCE and (beats <= FINAL_BEATS or brief)

    @property
    def order(self) -> tuple[int, bool, bool]:
        """What is copied comes last, then what has no clear end, then what is no tune."""
        return self.copied, not self.ends_clearly, not self.is_tune

    def score(self, seconds: float, title: str = "") -> Score:
        """As it is written: as long as asked, and a breath stands before its end."""
        bpm = len(self.piece) / BEAT * 60 / seconds
        breath = max(1, round(BREATH_S * bpm / 60 * BEAT))
        pitches = self.piece.pitches.copy()
        pitches[len(pitches) - breath :] = REST
        return replace(self.piece.articulated(), pitches=pitches).score(bpm, title=title)

    def heard(self, seconds: float) -> Outline:
        """What is heard of it at each step of time."""
        steps = round(seconds / STEP_S)
        places = np.arange(steps) * len(self.piece) // steps
        above = (self.piece.pitches - self.piece.key.tonic) % 12
        above = np.where(self.piece.pitches == REST, REST, above)
        begun = np.zeros(steps, np.bool_)
        for start, _, _ in self.piece.events(0):
            begun[min(round(start / len(self.piece) * steps), steps - 1)] = True
        return Outline(melody=above[places, 0], bass=above[places, -1], begun=begun)


class Outline(NamedTuple):
    """A piece by steps of time.

    melody, bass  (S,) semitones above the tonic, so that another key is no other music
    begun         (S,) where a note of the highest voice begins
    """

    melody: NDArray[np.int16]
    bass: NDArray[np.int16]
    begun: NDArray[np.bool_]


class Distance(NamedTuple):
    """How much of two pieces differs, from 0 (the same) to 1.

    melody, bass  the share of time in which they stand elsewhere above the tonic
    rhythm        the share of the melody's beginnings that only one of them has
    """

    melody: float
    bass: float
    rhythm: float

    @property
    def mean(self) -> float:
        """All three together."""
        return round((self.melody + self.bass + self.rhythm) / 3, 4)


def distance(one: Outline, other: Outline) -> Distance:
    """Of two pieces that last as long."""
    either = int((one.begun | other.begun).sum())
    both = int((one.begun & other.begun).sum())
    return Distance(
        melody=round(float((one.melody != other.melody).mean()), 4),
        bass=round(float((one.bass != other.bass).mean()), 4),
        rhythm=round(1 - both / max(1, either), 4),
    )


def tunes(composer: Composer, style: Style, seed: int, sampling: PartSampling) -> list[Tune]:
    """Pieces for a style."""
    count = max(LEAST_CANDIDATES, min(MOST_CANDIDATES, CANDIDATE_BARS // style.filling.bars))
    asked = Asked(
        key=style.key,
        beats=style.filling.beats,
        upbeat=0,
        bars=style.filling.bars,
        density=style.density,
    )
    streams = [(seed, "jingle", style.number, number) for number in range(count)]
    known = composer.melodies
    return [
        Tune(
            style=style,
            piece=piece,
            copied=known.longest_copy([*piece.score().notes()]).intervals if known else 0,
        )
        for piece in composer.compose([asked] * count, streams, sampling)
    ]


def ranked(drawn: Sequence[Tune], chosen: Sequence[Tune], seconds: float) -> list[Tune]:
    """Those that are far enough from every chosen one, in the order in which they are tried.

    Least copied first, then with a clear end, then tunes; of equals the one whose nearest chosen
    piece is farthest, and then the clearest end.
    """
    apart = [_nearest(one, chosen, seconds) for one in drawn]
    kept = [number for number in range(len(drawn)) if apart[number] >= LEAST_APART]
    return [
        drawn[number]
        for number in sorted(
            kept, key=lambda one: (drawn[one].order, -apart[one], -drawn[one].cadence, one)
        )
    ]


def _nearest(tune: Tune, chosen: Sequence[Tune], seconds: float) -> float:
    own = tune.heard(seconds)
    return min((distance(own, one.heard(seconds)).mean for one in chosen), default=1.0)
