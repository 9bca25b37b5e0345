"""Who translates: a bundle of the layout `translation`, or any writer that follows instructions.

Both are given text with marks (`data.translation.MARK`) for what must not change, and answer with
text that holds the same marks, each once; what cannot be translated so is said, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from wenfang.backends.pairwriter import SOURCES_AT_ONCE, PairWriter
from wenfang.backends.writer import Ask, Draft, Writer
from wenfang.data.parallel import plain_chinese, plain_english
from wenfang.data.translation import (
    MARK,
    SLOT_COUNT,
    SLOT_TOKENS,
    SLOTS,
    Language,
    TranslationLayout,
    decode,
)
from wenfang.knowledge.script import to_simplified
from wenfang.models.load import Loaded
from wenfang.samplers.beam import Beam, Hypothesis
from wenfang.tokenizer import END, Tokenizer

OnDone = Callable[[int, int], None]
BEAMS = 4
LENGTH_GROUP = 8
LENGTH_PENALTY = 1.0
WRITER_CHARACTERS = 6000
NAMES = {"en": "English", "zh": "Chinese (simplified characters)"}


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One text in the other language, its marks in it.

    log_probability_nats  mean of a token, None where the translator does not tell
    whole                 False: it could not be translated as one piece
    """

    text: str
    log_probability_nats: float | None = None
    whole: bool = True


class Interpreter(Protocol):
    """Anything that translates."""

    @property
    def passages(self) -> bool:
        """Whether whole passages are wanted rather than sentences."""
        ...

    def fits(self, text: str, into: Language) -> bool:
        """Whether `text` can be given as one piece."""
        ...

    def prepare(self, texts: Sequence[str], into: Language, on_done: OnDone) -> None:
        """Told before of everything that will be asked: many at once are quicker."""
        ...

    def render(self, text: str, into: Language, meanings: Mapping[str, str]) -> Rendering:
        """`text` in the other language; meanings: mark -> what it stands for."""
        ...

    def unknown(self, text: str) -> list[str]:
        """Words of `text` that it hardly knows."""
        ...


class BundleInterpreter:
    """Sentences by one loaded bundle, beam search, every mark written exactly once.

    Marks become the slots of its layout, so a text may hold SLOT_COUNT of them.

    raises BundleError for a bundle of another layout
    """

    passages = False

    def __init__(self, loaded: Loaded) -> None:
        self.pairs = PairWriter(loaded, ("translation",))
        self.tokenizer: Tokenizer = self.pairs.tokenizer
        self.context = self.pairs.model.config.context
        self.layout = TranslationLayout()
        self.ready: dict[tuple[str, Language], Rendering] = {}

    def fits(self, text: str, into: Language) -> bool:
        """Whether source and slots have room in the model's context."""
        return (
            len(MARK.findall(text)) <= SLOT_COUNT
            and len(text) < 20 * self.context
            and len(self._source(text, into)) <= self.context
        )

    def prepare(
        self, texts: Sequence[str], into: Language, on_done: OnDone = lambda done, of: None
    ) -> None:
        """Translate `texts` in batches of as many marks and about as many tokens."""
        groups: dict[tuple[int, int], list[str]] = {}
        for text in dict.fromkeys(texts):
            length = -(-len(self._source(text, into)) // LENGTH_GROUP)
            groups.setdefault((len(MARK.findall(text)), length), []).append(text)
        done, total = 0, sum(map(len, groups.values()))
        for (marks, length), group in sorted(groups.items()):
            for first in range(0, len(group), SOURCES_AT_ONCE):
                part = group[first : first + SOURCES_AT_ONCE]
                found = self._search(part, into, marks, 3 * LENGTH_GROUP * length + 8)
                self.ready |= {(text, into): one for text, one in zip(part, found, strict=True)}
                done += len(part)
                on_done(done, total)

    def render(self, text: str, into: Language, meanings: Mapping[str, str]) -> Rendering:
        """The likeliest translation that keeps the marks and ends within the context."""
        if (text, into) not in self.ready:
            self.prepare([text], into)
        return self.ready[text, into]

    def _search(
        self, texts: Sequence[str], into: Language, marks: int, longest: int
    ) -> list[Rendering]:
        slots = [self.tokenizer.id(token) for token in SLOT_TOKENS]
        steps = min(self.context - 1, longest)
        refused = [*self._forbidden(), *slots[marks:]]
        step = SlotStep(slots[:marks], self.tokenizer.id(END), refused, steps)
        beam = Beam(beams=BEAMS, length_penalty=LENGTH_PENALTY, maximum_tokens=steps)
        sources = [self._source(text, into) for text in texts]
        found = self.pairs.best(sources, beam, [step])
        return [self._rendering(text, best) for text, best in zip(texts, found, strict=True)]

    def _rendering(self, text: str, found: Sequence[Hypothesis]) -> Rendering:
        if not found or not found[0].stopped:
            return Rendering(text="", whole=False)
        tokens, nats = found[0].tokens, found[0].log_probabilities
        back = str.maketrans(dict(zip(SLOTS, MARK.findall(text), strict=False)))
        written = decode(tokens, self.tokenizer).translate(back).strip()
        # Bytes that are no character: the model has lost its way.
        whole = bool(written) and "\ufffd" not in written
        return Rendering(text=written, log_probability_nats=sum(nats) / len(nats), whole=whole)

    def unknown(self, text: str) -> list[str]:
        """Words that the tokenizer has to spell: rare in training, or never met there."""
        words = re.findall(r"[A-Za-z]{4,}|[\u3400-\u9fff]", to_simplified(text))
        return list(dict.fromkeys(word for word in words if self._spelt(word)))

    def _spelt(self, word: str) -> bool:
        if len(word) == 1:
            return len(self.tokenizer.encode(word)) > 1
        return len(self.tokenizer.encode(f" {word}")) > 1 + len(word) / 4

    def _source(self, text: str, into: Language) -> list[int]:
        slots = dict(zip(MARK.findall(text), SLOTS, strict=False))
        bare = text.translate(str.maketrans(slots))
        plain = plain_chinese(to_simplified(bare)) if into == "en" else plain_english(bare)
        return self.layout.source(plain, self.tokenizer, into)

    def _forbidden(self) -> list[int]:
        """Specials that are never written: all but the end and the slots."""
        names = self.tokenizer.tokens()
        allowed = {END, *SLOT_TOKENS}
        return [
            index
            for index, name in enumerate(names[: 3 + len(self.layout.specials)])
            if name not in allowed
        ]


class SlotStep:
    """A constraint: the slots `wanted` once each before the end and in time, no other special."""

    def __init__(
        self, wanted: Sequence[int], end: int, forbidden: Sequence[int], steps: int
    ) -> None:
        self.wanted = torch.tensor(list(wanted), dtype=torch.int64)
        self.end = end
        self.forbidden = list(forbidden)
        self.steps = steps

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """(B, V) logits after (B, t) tokens, what is refused at -inf."""
        logits = logits.clone()
        logits[:, self.forbidden] = -torch.inf
        written = (drawn[:, :, None] == self.wanted).any(1)  # (B, slots)
        missing = (~written).sum(1)
        logits[:, self.wanted] = logits[:, self.wanted].masked_fill(written, -torch.inf)
        logits[missing > 0, self.end] = -torch.inf
        late = missing >= self.steps - drawn.shape[1] - 1
        for row in (late & (missing > 0)).nonzero().flatten().tolist():
            left = self.wanted[~written[row]]
            only = torch.full_like(logits[row], -torch.inf)
            only[left] = logits[row, left]
            logits[row] = only
        return logits


class WriterInterpreter:
    """Passages by any writer that follows instructions; marks are shown as ⟦1⟧, ⟦2⟧ …

    An answer that loses or repeats a mark, or is cut, is asked for once more and then refused.
    """

    passages = True

    def __init__(self, writer: Writer, seed: int = 0, attempts: int = 2) -> None:
        self.writer = writer
        self.seed = seed
        self.attempts = attempts

    def fits(self, text: str, into: Language) -> bool:
        """A passage goes as one piece if it is not longer than any page."""
        return len(text) <= WRITER_CHARACTERS

    def prepare(self, texts: Sequence[str], into: Language, on_done: OnDone) -> None:
        """Nothing: a writer is asked one passage at a time."""

    def unknown(self, text: str) -> list[str]:
        """A writer does not tell what it does not know."""
        return []

    def render(self, text: str, into: Language, meanings: Mapping[str, str]) -> Rendering:
        """The writer's translation with every mark in it once."""
        shown = {mark: f"⟦{number}⟧" for number, mark in enumerate(MARK.findall(text), start=1)}
        ask = Ask(
            prompt="".join(shown.get(character, character) for character in text),
            system=instructions(into, {shown[mark]: meanings.get(mark, "") for mark in shown}),
            seed=self.seed,
            temperature=0.0,
            maximum_tokens=64 + 3 * len(text),
        )
        for attempt in range(self.attempts):
            (draft,) = self.writer.write(ask)
            if found := _unmarked(draft, shown):
                return found
            ask = replace(ask, seed=self.seed + attempt + 1, temperature=0.7)
        return Rendering(text="", whole=False)


def _unmarked(draft: Draft, shown: Mapping[str, str]) -> Rendering | None:
    """A draft with its marks, or None where one is lost, or the draft empty or cut."""
    text = " ".join(draft.text.split())
    if draft.finish != "stop" or not text or any(text.count(one) != 1 for one in shown.values()):
        return None
    for mark, one in shown.items():
        text = text.replace(one, mark)
    nats = draft.log_probability_nats
    mean = nats / draft.tokens if nats is not None and draft.tokens else None
    return Rendering(text=text, log_probability_nats=mean)


def instructions(into: Language, meanings: Mapping[str, str]) -> str:
    """What a writer is told: the direction, and what its marks stand for."""
    asked = [
        f"Translate the user's text into {NAMES[into]}.",
        "Answer with the translation alone, in one line, without quotes or notes.",
    ]
    if meanings:
        told = "; ".join(f"{mark} = {meaning[:80]}" for mark, meaning in meanings.items())
        asked.append(f"Keep each mark exactly once where it belongs: {told}")
    return " ".join(asked)
