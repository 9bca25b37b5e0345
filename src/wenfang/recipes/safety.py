"""The bundle `safety-zh`: is a Chinese text offensive? A gate, not a generator."""

from __future__ import annotations

from wenfang.models import text_classifier
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe, TokenizerConfig
from wenfang.trainer import TrainConfig


def safety() -> Recipe:
    """A classifier of 0.85 M parameters, five epochs; characters seen once are unknown ones."""
    return Recipe(
        name="safety-zh",
        summary="a judge of offence in Chinese text",
        data=DataConfig(source="cold_zh_offensive", layout="labelled"),
        tokenizer=TokenizerConfig(kind="characters", least_count=2),
        family="text-classifier",
        model=text_classifier.Config(width=64, channels=64),
        optim=OptimConfig(
            kind="adamw",
            lr=2e-3,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            schedule="linear",
            warmup_steps=100,
        ),
        train=TrainConfig(
            steps=1775, batch_size=64, evaluate_every=355, checkpoint_every=355, log_every=20
        ),
        threads=1,  # its matrices are too small to share
    )
