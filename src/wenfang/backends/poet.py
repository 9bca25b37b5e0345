"""A local bundle of the layout `verse` as a writer of quatrains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from wenfang.data.batches import Examples
from wenfang.data.layouts import VerseLayout
from wenfang.device import noise
from wenfang.errors import BriefError
from wenfang.knowledge import script
from wenfang.models.decode.direct import direct_decoder
from wenfang.models.load import Loaded, language_model
from wenfang.objectives.next_token import score
from wenfang.samplers.tokens import CachedPredict, Drawn, GuidedPredict, Predict, Sampling, sample
from wenfang.samplers.verse import VerseRules, VerseStep
from wenfang.tokenizer import END

LINES = 4


def length_of(rules: VerseRules) -> int:
    """Tokens of a quatrain, each line with the mark behind it."""
    return LINES * (rules.characters + 1)


@dataclass(frozen=True, kw_only=True)
class Poem:
    """A quatrain in traditional characters.

    A writer that is no bundle tells neither of the two.
    affinity_nats  log p(poem | title) - log p(poem): how much the title explains it
    likelihood_nats_per_character  mean log p of its characters, given the title
    """

    lines: tuple[str, ...]
    affinity_nats: float | None = None
    likelihood_nats_per_character: float | None = None


class Poet:
    """Draws and scores quatrains with one loaded bundle.

    reference  draw one poem at a time, which is slower; the poems are the same
    """

    def __init__(self, loaded: Loaded, *, reference: bool = False) -> None:
        self.loaded = loaded
        self.reference = reference
        self.model, self.tokenizer = language_model(loaded, "verse")
        self.layout = VerseLayout()
        self._steps: dict[VerseRules, VerseStep] = {}

    @cached_property
    def scored(self) -> np.ndarray:
        """(V,) bool: tokens that are characters of verse."""
        return self.layout.scored(self.tokenizer)

    def unknown(self, text: str) -> str:
        """The characters of `text` that the vocabulary lacks."""
        return "".join(c for c in dict.fromkeys(text) if self.tokenizer.find(c) is None)

    def title_of(self, words: str) -> str:
        """`words` as a title: traditional characters, without those that the model never saw.

        raises BriefError if none is left
        """
        title = script.to_traditional(words)
        unknown = self.unknown(title)
        if title and set(title) == set(unknown):
            raise BriefError(
                "{model} knows none of the characters {unknown}; give other words",
                model=self.loaded.name,
                unknown=unknown[:20],
            )
        return "".join(character for character in title if character not in unknown)

    def draw(
        self,
        title: str,
        rules: VerseRules,
        sampling: Sampling,
        streams: Sequence[tuple[int | str, ...]],
    ) -> list[Poem]:
        """One quatrain for each counter of `streams` (a seed and what follows it).

        title  in traditional characters; empty for none
        """
        groups = [[one] for one in streams] if self.reference else [streams]
        drawn = [self.lines([title] * len(one), rules, sampling, one) for one in groups]
        return self._judged(title, [lines for group in drawn for lines in group])

    def lines(
        self,
        titles: Sequence[str],
        rules: VerseRules,
        sampling: Sampling,
        streams: Sequence[tuple[int | str, ...]],
    ) -> list[tuple[str, ...]]:
        """The lines of one quatrain a row; the titles of a batch have the same length."""
        opening = self.layout.opening(rules.characters, self.tokenizer)
        conditions = [self.layout.condition(title, self.tokenizer) for title in titles]
        drawn = sample(
            self._predict(opening, bool(conditions[0]), sampling, len(streams)),
            torch.tensor([opening + condition for condition in conditions]),
            [noise(int(first), *rest) for first, *rest in streams],
            replace(sampling, maximum_tokens=length_of(rules)),
            steps=[self.step(rules)],
            stop=frozenset({self.tokenizer.id(END)}),
        )
        return [self.lines_of(one) for one in drawn]

    def _predict(
        self, opening: list[int], conditioned: bool, sampling: Sampling, rows: int
    ) -> Predict:
        predict = self._cached(rows)
        if conditioned and sampling.guidance != 1:
            plain = torch.tensor([opening]).expand(rows, -1)
            predict = GuidedPredict(predict, self._cached(rows), plain, sampling.guidance)
        return predict

    def _cached(self, rows: int) -> Predict:
        capacity = self.model.config.context
        direct = direct_decoder(self.model, rows, capacity)
        return direct or CachedPredict(self.model, rows, capacity)

    def step(self, rules: VerseRules) -> VerseStep:
        """The logits step of these rules, made once."""
        if rules not in self._steps:
            self._steps[rules] = VerseStep(self.tokenizer, rules)
        return self._steps[rules]

    def lines_of(self, drawn: Drawn) -> tuple[str, ...]:
        """The lines that were drawn."""
        return tuple("".join(map(self.tokenizer.token, drawn.tokens)).split("\n"))

    def _judged(self, title: str, poems: list[tuple[str, ...]]) -> list[Poem]:
        plain, counts = self.nats(["" for _ in poems], poems)
        titled = self.nats([title for _ in poems], poems)[0] if title else plain
        return [
            Poem(
                lines=lines,
                affinity_nats=float(without - with_title),
                likelihood_nats_per_character=float(-with_title / count),
            )
            for lines, without, with_title, count in zip(poems, plain, titled, counts, strict=True)
        ]

    def nats(
        self, titles: Sequence[str], poems: Sequence[Sequence[str]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """NLL in nats of each poem's characters given its title, and their number."""
        examples = Examples.build(
            (
                self.layout.opening(len(lines[0]), self.tokenizer),
                self.layout.condition(title, self.tokenizer),
                self.layout.body(list(lines), self.tokenizer),
            )
            for title, lines in zip(titles, poems, strict=True)
        )
        rows = [examples.sequence(index, conditioned=True) for index in range(len(examples))]
        # One row at a time costs no more here, and a poem's merit does not depend on its batch.
        return score(self.model, rows, self.scored, rows_at_once=1)
