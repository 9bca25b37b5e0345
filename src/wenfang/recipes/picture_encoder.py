"""The bundle `picture-encoder`: which pictures are near copies? An eye of the checks."""

from __future__ import annotations

from wenfang.models import picture_encoder as family
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe
from wenfang.trainer import TrainConfig


def picture_encoder() -> Recipe:
    """A convolutional encoder of 0.55 M parameters, about a hundred epochs over drawings."""
    return Recipe(
        name="picture-encoder",
        summary="an encoder of pictures that finds altered copies",
        data=DataConfig(source="drawings", layout="pictures", validation_examples=256),
        family="picture-encoder",
        model=family.Config(),
        optim=OptimConfig(
            kind="adamw",
            lr=3e-3,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            schedule="cosine",
            warmup_steps=100,
        ),
        train=TrainConfig(
            steps=1500, batch_size=128, evaluate_every=200, checkpoint_every=200, log_every=20
        ),
        threads=1,  # its maps are too small to share
    )
