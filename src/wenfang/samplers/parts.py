"""Four voices as a logits step: the length that was asked, what was given, ranges, no voice above a
higher one, no parallel fifths and octaves, and an end upon the tonic.

What cannot be kept together with what was given is given up in this order: parallels, crossing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wenfang.data.part_tokens import LETTERS, RANGES, Asked, given_tokens, told_by, told_within
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
        self.ids = {name: token for token, name in enumerate(self.names)}
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

    ahead   by bar, the tokens that tell what is given of it
    moves   by (bar, cell), what the given voices come to there: voice -> pitch, REST for a silence
    coming  tokens that must come next
    before  what sounded when the present cell began
    """

    asked: Asked
    words: PartWords
    ahead: list[list[int]] = field(default_factory=list)
    moves: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)
    coming: deque[int] = field(default_factory=deque)
    bar: int = -1
    cell: int = -1
    voice: int = -1  # the last that was told in this cell
    sounding: list[int | None] = field(default_factory=lambda: [None] * len(VOICES))
    before: list[int | None] = field(default_factory=lambda: [None] * len(VOICES))
    ended: bool = False

    @classmethod
    def of(cls, asked: Asked, words: PartWords) -> _Row:
        """Before the first bar."""
        if asked.given is None or asked.known is None:
            return cls(asked=asked, words=words, ahead=[[] for _ in range(asked.bars)])
        named = given_tokens(asked.given, asked.known)
        moves: dict[tuple[int, int], dict[int, int]] = {}
        for bar, names in enumerate(named):
            for _, cell, voice, pitch in told_within(["|1", *names]):
                moves.setdefault((bar, cell), {})[voice] = pitch
        ahead = [[words.ids[name] for name in names] for names in named]
        return cls(asked=asked, words=words, ahead=ahead, moves=moves)

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
    def last_cell(self) -> int:
        """The last cell of this bar at which something may begin that is not given."""
        return max(self.first_cell, self.cells - FINAL_CELLS) if self.last_bar else self.cells - 1

    def known(self, voice: int) -> bool:
        """Whether a voice is given in this bar."""
        told = self.asked.known
        return told is not None and bool(told[self.bar, voice])

    @property
    def free(self) -> list[int]:
        """The voices of this bar that are not given."""
        return [voice for voice in range(len(VOICES)) if not self.known(voice)]

    def feed(self, token: int) -> None:
        """Go on by one token."""
        if self.ended or token == self.words.end:
            self.ended = True
        elif self.coming:
            self.coming.popleft()
        elif token in self.words.told:
            voice, pitch = self.words.told[token]
            self.voice, self.sounding[voice] = voice, pitch
        elif (name := self.words.names[token]).startswith("@"):
            self._come_to(int(name[1:]))
        else:
            self._come_to(self.cells)
            self.bar, self.cell = self.bar + 1, -1
            self.coming.extend(self.ahead[self.bar])

    def _come_to(self, cell: int) -> None:
        """Let the given voices go on up to a cell, and into it."""
        for between in range(self.cell + 1, cell):
            self._move(self.sounding, between)
        self.before = list(self.sounding)
        self._move(self.sounding, cell)
        self.cell, self.voice = cell, -1

    def _move(self, sounding: list[int | None], cell: int) -> bool:
        """What the given voices come to in a cell; whether they come to anything."""
        moved = self.moves.get((self.bar, cell), {})
        for voice, pitch in moved.items():
            sounding[voice] = pitch
        return bool(moved)

    def allowed(self) -> Mask:
        """(V,) what may come next; never nothing."""
        mask = np.zeros(self.words.size, np.bool_)
        if self.ended:
            mask[self.words.end] = True
        elif self.bar < 0:
            mask[self.words.bar[self.asked.bars]] = True
        elif self.coming:
            mask[self.coming[0]] = True
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
        due = self._due(strict)
        if self.free:
            first = max(self.cell + 1, self.first_cell)
            last = self.last_cell if due is None else due
            yield from (self.words.cell[cell] for cell in range(first, last + 1))
        if due is not None or not self._bar_is_told():
            return
        if self.last_bar:
            if self._is_final():
                yield self.words.end
        else:
            yield self.words.bar[self.asked.bars - self.bar - 1]

    def _bar_is_told(self) -> bool:
        """Something begins in every bar of which nothing is given."""
        return self.cell >= 0 or len(self.free) < len(VOICES)

    def _due(self, strict: int) -> int | None:
        """The first later cell of this bar at which a voice must begin or move; None for none."""
        if self.bar == 0 and self.cell < 0 and self.free:
            return self.first_cell
        sounding = list(self.sounding)
        for cell in range(self.cell + 1, self.last_cell + 1 if strict else 0):
            if self._move(sounding, cell) and any(self._crosses(v, sounding) for v in self.free):
                return cell
        return None

    def _crosses(self, voice: int, sounding: Sequence[int | None]) -> bool:
        """Whether a voice lies above a higher one that is given, or below a lower one."""
        return any(
            self.known(other) and (own - pitch) * (other - voice) < 0
            for other, pitch in enumerate(sounding)
            if (own := sounding[voice]) is not None and own != REST
            and pitch is not None and pitch != REST
        )  # fmt: skip

    def _voices(self, strict: int) -> Iterator[int]:
        for voice in range(self.voice + 1, len(VOICES)):
            if self.known(voice):
                continue
            yield from self._pitches(voice, strict)
            if self._must_move(voice, strict):
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
        passes = above is not None and above != REST and pitch > above
        return strict > 0 and (passes or self._crosses(voice, self.sounding))

    def _pitches(self, voice: int, strict: int) -> Iterator[int]:
        """What a voice may sing next."""
        low, high = self._between(voice) if strict > 0 else RANGES[voice]
        final = self._final_pitches(voice) if self._final_chord() else None
        settled = [other for other in range(len(VOICES)) if other < voice or self.known(other)]
        beside = [one for one in settled if strict > 1 and self._may_be_parallel(one, voice)]
        for pitch, token in self.words.pitch[voice].items():
            if not low <= pitch <= high or pitch == self.sounding[voice]:
                continue
            if final is not None and pitch % 12 not in final:
                continue
            if not any(self._is_parallel(other, voice, pitch) for other in beside):
                yield token

    def _may_be_parallel(self, other: int, voice: int) -> bool:
        """Whether two voices stood in a fifth or an octave, and the first of them has moved."""
        if other == voice or self.sounding[other] == self.before[other]:
            return False
        upper, lower = (self.before[one] for one in sorted((other, voice)))
        if upper is None or lower is None or upper < 0 or lower < 0:
            return False
        return (upper - lower) % 12 in PERFECT

    def _is_parallel(self, other: int, voice: int, pitch: int) -> bool:
        """Whether a voice that came to a pitch would go in parallel with another."""
        upper, lower = sorted((other, voice))
        now = {other: self.sounding[other], voice: pitch}
        return is_parallel((self.before[upper], self.before[lower]), (now[upper], now[lower]))

    def _between(self, voice: int) -> tuple[int, int]:
        """The pitches that pass neither the voices above nor those below: where these are if they
        are given, and where they were if not, but for one that must move away itself.
        """
        low, high = RANGES[voice]
        above = self.sounding[:voice]
        below = [
            (self.sounding if self.known(other) else self.before)[other]
            for other in range(voice + 1, len(VOICES))
            if self.known(other) or not self._crosses(other, self.sounding)
        ]
        return (
            max([low, *(pitch for pitch in below if pitch is not None and pitch != REST)]),
            min([high, *(pitch for pitch in above if pitch is not None and pitch != REST)]),
        )

    def _closed(self, strict: int) -> bool:
        """Whether a cell may be left: nobody must move."""
        later = range(self.voice + 1, len(VOICES))
        return not any(self._must_move(voice, strict) for voice in later)

    def _final_chord(self) -> bool:
        return self.last_bar and self.cell >= self.last_cell

    def _final_pitches(self, voice: int) -> set[int]:
        """Steps of the last chord; in minor its third may be major."""
        tonic, minor = self.asked.key.tonic, self.asked.key.minor
        if voice == len(VOICES) - 1:
            return {tonic}
        thirds = (3, 4) if minor else (4,)
        return {tonic, (tonic + 7) % 12, *((tonic + third) % 12 for third in thirds)}

    def _is_final(self) -> bool:
        """Whether what sounds may be the last chord, as far as it was not given."""
        if self.cell < 0 and self.free:
            return False
        return all(
            (pitch := self.sounding[voice]) is not None
            and pitch != REST
            and pitch % 12 in self._final_pitches(voice)
            for voice in self.free
        )


class PartStep:
    """The logits step of pieces that are drawn together, one for each row."""

    def __init__(self, tokenizer: Tokenizer, asked: Sequence[Asked]) -> None:
        self.words = PartWords(tokenizer)
        self._rows = [_Row.of(one, self.words) for one in asked]
        self._read = 0

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """logits (B, V), drawn (B, t): one call for each token."""
        for column in drawn[:, self._read :].T.tolist():
            for row, token in zip(self._rows, column, strict=True):
                row.feed(token)
        self._read = drawn.shape[1]
        masks = np.stack([row.allowed() for row in self._rows])
        return logits.masked_fill(~torch.from_numpy(masks), -torch.inf)
