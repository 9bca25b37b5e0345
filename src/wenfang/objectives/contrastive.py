"""Contrast: two views of one thing lie nearer to each other than to anything else of the batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.objectives import Batch, Loss


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """NT-Xent among two views of the same things (Chen et al. 2020, arXiv:2002.05709, eq. 1).

    one, other  (B, D) vectors of length 1; rows of one number belong together
    returns     a scalar, the mean over 2 B rows of the nats that it costs to find the partner
                among the 2 B - 1 others; ln(2 B - 1) where all are alike
    """
    count = len(one)
    vectors = torch.cat((one, other))
    likeness = vectors @ vectors.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=likeness.device)
    partner = torch.arange(2 * count, device=likeness.device).roll(count)
    return functional.cross_entropy(likeness.masked_fill(itself, -torch.inf), partner)


def info_nce(one: Tensor, other: Tensor, temperature: float | Tensor) -> Tensor:
    """Symmetric InfoNCE between two kinds of things, such as texts and pictures.

    (van den Oord et al. 2018, arXiv:1807.03748; symmetric as in Radford et al. 2021,
    arXiv:2103.00020.) Arguments as of `nt_xent`; things of one kind are not contrasted.
    """
    likeness = one @ other.T / temperature
    partner = torch.arange(len(one), device=likeness.device)
    forth, back = (functional.cross_entropy(x, partner) for x in (likeness, likeness.T))
    return (forth + back) / 2


@dataclass(frozen=True, kw_only=True)
class Contrastive:
    """NT-Xent of an encoder in nats over the pairs of a batch.

    batch["one"], batch["other"]  (B, ...) what the encoder reads, two views of the same things.
    The others of the same micro-batch and process are the negatives.
    """

    temperature: float = 0.1

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of an encoder of unit vectors on one batch."""
        one, other = model(torch.cat((batch["one"], batch["other"]))).chunk(2)
        found = (one @ other.T).argmax(1) == torch.arange(len(one), device=one.device)
        return Loss(
            value=nt_xent(one, other, self.temperature),
            parts={"found_share": float(found.double().mean())},
        )

    def weight(self, batch: Batch) -> float:
        """Number of pairs."""
        return float(len(batch["one"]))
