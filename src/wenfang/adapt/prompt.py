"""Prompt tuning: learned vectors are read before the input (Lester et al. 2021, arXiv:2104.08691).

The model itself is not touched. An encoder-decoder reads them before its source, a GPT before its
text; they take up that much of the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wenfang.errors import BundleError, ConfigError

NAME = "prompt"


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """How many vectors are learnt."""

    length: int = 16

    def __post_init__(self) -> None:
        """Refuse what teaches nothing."""
        if self.length < 1:
            raise ConfigError("tune.length is {value}; it must be at least 1", value=self.length)


def inject(model: nn.Module, config: PromptConfig, generator: torch.Generator) -> None:
    """Fresh vectors, drawn from those of the vocabulary; everything else stops learning.

    raises ConfigError for a family that reads no such vectors, or too many for the context
    """
    table, context = _table(model), _context(model)
    if config.length >= context:
        raise ConfigError(
            "tune.length is {value}; the model's context is {context}, so it must be below that",
            value=config.length,
            context=context,
        )
    model.requires_grad_(False)
    rows = torch.randint(len(table), (config.length,), generator=generator)
    model.register_parameter(NAME, nn.Parameter(table.detach()[rows].clone()))


def apply(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put learned vectors before the input of a model; raises BundleError if they do not fit."""
    table, found = _table(model), tensors.get(NAME)
    if found is None or found.ndim != 2 or found.shape[1] != table.shape[1]:
        raise BundleError("the adapter's vectors do not fit this model; it is of another base")
    model.register_parameter(NAME, nn.Parameter(found.float(), requires_grad=False))


def vectors(model: nn.Module) -> dict[str, Tensor]:
    """The learned vectors (P, D), as they are stored."""
    found = getattr(model, NAME)
    assert isinstance(found, nn.Parameter)
    return {NAME: found.detach()}


def _table(model: nn.Module) -> Tensor:
    """(V, D), the vectors of the vocabulary."""
    shared = getattr(model, "shared", None)
    if NAME not in model._parameters or not isinstance(shared, nn.Embedding):
        raise ConfigError("learned vectors are read by the family seq2seq only; set tune.kind=lora")
    return shared.weight


def _context(model: nn.Module) -> int:
    found = model.config.context  # type: ignore[union-attr]
    assert isinstance(found, int)
    return found
