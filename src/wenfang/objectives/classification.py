"""Classification: the cross-entropy of the right class, with smoothed labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from wenfang.objectives import Batch, Loss


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Mean cross-entropy in nats over the examples of a batch.

    batch[inputs]  what the model reads, (B, T) int64 tokens; batch[label]  (B,) int64
    label_smoothing  share of each label spread over all classes (Szegedy et al. 2016,
                     arXiv:1512.00567), since people disagree about such labels
    """

    label_smoothing: float = 0.1
    inputs: str = "tokens"
    label: str = "label"

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of a classifier on one batch."""
        logits = model(batch[self.inputs])
        loss = functional.cross_entropy(
            logits, batch[self.label], label_smoothing=self.label_smoothing
        )
        return Loss(value=loss)

    def weight(self, batch: Batch) -> float:
        """Number of examples."""
        return float(len(batch[self.label]))
