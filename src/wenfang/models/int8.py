"""A GPT whose matrices are in 8 bits (see wenfang.int8).

Activations stay in float32, so nothing needs calibration. The decoder of wenfang.models.decode
computes with the integers; `rounded` gives a plain model with the same weights, by which the loss
of quality is measured.
"""

from __future__ import annotations

import copy

import torch

from wenfang.int8 import quantise, restore
from wenfang.models.gpt import GPT


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
