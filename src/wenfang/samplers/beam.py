"""Beam search: the likeliest sequences, several kept side by side (Sutskever et al. 2014).

Hypotheses are compared by their log-probability divided by length ** length_penalty, the end
token counted: 0 compares sums, which favours the short; 1 compares means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from wenfang.errors import ConfigError
from wenfang.samplers.tokens import LogitsStep


class Selectable(Protocol):
    """A predictor whose rows can be kept, dropped, repeated and put in another order."""

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of `tokens` (B, t), which follow those given before: (B, V)."""
        ...

    def select(self, rows: Tensor) -> None:
        """Go on with `rows` (int64) of the present ones."""
        ...


@dataclass(frozen=True, kw_only=True)
class Beam:
    """How wide the search is.

    length_penalty  power of the length that a hypothesis' log-probability is divided by
    count           how many of the best come back for each source
    """

    beams: int = 5
    length_penalty: float = 1.0
    maximum_tokens: int = 128
    count: int = 1

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        for name in ("beams", "maximum_tokens", "count"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    "beam.{name} is {value}; it must be at least 1",
                    name=name,
                    value=getattr(self, name),
                )
        if self.count > self.beams:
            raise ConfigError(
                "beam.count is {count}, more than the {beams} beams; raise beam.beams",
                count=self.count,
                beams=self.beams,
            )
        if not 0 <= self.length_penalty < math.inf:
            raise ConfigError(
                "beam.length_penalty is {value}; it must be 0 or more", value=self.length_penalty
            )


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A sequence that was found, without its end token.

    score              log-probability over length ** length_penalty; what hypotheses are ranked by
    log_probabilities  of each token in nats, the end token's last where it `stopped`
    stopped            False where it was cut at maximum_tokens
    """

    tokens: list[int]
    log_probabilities: list[float]
    score: float
    stopped: bool


@torch.no_grad()
def beam_search(
    predict: Selectable,
    prompt: Tensor,
    beam: Beam,
    *,
    stop: frozenset[int],
    steps: Sequence[LogitsStep] = (),
    renormalise: bool = True,
) -> list[list[Hypothesis]]:
    """The `count` best hypotheses of every row, best first.

    predict  has seen no token of the prompt; it has one row for each row of it
    prompt   (B, P) int64
    stop     tokens that end a hypothesis
    steps    constraints on (B', V) logits and the (B', t) tokens drawn so far; a token that they
             forbid is never chosen, and log-probabilities are those of what they leave
    renormalise  False: log-probabilities stay the model's own, so that a hypothesis pays for
             what it was kept from; constraints then see log-probabilities
    raises   ConfigError where the constraints leave a source without any continuation
    """
    search = _Search(beam, len(prompt), stop)
    block = prompt
    while search.alive:
        logits = predict(block).float()
        if not renormalise:
            logits = logits.log_softmax(-1)
        for step in steps:
            logits = step(logits, search.tokens)
        if renormalise:
            logits = logits.log_softmax(-1)
        # Where a constraint leaves nothing, the softmax is no number.
        rows = search.advance(logits.nan_to_num(nan=-torch.inf, neginf=-torch.inf))
        predict.select(rows)
        block = search.tokens[:, -1:]
    return [search.best(source) for source in range(len(prompt))]


class _Search:
    """The hypotheses of every source that is not decided, `width` rows each, in order.

    tokens, nats  (A * width, t): tokens drawn and their log-probabilities; width is 1 before the
                  first token, and the number of beams after it
    sums          (A, width) log-probabilities of the hypotheses; -inf where there is none
    """

    def __init__(self, beam: Beam, sources: int, stop: frozenset[int]) -> None:
        self.beam = beam
        self.stop = torch.tensor(sorted(stop))
        self.alive = list(range(sources))
        self.found: list[list[Hypothesis]] = [[] for _ in range(sources)]
        self.tokens = torch.zeros(sources, 0, dtype=torch.int64)
        self.nats = torch.zeros(sources, 0)
        self.sums = torch.zeros(sources, 1)

    def advance(self, logged: Tensor) -> Tensor:
        """Choose the next token of every hypothesis by `logged` (A * width, V) log-probabilities.

        returns  (A' * beams,) int64, which of the present rows each of the next ones goes on from
        """
        width, vocabulary = self.sums.shape[1], logged.shape[1]
        total = (self.sums[:, :, None] + logged.view(-1, width, vocabulary)).flatten(1)
        # Some of the best may be ends, of which there can be as many as stop tokens for a beam.
        wanted = min(self.beam.beams * (1 + len(self.stop)), total.shape[1])
        sums, places = total.topk(wanted, dim=1)
        self._require_any(sums)
        parents = places // vocabulary + torch.arange(len(sums))[:, None] * width
        chosen = places % vocabulary
        ended = torch.isin(chosen, self.stop)
        length = self.tokens.shape[1] + 1
        full = length == self.beam.maximum_tokens
        self._collect(sums, parents, chosen, logged, ended, full=full)
        # The best that go on, in order: ends are put behind all others.
        open_sums = sums.masked_fill(ended, -torch.inf)
        keep = open_sums.topk(min(self.beam.beams, wanted), dim=1).indices
        rows = [
            place
            for place, source in enumerate(self.alive)
            if not full and self._open(source, float(open_sums[place].max()), length)
        ]
        self.alive = [self.alive[place] for place in rows]
        keep = keep[rows]
        flat_parents, flat_tokens = parents[rows].gather(1, keep), chosen[rows].gather(1, keep)
        self.sums = open_sums[rows].gather(1, keep)
        flat = flat_parents.flatten()
        token = flat_tokens.flatten()
        self.tokens = torch.cat((self.tokens[flat], token[:, None]), 1)
        self.nats = torch.cat((self.nats[flat], logged[flat, token][:, None]), 1)
        return flat

    def _require_any(self, sums: Tensor) -> None:
        if not bool(sums[:, 0].isfinite().all()):
            raise ConfigError(
                "the constraints leave no way to go on after {count} tokens; loosen them",
                count=self.tokens.shape[1],
            )

    def _collect(
        self,
        sums: Tensor,
        parents: Tensor,
        chosen: Tensor,
        logged: Tensor,
        ended: Tensor,
        *,
        full: bool,
    ) -> None:
        """Keep the hypotheses that end here: by a stop token, or, where it is `full`, all."""
        length = self.tokens.shape[1] + 1
        among = torch.arange(ended.shape[1]) < self.beam.beams
        ends = (ended | full) & among & sums.isfinite()
        for place, column in ends.nonzero().tolist():
            row, token = int(parents[place, column]), int(chosen[place, column])
            stopped = bool(ended[place, column])
            kept = self.tokens[row].tolist()
            self.found[self.alive[place]].append(
                Hypothesis(
                    tokens=kept if stopped else [*kept, token],
                    log_probabilities=[*self.nats[row].tolist(), float(logged[row, token])],
                    score=float(sums[place, column]) / length**self.beam.length_penalty,
                    stopped=stopped,
                )
            )

    def _open(self, source: int, best_sum: float, length: int) -> bool:
        """Whether what goes on could still come among the best of a source."""
        if best_sum == -math.inf:
            return False
        scores = sorted((one.score for one in self.found[source]), reverse=True)
        if len(scores) < self.beam.count:
            return True
        # A sum only falls; at best it stays as it is while the length that divides it grows.
        attainable = best_sum / self.beam.maximum_tokens**self.beam.length_penalty
        if len(scores) >= self.beam.beams:
            # With as many ends as beams, what is behind them now is taken not to catch up.
            attainable = best_sum / length**self.beam.length_penalty
        return bool(attainable > scores[self.beam.count - 1])

    def best(self, source: int) -> list[Hypothesis]:
        """The best of a source; those that ended by themselves before those that were cut."""
        ranked = sorted(self.found[source], key=lambda one: (not one.stopped, -one.score))
        return ranked[: self.beam.count]
