"""The bundle `safety-zh` in plain numpy: a few milliseconds a text, and no torch.

It computes what `models.text_classifier` computes; a test holds them together.

T time, D width, C channels of one kernel size, N classes
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from wenfang.atomic import sha256_file
from wenfang.data.layouts import LABELLED
from wenfang.errors import BundleError

HASH_MASK, HASH_FACTOR, TOKEN_FACTOR, PLACE_STEP = 2**40 - 1, 1_000_003, 7919, 104_729
UNKNOWN = "<unk>"
FILES = ("config.json", "tokenizer.json", "model.safetensors")

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Weights and vocabulary of a classifier of two classes, and what it decides by.

    vocabulary  token number of each character
    threshold   a probability above it is a yes
    """

    vocabulary: Mapping[str, int]
    weights: Mapping[str, Floats]
    kernel_sizes: tuple[int, ...]
    gram_sizes: int
    threshold: float

    def probability(self, text: str) -> float:
        """Chance of class 1, from 0 to 1, of one short text in simplified characters."""
        unknown = self.vocabulary[UNKNOWN]
        plain = LABELLED.plain(text)
        tokens = np.array([self.vocabulary.get(c, unknown) for c in plain], np.int64)
        logits = self._wide(tokens) + self._deep(tokens)
        return float(1 / (1 + np.exp(np.float64(logits[0] - logits[1]))))

    def _wide(self, tokens: NDArray[np.int64]) -> Floats:
        """tokens (T,) -> (N,)."""
        weight = self.weights["wide.weight"]
        total = np.zeros(weight.shape[1], np.float32)
        hashes = np.zeros(len(tokens), np.int64)
        for place in range(min(self.gram_sizes, len(tokens))):
            following = tokens[place:]
            hashes = hashes[: len(following)] * HASH_FACTOR + following * TOKEN_FACTOR
            hashes = (hashes + place * PLACE_STEP) & HASH_MASK
            total += weight[(hashes ^ (hashes >> 20)) & (len(weight) - 1)].sum(0)
        found: Floats = total / np.sqrt(np.float32(max(len(tokens), 1) * self.gram_sizes))
        return found

    def _deep(self, tokens: NDArray[np.int64]) -> Floats:
        """tokens (T,) -> (N,)."""
        time = len(tokens)
        vectors = self.weights["deep.embed_tokens.weight"][tokens]
        highest = []
        for number, size in enumerate(self.kernel_sizes):
            kernel = self.weights[f"deep.convolutions.{number}.weight"]  # (C, D, size)
            padded = np.pad(vectors, ((0, size - 1), (0, 0)))
            y = self.weights[f"deep.convolutions.{number}.bias"] + sum(
                padded[step : step + time] @ kernel[:, :, step].T for step in range(size)
            )
            highest.append(np.maximum(y, 0).max(0, initial=0))
        joined = np.concatenate(highest)
        found: Floats = self.weights["deep.head.weight"] @ joined + self.weights["deep.head.bias"]
        return found


@cache
def shipped() -> Detector:
    """The detector in the package, read once."""
    return read_detector(Path(str(resources.files("wenfang"))) / "bundles" / "safety-zh")


def read_detector(folder: Path) -> Detector:
    """The detector of a bundle; BundleError where a file is missing, changed or does not fit."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        for name in FILES:
            _require_content(folder / name, manifest["facts"]["files"][name])
        settings = json.loads((folder / "config.json").read_text("utf-8"))
        tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        return _build(settings, tokenizer, load_file(folder / "model.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        raise BundleError(
            "{path} is no whole detector; install wenfang again", path=folder
        ) from None


def _require_content(path: Path, sha256: str) -> None:
    if sha256_file(path) != sha256:
        raise BundleError(
            "{path} is damaged (its hash differs from the manifest); get the bundle again",
            path=path,
        )


def _build(
    settings: dict[str, Any], tokenizer: dict[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> Detector:
    model = settings["model"]
    return Detector(
        vocabulary=tokenizer["model"]["vocab"],
        weights={name: tensor.astype(np.float32) for name, tensor in tensors.items()},
        kernel_sizes=tuple(model["kernel_sizes"]),
        gram_sizes=model["gram_sizes"],
        threshold=float(settings["threshold"]),
    )
