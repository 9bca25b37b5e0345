"""Teacher forcing: each token of the target from the source and the true tokens before it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.seq2seq import Seq2Seq
from wenfang.objectives import Batch, Loss
from wenfang.objectives.cross_entropy import cross_entropy


@dataclass(frozen=True, kw_only=True)
class TeacherForcing:
    """Mean negative log-likelihood in nats a target token (Sutskever et al. 2014).

    batch["source"]  (B, S) int64, batch["source_mask"] (B, S) bool, batch["tokens"] (B, T + 1)
    int64, which begin with the decoder's start; batch["weight"] (B, T) float32, the weight of
    predicting tokens[:, 1:]. The head runs only where it is not zero.

    label_smoothing  share of the target spread over the vocabulary (Szegedy et al. 2016); the
                     part "nats" is the loss without it
    """

    label_smoothing: float = 0.0

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of an encoder-decoder on one batch."""
        assert isinstance(model, Seq2Seq)
        tokens, weight = batch["tokens"], batch["weight"]
        mask = batch["source_mask"]
        hidden = model.decode(model.encode(batch["source"], mask), mask, tokens[:, :-1])
        chosen = weight > 0
        logits = model.logits(hidden[chosen])
        smoothed, plain = cross_entropy(logits, tokens[:, 1:][chosen], self.label_smoothing)
        share = weight[chosen] / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)
        return Loss(value=(smoothed * share).sum(), parts={"nats": float((plain * share).sum())})

    def weight(self, batch: Batch) -> float:
        """Number of predicted tokens."""
        return float(batch["weight"].sum())


SCORING_ROWS = 128


@torch.no_grad()
def target_nats(model: Seq2Seq, batch: Batch) -> Tensor:
    """Summed NLL in nats of every row's target: (B,) float64; a batch as of TeacherForcing."""
    logits = model(batch["source"], batch["source_mask"], batch["tokens"][:, :-1])
    nll = functional.cross_entropy(logits.transpose(1, 2), batch["tokens"][:, 1:], reduction="none")
    return (nll.double() * batch["weight"]).sum(dim=1)
