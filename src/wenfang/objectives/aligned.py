"""An encoder whose sentences lie near their translations, and that still knows its words.

InfoNCE between the two sides of a batch's pairs, the others of the batch being the negatives, as
LaBSE does (Feng et al. 2022, arXiv:2007.01852), with masked-language modelling beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.bert import PADDING_ID, Bert
from wenfang.models.pooling import unit_mean
from wenfang.objectives import Batch, Loss
from wenfang.objectives.contrastive import info_nce
from wenfang.objectives.masked import Masked


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """Nats to find a translation among those of the batch, and nats of hidden words.

    batch["one"], batch["other"]  (B, ·) int64, translations of each other, filled up with 0
    batch["tokens"], …            what `Masked` reads
    temperature    cosines are divided by it
    hidden_weight  how much the hidden words count beside the translations
    """

    masked: Masked
    temperature: float = 0.05
    hidden_weight: float = 0.3

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of an encoder on one batch."""
        assert isinstance(model, Bert)
        one, other = self.vectors(model, batch["one"], batch["other"])
        apart = info_nce(one, other, self.temperature)
        found = (one @ other.T).argmax(1) == torch.arange(len(one), device=one.device)
        words = self.masked(model, batch, rng)
        return Loss(
            value=apart + self.hidden_weight * words.value,
            parts={
                "pairs_nats": float(apart.detach()),
                "pairs_found_share": float(found.double().mean()),
                **words.parts,
            },
        )

    def vectors(self, model: Bert, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (B, D) of both sides, read in one pass."""
        width = max(one.shape[1], other.shape[1])
        rows = [functional.pad(x, (0, width - x.shape[1]), value=PADDING_ID) for x in (one, other)]
        tokens = torch.cat(rows)
        vectors = unit_mean(model.hidden(tokens), tokens >= self.masked.first_word)
        first, second = vectors.chunk(2)
        return first, second

    def weight(self, batch: Batch) -> float:
        """Number of pairs."""
        return float(len(batch["one"]))
