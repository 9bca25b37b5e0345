"""One vector for several tokens: the mean of theirs, of length 1."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def mean_of(hidden: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen tokens: hidden (B, T, D), chosen (B, T) bool -> (B, D).

    A row in which none is chosen gives zeros.
    """
    weight = chosen.to(hidden.dtype).unsqueeze(1)
    total = (weight @ hidden).squeeze(1)
    mean: Tensor = total / weight.sum(2).clamp(min=1)
    return mean


def unit_mean(hidden: Tensor, chosen: Tensor) -> Tensor:
    """`mean_of`, of Euclidean length 1."""
    return functional.normalize(mean_of(hidden, chosen), dim=1)
