"""A data set of small pictures with transparency and names, and runs that draw it in latents."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiny_pictures import COUNTS, NAMES, picture
from wenfang.atomic import write_json
from wenfang.data.dataset import Dataset
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.media.image import encode_png
from wenfang.models import dit, vae
from wenfang.recipes import RECIPES
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import TrainRequest, train
from wenfang.trainer import TrainConfig

CHINESE = dict(zip(NAMES, ("横线", "竖线", "圆环"), strict=True))


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    draw = np.random.default_rng(0)
    for part, count in COUNTS.items():
        for number in range(count):
            kind = NAMES[number % len(NAMES)]
            grey = picture(kind, draw)
            image = Image.merge("RGBA", (grey, grey, grey, grey))
            yield (
                part,
                {
                    "name": f"{part}-{number}",
                    "glyph": kind,
                    "text": kind,
                    "names": {"en": kind, "zh": CHINESE[kind]},
                    "keywords": {"en": ["shape", "line"], "zh": ["形状"]},
                    "png": base64.b64encode(encode_png(image)).decode("ascii"),
                },
            )


def tiny(name: str) -> Recipe:
    full = RECIPES[name]()
    models: dict[str, Any] = {
        "pictogram-latents": replace(
            vae.PRESETS["tiny"],
            in_channels=4,
            latent="map",
            latent_width=3,
            likelihood="gaussian",
        ),
        "emblem": replace(dit.PRESETS["tiny"], patch=1, out_channels=3, classes=0, text_width=192),
    }
    return replace(
        full,
        model=models[name],
        data=replace(full.data, source="shapes", side_px=0, shift_px=1, upscaler="", enlarged=""),
        optim=replace(full.optim, warmup_steps=1),
        train=TrainConfig(
            steps=20, batch_size=8, evaluate_every=10, checkpoint_every=10, clip_norm=1e6
        ),
    )


def trained(
    wanted: Recipe, data: Dataset, run: Path, *, measured: bool = False, base: Path | None = None
) -> Path:
    path = run.with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, wanted.to_dict())
    return train(
        TrainRequest(recipe=str(path), run=run, data=data.folder, measured=measured, base=base)
    )


def shapes(folder: Path) -> Dataset:
    """The set, in folder/set."""
    (folder / "origin.txt").write_text("drawn by a test")
    source = Source(path=str(folder / "origin.txt"), name="shapes", licence="CC0-1.0")
    return write_rows(
        "shapes", source, {"origin.txt": "0" * 64}, {}, rows(), folder / "set", kind="shapes"
    )
