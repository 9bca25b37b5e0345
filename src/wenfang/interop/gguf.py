"""Bundles of the families gpt and gpt2 as GGUF files, which llama.cpp runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from wenfang.atomic import new_file
from wenfang.checkpoint import BundleFiles
from wenfang.data.request import UNKNOWN_LICENCE
from wenfang.errors import BundleError, ConfigError
from wenfang.interop.causal import gpt_kind
from wenfang.interop.exporting import model_config
from wenfang.interop.gguf_format import Value, write
from wenfang.interop.gguf_words import vocabulary
from wenfang.models import gpt, gpt2

Precision = Literal["float32", "float16"]
FILE_KINDS = {"float32": 0, "float16": 1}  # llama.cpp's general.file_type
GPT_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GPT2_NAMES = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def write_gguf(files: BundleFiles, output: Path, *, precision: Precision = "float32") -> Path:
    """Write a bundle as the GGUF file `output`.

    precision  of the matrices; vectors and tables of positions are float32, as llama.cpp wants
    raises     BundleError for another family, or a tokenizer that llama.cpp does not know
    """
    if files.config.get("family") not in ("gpt", "gpt2"):
        raise BundleError(
            "a GGUF file holds the families {names}, not {name}; see whether --to hf knows it",
            name=files.config.get("family"),
            names="gpt, gpt2",
        )
    if output.is_dir():
        raise ConfigError("{path} is a folder; name a file for GGUF with -o", path=output)
    if files.tokenizer is None:
        raise BundleError("{folder} has no tokenizer; a GGUF file needs one", folder=files.folder)
    model = model_config(files)
    facts = _facts(model) if isinstance(model, gpt.Config) else _facts_of_gpt2(model)
    roles = files.config.get("special_tokens", {})
    words = vocabulary(files.tokenizer, roles, model.vocabulary_size)
    told = {**facts, **_general(files, precision), **words}
    tensors = _tensors(files, model, precision)
    with new_file(output) as stream:
        write(stream, told, tensors)
    return output


def _general(files: BundleFiles, precision: Precision) -> dict[str, Value]:
    licence = files.manifest.get("licence") or UNKNOWN_LICENCE
    return {
        "general.name": str(files.manifest["name"]),
        "general.license": str(licence),
        "general.file_type": FILE_KINDS[precision],
    }


def _facts(model: gpt.Config) -> dict[str, Value]:
    kind = gpt_kind(model)
    own: dict[str, Value] = {
        "context_length": model.context,
        "embedding_length": model.width,
        "block_count": model.layers,
        "feed_forward_length": model.hidden_width,
        "attention.head_count": model.heads,
        "attention.head_count_kv": model.kv_heads,
        "attention.key_length": model.key_width,
        "attention.value_length": model.key_width,
        "attention.layer_norm_rms_epsilon": model.norm_epsilon,
        "rope.dimension_count": model.key_width,
        "rope.freq_base": model.rotary_base,
        "vocab_size": model.vocabulary_size,
    }
    return {"general.architecture": kind, **{f"{kind}.{name}": v for name, v in own.items()}}


def _facts_of_gpt2(model: gpt2.Config) -> dict[str, Value]:
    if model.activation != "gelu-tanh":
        raise BundleError(
            "llama.cpp computes GELU by way of tanh in GPT-2, this model does not; "
            "export it as a folder with --to hf"
        )
    own: dict[str, Value] = {
        "context_length": model.context,
        "embedding_length": model.width,
        "block_count": model.layers,
        "feed_forward_length": model.hidden_width,
        "attention.head_count": model.heads,
        "attention.layer_norm_epsilon": model.norm_epsilon,
    }
    return {"general.architecture": "gpt2", **{f"gpt2.{name}": v for name, v in own.items()}}


def _tensors(files: BundleFiles, model: Any, precision: Precision) -> dict[str, np.ndarray]:
    names = GPT_NAMES if isinstance(model, gpt.Config) else GPT2_NAMES
    turned = _paired(model) if isinstance(model, gpt.Config) else (lambda name, array: array)
    made = {}
    for name, tensor in files.tensors().items():
        array = turned(name, _array(tensor))
        if precision == "float16" and array.ndim > 1 and not name.endswith(".wpe.weight"):
            array = _halved(name, array)
        made[_name(name, names)] = array
    return made


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.numpy()
    return array


def _halved(name: str, array: np.ndarray) -> np.ndarray:
    if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
        raise BundleError(
            "the weight {name} is too large for float16; export it in float32", name=name
        )
    return array.astype(np.float16)


def _name(name: str, names: Mapping[str, str]) -> str:
    """Our name of a weight as llama.cpp's: model.layers.3.mlp.up_proj.weight is blk.3.ffn_up.weight
    there.
    """
    part, _, end = name.rpartition(".")
    for start in ("model.layers.", "transformer.h."):
        if part.startswith(start):
            index, _, inner = part.removeprefix(start).partition(".")
            return f"blk.{index}.{names[inner]}.{end}"
    return f"{names[part]}.{end}"


def _paired(model: gpt.Config) -> Callable[[str, np.ndarray], np.ndarray]:
    """Rows of a head from halves to neighbours, as llama.cpp turns them for Llama only."""
    heads = {"q_proj.weight": model.heads, "k_proj.weight": model.kv_heads}

    def turned(name: str, array: np.ndarray) -> np.ndarray:
        end = ".".join(name.split(".")[-2:])
        if gpt_kind(model) != "llama" or end not in heads:
            return array
        rows, width = array.shape
        halves = array.reshape(heads[end], 2, rows // heads[end] // 2, width)
        paired: np.ndarray = halves.swapaxes(1, 2).reshape(rows, width)
        return np.ascontiguousarray(paired)

    return turned
