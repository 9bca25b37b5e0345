"""Matrices in 8 bits: a symmetric integer for each weight and one scale a row.

weight ~ scale[row] * integer, integer in -127..127 (the per-channel scheme of Jacob et al. 2018,
arXiv:1712.05877, without a zero point). Activations stay in float32, so nothing needs calibration.
The decoder of wenfang.models.decode computes with the integers; `rounded` gives a plain model with
the same weights, by which the loss of quality is measured.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from wenfang.models.gpt import GPT

LARGEST = 127


def quantise(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., N, K) float32 -> integers (..., N, K) int8 and scales (..., N) float32."""
    largest = np.abs(weight).max(axis=-1)
    scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return np.rint(weight / scale[..., None]).astype(np.int8), scale


def restore(integers: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The weights that integers and scales stand for: (..., N, K), (..., N) -> float32."""
    weight: np.ndarray = integers.astype(np.float32) * scale[..., None]
    return weight


@torch.no_grad()
def rounded(model: GPT) -> GPT:
    """A copy of `model` whose matrices went through 8 bits; the table of embeddings did not."""
    made = copy.deepcopy(model)
    if model.config.tied_head:
        made.lm_head.weight = torch.nn.Parameter(made.lm_head.weight.clone())
    for name, parameter in made.named_parameters():
        if name.endswith(("_proj.weight", "lm_head.weight")):
            parameter.copy_(torch.from_numpy(restore(*quantise(parameter.numpy()))))
    return made
