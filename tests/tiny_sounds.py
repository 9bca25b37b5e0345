"""Synthetic words that can be learnt in seconds, as recordings, as an archive and as a data set."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wenfang import config
from wenfang.data.dataset import Dataset
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.media.audio import Sound, encode_sound
from wenfang.media.image import encode_png
from wenfang.media.mel import MelScale, mel_picture
from wenfang.models import dit, picture_classifier, unet, vae
from wenfang.recipes import RECIPES
from wenfang.recipes.recipe import Recipe
from wenfang.trainer import TrainConfig

RATE_HZ = 8000
SCALE = MelScale(side=16)
CLASSES = ("1 high", "1 low", "2 high", "2 low")
COUNTS = {"train": 48, "valid": 12, "test": 16}


def word(name: str, seconds: float, draw: np.random.Generator) -> Sound:
    """Harmonics that rise for "1" and fall for "2", of a high or a low voice, with some breath."""
    digit, _, voice = name.partition(" ")
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    share = time / seconds if digit == "1" else 1 - time / seconds
    pitch = (300 if voice == "high" else 120) * (1 + 0.8 * share) * draw.uniform(0.95, 1.05)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    tones = sum(np.sin(number * phase) / number for number in range(1, 6))
    loud = np.sin(np.pi * time / seconds) ** 0.5 * draw.uniform(0.1, 0.3)
    breath = draw.normal(size=len(time)) * 0.001
    return Sound(
        samples=(loud * tones + breath).astype(np.float32)[:, None], sample_rate_hz=RATE_HZ
    )


def rows(label: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, record) of all parts, labelled by "text" or by "digit"."""
    draw = np.random.default_rng(0)
    for part, count in COUNTS.items():
        for number in range(count):
            name = CLASSES[number % len(CLASSES)]
            picture = mel_picture(word(name, draw.uniform(0.15, 0.25), draw), SCALE)
            png = encode_png(Image.fromarray(picture))
            told = {"text": name, "digit": name[0]}
            yield (
                part,
                {
                    "name": f"{part}-{number}",
                    **told,
                    "label": told[label],
                    "png": base64.b64encode(png).decode("ascii"),
                },
            )


def dataset(folder: Path, label: str = "text") -> Dataset:
    """The set, in `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    origin = folder.parent / "origin.txt"
    origin.write_text("played by a test")
    source = Source(path=str(origin), name="words", licence="CC0-1.0")
    settings = {"mel": config.to_dict(SCALE), "label": label}
    return write_rows(
        "words", source, {origin.name: "0" * 64}, settings, rows(label), folder, kind="words"
    )


def archive(path: Path, takes: dict[str, Sound]) -> Path:
    """A tar file of WAVs in a folder, as the origin packs them."""
    with tarfile.open(path, "w:xz") as packed:
        for name, sound in takes.items():
            content = encode_sound(sound, "audio/wav")
            member = tarfile.TarInfo(f"recordings/{name}.wav")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path


TINY: dict[str, Any] = {
    "spoken-digits": replace(unet.PRESETS["tiny"], in_channels=1, out_channels=1, classes=4),
    "spoken-digits-dit": replace(
        dit.PRESETS["tiny"], in_channels=1, out_channels=1, classes=4, text_width=0
    ),
    "spoken-digits-vae": replace(vae.PRESETS["tiny"], side_px=16, likelihood="gaussian"),
    "spoken-digit-reader": replace(picture_classifier.PRESETS["tiny"], side_px=16, classes=2),
}


def recipe(name: str, steps: int) -> Recipe:
    """The recipe of that name at the size of the set."""
    full = RECIPES[name]()
    return replace(
        full,
        model=TINY[name],
        optim=replace(full.optim, warmup_steps=1),
        train=TrainConfig(
            steps=steps, batch_size=12, evaluate_every=steps, checkpoint_every=steps, log_every=1,
            clip_norm=full.train.clip_norm,
        ),
    )  # fmt: skip
