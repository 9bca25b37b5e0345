"""The bundle `verse`: regulated quatrains of the Tang and Song, character by character."""

from __future__ import annotations

from wenfang.models import gpt
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe, TokenizerConfig
from wenfang.trainer import TrainConfig


def verse() -> Recipe:
    """A GPT of about 5 M parameters over traditional characters.

    Two times in five the title is left out: without one the model learns the language of quatrains,
    with one to be steered by it.
    """
    return Recipe(
        name="verse",
        summary="Tang and Song quatrains, steered by a title",
        data=DataConfig(source="chinese_poetry", layout="verse", drop_condition=0.4),
        tokenizer=TokenizerConfig(kind="characters", least_count=1),
        model=gpt.Config(
            width=224,
            layers=5,
            heads=7,
            kv_heads=7,
            hidden_width=608,
            context=64,
            tied_head=True,
        ),
        optim=OptimConfig(
            kind="muon",
            lr=3e-3,
            matrix_lr=0.02,
            schedule="stable-decay",
            decay_share=0.8,
            warmup_steps=200,
        ),
        train=TrainConfig(
            steps=6200,
            batch_size=64,
            evaluate_every=500,
            checkpoint_every=200,
            log_every=20,
        ),
    )
