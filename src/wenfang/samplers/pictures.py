"""A trained net as what a solver asks: the data that it sees behind noise, as it is told."""

from __future__ import annotations

import torch
from torch import Tensor

from wenfang.models.denoiser import Denoiser as Net
from wenfang.models.denoiser import Told, ask
from wenfang.noise import Path
from wenfang.samplers.denoise import Denoiser

NOTHING = Told()


def denoiser(
    net: Net,
    path: Path,
    told: Told = NOTHING,
    guidance: float = 1.0,
    avoided: Told | None = None,
) -> Denoiser:
    """What `net` sees; with guidance (Ho & Salimans 2022, arXiv:2207.12598) asked twice at once.

    guidance  1 follows what is told as learnt; more of it goes further from what any picture is
    avoided   what guidance leads away from; None: from pictures that nothing is said of
    """

    def see(x: Tensor, t: Tensor, told: Told) -> Tensor:
        clue = path.clue(t.expand(len(x)))
        return path.denoised(ask(net, path.scaled(x, t), clue, told), x, t)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        if guidance == 1 or (told.classes is None and told.words is None):
            return see(x, t, told)
        every = torch.ones(len(x), dtype=torch.bool)
        spoken, silent = (told.silent(rows, net.config.classes) for rows in (~every, every))
        both = see(torch.cat((x, x)), t, spoken.followed_by(avoided or silent))
        conditioned, plain = both.chunk(2)
        return plain + guidance * (conditioned - plain)

    return predict


def keeping(predict: Denoiser, known: Tensor, fresh: Tensor) -> Denoiser:
    """What `predict` sees where `fresh` is 1, and `known` data where it is 0: the rest is painted
    so that it fits (the replacement of Lugmayr et al. 2022, arXiv:2201.09865, without going back).

    known (B, C, H, W) or (1, C, H, W); fresh, of 0..1, fits to it
    """

    def see(x: Tensor, t: Tensor) -> Tensor:
        return fresh * predict(x, t) + (1 - fresh) * known

    return see
