"""The recipe `picture`: a folder of a team's own pictures makes a generator of such pictures.

What is not asked for follows from the folder: where pictures have captions (or labels or names that
are words) the model is told in words, where their labels are none by class, else not at all. It
draws in the latents of `pictogram-latents` if those hold its pictures well, else in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wenfang import config
from wenfang.backends.shelf import find_local
from wenfang.backends.word_reader import is_readable
from wenfang.checkpoint import BundleFiles
from wenfang.data.captions import LEAST_CAPTIONED, Caption
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.picture_folder import PictureRequest, prepare_pictures
from wenfang.data.pixels import Pixels
from wenfang.data.request import Source
from wenfang.data.split import Split
from wenfang.errors import BundleError, ConfigError, DataError
from wenfang.interop.licences import given_licence
from wenfang.language import t
from wenfang.metrics.pictures import psnr_db
from wenfang.models import dit, unet
from wenfang.models.load import load
from wenfang.models.vae import VAE
from wenfang.optim import OptimConfig
from wenfang.recipes.companions import ROLES
from wenfang.recipes.recipe import DataConfig, DenoisingConfig, ObjectiveConfig, Recipe
from wenfang.recipes.tune import Tell, rule_name, tell_licence
from wenfang.trainer import TrainConfig

PICTURE = "picture"
SUMMARY = "a generator of pictures like those in a folder of your own"
LATENTS, WORDS, UPSCALER = "pictogram-latents", "encoder", "upscaler"
SIDE_PX, PIXELS_PX = 64, 32  # of what is drawn in latents, and in pixels
LEAST_PSNR_DB, LOOKED_AT = 22.0, 64  # below it latents would blur what is to be learnt
LEAST_PICTURES, FEW_PICTURES = 16, 1000
BATCH, EPOCHS, STEPS = 32, 200, (1200, 12_000)
TUNED_EPOCHS, TUNED_STEPS = 60, (300, 4000)


def start_picture(
    base: BundleFiles | None,
    data: Path | None,
    output: Path,
    settings: tuple[str, ...],
    tell: Tell = lambda line: None,
) -> tuple[Recipe, Dataset]:
    """The recipe and the data set of a run on a team's own pictures.

    data    a folder of pictures, or a data set of them
    tell    is told what is made of the folder, and what to expect
    raises  ConfigError without data, DataError for too few pictures, BundleError for a base that
            draws no pictures from words
    """
    if data is None:
        raise ConfigError("a generator learns from pictures; give a folder of them with --data")
    plain = Recipe(
        name=data.resolve().name,
        summary=SUMMARY,
        data=DataConfig(source=data.resolve().name, layout="denoising"),
    )
    asked = config.override(replace(plain, family="dit", model=dit.Config()), settings)
    dataset = _dataset(data, output, asked.tune.licence)
    count = dataset.count("train")
    if count < LEAST_PICTURES:
        raise DataError(
            "{folder} has {count} pictures to learn from; {least} are the least, some hundreds "
            "better",
            folder=data,
            count=count,
            least=LEAST_PICTURES,
        )
    _tell_counts(dataset, data, tell)
    shaped = _upon(plain, base) if base else _fitting(plain, dataset, tell)
    recipe = config.override(_sized(shaped, count, tuned=base is not None), settings)
    return replace(recipe, name=recipe.tune.name or recipe.name), dataset


def _dataset(data: Path, output: Path, licence: str) -> Dataset:
    if (data / MANIFEST).is_file():
        if licence:
            raise ConfigError(
                "{folder} is a data set, which has its licence; leave tune.licence out",
                folder=data,
            )
        return Dataset.open(data)
    source = Source(path=str(data), licence=given_licence(licence) if licence else "")
    request = PictureRequest(
        side_px=SIDE_PX, transparent=True, split=Split(train=0.9, valid=0.1, test=0.0)
    )
    return prepare_pictures(source, output, request)


def _tell_counts(dataset: Dataset, data: Path, tell: Tell) -> None:
    train, valid = dataset.count("train"), dataset.count("valid")
    tell(t("{train} pictures to learn from, {valid} to measure by", train=train, valid=valid))
    for rule, count in dataset.counts.get("rejected", {}).items():
        tell(t("{count} pictures were left out: {rule}", count=count, rule=rule_name(rule)))
    if train < FEW_PICTURES:
        tell(
            t(
                "so few pictures are learnt by heart: expect variations of them and mixtures, not "
                "new things; some thousands make it freer"
            )
        )
    tell_licence(dataset, data, tell)


def _fitting(plain: Recipe, dataset: Dataset, tell: Tell) -> Recipe:
    """What the pictures and their captions allow."""
    records = list(dataset.records("train"))
    said = sum(all(map(is_readable, Caption.of(one).names)) for one in records) / len(records)
    labels = sorted({str(record.get("label", "")) for record in records} - {""})
    words = WORDS if said >= LEAST_CAPTIONED and find_local(WORDS) else ""
    by_class = not words and len(labels) > 1
    latents = LATENTS if not by_class and _held_well(records, tell) else ""
    if words:
        tell(t("it will be told in words: {share} of the pictures have them", share=f"{said:.0%}"))
    elif by_class:
        tell(t("it will be told by class: {names}", names=", ".join(labels)))
    else:
        tell(
            t(
                "it will be told nothing, since only {share} of the pictures have captions in "
                "English or Chinese; write each beside its picture (cat.png, cat.txt) or all "
                "into captions.csv",
                share=f"{said:.0%}",
            )
        )
    upscaler = UPSCALER if find_local(UPSCALER) else ""
    if latents or words:
        return _drawn_by_dit(plain, latents, words, upscaler)
    return replace(
        plain,
        data=replace(plain.data, side_px=PIXELS_PX, upscaler=upscaler),
        family="unet",
        model=unet.Config(
            in_channels=4,
            out_channels=4,
            channels=(48, 96),
            attention=(False, True),
            blocks=1,
            groups=8,
            patch=2,
            classes=len(labels) if by_class else 0,
        ),
        objective=ObjectiveConfig(
            denoising=DenoisingConfig(path="flow", data_std=0.6, times="logit-normal")
        ),
    )


def _drawn_by_dit(plain: Recipe, latents: str, words: str, upscaler: str) -> Recipe:
    channels, patch, spread = (16, 1, 1.0) if latents else (4, 4, 0.6)
    return replace(
        plain,
        data=replace(
            plain.data,
            side_px=0 if latents else PIXELS_PX,
            latents=latents,
            words=words,
            upscaler=upscaler,
        ),
        family="dit",
        model=dit.Config(
            in_channels=channels,
            out_channels=channels,
            patch=patch,
            width=192,
            layers=6,
            heads=6,
            hidden_width=768,
            text_width=192 if words else 0,
        ),
        objective=ObjectiveConfig(
            denoising=DenoisingConfig(path="flow", data_std=spread, times="logit-normal")
        ),
    )


@torch.no_grad()
def _held_well(records: Sequence[Mapping[str, Any]], tell: Tell) -> bool:
    """Whether the latents at hand bring these pictures back."""
    folder = find_local(LATENTS)
    if folder is None:
        return False
    model = load(folder).model
    assert isinstance(model, VAE)
    chosen = records[:: max(1, len(records) // LOOKED_AT)][:LOOKED_AT]
    pixels = Pixels.read(chosen, model.config.in_channels, model.config.side_px)
    if pixels.values.shape[-1] != model.config.side_px:
        return False
    own = pixels.tensor(slice(None), least=0.0)
    found = psnr_db(own.double().numpy(), model(own).clamp(0, 1).double().numpy())
    if found >= LEAST_PSNR_DB:
        return True
    tell(
        t(
            "these pictures come back from the latents of {name} with {found} dB, too blurred; "
            "pixels are drawn in place of them, {side} x {side}",
            name=LATENTS,
            found=f"{found:.1f}",
            side=PIXELS_PX,
        )
    )
    return False


def _upon(plain: Recipe, base: BundleFiles) -> Recipe:
    """The same model as that of a bundle that draws from words, which goes on learning."""
    painting = base.config.get("painting")
    name = str(base.manifest["name"])
    if base.config.get("family") != "dit" or not isinstance(painting, dict):
        raise BundleError("{name} draws no pictures from words; choose another base", name=name)
    beside: dict[str, Any] = {
        role: str(painting[role]["name"]) for role in ROLES if isinstance(painting.get(role), dict)
    }
    beside["enlarged"] = painting.get("enlarged", "")
    model: dit.Config = config.from_dict(
        dit.Config, base.config.get("model", {}), where=str(base.folder), error=BundleError
    )
    return replace(
        plain,
        data=replace(plain.data, **beside),
        family="dit",
        model=model,
        objective=ObjectiveConfig(
            denoising=DenoisingConfig(
                path=painting["path"]["kind"],
                data_std=painting["path"].get("data_std", 1.0),
                times="logit-normal",
            )
        ),
    )


def _sized(shaped: Recipe, count: int, *, tuned: bool) -> Recipe:
    """Batch, rate and length for so many pictures."""
    batch = min(BATCH, count)
    epochs, (least, most) = (TUNED_EPOCHS, TUNED_STEPS) if tuned else (EPOCHS, STEPS)
    steps = max(least, min(epochs * math.ceil(count / batch), most))
    return replace(
        shaped,
        optim=OptimConfig(
            kind="adamw",
            lr=3e-4 if tuned else 1e-3,
            betas=(0.9, 0.99),
            schedule="cosine",
            warmup_steps=50,
        ),
        train=TrainConfig(
            steps=steps,
            batch_size=batch,
            average_decay=0.995,
            evaluate_every=max(1, steps // 10),
            checkpoint_every=100,
            log_every=10,
        ),
        threads=1,
    )
