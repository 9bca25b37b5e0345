"""Faster convolutions on the CPU: 3 x 3 by Winograd where numba is installed (`wenfang[fast]`),
and those of nets at rest with weights that are laid out once.

Nothing of numba is imported before a convolution asks for it.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from wenfang.models.convolve import packed
from wenfang.models.convolve.known import Known

# With fewer channels the transforms cost more than they save.
LEAST_CHANNELS = 32
# A transformed weight is four times as large: with few tiles, to read it takes the longest.
LEAST_TILES = 16
# Multiplications of the direct way, about a millisecond's. numba's threads wait for a while after
# each call, which slows what torch does meanwhile.
LEAST_MULTIPLICATIONS = 200_000_000


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


def fits(
    x: Tensor,
    weight: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> bool:
    """Whether `convolve` may stand for `torch.conv2d` of these arguments, and is faster."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32:
        return False
    if x.ndim != 4 or weight.shape[2:] != (3, 3) or min(x.shape[2:]) < 4:
        return False
    plain = all(value in (1, (1, 1), [1, 1]) for value in (stride, padding, dilation))
    return (
        plain
        and groups == 1
        and min(weight.shape[:2]) >= LEAST_CHANNELS
        and len(x) * -(-x.shape[2] // 4) * -(-x.shape[3] // 4) >= LEAST_TILES
        and x.numel() * 9 * weight.shape[0] >= LEAST_MULTIPLICATIONS
        and _has_numba()
    )


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    known: Known | None = None,
) -> Tensor:
    """`torch.conv2d`, the fastest way that is at hand.

    known  of a net at rest: where other forms of its weights are kept, which shall not change
    """
    given = stride, padding, dilation, groups
    if fits(x, weight, *given):
        return convolve(x, weight, bias, known)
    if known is not None and packed.fits(x, weight, padding, groups):
        return packed.convolve(x, weight, bias, stride, padding, dilation, known)
    return torch.conv2d(x, weight, bias, *given)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, known: Known | None = None
) -> Tensor:
    """A 3 x 3 convolution of stride 1 with a border of one; see `winograd.convolve`."""
    from wenfang.models.convolve.winograd import convolve as by_winograd

    return by_winograd(x, weight, bias, known)
