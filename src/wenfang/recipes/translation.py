"""Translators: English to German captions, to compare with published figures, and what ships."""

from __future__ import annotations

from wenfang.models import seq2seq
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, ObjectiveConfig, Recipe, TokenizerConfig
from wenfang.trainer import TrainConfig


def multi30k() -> Recipe:
    """A Transformer of 2.1 M parameters, 20 epochs of Multi30k; for measuring only.

    The shape is that of fairseq's transformer_tiny (4 + 4 layers of width 128), the published
    model to compare with, with 6,000 byte-level tokens shared by both languages.
    """
    return Recipe(
        name="multi30k",
        summary="English captions into German, lower-cased",
        data=DataConfig(source="multi30k_en_de", layout="pairs", validation_examples=1014),
        tokenizer=TokenizerConfig(kind="bytes", size=6000),
        family="seq2seq",
        model=seq2seq.Config(
            width=128,
            encoder_layers=4,
            decoder_layers=4,
            heads=4,
            head_width=32,
            hidden_width=256,
            context=128,
            dropout=0.2,
        ),
        objective=ObjectiveConfig(label_smoothing=0.1),
        optim=OptimConfig(
            kind="muon",
            lr=3e-3,
            table_lr=0.04,
            matrix_lr=0.02,
            schedule="linear",
            warmup_steps=100,
        ),
        train=TrainConfig(
            steps=6040,
            batch_size=96,
            average_decay=0.998,
            evaluate_every=302,
            checkpoint_every=151,
            log_every=10,
        ),
        threads=1,
    )


def translator() -> Recipe:
    """A Transformer of 3.7 M parameters for short sentences, English to Chinese and back."""
    return Recipe(
        name="translator",
        summary="short sentences between English and Chinese",
        data=DataConfig(source="tatoeba_en_zh", layout="translation", validation_examples=1974),
        tokenizer=TokenizerConfig(kind="bytes", size=8000),
        family="seq2seq",
        model=seq2seq.Config(
            width=192,
            encoder_layers=3,
            decoder_layers=3,
            heads=6,
            head_width=32,
            hidden_width=384,
            context=64,
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
            steps=4510,
            batch_size=96,
            average_decay=0.998,
            evaluate_every=376,
            checkpoint_every=188,
            log_every=10,
        ),
        threads=1,
    )
