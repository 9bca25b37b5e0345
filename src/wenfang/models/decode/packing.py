"""A GPT's weights as the few arrays that one compiled decoding step reads."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from wenfang.int8 import quantise
from wenfang.models.decode.kernels import Array, Vectors, Weights
from wenfang.models.gpt import GPT, Block

Precision = Literal["float32", "int8"]
# By model and precision: the state of its weights, and what was packed of them.
_PACKED: weakref.WeakKeyDictionary[GPT, dict[str, tuple[object, Packed]]] = (
    weakref.WeakKeyDictionary()
)
Packed = tuple[Weights, Weights, Vectors]


def packed(model: GPT, precision: Precision) -> Packed:
    """Weights, scales and vectors of a model; packed again only after its weights have changed."""
    kept = _PACKED.setdefault(model, {})
    state = tuple((id(p), p.data_ptr(), p._version) for p in model.parameters())
    if precision not in kept or kept[precision][0] != state:
        kept[precision] = state, _pack(model, precision)
    return kept[precision][1]


@torch.no_grad()
def _pack(model: GPT, precision: Precision) -> Packed:
    matrices = Weights(
        mix=_stack(model, lambda block: torch.cat([p.weight for p in _mixers(block)])),
        output=_stack(model, lambda block: block.self_attn.o_proj.weight),
        gate_up=_stack(
            model, lambda block: torch.cat((block.mlp.gate_proj.weight, block.mlp.up_proj.weight))
        ),
        down=_stack(model, lambda block: block.mlp.down_proj.weight),
        head=_array(model.lm_head.weight),
    )
    vectors = _vectors(model)
    if precision == "int8":
        rounded = [quantise(matrix) for matrix in matrices]
        weights, scales = zip(*rounded, strict=True)
        return Weights(*weights), Weights(*scales), vectors
    ones = Weights(*(np.ones(matrix.shape[:-1], np.float32) for matrix in matrices))
    return matrices, ones, vectors


def _vectors(model: GPT) -> Vectors:
    rotary = model.model.rotary
    blocks: list[Any] = list(model.model.layers)
    norms = [
        norm.weight
        for block in blocks
        for norm in (block.input_layernorm, block.post_attention_layernorm)
    ]
    return Vectors(
        embedding=_array(model.model.embed_tokens.weight),
        gains=_array(torch.stack([*norms, model.model.norm.weight])),
        bias=_stack(model, _bias),
        head_gains=_stack(model, _head_gains),
        turn=_array(torch.stack((rotary.cosine, rotary.sine))),
    )


def _mixers(block: Block) -> list[Any]:
    attention: Any = block.self_attn
    return [attention.q_proj, attention.k_proj, attention.v_proj]


def _bias(block: Block) -> Tensor:
    """(Q,), or (0,) where the projections have none."""
    biases = [projection.bias for projection in _mixers(block) if projection.bias is not None]
    return torch.cat(biases) if biases else torch.zeros(0)


def _head_gains(block: Block) -> Tensor:
    """(2, K) of the norms of queries and keys, or (0, K) where there are none."""
    norms: list[nn.Module] = [
        getattr(block.self_attn, name)
        for name in ("q_norm", "k_norm")
        if getattr(block.self_attn, name, None) is not None
    ]
    if not norms:
        return torch.zeros(0, block.self_attn.head_width)
    return torch.stack([norm.get_parameter("weight") for norm in norms])


def _stack(model: GPT, part: Callable[[Block], Tensor]) -> Array:
    # From numpy, which asks for large pages where the system has them.
    tensors = [part(block) for block in model.model.layers]  # type: ignore[arg-type]
    out = np.empty((len(tensors), *tensors[0].shape), np.float32)
    for index, tensor in enumerate(tensors):
        out[index] = tensor.detach().numpy()
    return out


def _array(tensor: Tensor) -> Array:
    array: Array = np.ascontiguousarray(tensor.detach().numpy())
    return array
