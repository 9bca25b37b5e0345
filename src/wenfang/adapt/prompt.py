"""Prompt tuning: learned vectors are read before the input (Lester et al. 2021, arXiv:2104.08691).

The weights are not touched. An encoder-decoder reads them before its source, a GPT before its text;
they take up that much of the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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
    _put(model, nn.Parameter(table.detach()[rows].clone()))


def apply(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put learned vectors before the input of a model.

    raises BundleError if they do not fit, ConfigError where others stand there already
    """
    table, found = _table(model), tensors.get(NAME)
    shaped = found is not None and found.ndim == 2 and found.shape[1] == table.shape[1]
    if found is None or not shaped or not 0 < len(found) < _context(model):
        raise BundleError("the adapter's vectors do not fit this model; it is of another base")
    if getattr(model, NAME) is not None:
        raise ConfigError("two adapters of learned vectors cannot be read at once; name one")
    _put(model, nn.Parameter(found.float(), requires_grad=False))


def vectors(model: nn.Module) -> dict[str, Tensor]:
    """The learned vectors (P, D), as they are stored."""
    found = getattr(model, NAME)
    assert isinstance(found, nn.Parameter)
    return {NAME: found.detach()}


def _table(model: nn.Module) -> Tensor:
    """(V, D), the vectors of the vocabulary."""
    found = next((one for one in model.modules() if isinstance(one, nn.Embedding)), None)
    if NAME not in model._parameters or found is None:
        raise ConfigError(
            "learned vectors are read by the families gpt, gpt2 and seq2seq; set tune.kind=lora"
        )
    return found.weight


def _put(model: nn.Module, vectors: nn.Parameter) -> None:
    model.register_parameter(NAME, vectors)
    known: Any = model
    if hasattr(model, "taken"):  # a GPT, whose text has that much less room
        known.config = replace(known.config, context=known.config.context - len(vectors))


def _context(model: nn.Module) -> int:
    found = model.config.context  # type: ignore[union-attr]
    assert isinstance(found, int)
    return found
