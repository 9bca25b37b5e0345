"""A trained net as what a solver asks: the data that it sees behind noise, steered by a class."""

from __future__ import annotations

import torch
from torch import Tensor

from wenfang.models.unet import UNet
from wenfang.noise import Path
from wenfang.samplers.denoise import Denoiser


def denoiser(
    model: UNet, path: Path, classes: Tensor | None = None, guidance: float = 1.0
) -> Denoiser:
    """What `model` sees; with guidance (Ho & Salimans 2022, arXiv:2207.12598) asked twice at once.

    classes   (B,) int64; None asks without
    guidance  1 follows the class as learnt, more of it goes further from what any class is like
    """

    def ask(x: Tensor, t: Tensor, classes: Tensor | None) -> Tensor:
        clue = path.clue(t.expand(len(x)))
        return path.denoised(model(path.scaled(x, t), clue, classes), x, t)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        if classes is None or guidance == 1:
            return ask(x, t, classes)
        none = torch.full_like(classes, model.config.classes)
        both = ask(torch.cat((x, x)), t, torch.cat((classes, none)))
        conditioned, plain = both.chunk(2)
        return plain + guidance * (conditioned - plain)

    return predict
