"""One .safetensors file for every kind of index: arrays, and what they are in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wenfang.atomic import write_bytes
from wenfang.errors import BundleError

LIMIT_BYTES = 512 * 1024 * 1024
Arrays = Mapping[str, NDArray[np.generic]]


def write_index(path: Path, kind: str, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write `arrays` and `about` atomically; the same index gives the same bytes."""
    text = json.dumps(about, sort_keys=True, ensure_ascii=False)
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, save(tensors, {kind: text}))


def read_index(path: Path, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """What `write_index` wrote; BundleError where the file is no such index."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise damaged(path, "too large")
        payload = path.read_bytes()
        size = int.from_bytes(payload[:8], "little")
        about = json.loads(json.loads(payload[8 : 8 + size])["__metadata__"][kind])
        if not isinstance(about, dict):
            raise damaged(path, "its header is not an object")
        return load(payload), about
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as reason:
        raise damaged(path, str(reason)) from None


def damaged(path: Path, reason: str) -> BundleError:
    """The error of a file that is no index or is damaged."""
    return BundleError(
        "{path} is no readable index ({reason}); build it again, or get its bundle again",
        path=path,
        reason=reason[:120],
    )
