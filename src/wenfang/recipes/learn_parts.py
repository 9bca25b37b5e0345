"""How a model of four voices learns, and how it is measured on pieces that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from wenfang.data.dataset import Dataset
from wenfang.data.part_batches import PartBatches, Row, example, padded, read_pieces
from wenfang.data.part_tokens import Asked, Known, told_by
from wenfang.errors import ConfigError
from wenfang.media.four_parts import VOICES, FourParts
from wenfang.models import CausalModel
from wenfang.objectives.next_token import NextToken, negative_log_likelihood
from wenfang.recipes.recipe import Recipe
from wenfang.tokenizer import Tokenizer

SCORED_AT_ONCE = 8


def learn_parts(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Any:
    """Objective, batches and evaluation."""
    if recipe.family != "gpt":
        raise ConfigError("the layout parts is learnt by the family gpt; choose it")
    batches = PartBatches(
        pieces=read_pieces(dataset.records("train")),
        tokenizer=tokenizer,
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
    )
    valid = read_pieces(dataset.records("valid"))[: recipe.data.validation_examples]

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, CausalModel)
        return {
            "val_loss": nats_a_token(model, valid, tokenizer),
            "val_nats_a_lower_note": nats_a_lower_note(model, valid, tokenizer),
            "val_nats_a_lower_note_harmonising": nats_a_lower_note(
                model, valid, tokenizer, harmonising=True
            ),
        }

    return NextToken(), batches, evaluate


def nats_a_token(model: CausalModel, pieces: tuple[FourParts, ...], tokenizer: Tokenizer) -> float:
    """Mean NLL of the tokens of whole pieces, with nothing given."""
    rows = [example(piece, Asked.like(piece), tokenizer) for piece in pieces]
    return _mean_nats(model, rows, np.ones(tokenizer.size, np.bool_))


def nats_a_lower_note(
    model: CausalModel,
    pieces: tuple[FourParts, ...],
    tokenizer: Tokenizer,
    *,
    harmonising: bool = False,
) -> float:
    """Mean NLL of the pitches of all voices but the highest, where something begins in them.

    Each time the notes of the highest voice up to the same moment are known; harmonising, those of
    the rest of the bar as well, and what the next bar begins with.
    """
    rows = []
    for piece in pieces:
        known: Known | None = None
        if harmonising:
            known = np.zeros((piece.bars, len(VOICES)), np.bool_)
            known[:, 0] = True
        rows.append(example(piece, Asked.like(piece, known), tokenizer))
    told = [told_by(name) for name in tokenizer.tokens()]
    lower = np.array([one is not None and one[0] > 0 for one in told])
    return _mean_nats(model, rows, lower)


@torch.no_grad()
def _mean_nats(model: CausalModel, rows: list[Row], counted: np.ndarray) -> float:
    """Over the predicted tokens of which counted (V,) is true."""
    nats = count = 0.0
    for first in range(0, len(rows), SCORED_AT_ONCE):
        batch = padded(rows[first : first + SCORED_AT_ONCE], padding=0)
        weight = batch["weight"] * torch.from_numpy(counted)[batch["tokens"][:, 1:]]
        nats += float(negative_log_likelihood(model, batch["tokens"], weight).sum())
        count += float(weight.sum())
    return nats / count
