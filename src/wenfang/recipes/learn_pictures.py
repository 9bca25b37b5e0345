"""How models of pictures learn: phases, batches and evaluation of every layout of pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang import config
from wenfang.data.batches import Batches, Share
from wenfang.data.captions import Captioned, CaptionedBatches
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.drawings import drawing
from wenfang.data.finer import Fine, FineBatches
from wenfang.data.matched import Matched, MatchedBatches
from wenfang.data.picture_batches import PictureBatches
from wenfang.data.pixels import PixelBatches, Pixels
from wenfang.errors import ConfigError, DataError
from wenfang.language import t
from wenfang.media.mel import MelScale
from wenfang.models import (
    dit,
    gan,
    picture_classifier,
    picture_encoder,
    text_image,
    unet,
    upscaler,
    vae,
)
from wenfang.models.latent_space import LatentSpace, scales_of
from wenfang.noise import path_record
from wenfang.objectives import Objective
from wenfang.objectives.adversarial import Discriminate, Generate
from wenfang.objectives.classification import Classification
from wenfang.objectives.contrastive import Contrastive
from wenfang.objectives.denoising import Denoising
from wenfang.objectives.matching import Matching
from wenfang.objectives.restoring import Restoring
from wenfang.recipes.companions import companion_records, load_reader, load_space
from wenfang.recipes.picture_suite import read_drawings
from wenfang.recipes.recipe import Recipe
from wenfang.trainer import Phase

Evaluate = Callable[[nn.Module], dict[str, float]]
PixelModel: TypeAlias = (
    vae.Config | gan.Config | unet.Config | dit.Config | picture_classifier.Config
)
Learnt: TypeAlias = tuple[tuple[Phase, ...], Batches, Evaluate]

MEASURED_BATCH, FINE_ROWS = 250, 32
SCALED_BY = 4000  # pictures whose latents' means and deviations are taken
WON_SHARE = 0.98  # of held-out and made pictures that a discriminator tells apart


def _views(recipe: Recipe, dataset: Dataset) -> Learnt:
    assert isinstance(recipe.model, picture_encoder.Config)
    train, valid = (read_drawings(dataset, split) for split in ("train", "valid"))
    batches = PictureBatches(
        drawings=train,
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
        side_px=recipe.model.side_px,
    )
    count = min(recipe.data.validation_examples, len(valid.glyphs))
    measured = PictureBatches(
        drawings=valid, batch_size=count, seed=0, side_px=recipe.model.side_px
    ).batch(0, Share())
    objective = Contrastive()

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        loss = objective(model, measured, torch.Generator())
        return {"val_loss": float(loss.value)} | {f"val_{n}": v for n, v in loss.parts.items()}

    return (Phase(objective=objective, optim=recipe.optim),), batches, evaluate


def _classes(recipe: Recipe, dataset: Dataset) -> Learnt:
    assert isinstance(recipe.model, picture_classifier.Config)
    batches, held = _batches(recipe, recipe.model, dataset, least=-1.0)
    known = len(batches.pixels.names)
    if recipe.model.classes != known:
        raise ConfigError(
            "model.classes is {asked}, the data set has {known}; set it to that",
            asked=recipe.model.classes,
            known=known,
        )
    objective = Classification(inputs="pictures", label="classes")

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        batches = [held.batch(index, Share()) for index in range(_count(recipe, held))]
        logits = torch.cat([model(batch["pictures"]) for batch in batches])
        classes = torch.cat([batch["classes"] for batch in batches])
        return {
            "val_loss": float(functional.cross_entropy(logits, classes)),
            "val_accuracy_share": float((logits.argmax(1) == classes).double().mean()),
        }

    return (Phase(objective=objective, optim=recipe.optim),), batches, evaluate


def _elbo(recipe: Recipe, dataset: Dataset) -> Learnt:
    assert isinstance(recipe.model, vae.Config)
    batches, held = _batches(recipe, recipe.model, dataset, least=0.0)
    objective = recipe.objective.elbo
    # What is measured is the plain bound, whatever is trained, so that runs can be compared.
    measured = replace(objective, beta=1.0, free_nats=0.0, samples=1)
    moved = r"^(decoder\.|log_spread$)" if objective.decoder_only else ""
    phase = Phase(objective=objective, optim=recipe.optim, parameters=moved)
    return (phase,), batches, _mean_loss(measured, held, _count(recipe, held))


def _game(recipe: Recipe, dataset: Dataset) -> Learnt:
    """The discriminators learn in every step, the generators in every `turns`-th."""
    assert isinstance(recipe.model, gan.Config)
    batches, held = _batches(recipe, recipe.model, dataset, least=-1.0)
    batches, held = (_labelled(one, recipe.model.classes) for one in (batches, held))
    asked = recipe.objective.game
    if asked.auxiliary and not recipe.model.auxiliary:
        raise ConfigError(
            "objective.game.auxiliary asks a discriminator that foretells classes; set "
            "model.auxiliary"
        )
    discriminate = Discriminate(
        game=asked.game,
        gradient_penalty=asked.gradient_penalty,
        r1=asked.r1,
        auxiliary=asked.auxiliary,
    )
    phases = (
        Phase(
            name="discriminator",
            objective=discriminate,
            optim=recipe.optim,
            parameters=r"^discriminators\.",
        ),
        Phase(
            name="generator",
            objective=Generate(game=asked.game, auxiliary=asked.auxiliary),
            optim=recipe.optim,
            parameters=r"^generators\.",
            every=asked.turns,
        ),
    )
    # A penalty asks for gradients, of which there are none in evaluation.
    plain = Discriminate(game=asked.game)
    return phases, batches, _mean_loss(plain, held, _count(recipe, held))


def _denoising(recipe: Recipe, dataset: Dataset) -> Learnt:
    assert isinstance(recipe.model, unet.Config | dit.Config)
    batches: Batches
    if recipe.data.latents or recipe.data.words:
        batches, measured_batches, count = _captioned(recipe, recipe.model, dataset)
    else:
        own, held = _batches(recipe, recipe.model, dataset, least=-1.0)
        batches, measured_batches = (_labelled(one, recipe.model.classes) for one in (own, held))
        count = _count(recipe, held)
    asked = recipe.objective.denoising
    objective = Denoising(
        path=asked.built_path(),
        times=asked.times,
        shift=asked.shift,
        weighting=asked.weighting,
        snr_most=asked.snr_most,
        no_class=recipe.model.classes,
        drop_condition=asked.drop_condition if recipe.model.classes or recipe.data.words else 0.0,
        sketch_only=asked.sketch_only,
    )
    measured = replace(objective, times="uniform", shift=1.0, weighting="even", drop_condition=0.0)
    moved = r"^sketch\." if asked.sketch_only else ""
    if isinstance(recipe.model, dit.Config) and recipe.model.sketch_width and not moved:
        # Learnt alone first; with the rest, at its rate and batch, it would be unlearnt.
        moved = r"^(?!sketch\.)"
    phase = Phase(objective=objective, optim=recipe.optim, parameters=moved)
    return (phase,), batches, _mean_loss(measured, measured_batches, count)


def _captioned(
    recipe: Recipe, model: unet.Config | dit.Config, dataset: Dataset
) -> tuple[Batches, Batches, int]:
    """Batches of pictures, or of their latents, with words; and how many to measure."""
    space, reader = load_space(recipe), load_reader(recipe)
    known = model.text_width if isinstance(model, dit.Config) else 0
    width = reader.width if reader else 0
    if known != width:
        raise ConfigError(
            "model.text_width is {asked}, vectors of words have {found}; set it to that",
            asked=known,
            found=width,
        )
    if model.classes:
        raise ConfigError("model.classes does not go with data.latents or data.words; set it to 0")
    read: dict[str, Captioned] = {}
    for part in ("train", "valid"):
        pictures = _drawn_in(space, recipe, model, dataset, part)
        records = dataset.records(part)
        read[part] = Captioned.build(pictures, records if reader else None)
    if reader:
        read["train"].require_captions()
    drawn = read["train"].pictures.shape[-1]
    if isinstance(model, dit.Config) and model.sketch_width and model.sketch_side != drawn:
        raise ConfigError(
            "model.sketch_side is {asked}, what is drawn has {found}; set it to that",
            asked=model.sketch_side,
            found=drawn,
        )
    size = min(recipe.train.batch_size, len(read["valid"]))
    batches, held = (
        CaptionedBatches(captioned=one, read=reader, batch_size=rows, seed=seed)
        for one, rows, seed in (
            (read["train"], recipe.train.batch_size, recipe.train.seed),
            (read["valid"], size, 0),
        )
    )
    return batches, held, max(1, recipe.data.validation_examples // size)


def _drawn_in(
    space: LatentSpace | None,
    recipe: Recipe,
    model: unet.Config | dit.Config,
    dataset: Dataset,
    part: str,
) -> Tensor:
    """Pictures as the model draws them: (N, C, H, W) of -1..1, or (N, Z, h, w) latents."""
    channels = space.vae.config.in_channels if space else model.in_channels
    side = space.vae.config.side_px if space else recipe.data.side_px
    pixels = Pixels.read(dataset.records(part), channels, side)
    if space is None:
        return pixels.tensor(slice(None))
    if space.shape[0] != model.in_channels:
        raise ConfigError(
            "model.in_channels is {asked}, latents have {found}; set both of the model's to that",
            asked=model.in_channels,
            found=space.shape[0],
        )
    return space.encode(pixels.tensor(slice(None), least=0.0))


def _matching(recipe: Recipe, dataset: Dataset) -> Learnt:
    assert isinstance(recipe.model, text_image.Config)
    model, reader = recipe.model, load_reader(recipe)
    if reader is None or reader.width != model.text_width:
        raise ConfigError(
            "model.text_width is {asked}, vectors of words have {found}; set it to that",
            asked=model.text_width,
            found=reader.width if reader else 0,
        )
    parts = (dataset.records(part) for part in recipe.data.learnt_parts)
    batches, held = (
        MatchedBatches(matched=one, read=reader, batch_size=rows, seed=seed, side_px=model.side_px)
        for one, rows, seed in (
            (Matched.read(chain(*parts)), recipe.train.batch_size, recipe.train.seed),
            _held_matched(dataset),
        )
    )
    count = max(1, recipe.data.validation_examples // held.batch_size)
    objective = Matching()
    phase = Phase(objective=objective, optim=recipe.optim)
    return (phase,), batches, _mean_loss(objective, held, count)


def _upscaling(recipe: Recipe, dataset: Dataset) -> Learnt:
    assert isinstance(recipe.model, upscaler.Config)
    times = recipe.model.times
    batches, held = (
        FineBatches(fine=Fine.read(dataset.records(part)), batch_size=rows, seed=seed, times=times)
        for part, rows, seed in (
            ("train", recipe.train.batch_size, recipe.train.seed),
            ("valid", FINE_ROWS, 0),
        )
    )
    objective = Restoring()
    count = max(1, recipe.data.validation_examples // FINE_ROWS)
    phase = Phase(objective=objective, optim=recipe.optim)
    return (phase,), batches, _mean_loss(objective, held, count)


def _held_matched(dataset: Dataset) -> tuple[Matched, int, int]:
    held = Matched.read(dataset.records("valid"))
    return held, min(MEASURED_BATCH, len(held.drawings.glyphs)), 0


def _batches(
    recipe: Recipe, model: PixelModel, dataset: Dataset, least: float
) -> tuple[PixelBatches, PixelBatches]:
    """Batches to learn from, and the validation part in one fixed order."""
    side, channels = recipe.data.side_px, model.in_channels
    train = Pixels.read(dataset.records("train"), channels, side)
    valid = Pixels.read(dataset.records("valid"), channels, side, train.names)
    found = train.values.shape[-1]
    if not isinstance(model, unet.Config | dit.Config) and model.side_px != found:
        raise ConfigError(
            "model.side_px is {side}, the pictures have {found}; set it to that",
            side=model.side_px,
            found=found,
        )
    batches = PixelBatches(
        pixels=train,
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
        least=least,
        shift_px=recipe.data.shift_px,
        mirrored=recipe.data.mirrored,
    )
    size = min(MEASURED_BATCH, len(valid))
    return batches, PixelBatches(pixels=valid, batch_size=size, seed=0, least=least)


def _labelled(batches: PixelBatches, classes: int) -> PixelBatches:
    """The same batches, without classes where the model knows none."""
    names = batches.pixels.names
    if classes not in (0, len(names)):
        raise ConfigError(
            "model.classes is {asked}, the data set has {known}; set it to that",
            asked=classes,
            known=len(names),
        )
    return batches if classes else replace(batches, pixels=replace(batches.pixels, names=()))


def _count(recipe: Recipe, held: PixelBatches) -> int:
    """Batches of the validation part that are measured."""
    wanted = min(recipe.data.validation_examples, len(held.pixels))
    return max(1, wanted // held.batch_size)


def _mean_loss(objective: Objective, held: Batches, count: int) -> Evaluate:
    """Mean loss and parts over the validation part, with the same noise every time."""

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        rng = torch.Generator().manual_seed(0)
        sums: dict[str, float] = {}
        for index in range(count):
            loss = objective(model, held.batch(index, Share()), rng)
            for name, value in ({"loss": float(loss.value)} | loss.parts).items():
                sums[f"val_{name}"] = sums.get(f"val_{name}", 0.0) + value / count
        return sums

    return evaluate


def painting_of(recipe: Recipe, dataset: Dataset, trained: nn.Module) -> dict[str, object]:
    """What a bundle must say of the pictures that it makes, besides its shape."""
    found, model = pictured(recipe, dataset), recipe.model
    if isinstance(model, vae.Config) and model.latent == "map":
        assert isinstance(trained, vae.VAE)
        pixels = Pixels.read(dataset.records("train"), model.in_channels, recipe.data.side_px)
        chosen = slice(0, SCALED_BY)
        scales = config.to_dict(scales_of(trained, pixels.tensor(chosen, least=0.0)))
        # Where bundles have always had them: their hash is of the file.
        shape = {name: found[name] for name in ("side_px", "channels")}
        return shape | {"scales": scales} | found
    return found


def pictured(recipe: Recipe, dataset: Dataset) -> dict[str, object]:
    """What is said of the pictures before anything is learnt: all but the scales of latents."""
    model = recipe.model
    assert isinstance(model, vae.Config | gan.Config | unet.Config | dit.Config)
    space = load_space(recipe)
    drawn = space.vae.config if space else None
    first = next(iter(dataset.records("train")))
    stored = drawing(first).width
    side = min(recipe.data.side_px or stored, stored)
    found: dict[str, object] = {
        "side_px": drawn.side_px if drawn else side,
        "channels": drawn.in_channels if drawn else model.in_channels,
    }
    if not isinstance(model, vae.Config) and model.classes:
        labels = {str(record["label"]) for record in dataset.records("train")}
        found["classes"] = sorted(labels)
    for role, companion in companion_records(recipe).items():
        found[role] = config.to_dict(companion)
    if recipe.data.enlarged:
        found["enlarged"] = recipe.data.enlarged
    if isinstance(model, unet.Config | dit.Config):
        asked = recipe.objective.denoising
        found["path"] = path_record(asked.path, asked.built_path())
    mel = mel_of(dataset)
    if mel and (mel.side, 1) == (found["side_px"], found["channels"]):  # not made smaller, say
        found["mel"] = config.to_dict(mel)
    return found


def mel_of(dataset: Dataset) -> MelScale | None:
    """The scale by which the pictures of a data set are levels of sounds; None: they are not."""
    settings = dataset.manifest.facts.get("settings")
    told = settings.get("mel") if isinstance(settings, dict) else None
    if told is None:
        return None
    where = f"{dataset.folder / MANIFEST}: settings.mel"
    return config.from_dict(MelScale, told, where=where, error=DataError)


def watch_game(values: dict[str, float]) -> str:
    """A warning where the discriminator tells everything apart, and the generator learns little."""
    share = values["val_told_apart_share"]
    if share < WON_SHARE:
        return ""
    return t(
        "the discriminator wins: it tells {share} of the pictures apart, so the generator learns "
        "little; raise objective.game.r1, or lower optim.lr",
        share=f"{share:.0%}",
    )


PAINTERS = ("elbo", "game", "denoising")  # layouts of what makes pictures
PICTURE_LEARNING: dict[str, Callable[[Recipe, Dataset], Learnt]] = {
    "pictures": _views,
    "picture-classes": _classes,
    "elbo": _elbo,
    "game": _game,
    "denoising": _denoising,
    "matching": _matching,
    "upscaling": _upscaling,
}
