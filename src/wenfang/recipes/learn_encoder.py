"""How an encoder of two languages learns, and how its validation is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from wenfang.data.batches import Share
from wenfang.data.bilingual import BILINGUAL, BilingualBatches, segments_of
from wenfang.data.dataset import Dataset
from wenfang.data.masked import BREAK, FIRST, MARKS, MASK, SegmentBatches
from wenfang.data.pair_batches import PairBatches, Pairs
from wenfang.errors import ConfigError, DataError
from wenfang.models.bert import PADDING_ID, Bert
from wenfang.models.bert import Config as BertConfig
from wenfang.objectives.aligned import Aligned
from wenfang.objectives.masked import Masked
from wenfang.recipes.recipe import Recipe
from wenfang.tokenizer import Tokenizer

MEASURED_PAIRS = 64
MEASURED_BATCHES = 40


def learn_bilingual(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Any:
    """Objective, batches and evaluation; data.window is the length of a text of two segments.

    raises DataError where a sentence does not fit the model's context
    """
    model = _require_room(recipe)
    train, valid = (read_bilingual(dataset, split, tokenizer) for split in ("train", "valid"))
    _require_fit(train, model.context)
    _require_fit(valid, model.context)
    objective = Aligned(
        masked=masked_words(tokenizer, recipe.objective.hidden_share),
        temperature=recipe.objective.temperature,
        hidden_weight=recipe.objective.hidden_weight,
    )
    shape = SegmentShape(window=recipe.data.window, rows=recipe.objective.texts_a_batch)
    size, seed = recipe.train.batch_size, recipe.train.seed
    batches = BilingualBatches(
        pairs=PairBatches(pairs=train, batch_size=size, seed=seed, padding=PADDING_ID),
        segments=shape.batches(dataset, "train", tokenizer, seed),
    )
    measured = min(MEASURED_PAIRS, len(valid))
    held = BilingualBatches(
        pairs=PairBatches(pairs=valid, batch_size=measured, seed=0, padding=PADDING_ID),
        segments=shape.batches(dataset, "valid", tokenizer, 0),
    )
    count = len(valid) // measured

    @torch.no_grad()
    def evaluate(net: nn.Module) -> dict[str, float]:
        # The same words are hidden every time, so that two measurements differ by the model alone.
        rng = torch.Generator().manual_seed(0)
        found: dict[str, list[float]] = {}
        for index in range(count):
            for name, value in objective(net, held.batch(index, Share()), rng).parts.items():
                found.setdefault(name, []).append(value)
        means = {f"val_{name}": float(np.mean(values)) for name, values in found.items()}
        return {"val_loss": means["val_pairs_nats"], **means}

    return objective, batches, evaluate


def masked_words(tokenizer: Tokenizer, hidden_share: float = 0.15) -> Masked:
    """The objective of hidden words for a vocabulary."""
    return Masked(
        mask=tokenizer.id(MASK),
        first_word=tokenizer.id(MASK) + 1,
        vocabulary_size=tokenizer.size,
        hidden_share=hidden_share,
    )


def read_bilingual(dataset: Dataset, split: str, tokenizer: Tokenizer) -> Pairs:
    """English and Chinese of every pair of one part."""
    return Pairs.build(BILINGUAL.pairs(dataset.records(split), tokenizer))


@dataclass(frozen=True, kw_only=True)
class SegmentShape:
    """Texts of two segments: how many tokens at most, and how many in a batch."""

    window: int
    rows: int = 48

    def batches(
        self, dataset: Dataset, split: str, tokenizer: Tokenizer, seed: int
    ) -> SegmentBatches:
        """One part's plain texts, and its pairs as texts."""
        segments = segments_of(dataset.records(split), tokenizer, (self.window - MARKS) // 2)
        return SegmentBatches(
            segments=segments,
            batch_size=min(self.rows, len(segments)),
            seed=seed,
            first=tokenizer.id(FIRST),
            brk=tokenizer.id(BREAK),
        )


def _require_room(recipe: Recipe) -> BertConfig:
    model = recipe.model
    if not isinstance(model, BertConfig) or model.classes:
        raise ConfigError(
            "the layout {layout} needs the family bert {which} classes; set model.classes",
            layout=recipe.data.layout,
            which="without",
        )
    if recipe.data.window > model.context:
        raise ConfigError(
            "data.window {window} is longer than model.context {context}; lower it",
            window=recipe.data.window,
            context=model.context,
        )
    return model


def _require_fit(pairs: Pairs, context: int) -> None:
    if not len(pairs):
        raise DataError("a part of the data set has no pairs; give records with text and english")
    longest = max(int(part.lengths.max(initial=0)) for part in (pairs.sources, pairs.targets))
    if longest > context - context % 4:
        raise DataError(
            "the longest example has {length} tokens, the model's context is {context}; shorten "
            "the data or set model.context higher",
            length=longest,
            context=context,
        )


@torch.no_grad()
def hidden_words_nats(model: Bert, dataset: Dataset, split: str, tokenizer: Tokenizer) -> float:
    """Mean nats of hidden words over the first MEASURED_BATCHES of one part."""
    masked = masked_words(tokenizer)
    batches = SegmentShape(window=model.config.context).batches(dataset, split, tokenizer, 0)
    rng = torch.Generator().manual_seed(0)
    count = min(MEASURED_BATCHES, len(batches.segments) // batches.batch_size)
    found = [
        masked(model, batches.batch(index, Share()), rng).parts["words_nats"]
        for index in range(count)
    ]
    return float(np.mean(found))
