"""Spoken digits (FSDD): a log-mel is a picture here, so models of pictures learn to speak."""

from __future__ import annotations

from dataclasses import replace

from wenfang.models import dit, picture_classifier, unet, vae
from wenfang.objectives.reconstruction import Elbo
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, DenoisingConfig, ObjectiveConfig, Recipe
from wenfang.trainer import TrainConfig

SOURCE, READ = "fsdd", "fsdd_digits"
SIDE_PX = 48
CLASSES = 60  # ten digits by six speakers
GLIDING = OptimConfig(kind="adamw", lr=2e-3, betas=(0.9, 0.99), schedule="cosine", warmup_steps=200)
LONG = TrainConfig(
    steps=4500,
    batch_size=32,
    average_decay=0.999,
    evaluate_every=500,
    checkpoint_every=250,
    log_every=50,
)


def spoken_digits() -> Recipe:
    """A U-Net that follows the flow from noise to the digit and the voice that it is told."""
    return Recipe(
        name="spoken-digits",
        summary="a diffusion model of spoken digits, told the digit and the speaker",
        data=DataConfig(source=SOURCE, layout="denoising", validation_examples=250, shift_px=1),
        family="unet",
        model=unet.Config(
            in_channels=1,
            out_channels=1,
            patch=4,
            channels=(48, 64),
            attention=(False, True),
            blocks=1,
            groups=8,
            classes=CLASSES,
        ),
        objective=ObjectiveConfig(
            denoising=DenoisingConfig(path="flow", data_std=0.55, times="logit-normal")
        ),
        optim=GLIDING,
        train=LONG,
        threads=1,
    )


def spoken_digits_dit() -> Recipe:
    """A Transformer that follows the same flow: squares of 4 bands by 4 frames are its tokens."""
    return replace(
        spoken_digits(),
        name="spoken-digits-dit",
        summary="a diffusion Transformer of spoken digits, told the digit and the speaker",
        family="dit",
        model=dit.Config(
            in_channels=1,
            out_channels=1,
            patch=4,
            width=128,
            layers=6,
            heads=4,
            hidden_width=512,
            classes=CLASSES,
        ),
        # AdamW alone needs twice as many steps to the same validation error.
        optim=replace(GLIDING, kind="muon", lr=1e-3, schedule="stable-decay"),
    )


def spoken_digits_vae() -> Recipe:
    """An autoencoder of spoken digits; which one is drawn is left to chance."""
    return Recipe(
        name="spoken-digits-vae",
        summary="an autoencoder of spoken digits",
        data=DataConfig(source=SOURCE, layout="elbo", validation_examples=250, shift_px=1),
        family="vae",
        model=vae.Config(
            side_px=SIDE_PX,
            patch=2,
            channels=(24, 48, 64),
            latent_width=32,
            likelihood="gaussian",
        ),
        objective=ObjectiveConfig(elbo=Elbo(free_nats=0.05)),
        optim=GLIDING,
        train=TrainConfig(
            steps=2000,
            batch_size=32,
            average_decay=0.999,
            clip_norm=1000.0,
            evaluate_every=500,
            checkpoint_every=250,
            log_every=50,
        ),
        threads=1,
    )


def spoken_digit_reader() -> Recipe:
    """A recogniser that judges the others: it learns from the data alone and never from them."""
    return Recipe(
        name="spoken-digit-reader",
        summary="a recogniser of spoken digits, which judges made ones",
        data=DataConfig(source=READ, layout="picture-classes", validation_examples=250, shift_px=2),
        family="picture-classifier",
        model=picture_classifier.Config(side_px=SIDE_PX, channels=(16, 32, 64, 64), dropout=0.3),
        optim=OptimConfig(
            kind="adamw", lr=3e-3, betas=(0.9, 0.99), weight_decay=0.01, schedule="cosine"
        ),
        train=TrainConfig(
            steps=1500, batch_size=50, evaluate_every=250, checkpoint_every=250, log_every=50
        ),
        threads=1,
    )
