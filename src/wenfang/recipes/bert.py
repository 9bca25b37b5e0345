"""Does pre-training pay? An encoder of Chinese comments, and classes of them from few labels."""

from __future__ import annotations

from wenfang.models import bert
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, ObjectiveConfig, Recipe, TokenizerConfig
from wenfang.trainer import TrainConfig

ENCODER = bert.Config(width=192, layers=4, heads=6, hidden_width=768, context=256, dropout=0.1)


def comments() -> Recipe:
    """A BERT of 2.8 M parameters over the characters of COLD's comments, without their labels."""
    return Recipe(
        name="comments-zh",
        summary="an encoder of Chinese comments, pre-trained on hidden words",
        data=DataConfig(
            source="cold_zh_offensive", layout="masked", window=64, validation_examples=1024
        ),
        tokenizer=TokenizerConfig(kind="characters", least_count=2),
        family="bert",
        model=ENCODER,
        # Many hidden words (Wettig et al. 2023, arXiv:2202.08005), for there is little to read; and
        # the first vector must tell a text's words, since classes are told from it.
        objective=ObjectiveConfig(hidden_share=0.4, gist_weight=0.5),
        optim=OptimConfig(
            kind="muon",
            lr=1e-3,
            table_lr=2e-3,
            matrix_lr=0.006,
            schedule="linear",
            warmup_steps=200,
        ),
        train=TrainConfig(
            steps=7000, batch_size=48, evaluate_every=600, checkpoint_every=150, log_every=20
        ),
        threads=1,
    )


def comment_classes() -> Recipe:
    """Offence in comments from a tenth of COLD's labels; `--from` a run of comments-zh, or not."""
    return Recipe(
        name="comment-classes-zh",
        summary="a judge of offence in Chinese comments, from a tenth of the labels",
        data=DataConfig(source="cold_zh_offensive", layout="classes", labels_share=0.1),
        tokenizer=TokenizerConfig(kind="characters", least_count=2),
        family="bert",
        model=bert.Config(**{**vars(ENCODER), "classes": 2}),
        optim=OptimConfig(
            kind="adamw",
            lr=3e-4,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            schedule="linear",
            warmup_steps=50,
        ),
        train=TrainConfig(
            steps=700, batch_size=32, evaluate_every=70, checkpoint_every=350, log_every=20
        ),
        threads=1,
    )
