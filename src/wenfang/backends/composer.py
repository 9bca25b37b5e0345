"""A local bundle of the layout `parts` as a composer for four voices.

Every task is one: some of a piece is given, and the rest is drawn around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from wenfang.data.melody_index import MELODY_INDEX, MelodyIndex
from wenfang.data.part_tokens import (
    MOST_BARS,
    NEXT,
    RANGES,
    Asked,
    density_of,
    filled,
    piece_from,
    prompt_tokens,
)
from wenfang.device import noise
from wenfang.errors import BriefError, ConfigError
from wenfang.media.four_parts import REST, VOICES, FourParts, joined_parts
from wenfang.metrics.music import parallels
from wenfang.models.decode.direct import direct_decoder
from wenfang.models.load import Loaded, language_model
from wenfang.samplers.parts import PartStep
from wenfang.samplers.tokens import CachedPredict, Predict, Sampling, sample
from wenfang.tokenizer import END

Stream = tuple[int | str, ...]
AGAIN = 4  # times that a piece with parallel fifths or octaves is drawn anew


@dataclass(frozen=True, kw_only=True)
class PartSampling(Sampling):
    """A little colder than the model."""

    temperature: float = 0.95
    top_p: float = 0.95
    maximum_tokens: int = 2048  # what is given counts


# Below a melody of another's the model is less sure of itself: drawn as free pieces are, a third of
# the beats was dissonant, where Bach has a quarter.
HARMONISING = PartSampling(temperature=0.7)


class Composer:
    """Draws pieces with one loaded bundle."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.model, self.tokenizer = language_model(loaded, "parts")
        if self.tokenizer.find(NEXT) is None:
            raise ConfigError(
                "{name} was trained when pieces were written in another way; train it again",
                name=loaded.name,
            )

    @cached_property
    def melodies(self) -> MelodyIndex | None:
        """Of what the bundle learnt from, where it tells them."""
        path = self.loaded.folder / MELODY_INDEX
        return MelodyIndex.load(path) if path.is_file() else None

    def compose(
        self, asked: Sequence[Asked], streams: Sequence[Stream], sampling: Sampling
    ) -> list[FourParts]:
        """A piece for each of what is asked, exactly as long, with what is given in it.

        raises BriefError for more bars than the model can count
        """
        for one in asked:
            require_bars(one.bars)
        found = self._drawn(asked, streams, sampling)
        # Where the rules left no other way a piece holds parallels; another may need none.
        for again in range(AGAIN):
            poor = [number for number, one in enumerate(found) if parallels(one)]
            others = self._drawn(
                [asked[number] for number in poor],
                [(*streams[number], "again", again) for number in poor],
                sampling,
            )
            for number, other in zip(poor, others, strict=True):
                found[number] = min(found[number], other, key=parallels)
        return found

    def _drawn(
        self, asked: Sequence[Asked], streams: Sequence[Stream], sampling: Sampling
    ) -> list[FourParts]:
        if not asked:
            return []
        prompts = [[self.tokenizer.id(name) for name in prompt_tokens(one)] for one in asked]
        capacity = self.model.config.context
        most = min(sampling.maximum_tokens, capacity - len(prompts[0]))
        rows = sample(
            self._predict(len(asked), capacity),
            torch.tensor(prompts),
            [noise(int(first), *rest) for first, *rest in streams],
            replace(sampling, maximum_tokens=most),
            steps=[PartStep(self.tokenizer, asked)],
            stop=frozenset({self.tokenizer.id(END)}),
        )
        return [
            _kept(piece_from([self.tokenizer.token(token) for token in row.tokens], one), one)
            for row, one in zip(rows, asked, strict=True)
        ]

    def _predict(self, rows: int, capacity: int) -> Predict:
        found = direct_decoder(self.model, rows, capacity)
        return found or CachedPredict(self.model, rows, capacity)


def require_bars(bars: int) -> None:
    """BriefError for a length that cannot be told."""
    if not 1 <= bars <= MOST_BARS:
        raise BriefError(
            "a piece of {bars} bars cannot be made; ask for 1 to {most}",
            bars=bars,
            most=MOST_BARS,
        )


def _kept(drawn: FourParts, asked: Asked) -> FourParts:
    """What was given, note by note as it was struck, and around it what was drawn."""
    if asked.given is None or asked.known is None:
        return drawn
    pitches, struck = drawn.pitches.copy(), drawn.struck.copy()
    for at in range(min(len(drawn), len(asked.given))):
        bar, _ = asked.given.place(at)
        told = asked.known[bar]
        pitches[at, told] = asked.given.pitches[at, told]
        struck[at, told] = asked.given.struck[at, told]
    return replace(drawn, pitches=pitches, struck=struck)


# What is asked ----------------------------------------------------------------------------------


def harmonised(melody: FourParts) -> Asked:
    """Three voices below a melody, which is the highest voice of what is there.

    It moves by octaves into the sopranos' range, and only what still lies outside is refused.
    raises BriefError where the melody does not fit
    """
    piece = filled(melody)
    require_bars(piece.bars)
    top = piece.pitches[:, :1]
    sung = top[top != REST]
    if not sung.size:
        raise BriefError("the melody has no notes; give another")
    low, high = RANGES[0]
    octave = 12 * round(((low + high) / 2 - float(sung.mean())) / 12)
    moves = sorted((octave - 12, octave, octave + 12), key=lambda one: abs(one - octave))
    fitting = [one for one in moves if low <= sung.min() + one and sung.max() + one <= high]
    if not fitting:
        raise BriefError(
            "the melody spans {span} semitones; at most {most} fit into one voice",
            span=int(sung.max() - sung.min()),
            most=high - low,
        )
    pitches = np.full(piece.pitches.shape, REST, np.int16)
    pitches[:, 0] = np.where(top[:, 0] == REST, REST, top[:, 0] + fitting[0])
    struck = np.zeros(piece.struck.shape, np.bool_)
    struck[:, 0] = piece.struck[:, 0]
    known = np.zeros((piece.bars, len(VOICES)), np.bool_)
    known[:, 0] = True
    return _around(replace(piece, pitches=pitches, struck=struck), known)


def continued(piece: FourParts, bars: int) -> Asked:
    """So many further bars."""
    full = filled(piece)
    require_bars(full.bars + bars)
    rest = np.full((bars * full.bar, len(VOICES)), REST, np.int16)
    silent = replace(full, pitches=rest, struck=np.zeros(rest.shape, np.bool_), upbeat=0)
    known = np.zeros((full.bars + bars, len(VOICES)), np.bool_)
    known[: full.bars] = True
    return _around(joined_parts([full, silent]), known)


def filled_in(piece: FourParts, first: int, bars: int) -> Asked:
    """The bars from `first` (0 is the first) anew, between those that stand."""
    full = filled(piece)
    require_bars(full.bars)
    if not (first >= 0 and bars > 0 and first + bars <= full.bars):
        raise BriefError(
            "bars {first} to {last} are not in a piece of {count} bars; choose others",
            first=first + 1,
            last=first + bars,
            count=full.bars,
        )
    known = np.ones((full.bars, len(VOICES)), np.bool_)
    known[first : first + bars] = False
    return _around(full, known)


def varied(piece: FourParts, share: float, stream: Stream) -> Asked:
    """About a share of the voices' bars anew, one voice or another in every bar."""
    if not 0 < share <= 1:
        raise BriefError("share is {share}; it must be above 0 and at most 1", share=share)
    full = filled(piece)
    require_bars(full.bars)
    drawn = noise(int(stream[0]), *stream[1:], "varied")
    known = drawn.random((full.bars, len(VOICES))) >= share
    return _around(full, known)


def _around(piece: FourParts, known: np.ndarray) -> Asked:
    for voice, (low, high) in enumerate(RANGES):
        told = np.array([known[piece.place(at)[0], voice] for at in range(len(piece))])
        sung = piece.pitches[told, voice]
        sung = sung[sung != REST]
        if sung.size and not (low <= sung.min() and sung.max() <= high):
            raise BriefError(
                "the {voice} goes from {least} to {most}, outside {low} to {high}; move it",
                voice=VOICES[voice],
                least=int(sung.min()),
                most=int(sung.max()),
                low=low,
                high=high,
            )
    return replace(Asked.like(piece, known), density=_density(piece, known))


def _density(piece: FourParts, known: np.ndarray) -> str:
    """As dense as what is given whole."""
    whole = [bar for bar in range(piece.bars) if known[bar].all()]
    if not whole:
        return "even"
    places = np.array([piece.place(at)[0] for at in range(len(piece))])
    kept = np.isin(places, whole)
    return density_of(replace(piece, pitches=piece.pitches[kept], struck=piece.struck[kept]))
