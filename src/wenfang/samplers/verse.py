"""Regulated verse as a logits step: only what the form, the rhyme and the tones allow is left.

The rules are those of wenfang.knowledge.verse, which also judges the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wenfang.data.layouts import LINE_BREAK
from wenfang.errors import ConfigError
from wenfang.knowledge import verse
from wenfang.samplers.tokens import Sampling
from wenfang.tokenizer import END, Tokenizer

# A rhyme must leave a choice: classes with fewer members in the vocabulary are not begun.
LEAST_RHYMES = 8


@dataclass(frozen=True, kw_only=True)
class VerseSampling(Sampling):
    """A little colder than the model, and pulled towards the title."""

    temperature: float = 0.9
    top_p: float = 0.95
    guidance: float = 2.0


@dataclass(frozen=True, kw_only=True)
class VerseRules:
    """What is asked of a quatrain beyond its form.

    rhyme_first     the first line rhymes too
    regular_tones   the 2nd, 4th and 6th characters alternate and the lines mirror each other
    forbidden       characters that must not appear
    """

    characters: int = 7
    rhyme_first: bool = False
    regular_tones: bool = True
    forbidden: str = ""


class VerseStep:
    """The logits step of one form over one vocabulary; every row is at the same position."""

    def __init__(self, tokenizer: Tokenizer, rules: VerseRules) -> None:
        tokens = tokenizer.tokens()
        self.rules = rules
        self.line_break, self.end = tokenizer.id(LINE_BREAK), tokenizer.id(END)
        han = [len(token) == 1 and verse.is_han(token) for token in tokens]
        self.han = torch.tensor(han) & torch.tensor([t not in rules.forbidden for t in tokens])
        own = [verse.tone(token) for token in tokens]
        self.level = torch.tensor([tone == "level" for tone in own])
        self.oblique = torch.tensor([tone == "oblique" for tone in own])
        members = [
            torch.tensor([token in group for token in tokens]) & self.han
            for group in verse.level_rhyme_classes()
        ]
        rich = [row for row in members if int(row.sum()) >= LEAST_RHYMES]
        if not rich:
            raise ConfigError(
                "no rhyme keeps {least} characters of the vocabulary; avoid fewer characters",
                least=LEAST_RHYMES,
            )
        self.classes = torch.stack(rich)
        self.level_rhymes = self.classes.any(0)

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """Mask logits (B, V) by what rows drawn (B, t) may go on with."""
        size = self.rules.characters
        line, column = divmod(drawn.shape[1], size + 1)
        if column == size or line > 3:
            forced = self.line_break if line < 3 else self.end
            return torch.full_like(logits, -torch.inf).index_fill(1, torch.tensor([forced]), 0.0)
        allowed = self.han.expand(logits.shape)
        if self.rules.regular_tones:
            allowed = self._prefer(allowed, allowed & self._tonal(drawn, line, column))
        if column == size - 1:
            allowed = self._prefer(allowed, allowed & self._line_end(drawn, line))
            allowed = allowed & ~self._repeats(drawn, line, logits.shape[1])
        return logits.masked_fill(~allowed, -torch.inf)

    @staticmethod
    def _prefer(wide: Tensor, narrow: Tensor) -> Tensor:
        """`narrow`, but `wide` for a row that it would leave without any token."""
        return torch.where(narrow.any(1, keepdim=True), narrow, wide)

    def _line_end(self, drawn: Tensor, line: int) -> Tensor:
        """Rhyme on lines 2 and 4 (and 1 if asked), an oblique tone on the others."""
        size = self.rules.characters
        rhyming = [0, 1, 3] if self.rules.rhyme_first else [1, 3]
        if line not in rhyming:
            return self.oblique.expand(drawn.shape[0], -1)
        earlier = [index for index in rhyming if index < line]
        if not earlier:
            return self.level_rhymes.expand(drawn.shape[0], -1)
        used = drawn[:, [index * (size + 1) + size - 1 for index in earlier]]
        belongs = self.classes[:, used].all(2).T.float()  # the classes of all of them
        same_class = (belongs @ self.classes.float()) > 0
        return same_class.scatter(1, used, False)

    def _tonal(self, drawn: Tensor, line: int, column: int) -> Tensor:
        """The tone that the first line's second character decides for this place.

        Characters of unknown or double tone fit anywhere but at that deciding place.
        """
        rows = drawn.shape[0]
        if line == 0 and column == 1:
            return (self.level | self.oblique).expand(rows, -1)
        if column % 2 == 0 or column >= self.rules.characters - 1:
            return self.han.expand(rows, -1)
        sign = verse.LINE_SIGNS[line] * verse.POSITION_SIGNS[column]
        wants_level = self.level[drawn[:, 1]] if sign > 0 else self.oblique[drawn[:, 1]]
        return torch.where(wants_level[:, None], ~self.oblique, ~self.level) & self.han

    def _repeats(self, drawn: Tensor, line: int, vocabulary: int) -> Tensor:
        """Characters that would complete a line already written."""
        size = self.rules.characters
        banned = torch.zeros(drawn.shape[0], vocabulary, dtype=torch.bool)
        current = drawn[:, line * (size + 1) :]
        for earlier in range(line):
            start = earlier * (size + 1)
            same = (drawn[:, start : start + size - 1] == current).all(1)
            last = drawn[:, start + size - 1]
            banned[same, last[same]] = True
        return banned
