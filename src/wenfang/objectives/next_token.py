"""Next-token prediction: the cross-entropy of each token given those before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.data.batches import pad
from wenfang.models import CausalModel
from wenfang.objectives import Batch, Loss
from wenfang.objectives.cross_entropy import cross_entropy


@dataclass(frozen=True, kw_only=True)
class NextToken:
    """Mean negative log-likelihood in nats over the positions that `weight` marks.

    batch["tokens"]  (B, T + 1) int64; batch["weight"]  (B, T) float32 in 0..1, the weight of
    predicting tokens[:, 1:]. The head runs only where the weight is not zero: prompts and
    padding cost no vocabulary. A batch that weighs nothing has loss 0.
    """

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of a causal model on one batch."""
        assert isinstance(model, CausalModel)
        tokens, weight = batch["tokens"], batch["weight"]
        hidden = model.hidden(tokens[:, :-1])
        chosen = weight > 0
        logits = model.logits(hidden[chosen])
        nll, _ = cross_entropy(logits, tokens[:, 1:][chosen])
        total = weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)
        return Loss(value=(nll * weight[chosen]).sum() / total)

    def weight(self, batch: Batch) -> float:
        """Number of predicted tokens."""
        return float(batch["weight"].sum())


SCORING_ROWS = 128


@torch.no_grad()
def negative_log_likelihood(model: CausalModel, tokens: Tensor, weight: Tensor) -> Tensor:
    """Summed NLL of each row in nats: tokens (B, T + 1), weight (B, T) -> (B,) float64."""
    logits = model(tokens[:, :-1])
    nll = functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    return (nll.double() * weight).sum(dim=1)


def score(
    model: CausalModel,
    rows: list[tuple[np.ndarray, int]],
    scored: np.ndarray,
    rows_at_once: int = SCORING_ROWS,
) -> tuple[np.ndarray, np.ndarray]:
    """NLL in nats and number of scored tokens of each row.

    rows    (ids, index of the first predicted token) of each sequence
    scored  (V,) bool, the tokens that count
    rows_at_once  1 gives every row the value that it has alone, to the last bit
    returns two (n,) float64 arrays
    """
    nats, counts = [], []
    counted = torch.from_numpy(scored)
    for start in range(0, len(rows), rows_at_once):
        batch = pad(rows[start : start + rows_at_once], padding=0)
        weight = batch["weight"] * counted[batch["tokens"][:, 1:]]
        nats.append(negative_log_likelihood(model, batch["tokens"], weight))
        counts.append(weight.sum(dim=1).double())
    return torch.cat(nats).numpy(), torch.cat(counts).numpy()
