"""The bundle `picture-encoder` in plain numpy: some milliseconds a picture, and no torch.

It computes what `models.picture_encoder` computes; a test holds them together.

S side in pixels, C channels, D dimensions
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
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file

from wenfang.atomic import sha256_file
from wenfang.data.picture_index import Vector, unit_vector
from wenfang.data.picture_views import halved, upon_white
from wenfang.errors import BundleError

BUNDLE = "picture-encoder"
FILES = ("config.json", "model.safetensors")
EPSILON = 1e-5  # of the normalisation
LARGE_PX = 256  # larger pictures are first divided by a whole number, which is faster

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class PictureSight:
    """An encoder of pictures (`data.picture_index.PictureEncoder`).

    name      of the bundle and the beginning of its weights' hash
    held_out  the cosine distance that a new picture is expected to keep from known ones
    """

    name: str
    weights: Mapping[str, Floats]
    side_px: int
    stages: int
    groups: int
    held_out: float

    def encode(self, image: Image.Image) -> Vector:
        """(D,) float32 of length 1, the same of a picture and of its mirror image."""
        pixels: Floats = shrunk(image, self.side_px).astype(np.float32) / 127.5 - 1
        return unit_vector(self._vector(pixels) + self._vector(pixels[:, ::-1]))

    def _vector(self, x: Floats) -> Vector:
        """(D,) of length 1 of (S, S, 3) values of -1..1."""
        for number in range(self.stages):
            x = self._stage(x, f"stages.{number}")
        # The weights are those of (C, S, S).
        y = self.weights["head.weight"] @ x.transpose(2, 0, 1).ravel() + self.weights["head.bias"]
        return unit_vector(y)

    def _stage(self, x: Floats, name: str) -> Floats:
        """x (S, S, C) -> (S / 2, S / 2, C')."""
        down = _convolved(x, self.weights[f"{name}.down.weight"], step=2)
        x = np.maximum(self._normalised(down, f"{name}.down_norm"), 0)
        kernel = self.weights.get(f"{name}.keep.weight")
        if kernel is None:
            return x
        kept = self._normalised(_convolved(x, kernel), f"{name}.keep_norm")
        found: Floats = np.maximum(x + kept, 0)
        return found

    def _normalised(self, x: Floats, name: str) -> Floats:
        """Group normalisation of (S, S, C)."""
        side, _, channels = x.shape
        grouped = x.reshape(side, side, self.groups, -1)
        mean = grouped.mean((0, 1, 3), keepdims=True)
        spread = grouped.var((0, 1, 3), keepdims=True)
        even = ((grouped - mean) / np.sqrt(spread + np.float32(EPSILON))).reshape(x.shape)
        assert channels == len(self.weights[f"{name}.weight"])
        found: Floats = even * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return found


def shrunk(image: Image.Image, side_px: int) -> NDArray[np.uint8]:
    """(S, S, 3) of `image` upon white; its proportions are given up."""
    small = upon_white(halved(image, LARGE_PX)).resize(
        (side_px, side_px), Image.Resampling.BILINEAR
    )
    return np.array(small)


def _convolved(x: Floats, kernel: Floats, step: int = 1) -> Floats:
    """x (S, S, C) by kernel (C', C, 3, 3), edges padded with zeros."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))[::step, ::step]
    side = windows.shape[0]
    rows = windows.reshape(side * side, -1)  # channels, then rows and columns of the window
    found: Floats = (rows @ kernel.reshape(len(kernel), -1).T).reshape(side, side, -1)
    return found


@cache
def shipped() -> PictureSight | None:
    """The encoder in the package, read once; None where the package carries none.

    raises BundleError for one that is damaged
    """
    folder = Path(str(resources.files("wenfang"))) / "bundles" / BUNDLE
    return read_sight(folder) if folder.is_dir() else None


def read_sight(folder: Path) -> PictureSight:
    """The encoder of a bundle; BundleError where a file is missing, changed or does not fit."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        hashes = {name: manifest["facts"]["files"][name] for name in FILES}
        for name, expected in hashes.items():
            _require_content(folder / name, expected)
        settings = json.loads((folder / "config.json").read_text("utf-8"))
        tensors = load_file(folder / "model.safetensors")
        return _build(f"{manifest['name']}@{hashes['model.safetensors'][:12]}", settings, tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        raise BundleError(
            "{path} is no whole encoder of pictures; install wenfang again", path=folder
        ) from None


def _require_content(path: Path, sha256: str) -> None:
    if sha256_file(path) != sha256:
        raise BundleError(
            "{path} is damaged (its hash differs from the manifest); get the bundle again",
            path=path,
        )


def _build(
    name: str, settings: dict[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> PictureSight:
    model = settings["model"]
    return PictureSight(
        name=name,
        weights={key: tensor.astype(np.float32) for key, tensor in tensors.items()},
        side_px=int(model["side_px"]),
        stages=len(model["channels"]),
        groups=int(model["groups"]),
        held_out=float(settings["threshold"]),
    )
