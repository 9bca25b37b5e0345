"""The bundle `copywriter`: facts about a venue become a text that tells them."""

from __future__ import annotations

from wenfang.models import seq2seq
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, ObjectiveConfig, Recipe, TokenizerConfig
from wenfang.trainer import TrainConfig


def copywriter() -> Recipe:
    """A Transformer of 2.2 M parameters, six epochs of the E2E set; names are slots."""
    return Recipe(
        name="copywriter",
        summary="copy for a venue from its facts, in English",
        data=DataConfig(source="e2e_nlg", layout="venue", validation_examples=4672),
        tokenizer=TokenizerConfig(kind="bytes", size=1500),
        family="seq2seq",
        model=seq2seq.Config(
            width=192,
            encoder_layers=2,
            decoder_layers=3,
            heads=6,
            head_width=32,
            hidden_width=384,
            context=128,
            dropout=0.1,
        ),
        objective=ObjectiveConfig(label_smoothing=0.1),
        optim=OptimConfig(
            kind="muon",
            lr=3e-3,
            table_lr=0.03,
            matrix_lr=0.02,
            schedule="linear",
            warmup_steps=100,
        ),
        train=TrainConfig(
            steps=3900,
            batch_size=64,
            average_decay=0.998,
            evaluate_every=325,
            checkpoint_every=100,
            log_every=10,
        ),
        threads=1,
    )
