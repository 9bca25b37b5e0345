"""Drawing tokens one after another from a causal model.

Every sample has its own stream of randomness and one uniform number a token, so a sample is the
same alone and in a batch. What shapes the distribution is a chain of logits steps, each a
function of the logits (B, V) and of the tokens drawn so far (B, t).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from wenfang.device import NoiseStream
from wenfang.errors import ConfigError
from wenfang.language import t
from wenfang.models import CausalModel
from wenfang.models.seq2seq import Seq2Seq

LogitsStep = Callable[[Tensor, Tensor], Tensor]
# Told a row and its tokens after each draw; True ends the row behind them.
Watching = Callable[[int, Sequence[int]], bool]

COLD = 1e-6  # as 0: logits over less would leave float32


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How adventurous a draw is. The defaults change nothing about the model's distribution."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    guidance: float = 1.0
    maximum_tokens: int = 256

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        rules = {
            "temperature": (0 <= self.temperature <= 100, t("from 0 to 100")),
            "top_k": (self.top_k >= 0, t("0 (off) or more")),
            "top_p": (0 < self.top_p <= 1, t("above 0 and at most 1")),
            "min_p": (0 <= self.min_p < 1, t("from 0 to below 1")),
            # Beyond, logits leave what float32 holds, and nothing could be drawn from them.
            "repetition_penalty": (0.01 <= self.repetition_penalty <= 100, t("from 0.01 to 100")),
            "guidance": (-100 <= self.guidance <= 100, t("from -100 to 100")),
            "maximum_tokens": (self.maximum_tokens > 0, t("above 0")),
        }
        for name, (valid, range_) in rules.items():
            if not valid:
                raise ConfigError(
                    "sampling.{name} is {value}; it must be {range}",
                    name=name,
                    value=getattr(self, name),
                    range=range_,
                )

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken, and nothing drawn."""
        return self.temperature < COLD


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One sample: its tokens (the stop token left out) and their log-probabilities in nats.

    The log-probabilities are the model's own, before any logits step.
    """

    tokens: list[int]
    log_probabilities: list[float]
    stopped: bool


class Predict(Protocol):
    """The next token's logits: tokens (B, t) that follow what was given before -> (B, V)."""

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of `tokens`."""
        ...


class CachedPredict:
    """A causal model with its cache of one batch, so that each token is computed once."""

    def __init__(self, model: CausalModel, batch: int, capacity: int) -> None:
        self._model = model
        self._cache: Any = model.new_cache(batch, capacity)  # of the model's own family

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of `tokens`."""
        hidden = self._model.hidden(tokens, self._cache)
        return self._model.logits(hidden[:, -1])

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._cache.select(rows)


class Seq2SeqPredict:
    """An encoder-decoder that has read its sources, with the keys and values of the targets.

    sources  ids of each row's source; they may differ in length
    capacity  most tokens of a target, the decoder's start counted
    """

    @torch.no_grad()
    def __init__(self, model: Seq2Seq, sources: Sequence[Sequence[int]], capacity: int) -> None:
        self._model = model
        longest = max(len(source) for source in sources)
        tokens = torch.zeros(len(sources), longest, dtype=torch.int64)
        mask = torch.zeros(len(sources), longest, dtype=torch.bool)
        for row, source in enumerate(sources):
            tokens[row, : len(source)] = torch.tensor(source)
            mask[row, : len(source)] = True
        self._cache = model.new_cache(model.encode(tokens, mask), mask, capacity)

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of `tokens`."""
        hidden = self._model.hidden(tokens, self._cache)
        return self._model.logits(hidden[:, -1])

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._cache.select(rows)


class GuidedPredict:
    """Classifier-free guidance on logits (Ho & Salimans 2022; Sanchez et al. 2023).

    One predictor has seen the condition, the other has not; both read what is drawn.
    """

    def __init__(
        self, conditioned: Predict, plain: Predict, plain_prompt: Tensor, guidance: float
    ) -> None:
        self._conditioned, self._plain, self._guidance = conditioned, plain, guidance
        self._plain_prompt: Tensor | None = plain_prompt

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits moved `guidance` times the way from the plain ones to the conditioned ones."""
        conditioned = self._conditioned(tokens).log_softmax(-1)
        plain_tokens = tokens if self._plain_prompt is None else self._plain_prompt
        self._plain_prompt = None
        plain = self._plain(plain_tokens).log_softmax(-1)
        return plain + self._guidance * (conditioned - plain)


def sample(
    predict: Predict,
    prompt: Tensor,
    streams: Sequence[NoiseStream],
    sampling: Sampling,
    *,
    steps: Sequence[LogitsStep] = (),
    watermark: LogitsStep | None = None,
    stop: frozenset[int] = frozenset(),
    watch: Watching | None = None,
) -> list[Drawn]:
    """Draw one continuation a row.

    prompt   (B, P) int64
    streams  one stream of randomness a row
    steps    constraints, applied before temperature and truncation
    watermark  a step on what is left after them, made for these rows
    stop     tokens that end a sample
    watch    told each row's tokens as they come; may end the row
    returns  B samples, each until its end or sampling.maximum_tokens
    """
    rows = prompt.shape[0]
    kept = torch.zeros(rows, sampling.maximum_tokens, dtype=torch.int64)
    drawn = kept[:, :0]
    # In float32 a draw could round up to 1 and fall past the last token.
    uniform = torch.zeros(rows, dtype=torch.float64)
    numbers = uniform.numpy()  # the same memory, which is filled in half the time of a new tensor
    scores: list[list[float]] = [[] for _ in range(rows)]
    ends: list[int | None] = [None] * rows
    block = prompt
    chain = [*steps, *shape_steps(sampling), *([watermark] if watermark else [])]
    for count in range(sampling.maximum_tokens):
        raw = predict(block).float()
        logits = raw
        for step in chain:
            logits = step(logits, drawn)
        numbers[:] = [stream.random() for stream in streams]
        token = draw_at(logits, uniform)
        own = raw.log_softmax(-1).gather(1, token[:, None])[:, 0].tolist()
        kept[:, count] = token
        drawn = kept[:, : count + 1]
        for row, value in enumerate(token.tolist()):
            if ends[row] is not None:
                continue
            scores[row].append(own[row])
            if value in stop:
                ends[row] = count
            elif watch and watch(row, drawn[row].tolist()):
                ends[row] = count + 1
        if None not in ends:
            break
        block = token[:, None]
    return [
        _finish(tokens, score, end)
        for tokens, score, end in zip(drawn.tolist(), scores, ends, strict=True)
    ]


def _finish(tokens: list[int], scores: list[float], end: int | None) -> Drawn:
    kept = tokens[:end]
    return Drawn(tokens=kept, log_probabilities=scores[: len(kept)], stopped=end is not None)


def draw_at(logits: Tensor, uniform: Tensor) -> Tensor:
    """Inverse of the cumulative distribution at `uniform`: (B, V), (B,) -> (B,) int64."""
    # In float32 sums over thousands of tokens would round the rare ones away.
    cumulative = logits.softmax(-1).cumsum(-1, dtype=torch.float64)
    target = uniform[:, None] * cumulative[:, -1:]
    token = torch.searchsorted(cumulative, target, right=True)[:, 0]
    if int(token.max()) < logits.shape[1]:
        return token
    # Rounding may point past the last token that has any probability.
    last = logits.shape[1] - 1 - logits.isfinite().flip(1).int().argmax(1)
    return torch.minimum(token, last)


def shape_steps(sampling: Sampling) -> list[LogitsStep]:
    """The logits steps that a Sampling asks for, in their customary order."""
    steps: list[LogitsStep] = []
    if sampling.repetition_penalty != 1:
        steps.append(lambda x, drawn: penalise(x, drawn, sampling.repetition_penalty))
    if sampling.greedy:
        return [*steps, lambda x, _: keep_top(x, 1)]
    if sampling.temperature != 1:
        steps.append(lambda x, _: x / sampling.temperature)
    if sampling.top_k:
        steps.append(lambda x, _: keep_top(x, sampling.top_k))
    if sampling.top_p < 1:
        steps.append(lambda x, _: keep_nucleus(x, sampling.top_p))
    if sampling.min_p:
        steps.append(lambda x, _: keep_likely(x, sampling.min_p))
    return steps


def penalise(logits: Tensor, drawn: Tensor, penalty: float) -> Tensor:
    """Divide the logits of drawn tokens by `penalty` (Keskar et al. 2019, arXiv:1909.05858)."""
    if not drawn.shape[1]:
        return logits
    seen = logits.gather(1, drawn)
    return logits.scatter(1, drawn, torch.where(seen > 0, seen / penalty, seen * penalty))


def keep_top(logits: Tensor, count: int) -> Tensor:
    """Only the `count` likeliest tokens; of equals the first by id."""
    if count == 1:  # greedy decoding need not sort the vocabulary
        return _only(logits, logits.argmax(-1, keepdim=True))
    order = logits.argsort(dim=-1, descending=True, stable=True)
    return _only(logits, order[:, : min(count, logits.shape[1])])


def keep_nucleus(logits: Tensor, share: float) -> Tensor:
    """The likeliest tokens that together reach `share` (Holtzman et al. 2020, arXiv:1904.09751)."""
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    before = probability.cumsum(-1) - probability
    beyond = before >= share
    beyond[:, 0] = False  # float32 makes a share of next to nothing 0
    cut = ordered.masked_fill(beyond, -torch.inf)
    return torch.empty_like(logits).scatter(1, order, cut)


def keep_likely(logits: Tensor, share: float) -> Tensor:
    """Tokens at least `share` as likely as the likeliest (Nguyen et al. 2024, arXiv:2407.01082)."""
    probability = logits.softmax(-1)
    floor = share * probability.amax(-1, keepdim=True)
    return logits.masked_fill(probability < floor, -torch.inf)


def _only(logits: Tensor, kept: Tensor) -> Tensor:
    return torch.full_like(logits, -torch.inf).scatter(1, kept, logits.gather(1, kept))
