"""Restoring: pictures as they were before they were made small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wenfang.models.upscaler import Upscaler
from wenfang.objectives import Batch, Loss

SOFT = 1e-3  # below so much an error counts by its square


def charbonnier(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute error, smooth at nothing (Charbonnier et al. 1994): a scalar."""
    return ((one - other).square() + SOFT * SOFT).sqrt().mean()


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """Absolute error of what is made of small pictures, which keeps edges that squares would blur.

    batch["small"]  (B, C, H, W) float32 of 0..1
    batch["large"]  (B, C, T H, T W)
    """

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of an upscaler on one batch."""
        assert isinstance(model, Upscaler)
        made = model(batch["small"])
        error = (made.detach() - batch["large"]).square().mean()
        return Loss(
            value=charbonnier(made, batch["large"]),
            parts={"psnr_db": float(-10 * error.clamp_min(1e-10).log10())},
        )

    def weight(self, batch: Batch) -> float:
        """Number of pictures."""
        return float(len(batch["large"]))
