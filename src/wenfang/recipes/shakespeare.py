"""Character models of tiny Shakespeare, at nanoGPT's published CPU budget."""

from __future__ import annotations

from dataclasses import replace

from wenfang.models import gpt
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe
from wenfang.trainer import TrainConfig


def shakespeare_cpu() -> Recipe:
    """4 layers of width 128, context 64, batch 12, 2000 steps: 0.8 M parameters.

    nanoGPT's README gives a validation loss of 1.88 nats a character for this budget.
    """
    return Recipe(
        name="shakespeare-cpu",
        summary="a character model of Shakespeare in two minutes on two cores",
        data=DataConfig(source="tinyshakespeare", layout="stream", window=64),
        model=gpt.Config(
            width=128,
            layers=4,
            heads=4,
            kv_heads=4,
            hidden_width=332,
            context=64,
            tied_head=False,
        ),
        optim=OptimConfig(kind="muon", lr=5e-3, matrix_lr=0.02, schedule="linear"),
        train=TrainConfig(
            steps=2000, batch_size=12, evaluate_every=500, checkpoint_every=500, log_every=20
        ),
    )


def tiny() -> Recipe:
    """The smallest run that still learns; tests and first trials use it."""
    base = shakespeare_cpu()
    return replace(
        base,
        name="tiny",
        summary="twenty steps of a very small model, to see that everything works",
        model=gpt.PRESETS["tiny"],
        data=replace(base.data, window=32),
        train=TrainConfig(steps=20, batch_size=4, evaluate_every=10, checkpoint_every=5),
    )
