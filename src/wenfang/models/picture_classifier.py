"""Convolutional classifier of small pictures, and the features that it tells classes by.

Stages of two 3 x 3 convolutions, each stage but the first at half the side (Simonyan & Zisserman
2015, arXiv:1409.1556, with residuals as He et al. 2016, arXiv:1512.03385); group normalisation, so
that a picture's features do not depend on its batch. It is an eye for judging generators: accuracy
of the classes they were asked for, and distances between its features.

B batch, C channels, S side in pixels, F features
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.sizes import require_channels, require_counts, require_halves

EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a classifier.

    side_px   of the square pictures
    channels  of each stage; every stage but the first halves the side
    groups    of channels that are normalised together; divides every one of `channels`
    features  that the classes are told by
    """

    in_channels: int = 1
    side_px: int = 28
    channels: tuple[int, ...] = (16, 32, 64)
    groups: int = 8
    features: int = 64
    classes: int = 10
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "in_channels", "side_px", "groups", "features", "classes")
        require_channels(self.channels, self.groups)
        require_halves(self.side_px, len(self.channels), len(self.channels) - 1)


class Stage(nn.Module):
    """A convolution to the stage's width, and one that is added to what it found."""

    def __init__(self, before: int, channels: int, groups: int, stride: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False)
        self.widen_norm = nn.GroupNorm(groups, channels, eps=EPSILON)
        self.keep = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.keep_norm = nn.GroupNorm(groups, channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) -> (B, C', S / stride, S / stride)."""
        x = functional.relu(self.widen_norm(self.widen(x)))
        return functional.relu(x + self.keep_norm(self.keep(x)))


class PictureClassifier(nn.Module):
    """Logits of classes, and the features before them."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        before = (config.in_channels, *config.channels[:-1])
        self.stages = nn.ModuleList(
            Stage(one, channels, config.groups, stride=2 if number else 1)
            for number, (one, channels) in enumerate(zip(before, config.channels, strict=True))
        )
        left = config.side_px >> (len(config.channels) - 1)
        self.squeeze = nn.Linear(config.channels[-1] * left * left, config.features)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.features, config.classes)

    def features(self, pictures: Tensor) -> Tensor:
        """pictures (B, C, S, S) float32 of -1..1 -> (B, F)."""
        x = pictures.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        found: Tensor = functional.relu(self.squeeze(x.flatten(1)))
        return found

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (B, C, S, S) float32 of -1..1 -> logits (B, classes)."""
        logits: Tensor = self.head(self.dropout(self.features(pictures)))
        return logits

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights as He et al. 2015 (arXiv:1502.01852)."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                nn.init.constant_(weight, 1.0 if "norm.weight" in name else 0.0)
            else:
                gain = 1.0 if name.startswith("head") else 2.0
                std = math.sqrt(gain / weight[0].numel())
                nn.init.normal_(weight, std=std, generator=generator)


PRESETS = {
    "tiny": Config(side_px=8, channels=(8, 8), groups=4, features=12, classes=3),
}
