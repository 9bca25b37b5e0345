"""Convolutions of nets at rest by oneDNN, their weights laid out once and not at every call.

torch lays a weight out anew each time, which for one small picture takes as long as the sums do,
and sends the smallest convolutions another, slower way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wenfang.models.convolve.known import Known


def fits(x: Tensor, weight: Tensor, padding: Any, groups: int) -> bool:
    """Whether `convolve` may stand for `torch.conv2d` of these arguments, and is faster."""
    return (
        not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.ndim == 4
        and groups == 1
        and not isinstance(padding, str)
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    known: Known,
) -> Tensor:
    """`torch.conv2d`; the result is stored with channels last.

    known  where laid out weights are kept
    """
    way = [_both(padding), _both(stride), _both(dilation), 1]
    reorder = torch.ops.mkldnn._reorder_convolution_weight
    laid_out = known.form("laid out", weight, lambda: reorder(weight.detach(), *way, list(x.shape)))
    x = x.contiguous(memory_format=torch.channels_last)
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, laid_out, bias, *way, "none", [], "")
    return out


def _both(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
