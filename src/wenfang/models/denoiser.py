"""One call for every family that is asked what noise hides, whatever it can be told.

B batch, L words, E width of a word's vector
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from wenfang.models.dit import DiT
from wenfang.models.unet import UNet

Denoiser: TypeAlias = UNet | DiT


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is said of each picture; whatever is None is not said.

    classes  (B,) int64
    words    (B, L, E) float32, mask (B, L) bool: true for those that are said
    """

    classes: Tensor | None = None
    words: Tensor | None = None
    mask: Tensor | None = None

    def silent(self, rows: Tensor, no_class: int) -> Told:
        """Nothing said of the pictures that `rows` (B,) bool marks."""
        told = self
        if self.classes is not None:
            told = replace(told, classes=torch.where(rows, no_class, self.classes))
        if self.words is not None:
            said = self.words.new_ones(self.words.shape[:2], dtype=torch.bool)
            mask = said if self.mask is None else self.mask
            told = replace(told, mask=mask & ~rows[:, None])
        return told

    def followed_by(self, other: Told) -> Told:
        """The rows of both, one after the other; both say the same kinds of things, in as many
        words as they like.
        """
        return Told(
            classes=_joined(self.classes, other.classes),
            words=_joined(self.words, other.words),
            mask=_joined(self.mask, other.mask),
        )


def _joined(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Rows of both; where one says fewer words, zeros (and no mask) fill them up."""
    if one is None or other is None:
        return None
    if one.ndim < 2:
        return torch.cat((one, other))
    length = max(one.shape[1], other.shape[1])
    rows = [
        functional.pad(x, (0,) * (2 * x.ndim - 4) + (0, length - x.shape[1])) for x in (one, other)
    ]
    return torch.cat(rows)


def ask(model: Denoiser, x: Tensor, clue: Tensor, told: Told) -> Tensor:
    """The model's answer: x (B, C, H, W), clue (B,) -> (B, C', H, W)."""
    if isinstance(model, DiT):
        answer: Tensor = model(x, clue, told.classes, told.words, told.mask)
    else:
        answer = model(x, clue, told.classes)
    return answer


def operations_of(net: Denoiser, rows: int, side: int) -> float:
    """About how many floating-point operations the net needs for (rows, C, side, side): two for
    each weight and place, of a U-Net's places those of its smallest maps, where most weights lie.
    """
    places = (side / net.config.patch) ** 2
    if isinstance(net, UNet):
        places /= 4 ** (len(net.config.channels) - 1)
    return 2.0 * rows * places * sum(weight.numel() for weight in net.parameters())
