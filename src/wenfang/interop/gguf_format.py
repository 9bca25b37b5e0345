"""The file format of llama.cpp, version 3: keys with values, then tensors (ggml's docs/gguf.md).

Everything is little-endian. A string is its length in 8 bytes and its UTF-8; a tensor's data
begins at a multiple of 32 bytes, and its sizes are listed from the fastest axis to the slowest.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_KINDS = {np.dtype(np.float32): 0, np.dtype(np.float16): 1}

# A list is of texts or of whole numbers.
Value = str | bool | int | float | Sequence[str] | Sequence[int]


def _text(value: str) -> bytes:
    content = value.encode("utf-8")
    return struct.pack("<Q", len(content)) + content


def _value(value: Value) -> bytes:
    """A value behind the number of its type."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    kind = INT32 if value and isinstance(value[0], int) else STRING
    inner = b"".join(_text(v) if isinstance(v, str) else struct.pack("<i", v) for v in value)
    return struct.pack("<IIQ", ARRAY, kind, len(value)) + inner


def _room(size: int) -> int:
    """Bytes from the end of `size` to the next multiple of ALIGNMENT."""
    return -size % ALIGNMENT


def write(stream: BinaryIO, facts: Mapping[str, Value], tensors: Mapping[str, np.ndarray]) -> None:
    """Write a whole GGUF file; tensors are float32 or float16, of any number of axes."""
    head = bytearray(MAGIC + struct.pack("<IQQ", VERSION, len(tensors), len(facts)))
    for name, value in facts.items():
        head += _text(name) + _value(value)
    offset = 0
    for name, tensor in tensors.items():
        head += _text(name) + struct.pack("<I", tensor.ndim)
        head += struct.pack(f"<{tensor.ndim}Q", *reversed(tensor.shape))
        head += struct.pack("<IQ", TENSOR_KINDS[tensor.dtype], offset)
        offset += tensor.nbytes + _room(tensor.nbytes)
    stream.write(head + bytes(_room(len(head))))
    for tensor in tensors.values():
        stream.write(np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes())
        stream.write(bytes(_room(tensor.nbytes)))
