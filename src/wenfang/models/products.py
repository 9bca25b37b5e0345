"""Matrix products by oneDNN where MKL leaves vector units unused; convolutions faster, too.

On AMD processors with AVX-512, torch's float32 products go to MKL, which takes its AVX2 path
there: 90 GFLOP/s a thread against 200 by oneDNN, which torch carries as well (Zen 5, torch 2.13).
Inside `with fast_products():` every linear map, and its gradients, goes to oneDNN, and every
convolution to `models.convolve`. The arithmetic is float32 either way; sums are taken in another
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from wenfang.device import wastes_vector_units
from wenfang.models import convolve, linears, normed
from wenfang.models.convolve.known import Known

# Below this many multiplications the call itself costs more than is saved.
LEAST_MULTIPLICATIONS = 1_000_000


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., K) by weight (N, K), which may be transposed views, plus bias (N,) -> (..., N)."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _product_of_columns(rows: Tensor, x: Tensor) -> Tensor:
    """rows (M, N), x (M, K) -> rows' columns by x's, (N, K); the first operand is laid out anew,
    so it is the one whose copy, with that of the result where they change places, is smaller.
    """
    (m, n), k = rows.shape, x.shape[1]
    if m * n > m * k + n * k:
        return _product(x.t(), rows.t()).t()
    return _product(rows.t(), x.t())


class _Linear(torch.autograd.Function):
    """x (..., K), weight (N, K), bias (N,) or None -> (..., N), all by oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows = slope.reshape(-1, slope.shape[-1])
        if torch.is_grad_enabled():  # somebody wants the gradient's own, which oneDNN's has not
            return (
                (rows @ weight).view(x.shape) if of_x else None,
                rows.t() @ x.reshape(-1, x.shape[-1]) if of_weight else None,
                rows.sum(0) if of_bias else None,
            )
        return (
            _product(rows, weight.t()).view(x.shape) if of_x else None,
            _product_of_columns(rows, x.reshape(-1, x.shape[-1])) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )


def _fits(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and weight.ndim == 2
        and x.ndim > 1
        and x.numel() * weight.shape[0] >= LEAST_MULTIPLICATIONS
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`functional.linear` by oneDNN, with gradients; by MKL where that is no slower."""
    if not _fits(x, weight):
        return functional.linear(x, weight, bias)
    if not torch.is_grad_enabled():
        return _product(x, weight, bias)
    out: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


class _Products(TorchFunctionMode):
    """Sends `functional.linear` to `linear` above, where that is faster, convolutions to the ways
    of `models.convolve`, and at rest what comes before them to `models.normed` and maps of one
    input to `models.linears`.
    """

    def __init__(self, one_dnn: bool, known: Known | None) -> None:
        super().__init__()
        self.one_dnn, self.known = one_dnn, known

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.linear and self.one_dnn:
            return linear(*args, **(kwargs or {}))
        if func is functional.conv2d:
            return convolve.conv2d(*args, **{**(kwargs or {}), "known": self.known})
        if func is normed.normed_silu and self.known is not None and normed.fits(*args[:2]):
            return normed.in_one_go(*args, **(kwargs or {}))
        if func is linears.linears and self.known is not None and linears.fits(*args):
            with self:  # its product is one of ours, too
                return linears.in_one_go(args[0], args[1], self.known)
        return func(*args, **(kwargs or {}))


@contextmanager
def fast_products(*, at_rest: bool = False) -> Iterator[bool]:
    """Linear maps and convolutions inside go the faster way; yields whether linear maps go to
    oneDNN.

    at_rest  no weight changes inside, so each may be laid out once. A version counter would not
             tell: torch's fused optimizers move weights without counting
    """
    one_dnn = wastes_vector_units()
    with _Products(one_dnn, Known() if at_rest else None):
        yield one_dnn
