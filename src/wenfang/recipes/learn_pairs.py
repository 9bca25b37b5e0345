"""How a model learns to write a target for a source, and how its loss is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from wenfang.data.batches import Batches, WindowBatches
from wenfang.data.dataset import Dataset
from wenfang.data.pair_batches import PairBatches, Pairs
from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.errors import ConfigError, DataError
from wenfang.models.seq2seq import Config as Seq2SeqConfig
from wenfang.models.seq2seq import Seq2Seq
from wenfang.objectives import Objective
from wenfang.objectives.span import SENTINEL_NAMES, SpanCorruption
from wenfang.objectives.teacher_forcing import SCORING_ROWS, TeacherForcing, target_nats
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.streams import stream_tokens
from wenfang.tokenizer import END, PADDING, Tokenizer


def read_pairs(layout: str, dataset: Dataset, split: str, tokenizer: Tokenizer) -> Pairs:
    """One part of a data set of pairs."""
    rows = PAIR_LAYOUTS[layout]
    return Pairs.build(rows.pair(record, tokenizer) for record in dataset.records(split))


def learn_pairs(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Any:
    """Objective, batches and evaluation of a recipe of pairs.

    raises DataError where a pair does not fit the model's context: nothing is cut silently
    """
    model = _require_family(recipe)
    train, valid = (
        read_pairs(recipe.data.layout, dataset, split, tokenizer) for split in ("train", "valid")
    )
    for part in (train, valid):
        _require_room(part, model.context)
    batches: Batches = PairBatches(
        pairs=train,
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
        padding=tokenizer.id(PADDING),
    )
    limit = min(recipe.data.validation_examples, len(valid))
    objective: Objective = TeacherForcing(label_smoothing=recipe.objective.label_smoothing)
    return objective, batches, lambda model: {"val_loss": pair_loss(model, valid, limit)}


def learn_spans(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Any:
    """Objective, batches and evaluation of span corruption on windows of a stream of text."""
    _require_family(recipe)
    window, seed = recipe.data.window, recipe.train.seed
    train, valid = (stream_tokens(dataset, part, tokenizer) for part in ("train", "valid"))
    batches = WindowBatches(
        tokens=train, window=window - 1, batch_size=recipe.train.batch_size, seed=seed
    )
    objective = SpanCorruption(
        sentinels=tuple(tokenizer.id(name) for name in SENTINEL_NAMES),
        end=tokenizer.id(END),
        padding=tokenizer.id(PADDING),
    )
    count = min(len(valid) // window, recipe.data.validation_examples)
    rows = torch.from_numpy(valid[: count * window].reshape(count, window).astype(np.int64))
    # The same spans every time, so that two measurements differ by the model alone.
    held = objective.corrupted({"tokens": rows}, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Seq2Seq)
        return {"val_loss": float(target_nats(model, held).sum() / held["weight"].sum())}

    return objective, batches, evaluate


def _require_family(recipe: Recipe) -> Seq2SeqConfig:
    if not isinstance(recipe.model, Seq2SeqConfig):
        raise ConfigError(
            "the layout {layout} needs the family seq2seq, not {family}",
            layout=recipe.data.layout,
            family=recipe.family,
        )
    return recipe.model


def _require_room(pairs: Pairs, context: int) -> None:
    longest = max(int(part.lengths.max(initial=0)) for part in (pairs.sources, pairs.targets))
    # Rounding up to LENGTH_STEP is padding, which must fit too.
    if longest > context - context % 4:
        raise DataError(
            "the longest example has {length} tokens, the model's context is {context}; shorten "
            "the data or set model.context higher",
            length=longest,
            context=context,
        )


@torch.no_grad()
def pair_loss(model: nn.Module, pairs: Pairs, limit: int) -> float:
    """Mean NLL in nats a target token of the first `limit` pairs."""
    assert isinstance(model, Seq2Seq)
    order = sorted(range(limit), key=lambda row: int(pairs.targets.lengths[row]))
    nats, tokens = 0.0, 0.0
    for start in range(0, limit, SCORING_ROWS):
        batch = pairs.batch(order[start : start + SCORING_ROWS], padding=0)
        nats += float(target_nats(model, batch).sum())
        tokens += float(batch["weight"].sum())
    return nats / tokens
