"""Upscaler: a picture four times as wide and high, with the edges that it should have.

Residual convolutions without normalisation at the small size (Lim et al. 2017, arXiv:1707.02921),
sub-pixel convolution to the large one (Shi et al. 2016, arXiv:1609.05158); what is learnt is added
to plain bicubic enlargement, so a net that knows nothing does no harm.

B batch, C channels, H height and W width in pixels, T times
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.sizes import require_counts

# Residual branches are added so weakly (Lim et al.), or deep nets without normalisation go astray.
BRANCH = 0.2


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of an upscaler.

    times  how many times wider and higher the picture becomes
    """

    in_channels: int = 4
    channels: int = 48
    blocks: int = 8
    times: int = 4

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "in_channels", "channels", "blocks", "times")


class Block(nn.Module):
    """Two convolutions, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, D, H, W) -> (B, D, H, W)."""
        out: Tensor = x + BRANCH * self.conv2(functional.relu(self.conv1(x)))
        return out


class Upscaler(nn.Module):
    """Pictures of 0..1, colours times their opacity where they have any, made larger."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.conv_in = nn.Conv2d(config.in_channels, config.channels, 3, padding=1)
        self.blocks = nn.ModuleList(Block(config.channels) for _ in range(config.blocks))
        self.conv_mid = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.conv_out = nn.Conv2d(
            config.channels, config.in_channels * config.times**2, 3, padding=1
        )

    @property
    def reach(self) -> int:
        """How many pixels of the small picture away something still counts."""
        return 3 + 2 * self.config.blocks

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (B, C, H, W) -> (B, C, T H, T W), about 0..1."""
        x = self.conv_in(pictures.contiguous(memory_format=torch.channels_last))
        h = x
        for block in self.blocks:
            h = block(h)
        h = x + self.conv_mid(h)
        finer = functional.pixel_shuffle(self.conv_out(h), self.config.times)
        plain = functional.interpolate(pictures, scale_factor=self.config.times, mode="bicubic")
        return plain + finer

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; what is added to plain enlargement begins at nothing."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1 or name == "conv_out.weight":
                nn.init.zeros_(weight)
            else:
                std = math.sqrt(2 / weight[0].numel())
                nn.init.normal_(weight, std=std, generator=generator)


PRESETS = {
    "tiny": Config(in_channels=4, channels=8, blocks=2, times=2),
}
