"""Group normalisation and SiLU, which makers of pictures do before every convolution."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import wrap_torch_function

# With fewer torch is as fast; and with one map, since torch shares that by threads as well.
LEAST_CHANNELS, LEAST_VALUES, LEAST_MAPS = 16, 100_000, 2
# From so many values on they are shared by threads; below, to call these costs more than it saves.
SHARED_VALUES = 1_000_000


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


def _tensors(
    x: Tensor,
    norm: nn.GroupNorm,
    added: Tensor | None = None,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> tuple[Tensor]:
    return (x,)


@wrap_torch_function(_tensors)
def normed_silu(
    x: Tensor,
    norm: nn.GroupNorm,
    added: Tensor | None = None,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """silu(norm(x + added) * (1 + scale) + shift), of x (B, C, H, W); the others (B, C, 1, 1).

    Of a net at rest, inside `fast_products`, in one go.
    """
    h = norm(x if added is None else x + added)
    if scale is not None and shift is not None:
        h = h * (1 + scale) + shift
    return functional.silu(h)


def fits(x: Tensor, norm: nn.GroupNorm) -> bool:
    """Whether `in_one_go` may stand for it."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.ndim == 4
        and x.shape[1] >= LEAST_CHANNELS
        and x.numel() >= LEAST_VALUES
        and len(x) >= LEAST_MAPS
        and x.is_contiguous(memory_format=torch.channels_last)
        and norm.weight is not None
        and not torch.is_grad_enabled()
        and _has_numba()
    )


def in_one_go(
    x: Tensor,
    norm: nn.GroupNorm,
    added: Tensor | None = None,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """`normed_silu` by one kernel: no gradients."""
    from wenfang.models import normed_kernels as kernels

    channels = x.shape[1]
    gain, move = norm.weight[None], norm.bias[None]
    if scale is not None and shift is not None:
        factor = 1 + scale.flatten(1)
        gain, move = gain * factor, move * factor + shift.flatten(1)
    more = _nothing(channels) if added is None else added.flatten(1).contiguous()
    out = torch.empty_like(x)
    kernel = kernels.together if x.numel() >= SHARED_VALUES else kernels.alone
    told = more.numpy(), gain.numpy(), move.numpy()
    kernel(_places(x), told[0], told[1], told[2], norm.num_groups, norm.eps, _places(out))
    return out


@cache
def _nothing(channels: int) -> Tensor:
    return torch.zeros(1, channels)


def _places(maps: Tensor) -> NDArray[np.float32]:
    """(B, C, H, W) stored with channels last -> (B, H W, C), the same memory."""
    count, channels, height, width = maps.shape
    found: NDArray[np.float32] = maps.permute(0, 2, 3, 1).numpy()
    return found.reshape(count, height * width, channels)
