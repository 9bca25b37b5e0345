"""A local bundle that continues text: any causal model of the layout `stream`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from wenfang.device import noise
from wenfang.errors import BriefError
from wenfang.language import keyed
from wenfang.media.text_marks import SHORTEST_TOKENS
from wenfang.models import CausalModel
from wenfang.models.load import Loaded, language_model
from wenfang.samplers.tokens import Drawn, Sampling, sample
from wenfang.samplers.watermark import TournamentStep
from wenfang.tokenizer import BEGIN, END


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A prompt and what the model wrote after it."""

    prompt: str
    text: str


class Scribe:
    """Continues text with one loaded bundle; the context slides once it is full.

    reference  draw one text at a time, which is slower; the texts are the same
    """

    def __init__(self, loaded: Loaded, *, reference: bool = False) -> None:
        self.loaded = loaded
        self.reference = reference
        self.model, self.tokenizer = language_model(loaded, "stream")

    def unmarked(self, sampling: Sampling) -> str | None:
        """Why a text drawn so carries no watermark, as a message template; None if it does."""
        if sampling.maximum_tokens < SHORTEST_TOKENS:
            return keyed("the text is too short for a watermark")
        if sampling.temperature == 0:
            return keyed("a text without chance in it holds no watermark")
        specials = {self.tokenizer.id(END)}
        tokens = self.tokenizer.tokens()
        if any(
            len(one) > 1 for id, one in enumerate(tokens) if id not in specials and one[0] != "<"
        ):
            return keyed("the model's tokens are not characters, and only those are marked")
        return None

    def draw(
        self,
        prompt: str,
        sampling: Sampling,
        streams: Sequence[tuple[int | str, ...]],
        *,
        watermark: bool = False,
    ) -> list[Continuation]:
        """One continuation of `prompt` for each counter of `streams`."""
        ids = self.tokenizer.encode(prompt)
        if not ids:
            raise BriefError("the prompt is empty; write a few words to continue")
        if BEGIN in self.tokenizer.roles:  # a foreign model that learnt it before every text
            ids = [self.tokenizer.id(BEGIN), *ids]
        groups = [[one] for one in streams] if self.reference else [list(streams)]
        drawn = [one for group in groups for one in self._sample(ids, sampling, group, watermark)]
        return [
            Continuation(prompt=prompt, text=self.tokenizer.decode(one.tokens)) for one in drawn
        ]

    def _sample(
        self,
        ids: list[int],
        sampling: Sampling,
        streams: Sequence[tuple[int | str, ...]],
        watermark: bool,
    ) -> list[Drawn]:
        return sample(
            SlidingPredict(self.model),
            torch.tensor([ids]).expand(len(streams), -1),
            [noise(int(first), *rest) for first, *rest in streams],
            sampling,
            watermark=TournamentStep(self.tokenizer.tokens()) if watermark else None,
            stop=frozenset({self.tokenizer.id(END)}),
        )


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
            self._seen = self._seen[:, -(context // 2) :]
            self._cache = self._model.new_cache(len(tokens), context)
            tokens = self._seen
        hidden = self._model.hidden(tokens, self._cache)
        return self._model.logits(hidden[:, -1])
