"""Fast decoding of a GPT on the CPU, where numba is installed (`wenfang[fast]`).

`fast_decoder` gives a predictor, or None where the plain model must do; `decoding_path` says which
it is and why. Nothing here is imported before it is asked for, since numba takes its time.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import nn

from wenfang.language import keyed
from wenfang.models.gpt import GPT

if TYPE_CHECKING:
    from wenfang.models.decode.compiled import CompiledPredict
    from wenfang.models.decode.packing import Precision

# A model of fewer weights a token is quick enough, and every process that decodes would first load
# numba (half a second), the first one ever compile (a quarter of a minute).
LEAST_WEIGHTS = 8_000_000


@dataclass(frozen=True, kw_only=True)
class Path:
    """Which arithmetic decodes a model: "compiled" or "plain", and why, as a message template."""

    name: str
    reason: str


def decoding_path(model: nn.Module) -> Path:
    """The path that `fast_decoder` takes for this model on this machine, and why."""
    reason = _hindrance(model)
    if reason:
        return Path(name="plain", reason=reason)
    return Path(name="compiled", reason=keyed("a float32 GPT on the processor, and numba is here"))


def _hindrance(model: nn.Module) -> str:
    """Why a model cannot be decoded by the compiled step; empty if it can."""
    if type(model) is not GPT:
        return keyed("the compiled step knows the GPT family only")
    if model.training:
        return keyed("the model is being trained")
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in model.parameters()):
        return keyed("the model is not in float32 on the processor")
    if not all(type(part) is nn.Linear for part in _projections(model)):
        return keyed("a projection of the model was replaced, by an adapter for instance")
    if sum(part.weight.numel() for part in _projections(model)) < LEAST_WEIGHTS:
        return keyed(
            "the model is small, and compiled code would take longer to load than it saves"
        )
    if find_spec("numba") is None:
        return keyed("numba is not installed; get it with pip install 'wenfang[fast]'")
    return ""


def _projections(model: GPT) -> list[nn.Linear]:
    parts = [model.lm_head]
    for block in model.model.layers:
        parts += [part for name, part in block.named_modules() if name.endswith("_proj")]
    return parts


def fast_decoder(
    model: nn.Module, batch: int, capacity: int, *, precision: Precision = "float32"
) -> CompiledPredict | None:
    """A predictor with the model's own cache for `batch` samples of at most `capacity` tokens.

    None where `decoding_path` says "plain". Its logits equal the plain model's within 1e-4 in
    float32; int8 rounds every matrix (see wenfang.models.int8) and must be asked for.
    """
    if not isinstance(model, GPT) or decoding_path(model).name == "plain":
        return None
    with suppress(ImportError):  # a numba that this Python or numpy is too new for
        from wenfang.models.decode.compiled import CompiledPredict

        return CompiledPredict(model, batch, capacity, precision)
    return None
