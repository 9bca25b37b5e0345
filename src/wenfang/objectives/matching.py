"""Which text belongs to which picture of the batch (Radford et al. 2021, arXiv:2103.00020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from wenfang.models.text_image import TextImage
from wenfang.objectives import Batch, Loss
from wenfang.objectives.contrastive import info_nce


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Symmetric InfoNCE at the model's own temperature, in nats.

    batch["pictures"]  (B, 3, S, S) float32 of -1..1
    batch["words"]     (B, L, E) float32 with batch["mask"] (B, L) bool
    """

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of a dual encoder on one batch."""
        assert isinstance(model, TextImage)
        pictures, texts = model(batch["pictures"], batch["words"], batch["mask"])
        likeness = pictures @ texts.T / model.temperature
        found = likeness.argmax(1) == torch.arange(len(texts), device=texts.device)
        return Loss(
            value=info_nce(pictures, texts, model.temperature),
            parts={
                "found_share": float(found.double().mean()),
                "temperature": float(model.temperature.detach()),
            },
        )

    def weight(self, batch: Batch) -> float:
        """Number of pairs."""
        return float(len(batch["pictures"]))
