"""Convolutional encoder of pictures: near copies get near vectors.

Stages of 3 x 3 convolutions that halve the side, each with one residual convolution (He et al.
2016, arXiv:1512.03385) but the first; group normalisation (Wu & He 2018, arXiv:1803.08494), since
a picture's vector must not depend on its batch. The last map is read whole, not averaged: where
things are tells drawings apart. Small enough to run in plain numpy, which `data.picture_sight`
does; the two must agree.

B batch, C channels, S side in pixels, D dimensions of the vector
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.sizes import require_channels, require_counts, require_halves

EPSILON = 1e-5  # of the normalisation


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of an encoder.

    side_px   of the square that a picture is shrunk to
    channels  of each stage; every stage halves the side
    groups    of channels that are normalised together; divides every one of `channels`
    """

    side_px: int = 64
    channels: tuple[int, ...] = (16, 32, 64, 128)
    groups: int = 8
    dimensions: int = 128

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "side_px", "groups", "dimensions")
        require_channels(self.channels, self.groups)
        require_halves(self.side_px, len(self.channels), len(self.channels))


class Stage(nn.Module):
    """Half the side; and, but in the first stage, one residual convolution."""

    def __init__(self, before: int, channels: int, groups: int, residual: bool) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, channels, 3, stride=2, padding=1, bias=False)
        self.down_norm = nn.GroupNorm(groups, channels, eps=EPSILON)
        self.residual = residual
        if residual:
            self.keep = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.keep_norm = nn.GroupNorm(groups, channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) -> (B, C', S / 2, S / 2)."""
        x = functional.relu(self.down_norm(self.down(x)))
        if self.residual:
            x = functional.relu(x + self.keep_norm(self.keep(x)))
        return x


class PictureEncoder(nn.Module):
    """Unit vectors of pictures."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        before = (3, *config.channels[:-1])
        self.stages = nn.ModuleList(
            Stage(one, channels, config.groups, residual=number > 0)
            for number, (one, channels) in enumerate(zip(before, config.channels, strict=True))
        )
        left = config.side_px // 2 ** len(config.channels)
        self.head = nn.Linear(config.channels[-1] * left * left, config.dimensions)

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (B, 3, S, S) float32 of -1..1 -> (B, D) vectors of length 1."""
        x = pictures.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        vectors: Tensor = functional.normalize(self.head(x.flatten(1)), dim=1)
        return vectors

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights as He et al. 2015 (arXiv:1502.01852); residuals begin at a half."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                nn.init.constant_(weight, _first_value(name))
            else:
                gain = 1.0 if name.startswith("head") else 2.0
                std = math.sqrt(gain / weight[0].numel())
                nn.init.normal_(weight, std=std, generator=generator)


def _first_value(name: str) -> float:
    if name.endswith("bias"):
        return 0.0
    return 0.5 if "keep_norm" in name else 1.0


PRESETS = {
    "tiny": Config(side_px=16, channels=(8, 16), groups=4, dimensions=12),
}
