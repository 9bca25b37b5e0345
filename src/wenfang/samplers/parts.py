"""Four voices as a logits step: the length that was asked, what was given, ranges, no voice above a
higher one, no parallel fifths and octaves, and an end upon the tonic.

What cannot be kept together with what was given is given up in this order: parallels, crossing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wenfang.data.part_tokens import LETTERS, RANGES, Asked, piece_tokens, told_by
from wenfang.knowledge.part_writing import PERFECT, is_parallel
from wenfang.media.four_parts import BEAT, REST, VOICES
from wenfang.tokenizer import END, Tokenizer

FINAL_CELLS = 2 * BEAT  # the last chord lasts so long at least
Mask = NDArray[np.bool_]


class PartWords:
    """Where everything stands in a vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.size, self.end = tokenizer.size, tokenizer.id(END)
        self.names = tokenizer.tokens()
        self.bar = {n: i for i, name in enumerate(self.names) if (n := _number(name, "|"))}
        self.cell = {int(name[1:]): i for i, name in enumerate(self.names) if name.startswith("@")}
        self.pitch = [
            {
                pitch: tokenizer.id(f"{letter}{pitch}")
                for pitch in range(RANGES[voice][0], RANGES[voice][1] + 1)
            }
            for voice, letter in enumerate(LETTERS)
        ]
        self.rest = [tokenizer.id(f"{letter}-") for letter in LETTERS]
        self.told = {
            token: told for token, name in enumerate(self.names) if (told := told_by(name))
        }


def _number(name: str, mark: str) -> int:
    return int(name[1:]) if name.startswith(mark) and name[1:].isdecimal() else 0


@dataclass
class _Row:
    """Where one piece stands.

    forced  by (bar, cell) what must begin there: voice -> pitch, REST for a silence
    before  what sounded when the present cell began
    """

    asked: Asked
    words: PartWords
    forced: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)
    bar: int = -1
    cell: int = -1
    voice: int = -1  # the last that was told in this cell
    sounding: list[int | None] = field(default_factory=lambda: [None] * len(VOICES))
    before: list[int | None] = field(default_factory=lambda: [None] * len(VOICES))
    ended: bool = False

    @property
    def cells(self) -> int:
        return self.asked.beats * BEAT

    @property
    def last_bar(self) -> bool:
        return self.bar == self.asked.bars - 1

    @property
    def first_cell(self) -> int:
        """The first cell of this bar at which something may sound."""
        upbeat = self.asked.upbeat
        return self.cells - upbeat if self.bar == 0 and upbeat else 0

    @property
    def final_cell(self) -> int:
        """The last cell of the last bar at which something may begin that was not given."""
        return max(self.first_cell, self.cells - FINAL_CELLS)

    def known(self, voice: int) -> bool:
        """Whether a voice is given in this bar."""
        told = self.asked.known
        return told is not None and bool(told[self.bar, voice])

    def feed(self, token: int) -> None:
        """Go on by one token."""
        if self.ended or token == self.words.end:
            self.ended = True
        elif token in self.words.told:
            voice, pitch = self.words.told[token]
            self.voice, self.sounding[voice] = voice, pitch
        elif (name := self.words.names[token]).startswith("@"):
            self.cell, self.voice, self.before = int(name[1:]), -1, list(self.sounding)
        else:
            self.bar, self.cell, self.voice = self.bar + 1, -1, -1

    def allowed(self) -> Mask:
        """(V,) what may come next; never nothing."""
        mask = np.zeros(self.words.size, np.bool_)
        if self.ended:
            mask[self.words.end] = True
        elif self.bar < 0:
            mask[self.words.bar[self.asked.bars]] = True
        else:
            for strict in (2, 1, 0):
                mask[list(self._next(strict))] = True
                if mask.any():
                    break
            else:
                self._give_up(mask)
        return mask

    def _give_up(self, mask: Mask) -> None:
        """Nothing keeps all that is asked: go on to the next bar, or end."""
        left = self.asked.bars - self.bar - 1
        mask[self.words.bar[left] if left else self.words.end] = True

    def _next(self, strict: int) -> Iterator[int]:
        if self.cell >= 0:
            yield from self._voices(strict)
            if self.voice < 0 or not self._closed(strict):
                return
        waiting = [c for b, c in self.forced if b == self.bar and c > self.cell]
        yield from self._cells(min(waiting, default=self.cells))
        if waiting or not self._bar_is_told():
            return
        if self.last_bar:
            if self._is_final():
                yield self.words.end
        else:
            yield self.words.bar[self.asked.bars - self.bar - 1]

    def _bar_is_told(self) -> bool:
        """Something begins in every bar, unless all of it is given."""
        return self.cell >= 0 or all(self.known(voice) for voice in range(len(VOICES)))

    def _cells(self, before_or_at: int) -> Iterator[int]:
        first = max(self.cell + 1, self.first_cell)
        if self.bar == 0 and self.cell < 0:
            before_or_at = min(before_or_at, self.first_cell)  # a piece begins at once
        for cell in range(first, min(before_or_at, self.cells - 1) + 1):
            late = self.last_bar and cell > self.final_cell
            if (not late or cell == before_or_at) and self._may_begin(cell):
                yield self.words.cell[cell]

    def _may_begin(self, cell: int) -> bool:
        """Whether there is a voice that may begin in a cell."""
        return (self.bar, cell) in self.forced or not all(
            self.known(voice) for voice in range(len(VOICES))
        )

    def _voices(self, strict: int) -> Iterator[int]:
        forced = self.forced.get((self.bar, self.cell), {})
        waiting = [voice for voice in forced if voice > self.voice]
        following = min(waiting, default=len(VOICES))
        for voice in range(self.voice + 1, min(following + 1, len(VOICES))):
            if voice == following:
                pitch = forced[voice]
                yield self.words.rest[voice] if pitch == REST else self.words.pitch[voice][pitch]
            elif not self.known(voice):
                yield from self._pitches(voice, strict)
            if self._must_move(voice, strict) and voice != following:
                return

    def _must_move(self, voice: int, strict: int) -> bool:
        """Whether a voice cannot be passed over in this cell."""
        if self.known(voice):
            return False
        pitch = self.sounding[voice]
        if pitch is None:
            return True
        if self._final_chord() and pitch % 12 not in self._final_pitches(voice):
            return True
        above = self.sounding[voice - 1] if voice else None
        return strict > 0 and above not in (None, REST) and above is not None and pitch > above

    def _pitches(self, voice: int, strict: int) -> Iterator[int]:
        """What a voice may sing next."""
        low, high = self._between(voice) if strict > 0 else RANGES[voice]
        final = self._final_pitches(voice) if self._final_chord() else None
        beside = [] if strict < 2 else [
            other for other in range(voice) if self._may_be_parallel(other, voice)
        ]  # fmt: skip
        for pitch, token in self.words.pitch[voice].items():
            if not low <= pitch <= high or pitch == self.sounding[voice]:
                continue
            if final is not None and pitch % 12 not in final:
                continue
            if not any(
                is_parallel((self.before[other], self.before[voice]), (self.sounding[other], pitch))
                for other in beside
            ):
                yield token

    def _may_be_parallel(self, other: int, voice: int) -> bool:
        """Whether two voices stood in a fifth or an octave, and the first of them has moved."""
        before, own, now = self.before[other], self.before[voice], self.sounding[other]
        if before is None or own is None or before < 0 or own < 0 or now == before:
            return False
        return (before - own) % 12 in PERFECT

    def _between(self, voice: int) -> tuple[int, int]:
        """The pitches that pass neither the voice above nor where the one below was, or is to be
        by what is given.
        """
        low, high = RANGES[voice]
        above = [p for p in self.sounding[:voice] if p is not None and p != REST]
        below = [p for p in self.before[voice + 1 :] if p is not None and p != REST]
        coming = self.forced.get((self.bar, self.cell), {})
        fixed = [p for other, p in coming.items() if other > voice and p != REST]
        return max([low, *(fixed or below)]), min([high, *above])

    def _closed(self, strict: int) -> bool:
        """Whether a cell may be left: all that is given is told, and nobody must move."""
        forced = self.forced.get((self.bar, self.cell), {})
        if any(voice > self.voice for voice in forced):
            return False
        return not any(
            self._must_move(voice, strict) for voice in range(self.voice + 1, len(VOICES))
        )

    def _final_chord(self) -> bool:
        return self.last_bar and self.cell >= self.final_cell

    def _final_pitches(self, voice: int) -> set[int]:
        """Steps of the last chord; in minor its third may be major."""
        tonic, minor = self.asked.key.tonic, self.asked.key.minor
        if voice == len(VOICES) - 1:
            return {tonic}
        thirds = (3, 4) if minor else (4,)
        return {tonic, (tonic + 7) % 12, *((tonic + third) % 12 for third in thirds)}

    def _is_final(self) -> bool:
        """Whether what sounds may be the last chord, as far as it was not given."""
        if self.cell < 0 and not all(self.known(voice) for voice in range(len(VOICES))):
            return False
        return all(
            self.known(voice)
            or (pitch is not None and pitch != REST and pitch % 12 in self._final_pitches(voice))
            for voice, pitch in enumerate(self.sounding)
        )


def _forced(asked: Asked) -> dict[tuple[int, int], dict[int, int]]:
    """What is given, by its place."""
    found: dict[tuple[int, int], dict[int, int]] = {}
    if asked.given is None or asked.known is None:
        return found
    bar, cell = -1, -1
    sounding: dict[int, int] = {}
    for name in piece_tokens(asked.given):
        if name.startswith("|"):
            bar, cell = bar + 1, -1
            # A voice that is given from here on, and was not before, begins anew.
            first = asked.given.bar - asked.upbeat if bar == 0 and asked.upbeat else 0
            for voice, pitch in sounding.items():
                if asked.known[bar, voice] and not asked.known[bar - 1, voice]:
                    found.setdefault((bar, first), {})[voice] = pitch
        elif name.startswith("@"):
            cell = int(name[1:])
        elif told := told_by(name):
            voice, pitch = told
            sounding[voice] = pitch
            if asked.known[bar, voice]:
                found.setdefault((bar, cell), {})[voice] = pitch
    return found


class PartStep:
    """The logits step of pieces that are drawn together, one for each row."""

    def __init__(self, tokenizer: Tokenizer, asked: Sequence[Asked]) -> None:
        self.words = PartWords(tokenizer)
        self._rows = [_Row(asked=one, words=self.words, forced=_forced(one)) for one in asked]
        self._read = 0

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """logits (B, V), drawn (B, t): one call for each token."""
        for column in drawn[:, self._read :].T.tolist():
            for row, token in zip(self._rows, column, strict=True):
                row.feed(token)
        self._read = drawn.shape[1]
        masks = np.stack([row.allowed() for row in self._rows])
        return logits.masked_fill(~torch.from_numpy(masks), -torch.inf)
