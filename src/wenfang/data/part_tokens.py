"""Four voices as tokens: what is asked, and then the piece, bar by bar.

    key metre upbeat density bar bar ... END
    bar = |left [GIVEN what is given NEXT how the given voices go on PIECE] what is not given

A bar begins with how many are left, so that a piece knows where it ends. Within it stand the
sixteenths at which something begins (`@0` to `@15`), each followed by the voices that begin a note
or fall silent there, from the highest: `S60`, `B-`. Whoever is not named goes on. What is given of
a bar is told ahead of the rest of it, with the pitches upon which the given voices enter the next
bar; a voice that is not given is marked there once, by `S?`. Composing, going on, harmonising,
varying and filling in are one task with other things given.

B batch, T time
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wenfang.device import NoiseStream
from wenfang.media.four_parts import BEAT, REST, VOICES, FourParts
from wenfang.media.score import Key
from wenfang.tokenizer import END

LETTERS = "SATB"
# Lowest and highest pitch of each voice: a little more than the chorales have, for other keys.
RANGES = ((58, 83), (51, 76), (45, 71), (34, 66))
MOST_BARS, MOST_BEATS = 24, 4
BAR_CELLS = MOST_BEATS * BEAT
DENSITIES = ("sparse", "even", "flowing")
# New notes a beat, all voices together, that divide the chorales into three parts of one size.
DENSITY_BOUNDS = (3.4, 3.9)
GIVEN, NEXT, PIECE = "<given>", "<next>", "<piece>"
Known = NDArray[np.bool_]  # (bars, 4): which voice of which bar is given


@cache
def vocabulary() -> tuple[str, ...]:
    """Every token but those that a tokenizer has anyway."""
    found = [GIVEN, NEXT, PIECE]
    found += [str(Key(tonic=tonic, minor=minor)) for minor in (False, True) for tonic in range(12)]
    found += [f"{beats}/4" for beats in range(2, MOST_BEATS + 1)]
    found += [f"upbeat{number}" for number in range(BAR_CELLS)]
    found += [f"density-{one}" for one in DENSITIES]
    found += [f"|{left}" for left in range(1, MOST_BARS + 1)]
    found += [f"@{cell}" for cell in range(BAR_CELLS)]
    for letter, (low, high) in zip(LETTERS, RANGES, strict=True):
        found += [f"{letter}?", f"{letter}-"]
        found += [f"{letter}{pitch}" for pitch in range(low, high + 1)]
    return tuple(found)


def density_of(piece: FourParts) -> str:
    """How many notes begin in a beat, as one of DENSITIES."""
    a_beat = piece.struck.sum() / max(1, len(piece) / BEAT)
    return DENSITIES[int(np.searchsorted(DENSITY_BOUNDS, a_beat))]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a piece shall be; `given` is told of it, where `known` says so.

    bars  an upbeat's counted
    """

    key: Key
    beats: int
    upbeat: int
    bars: int
    density: str = "even"
    given: FourParts | None = None
    known: Known | None = None

    @classmethod
    def like(cls, piece: FourParts, known: Known | None = None) -> Asked:
        """As a piece is, with some of it given."""
        return cls(
            key=piece.key,
            beats=piece.beats,
            upbeat=piece.upbeat,
            bars=piece.bars,
            density=density_of(piece),
            given=None if known is None else piece,
            known=known,
        )


def prompt_tokens(asked: Asked) -> list[str]:
    """What stands before the piece."""
    return [
        str(asked.key),
        f"{asked.beats}/4",
        f"upbeat{asked.upbeat}",
        f"density-{asked.density}",
    ]


def piece_tokens(piece: FourParts, known: Known | None = None) -> list[str]:
    """The piece itself, END included, and in it what is given ahead of what is not."""
    if known is None:
        known = np.zeros((piece.bars, len(VOICES)), np.bool_)
    names: list[str] = []
    sounding: list[int | None] = [None] * len(VOICES)  # what a reader believes to go on
    for bar, (places, ahead) in enumerate(
        zip(_places(piece), given_tokens(piece, known), strict=True)
    ):
        names += [f"|{piece.bars - bar}", *ahead]
        names += _events(piece, places, np.flatnonzero(~known[bar]), sounding)
        for voice in np.flatnonzero(known[bar]):
            sounding[voice] = int(piece.pitches[places[-1], voice])
    return [*names, END]


def given_tokens(given: FourParts, known: Known) -> list[list[str]]:
    """What is told of each bar ahead of the rest of it: from GIVEN to PIECE, or nothing."""
    places = _places(given)
    sounding: list[int | None] = [None] * len(VOICES)
    found: list[list[str]] = []
    for bar in range(given.bars):
        told, hidden = np.flatnonzero(known[bar]), np.flatnonzero(~known[bar])
        names = [f"{LETTERS[voice]}?" for voice in hidden]
        for voice in hidden:
            sounding[voice] = None
        names += _events(given, places[bar], told, sounding)
        following = np.flatnonzero(known[bar + 1]).tolist() if bar + 1 < given.bars else []
        if following:
            names += [NEXT, *(_sign(given, places[bar + 1][0], voice) for voice in following)]
        found.append([GIVEN, *names, PIECE] if len(told) or following else [])
    return found


def _places(piece: FourParts) -> list[list[int]]:
    """Where each bar lies upon the grid."""
    found: list[list[int]] = [[] for _ in range(piece.bars)]
    for at in range(len(piece)):
        found[piece.place(at)[0]].append(at)
    return found


def _events(
    piece: FourParts, places: Sequence[int], voices: Iterable[int], sounding: list[int | None]
) -> Iterator[str]:
    """What begins in a bar in some voices; `sounding` goes on with it."""
    for at in places:
        begun = [_sign(piece, at, one) for one in voices if _begins(piece, at, one, sounding)]
        if begun:
            yield f"@{piece.place(at)[1]}"
            yield from begun


def _begins(piece: FourParts, at: int, voice: int, sounding: list[int | None]) -> bool:
    pitch = int(piece.pitches[at, voice])
    changed = sounding[voice] != pitch or (pitch != REST and bool(piece.struck[at, voice]))
    sounding[voice] = pitch
    return changed


def _sign(piece: FourParts, at: int, voice: int) -> str:
    pitch = int(piece.pitches[at, voice])
    return f"{LETTERS[voice]}{'-' if pitch == REST else pitch}"


def told_by(name: str) -> tuple[int, int] | None:
    """(voice, pitch or REST) that a token begins; None for every other token."""
    if name[:1] not in LETTERS or not (name[1:] == "-" or name[1:].isdecimal()):
        return None
    return LETTERS.index(name[0]), REST if name[1:] == "-" else int(name[1:])


def told_within(tokens: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """(bar, cell, voice, pitch or REST) of everything that tokens say to begin, up to END."""
    bar = cell = -1
    for name in tokens:
        if name == END:
            break
        if name.startswith("|"):
            bar, cell = bar + 1, -1
        elif name in (NEXT, PIECE):
            cell = -1  # until a place is named again
        elif name.startswith("@"):
            cell = int(name[1:])
        elif (told := told_by(name)) and bar >= 0 and cell >= 0:
            yield (bar, cell, *told)


def piece_from(tokens: Sequence[str], asked: Asked) -> FourParts:
    """What `piece_tokens` told, in the metre and key that were asked; what comes after END counts
    not, and whatever stands before its place is left out.
    """
    bar_cells = asked.beats * BEAT
    ahead = bar_cells - asked.upbeat if asked.upbeat else 0  # of the first bar, before the upbeat
    length = asked.bars * bar_cells - ahead
    pitches = np.full((length, len(VOICES)), REST, np.int16)
    struck = np.zeros(pitches.shape, np.bool_)
    for bar, cell, voice, pitch in told_within(tokens):
        at = bar * bar_cells + cell - ahead
        if 0 <= at < length:
            pitches[at:, voice] = pitch
            struck[at, voice] = pitch != REST
    return FourParts(
        pitches=pitches, struck=struck, beats=asked.beats, upbeat=asked.upbeat, key=asked.key
    )


def fits(piece: FourParts) -> bool:
    """Whether tokens can tell a piece: its length, its metre and its voices' ranges."""
    if piece.bars > MOST_BARS or not 2 <= piece.beats <= MOST_BEATS:
        return False
    return all(
        not (column := piece.pitches[:, voice][piece.pitches[:, voice] != REST]).size
        or (low <= column.min() and column.max() <= high)
        for voice, (low, high) in enumerate(RANGES)
    )


def filled(piece: FourParts) -> FourParts:
    """A piece whose last chord is held until its bar is full, as tokens tell it."""
    missing = -(len(piece) - piece.upbeat) % piece.bar
    return replace(
        piece,
        pitches=np.pad(piece.pitches, ((0, missing), (0, 0)), mode="edge"),
        struck=np.pad(piece.struck, ((0, missing), (0, 0))),
    )


def moved(piece: FourParts, semitones: int) -> FourParts:
    """A piece in another key."""
    pitches = np.where(piece.pitches == REST, REST, piece.pitches + semitones).astype(np.int16)
    key = replace(piece.key, tonic=(piece.key.tonic + semitones) % 12)
    return replace(piece, pitches=pitches, key=key)


def excerpt(piece: FourParts, first: int, bars: int) -> FourParts:
    """Some bars of a piece; one that begins within it has no upbeat."""
    places = np.array([piece.place(at)[0] for at in range(len(piece))])
    kept = (places >= first) & (places < first + bars)
    struck = piece.struck[kept].copy()
    if len(struck):
        struck[0] = piece.pitches[kept][0] != REST
    upbeat = piece.upbeat if first == 0 else 0
    return replace(piece, pitches=piece.pitches[kept], struck=struck, upbeat=upbeat)


def drawn_known(bars: int, stream: NoiseStream) -> Known | None:
    """What of a piece is given in training: nothing, a voice, a beginning, all but some bars, or
    some voices of some bars.
    """
    kind = stream.random()
    known = np.zeros((bars, len(VOICES)), np.bool_)
    if kind < 0.35:
        return None
    if kind < 0.6:
        known[:, 0] = True
        if stream.random() < 0.3:
            known[:, int(stream.integers(1, len(VOICES)))] = True
    elif kind < 0.75:
        known[: int(stream.integers(1, max(2, bars)))] = True
    elif kind < 0.9:
        known[:] = True
        gap = int(stream.integers(1, max(2, bars // 2 + 1)))
        first = int(stream.integers(0, bars - gap + 1))
        known[first : first + gap] = False
    else:
        known |= stream.random(known.shape) < stream.random()
    return known
