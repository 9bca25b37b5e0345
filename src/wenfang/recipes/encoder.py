"""The bundle `encoder`: vectors of sentences and words, in English and Chinese."""

from __future__ import annotations

from wenfang.models import bert
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, ObjectiveConfig, Recipe, TokenizerConfig
from wenfang.trainer import TrainConfig


def encoder() -> Recipe:
    """A BERT of 3.4 M parameters; translations of each other lie near each other."""
    return Recipe(
        name="encoder",
        summary="vectors of sentences and words in English and Chinese",
        data=DataConfig(source="encoder_texts", layout="bilingual", window=64),
        tokenizer=TokenizerConfig(kind="bytes", size=10000),
        family="bert",
        model=bert.Config(width=192, layers=3, heads=6, hidden_width=768, context=64, dropout=0.1),
        objective=ObjectiveConfig(temperature=0.05, hidden_weight=0.3, texts_a_batch=48),
        optim=OptimConfig(
            kind="muon", lr=2e-3, matrix_lr=0.01, schedule="linear", warmup_steps=100
        ),
        train=TrainConfig(
            steps=6000,
            batch_size=128,
            average_decay=0.998,
            evaluate_every=300,
            checkpoint_every=150,
            log_every=20,
        ),
        threads=1,
    )
