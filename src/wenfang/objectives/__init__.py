"""What a model is trained to do: `objective(model, batch, rng) -> Loss(value, parts)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """`value` is a mean over the batch's weight, in nats where it is a likelihood.

    parts  named components, as numbers for the log
    """

    value: Tensor
    parts: dict[str, float] = field(default_factory=dict)


class Objective(Protocol):
    """How a model learns from one batch."""

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of `model` on `batch`, a mean over `weight(batch)`."""
        ...

    def weight(self, batch: Batch) -> float:
        """How much a batch counts (tokens, examples); losses are averaged by it."""
        ...
