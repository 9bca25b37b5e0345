"""Dropout (Srivastava et al. 2014) whose mask costs a byte of randomness a value, not a draw.

torch draws a float for each value, one after another: a tenth of a training step of a small model
on a CPU. Eight bytes of each random integer decide eight values here, so the share that is left
out is a multiple of 1/256; what is kept is scaled by the share that really stays.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 256


class Dropout(nn.Module):
    """Zeroes a share of all values while training; draws from torch's own generator."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.level = round(share * LEVELS)

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape and device; the same shape."""
        if not self.training or not self.level:
            return x
        count = x.numel()
        drawn = torch.empty(-(-count // 8), dtype=torch.int64, device=x.device)
        drawn.random_(-(2**63), None)  # all 64 bits
        kept = drawn.view(torch.uint8)[:count].view(x.shape) >= self.level
        return x * (kept * (LEVELS / (LEVELS - self.level)))
