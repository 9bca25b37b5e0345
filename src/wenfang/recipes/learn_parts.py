"""How a model of four voices learns, and how it is measured on pieces that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from wenfang.data.dataset import Dataset
from wenfang.data.part_batches import PartBatches, example, read_pieces
from wenfang.data.part_tokens import Asked, Known
from wenfang.errors import ConfigError
from wenfang.media.four_parts import VOICES, FourParts
from wenfang.models import CausalModel
from wenfang.objectives.next_token import NextToken, score
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
        plain = nats_a_token(model, valid, tokenizer, None)
        told = nats_a_token(model, valid, tokenizer, 0)
        return {"val_loss": plain, "val_loss_harmonising": told}

    return NextToken(), batches, evaluate


@torch.no_grad()
def nats_a_token(
    model: CausalModel, pieces: tuple[FourParts, ...], tokenizer: Tokenizer, given: int | None
) -> float:
    """Mean NLL of the tokens of whole pieces, with nothing given or with one voice."""
    rows = []
    for piece in pieces:
        known: Known | None = None
        if given is not None:
            known = np.zeros((piece.bars, len(VOICES)), np.bool_)
            known[:, given] = True
        rows.append(example(piece, Asked.like(piece, known), tokenizer))
    every = np.ones(tokenizer.size, np.bool_)
    nats, counts = score(model, rows, every, SCORED_AT_ONCE)
    return float(nats.sum() / counts.sum())
