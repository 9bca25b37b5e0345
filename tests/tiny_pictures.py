"""A data set of small pictures that can be learnt in seconds, and runs on it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wenfang.data.dataset import Dataset
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.media.image import encode_png
from wenfang.models import gan, picture_classifier, unet, vae
from wenfang.recipes import RECIPES
from wenfang.recipes.recipe import Recipe
from wenfang.trainer import TrainConfig

SIDE_PX = 8
NAMES = ("across", "down", "ring")
COUNTS = {"train": 48, "valid": 12, "test": 24}


def picture(kind: str, draw: np.random.Generator) -> Image.Image:
    """A bright bar or ring upon black, with some grain."""
    values = draw.integers(0, 40, (SIDE_PX, SIDE_PX)).astype(np.uint8)
    place = int(draw.integers(2, 6))
    if kind == "across":
        values[place] = 240
    elif kind == "down":
        values[:, place] = 240
    else:
        values[1:7, 1:7] = 240
        values[3:5, 3:5] = 0
    return Image.fromarray(values)


def rows(labelled: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, record) of all parts."""
    draw = np.random.default_rng(0)
    for part, count in COUNTS.items():
        for number in range(count):
            kind = NAMES[number % len(NAMES)]
            png = base64.b64encode(encode_png(picture(kind, draw))).decode("ascii")
            label = {"label": kind} if labelled else {}
            yield part, {"name": f"{part}-{number}", "text": kind, "png": png, **label}


def dataset(folder: Path, labelled: bool = True) -> Dataset:
    """The set, in `folder`."""
    origin = folder.parent / "origin.txt"
    origin.write_text("drawn by a test")
    source = Source(path=str(origin), name="shapes", licence="CC0-1.0")
    return write_rows(
        "shapes", source, {origin.name: "0" * 64}, {}, rows(labelled), folder, kind="shapes"
    )


TINY: dict[str, Any] = {
    "digits-vae": vae.PRESETS["tiny"],
    "digits-gan": replace(gan.PRESETS["tiny"], auxiliary=True),
    "digits-diffusion": replace(unet.PRESETS["tiny"], in_channels=1, out_channels=1, classes=3),
    "digit-reader": picture_classifier.PRESETS["tiny"],
}


def recipe(name: str, steps: int = 6, **changes: Any) -> Recipe:
    """The recipe of that name at the size of the set."""
    full = RECIPES[name]()
    return replace(
        full,
        model=TINY[name],
        optim=replace(full.optim, warmup_steps=1),
        train=TrainConfig(
            steps=steps,
            batch_size=12,
            evaluate_every=steps,
            checkpoint_every=steps,
            log_every=1,
            clip_norm=full.train.clip_norm,
        ),
        **changes,
    )
