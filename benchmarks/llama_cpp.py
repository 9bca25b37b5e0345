"""llama.cpp as a peer of text.py: the same weights in a GGUF file, decoded by its own server code.

Runs where the package xllamacpp (prebuilt llama.cpp) is installed; text.py says so where it is not.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from torch import Tensor

from wenfang.models import gpt

ALIGNMENT = 32
UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
INT32 = 5
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
SPECIALS = ("<unk>", "<s>", "</s>")
FIRST_WORD = len(SPECIALS) + 256


def missing() -> str:
    """Why llama.cpp cannot be asked; empty if it can."""
    return "" if find_spec("xllamacpp") else "xllamacpp is not installed (pip install xllamacpp)"


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _facts(model: gpt.GPT) -> Iterator[bytes]:
    """Every key and value of the file's head."""
    config = model.config
    numbers = {
        "context_length": config.context,
        "embedding_length": config.width,
        "block_count": config.layers,
        "feed_forward_length": config.hidden_width,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "rope.dimension_count": config.width // config.heads,
        "vocab_size": config.vocabulary_size,
    }
    reals = {
        "attention.layer_norm_rms_epsilon": config.norm_epsilon,
        "rope.freq_base": config.rotary_base,
    }
    yield _text("general.architecture") + struct.pack("<I", STRING) + _text("llama")
    for name, number in numbers.items():
        yield _text(f"llama.{name}") + struct.pack("<II", UINT32, number)
    for name, real in reals.items():
        yield _text(f"llama.{name}") + struct.pack("<If", FLOAT32, real)
    yield _text("tokenizer.ggml.model") + struct.pack("<I", STRING) + _text("llama")
    names = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
    names += [f"token{i}" for i in range(len(names), config.vocabulary_size)]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256]
    kinds += [NORMAL] * (config.vocabulary_size - len(kinds))
    head = struct.pack("<IIQ", ARRAY, STRING, len(names))
    yield _text("tokenizer.ggml.tokens") + head + b"".join(map(_text, names))
    head = struct.pack("<IIQ", ARRAY, FLOAT32, len(names))
    yield _text("tokenizer.ggml.scores") + head + np.zeros(len(names), "<f4").tobytes()
    head = struct.pack("<IIQ", ARRAY, INT32, len(names))
    yield _text("tokenizer.ggml.token_type") + head + np.array(kinds, "<i4").tobytes()


def _paired(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a head from halves to neighbours, which is how llama.cpp pairs rotary positions."""
    rows, width = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def _tensors(model: gpt.GPT) -> Iterator[tuple[str, np.ndarray]]:
    config = model.config

    def array(weight: Tensor) -> np.ndarray:
        found: np.ndarray = weight.detach().numpy()
        return found

    yield "token_embd.weight", array(model.model.embed_tokens.weight)
    yield "output_norm.weight", array(model.model.norm.weight)
    for index, block in enumerate(model.model.layers):
        start, attention, mlp = f"blk.{index}.", block.self_attn, block.mlp
        query, key = array(attention.q_proj.weight), array(attention.k_proj.weight)  # type: ignore[union-attr,arg-type]
        yield start + "attn_norm.weight", array(block.input_layernorm.weight)  # type: ignore[union-attr,arg-type]
        yield start + "attn_q.weight", _paired(query, config.heads)
        yield start + "attn_k.weight", _paired(key, config.kv_heads)
        yield start + "attn_v.weight", array(attention.v_proj.weight)  # type: ignore[union-attr,arg-type]
        yield start + "attn_output.weight", array(attention.o_proj.weight)  # type: ignore[union-attr,arg-type]
        yield start + "ffn_norm.weight", array(block.post_attention_layernorm.weight)  # type: ignore[union-attr,arg-type]
        yield start + "ffn_gate.weight", array(mlp.gate_proj.weight)  # type: ignore[union-attr,arg-type]
        yield start + "ffn_up.weight", array(mlp.up_proj.weight)  # type: ignore[union-attr,arg-type]
        yield start + "ffn_down.weight", array(mlp.down_proj.weight)  # type: ignore[union-attr,arg-type]


def _pad(stream: BinaryIO) -> None:
    stream.write(b"\0" * (-stream.tell() % ALIGNMENT))


def write_gguf(model: gpt.GPT, path: Path) -> None:
    """A GPT with a tied head as a float32 GGUF file with a vocabulary of made-up words."""
    assert model.config.tied_head
    facts, tensors = list(_facts(model)), list(_tensors(model))
    offset = 0
    with path.open("wb") as stream:
        stream.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts)))
        stream.write(b"".join(facts))
        for name, array in tensors:
            stream.write(_text(name) + struct.pack("<I", array.ndim))
            stream.write(b"".join(struct.pack("<Q", size) for size in reversed(array.shape)))
            stream.write(struct.pack("<IQ", 0, offset))
            offset += array.nbytes + -array.nbytes % ALIGNMENT
        for _, array in tensors:
            _pad(stream)
            stream.write(np.ascontiguousarray(array, "<f4").tobytes())
        _pad(stream)


class LlamaCpp:
    """One model in llama.cpp's server, asked in this process."""

    def __init__(self, path: Path, threads: int, context: int) -> None:
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path = str(path)
        settings.n_ctx = context
        settings.n_parallel = 1
        settings.warmup = False
        settings.verbosity = -1
        settings.cpuparams.n_threads = threads
        settings.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(settings)

    def decode(self, prompt: Tensor, count: int) -> tuple[list[int], float]:
        """Greedy tokens after prompt (P,), and tokens a second of all but the first.

        The tokens come back as the vocabulary's made-up words; those of bytes are left out.
        """
        answer = self._server.handle_completions(
            {
                "prompt": prompt.tolist(),
                "n_predict": count,
                "temperature": 0,
                "samplers": ["top_k"],
                "top_k": 1,
                "ignore_eos": True,
                "cache_prompt": False,
            }
        )
        found: dict[str, Any] = json.loads(answer) if isinstance(answer, str) else answer
        words = re.findall(r"token(\d+)", found["choices"][0]["text"])
        return [int(word) for word in words], 1e3 * (count - 1) / found["timings"]["predicted_ms"]
