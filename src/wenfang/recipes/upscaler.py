"""Pictograms made larger, for what draws them small."""

from __future__ import annotations

from wenfang.models import upscaler as family
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe
from wenfang.trainer import TrainConfig


def upscaler() -> Recipe:
    """An upscaler by four, from emoji (18 to 72 pixels) and icons (64 to 256)."""
    return Recipe(
        name="upscaler",
        summary="pictograms made four times larger",
        data=DataConfig(source="fine_drawings", layout="upscaling", validation_examples=256),
        family="upscaler",
        model=family.Config(),
        optim=OptimConfig(
            kind="adamw", lr=1e-3, betas=(0.9, 0.99), schedule="cosine", warmup_steps=100
        ),
        train=TrainConfig(
            steps=6000,
            batch_size=16,
            average_decay=0.998,
            evaluate_every=500,
            checkpoint_every=250,
            log_every=25,
        ),
        threads=1,
    )
