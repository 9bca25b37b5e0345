"""Cross-entropy over a vocabulary, in the memory of its logits.

torch's own makes a second array of the logits' size for the log-probabilities, a third for their
gradient and a fourth for the logits', and a CPU spends longer on fetching that memory than on the
exponentials. Here the normalisers alone are kept, and the gradient takes the logits' place, a few
rows at a time, so that the rows stay in the cache from the first operation to the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# Bytes of logits that are worked on at a time: about a core's share of the last cache.
BYTES_AT_ONCE = 2**21


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood in nats: logits (N, V), target (N,) int64 -> two of (N,).

    The first is against the smoothed target, of which the share `smoothing` is spread over the
    vocabulary (Szegedy et al. 2016); the second against the plain one, without a gradient.
    The backward pass overwrites the logits: hand over what nothing else reads afterwards.
    """
    if logits.is_leaf and logits.requires_grad:  # somebody's parameter, not a model's output
        logits = logits.clone()
    smoothed, plain = _CrossEntropy.apply(logits, target, smoothing)  # type: ignore[no-untyped-call]
    return smoothed, plain


class _CrossEntropy(torch.autograd.Function):
    """With p the softmax and q the smoothed target: -sum(q log p), whose gradient is p - q."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, smoothing: float) -> tuple[Tensor, ...]:
        normaliser = logits.new_empty(len(logits))
        mean = logits.new_empty(len(logits) if smoothing else 0)
        for rows in _parts(logits):
            normaliser[rows] = logits[rows].logsumexp(1)
            if smoothing:
                mean[rows] = logits[rows].mean(1)
        plain = normaliser - logits.gather(1, target[:, None])[:, 0]
        smoothed = (1 - smoothing) * plain
        if smoothing:
            smoothed += smoothing * (normaliser - mean)
        ctx.save_for_backward(logits, normaliser, target)
        ctx.smoothing = smoothing
        ctx.mark_non_differentiable(plain)
        return smoothed, plain

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        logits, normaliser, target = ctx.saved_tensors
        for rows in _parts(logits):
            part = logits[rows]
            part.sub_(normaliser[rows, None]).exp_()
            if ctx.smoothing:
                part.sub_(ctx.smoothing / part.shape[1])
            part.scatter_add_(
                1, target[rows, None], part.new_full((len(part), 1), ctx.smoothing - 1)
            )
            part.mul_(slope[rows, None])
        return logits, None, None


def _parts(logits: Tensor) -> Iterator[slice]:
    count, row = len(logits), max(logits.shape[1] * logits.element_size(), 1)
    size = max(BYTES_AT_ONCE // row, 1) if logits.device.type == "cpu" else max(count, 1)
    for start in range(0, count, size):
        yield slice(start, start + size)
