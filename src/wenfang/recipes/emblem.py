"""Pictograms told in English or Chinese: their latents, and what draws them from words."""

from __future__ import annotations

from wenfang.models import dit, text_image, vae
from wenfang.objectives.reconstruction import Elbo
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, DenoisingConfig, ObjectiveConfig, Recipe
from wenfang.trainer import TrainConfig

SOURCE = "pictograms"
SIDE_PX = 64


def pictogram_latents() -> Recipe:
    """An autoencoder of coloured pictograms and of what is seen through them.

    Its one spread for all values is learnt, so it settles by itself how much a latent may cost
    beside the error that it saves (Rybkin et al. 2021, arXiv:2006.13202).
    """
    return Recipe(
        name="pictogram-latents",
        summary="an autoencoder of pictograms, in whose latents emblem draws",
        data=DataConfig(
            source=SOURCE,
            layout="elbo",
            validation_examples=64,
            shift_px=4,
            mirrored=True,
            side_px=SIDE_PX,
        ),
        family="vae",
        model=vae.Config(
            in_channels=4,
            side_px=SIDE_PX,
            patch=4,
            channels=(96, 192),
            latent="map",
            latent_width=16,
            likelihood="gaussian",
        ),
        objective=ObjectiveConfig(elbo=Elbo()),
        optim=OptimConfig(
            kind="adamw", lr=2e-3, betas=(0.9, 0.99), schedule="cosine", warmup_steps=200
        ),
        train=TrainConfig(
            steps=6000,
            batch_size=32,
            average_decay=0.999,
            clip_norm=1e6,  # of a loss in nats of 16,384 values, which Adam takes at any scale
            evaluate_every=500,
            checkpoint_every=250,
            log_every=25,
        ),
        threads=1,
    )


def emblem() -> Recipe:
    """A Transformer that draws the latents of what is said in English or Chinese."""
    return Recipe(
        name="emblem",
        summary="pictograms from words in English or Chinese",
        data=DataConfig(
            source=SOURCE,
            layout="denoising",
            validation_examples=256,
            latents="pictogram-latents",
            words="encoder",
            nearest=True,
            upscaler="upscaler",
            enlarged="traced",
        ),
        family="dit",
        model=dit.Config(
            in_channels=16,
            out_channels=16,
            width=192,
            layers=8,
            heads=6,
            hidden_width=768,
            text_width=192,
            sketch_width=512,
            sketch_side=8,
        ),
        objective=ObjectiveConfig(
            denoising=DenoisingConfig(path="flow", times="logit-normal", shift=3.0)
        ),
        optim=OptimConfig(
            kind="muon", lr=1e-3, betas=(0.9, 0.99), schedule="stable-decay", warmup_steps=100
        ),
        train=TrainConfig(
            steps=20_000,
            batch_size=64,
            average_decay=0.999,
            evaluate_every=500,
            checkpoint_every=250,
            log_every=25,
        ),
        threads=1,
        eight_bits=True,
    )


def emblem_reader() -> Recipe:
    """A judge of emblem: what it draws, and what it should have drawn, must lie near each other.

    It learns from the held-out glyphs as well, which emblem never sees: a judge must know what
    they look like.
    """
    return Recipe(
        name="emblem-reader",
        summary="a reader of pictograms and of what is said of them, which judges emblem",
        data=DataConfig(
            source=SOURCE,
            layout="matching",
            validation_examples=24 * 8,
            words="encoder",
            learnt_parts=("train", "test"),
        ),
        family="text-image",
        model=text_image.Config(),
        optim=OptimConfig(
            kind="adamw",
            lr=2e-3,
            betas=(0.9, 0.99),
            weight_decay=0.05,
            schedule="cosine",
            warmup_steps=100,
        ),
        train=TrainConfig(
            steps=2500,
            batch_size=128,
            evaluate_every=250,
            checkpoint_every=250,
            log_every=20,
            seed=77,  # none of the generator's
        ),
        threads=1,
    )
