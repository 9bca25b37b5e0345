"""A local bundle that continues text: any causal model of the layout `stream`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from wenfang.backends.texts import Drawer, Shape, Written, require_prompt
from wenfang.device import noise
from wenfang.errors import BriefError
from wenfang.language import keyed
from wenfang.media.text_marks import SHORTEST_TOKENS
from wenfang.models import CausalModel
from wenfang.models.load import Loaded, language_model
from wenfang.samplers.shared import kept
from wenfang.samplers.tokens import GuidedPredict, Predict
from wenfang.samplers.watermark import TournamentStep
from wenfang.tokenizer import BEGIN, END


@dataclass(frozen=True, kw_only=True)
class PromptCut:
    """A prompt longer than the context: its tokens, and how many of the last were read."""

    tokens: int
    read: int


class Scribe:
    """Continues text with one loaded bundle; the context slides once it is full.

    reference  draw one text at a time, which is slower; the texts are the same
    """

    def __init__(self, loaded: Loaded, *, reference: bool = False) -> None:
        self.loaded = loaded
        self.reference = reference
        self.model, self.tokenizer = language_model(loaded, "stream")

    def unmarked(self, shape: Shape) -> str | None:
        """Why a text drawn so carries no watermark, as a message template; None if it does."""
        if shape.sampling.maximum_tokens < SHORTEST_TOKENS:
            return keyed("the text is too short for a watermark")
        if shape.sampling.greedy:
            return keyed("a text without chance in it holds no watermark")
        if shape.constraints.given:
            return keyed("a text held to constraints has too little chance in it for a watermark")
        specials = {self.tokenizer.id(END)}
        tokens = self.tokenizer.tokens()
        if any(
            len(one) > 1 for id, one in enumerate(tokens) if id not in specials and one[0] != "<"
        ):
            return keyed("the model's tokens are not characters, and only those are marked")
        return None

    def read(self, prompt: str) -> list[int]:
        """The tokens of a prompt; BriefError for one that is empty or beyond all bounds."""
        require_prompt(prompt)
        ids = self.tokenizer.encode(prompt)
        if not ids:
            raise BriefError("the prompt is empty; write a few words to continue")
        if BEGIN in self.tokenizer.roles:  # a foreign model that learnt it before every text
            return [self.tokenizer.id(BEGIN), *ids]
        return ids

    def read_against(self, against: str) -> list[int]:
        """The tokens that guidance moves away from; those of a text that has only begun for ""."""
        return self.read(against) if against else [self.tokenizer.id(END)]

    def cut(self, ids: Sequence[int]) -> PromptCut | None:
        """What the model does not read of a prompt that is longer than its context."""
        read = len(kept(ids, self.model.config.context))
        return PromptCut(tokens=len(ids), read=read) if read < len(ids) else None

    def draw(
        self,
        prompt: str,
        shape: Shape,
        streams: Sequence[tuple[int | str, ...]],
        *,
        against: str = "",
        watermark: bool = False,
    ) -> list[Written]:
        """One continuation of `prompt` for each counter of `streams`.

        against  what guidance moves away from; empty: a text that has only begun
        """
        ids = self.read(prompt)
        drawer = Drawer(self.tokenizer, shape)
        groups = [[one] for one in streams] if self.reference else [list(streams)]
        written: list[Written] = []
        for group in groups:
            predict = self._predict(shape.sampling.guidance, against, len(group))
            written += drawer.draw(
                predict,
                torch.tensor([ids]).expand(len(group), -1),
                [noise(int(first), *rest) for first, *rest in group],
                TournamentStep(self.tokenizer.tokens()) if watermark else None,
            )
        return written

    def _predict(self, guidance: float, against: str, rows: int) -> Predict:
        predict = SlidingPredict(self.model)
        if guidance == 1:
            return predict
        plain = torch.tensor([self.read_against(against)]).expand(rows, -1)
        return GuidedPredict(predict, SlidingPredict(self.model), plain, guidance)


class SlidingPredict:
    """Logits from the last tokens that fit the context; when it is full, half is dropped."""

    def __init__(self, model: CausalModel) -> None:
        self._model = model
        self._seen = torch.zeros(0, 0, dtype=torch.int64)
        self._cache: Any = model.new_cache(0, 0)  # of the model's own family

    @torch.no_grad()
    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens (B, t) after those given before -> (B, V)."""
        context = self._model.config.context
        fresh = not self._seen.numel()
        self._seen = tokens if fresh else torch.cat((self._seen, tokens), dim=1)
        if fresh or self._cache.length + tokens.shape[1] > context:
            full = not fresh or tokens.shape[1] >= context
            self._seen = self._seen[:, -(context // 2) :] if full else self._seen
            self._cache = self._model.new_cache(len(tokens), context)
            tokens = self._seen
        hidden = self._model.hidden(tokens, self._cache)
        return self._model.logits(hidden[:, -1])
