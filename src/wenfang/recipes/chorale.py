"""The bundle `chorale`: music for four voices, from nothing, to a melody, around what is given."""

from __future__ import annotations

from wenfang.models import gpt
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe
from wenfang.trainer import TrainConfig


def chorale() -> Recipe:
    """A GPT over the events of Bach's chorales, in every key that the voices can sing.

    229 pieces are little: a fifth of each branch's values is left out in training.
    """
    return Recipe(
        name="chorale",
        summary="music for four voices: composed, harmonised, continued, filled in",
        data=DataConfig(source="jsb_chorales", layout="parts", validation_examples=32),
        model=gpt.Config(
            width=128,
            layers=5,
            heads=4,
            kv_heads=4,
            hidden_width=352,
            context=2048,
            tied_head=True,
            dropout=0.2,
        ),
        optim=OptimConfig(
            kind="muon",
            lr=2e-3,
            matrix_lr=0.01,
            weight_decay=0.1,
            schedule="stable-decay",
            decay_share=0.5,
            warmup_steps=50,
        ),
        train=TrainConfig(
            steps=2400,
            batch_size=8,
            average_decay=0.995,
            evaluate_every=250,
            checkpoint_every=250,
            log_every=20,
        ),
        threads=1,
    )
