"""Handwritten digits (MNIST): one data set, and every way of learning to make pictures of it."""

from __future__ import annotations

from wenfang.models import gan, picture_classifier, unet, vae
from wenfang.objectives.reconstruction import Elbo
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, DenoisingConfig, GameConfig, ObjectiveConfig, Recipe
from wenfang.trainer import TrainConfig

SOURCE = "mnist"
# Of what has one loss to lower; a game has none, and needs a rate that stays.
GLIDING = OptimConfig(kind="adamw", lr=2e-3, betas=(0.9, 0.99), schedule="cosine", warmup_steps=200)


def digits_vae() -> Recipe:
    """An autoencoder of pictures that are drawn anew as black or white each time."""
    return Recipe(
        name="digits-vae",
        summary="an autoencoder of handwritten digits",
        data=DataConfig(source=SOURCE, layout="elbo", validation_examples=2000),
        family="vae",
        model=vae.Config(patch=2, channels=(24, 48), latent_width=32),
        objective=ObjectiveConfig(elbo=Elbo(binary=True, free_nats=0.05)),
        optim=GLIDING,
        train=TrainConfig(
            steps=36_000,
            batch_size=100,
            average_decay=0.999,
            clip_norm=100.0,
            evaluate_every=2000,
            checkpoint_every=1000,
            log_every=100,
        ),
        threads=1,  # its maps are too small to share
    )


def digits_gan() -> Recipe:
    """A generator told which digit to write, against one discriminator."""
    return Recipe(
        name="digits-gan",
        summary="a generator of handwritten digits, trained against a discriminator",
        data=DataConfig(source=SOURCE, layout="game", validation_examples=2000),
        family="gan",
        model=gan.Config(patch=2, channels=(32, 64), latent_width=64, classes=10, auxiliary=True),
        # Told by projection alone, 2.8 % of the digits were others than asked for.
        objective=ObjectiveConfig(game=GameConfig(game="non-saturating", r1=1.0, auxiliary=0.5)),
        optim=OptimConfig(
            kind="adamw", lr=5e-4, betas=(0.0, 0.99), schedule="constant", warmup_steps=50
        ),
        train=TrainConfig(
            steps=14_000,
            batch_size=64,
            average_decay=0.999,
            clip_norm=100.0,
            evaluate_every=1000,
            checkpoint_every=1000,
            log_every=50,
        ),
        threads=1,
    )


def digits_diffusion() -> Recipe:
    """A U-Net that follows the flow from noise to the digit that it is told."""
    return Recipe(
        name="digits-diffusion",
        summary="a diffusion model of handwritten digits",
        data=DataConfig(source=SOURCE, layout="denoising", validation_examples=2000),
        family="unet",
        model=unet.Config(
            in_channels=1,
            out_channels=1,
            patch=2,
            channels=(32, 64),
            attention=(False, True),
            blocks=1,
            groups=8,
            classes=10,
        ),
        objective=ObjectiveConfig(
            denoising=DenoisingConfig(path="flow", data_std=0.6, times="logit-normal")
        ),
        optim=GLIDING,
        train=TrainConfig(
            steps=12_000,
            batch_size=64,
            average_decay=0.999,
            evaluate_every=1000,
            checkpoint_every=1000,
            log_every=50,
        ),
        threads=1,
    )


def digit_reader() -> Recipe:
    """A classifier that judges the others: it learns from the data alone and never from them."""
    return Recipe(
        name="digit-reader",
        summary="a classifier of handwritten digits, whose features judge made ones",
        data=DataConfig(
            source=SOURCE, layout="picture-classes", validation_examples=2000, shift_px=2
        ),
        family="picture-classifier",
        model=picture_classifier.Config(dropout=0.3),
        optim=OptimConfig(
            kind="adamw", lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01, schedule="cosine"
        ),
        train=TrainConfig(
            steps=6000, batch_size=100, evaluate_every=1000, checkpoint_every=500, log_every=50
        ),
        threads=1,
    )
