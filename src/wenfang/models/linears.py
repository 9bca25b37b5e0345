"""Several linear maps that read the same: queries, keys and values, or what blocks are told."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import wrap_torch_function

from wenfang.models.convolve.known import Known


def _tensors(x: Tensor, maps: Sequence[nn.Module]) -> tuple[Tensor]:
    return (x,)


@wrap_torch_function(_tensors)
def linears(x: Tensor, maps: Sequence[nn.Module]) -> tuple[Tensor, ...]:
    """What each of the maps makes of x (..., K).

    Of a net at rest, inside `fast_products`, by one product: to call many costs as much as their
    sums where x is small.
    """
    return tuple(each(x) for each in maps)


def fits(x: Tensor, maps: Sequence[nn.Module]) -> bool:
    """Whether `in_one_go` may stand for it."""
    return (
        not torch.is_grad_enabled()
        and x.dtype == torch.float32
        # Not what holds such a map and adds to it, as LoRA's do.
        and all(type(each) is nn.Linear and each.bias is not None for each in maps)
    )


def in_one_go(x: Tensor, maps: Sequence[nn.Linear], known: Known) -> tuple[Tensor, ...]:
    """`linears` of weights that rest; they are laid beside each other once."""
    first = maps[0]
    weight = known.form("beside", first.weight, lambda: torch.cat([one.weight for one in maps]))
    bias = known.form("beside", first.bias, lambda: torch.cat([one.bias for one in maps]))
    return torch.split(functional.linear(x, weight, bias), [one.out_features for one in maps], -1)
