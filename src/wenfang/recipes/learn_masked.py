"""How an encoder learns: hidden words and next sentences of plain text, then classes of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from wenfang.data.batches import ExampleBatches, Examples, LabelledBatches, Share
from wenfang.data.dataset import Dataset
from wenfang.data.masked import BREAK, FIRST, MARKS, MASK, MASKED, SegmentBatches, Segments
from wenfang.device import noise
from wenfang.errors import ConfigError, DataError
from wenfang.models.bert import Config as BertConfig
from wenfang.objectives.classification import Classification
from wenfang.objectives.masked import Masked
from wenfang.recipes.class_scores import class_logits, labels_of
from wenfang.recipes.recipe import Recipe
from wenfang.tokenizer import PADDING, Tokenizer

MEASURED_BATCH = 64


def learn_masked(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Any:
    """Objective, batches and evaluation of pre-training; data.window is the context's length."""
    _require_family(recipe, classes=False)
    marks = {"first": tokenizer.id(FIRST), "brk": tokenizer.id(BREAK)}
    longest = (recipe.data.window - MARKS) // 2
    objective = Masked(
        mask=tokenizer.id(MASK),
        first_word=tokenizer.id(MASK) + 1,
        vocabulary_size=tokenizer.size,
        hidden_share=recipe.objective.hidden_share,
        gist_weight=recipe.objective.gist_weight,
    )
    train, valid = (
        Segments.build((record["text"] for record in dataset.records(part)), tokenizer, longest)
        for part in ("train", "valid")
    )
    batches = SegmentBatches(
        segments=train, batch_size=recipe.train.batch_size, seed=recipe.train.seed, **marks
    )
    size = min(MEASURED_BATCH, len(valid))
    held = SegmentBatches(segments=valid, batch_size=size, seed=0, **marks)
    count = min(len(valid), recipe.data.validation_examples) // size

    @torch.no_grad()
    def evaluate(model: nn.Module) -> dict[str, float]:
        # The same words are hidden every time, so that two measurements differ by the model alone.
        rng = torch.Generator().manual_seed(0)
        found: dict[str, list[float]] = {}
        for index in range(count):
            for name, value in objective(model, held.batch(index, Share()), rng).parts.items():
                found.setdefault(name, []).append(value)
        means = {f"val_{name}": float(np.mean(values)) for name, values in found.items()}
        return {"val_loss": means["val_words_nats"], **means}

    return objective, batches, evaluate


def learn_classes(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Any:
    """Objective, batches and evaluation of classes of whole texts.

    data.labels_share  so much of the training part is used, drawn by the seed
    raises DataError where a text does not fit the context
    """
    model = _require_family(recipe, classes=True)
    train = _examples(dataset, "train", tokenizer, model.context)
    labels = labels_of(dataset, "train")
    if recipe.data.labels_share < 1:
        order = noise(recipe.train.seed, "labels").permutation(len(labels))
        chosen = np.sort(order[: round(len(labels) * recipe.data.labels_share)])
        train = [train[index] for index in chosen]
        labels = labels[chosen]
    batches = LabelledBatches(
        inner=ExampleBatches(
            examples=Examples.build(([], [], ids) for ids in train),
            batch_size=recipe.train.batch_size,
            seed=recipe.train.seed,
            padding=tokenizer.id(PADDING),
        ),
        labels=labels,
    )
    held = Examples.build(
        ([], [], ids) for ids in _examples(dataset, "valid", tokenizer, model.context)
    )
    wanted = torch.from_numpy(labels_of(dataset, "valid"))

    def evaluate(net: nn.Module) -> dict[str, float]:
        logits = class_logits(net, held)
        return {
            "val_loss": float(functional.cross_entropy(logits, wanted)),
            "val_accuracy_share": float((logits.argmax(1) == wanted).double().mean()),
        }

    return Classification(), batches, evaluate


def _examples(dataset: Dataset, split: str, tokenizer: Tokenizer, context: int) -> list[list[int]]:
    rows = [
        MASKED.marked(MASKED.words(record["text"], tokenizer), tokenizer)
        for record in dataset.records(split)
    ]
    longest = max(map(len, rows), default=0)
    if longest > context:
        raise DataError(
            "the longest example has {length} tokens, the model's context is {context}; shorten "
            "the data or set model.context higher",
            length=longest,
            context=context,
        )
    return rows


def class_accuracy(
    model: nn.Module, tokenizer: Tokenizer, dataset: Dataset, split: str, context: int
) -> float:
    """Share of one part's texts whose class is told rightly."""
    rows = Examples.build(([], [], ids) for ids in _examples(dataset, split, tokenizer, context))
    found = class_logits(model, rows).argmax(1).numpy()
    return float((found == labels_of(dataset, split)).mean())


def _require_family(recipe: Recipe, *, classes: bool) -> BertConfig:
    if not isinstance(recipe.model, BertConfig) or bool(recipe.model.classes) != classes:
        raise ConfigError(
            "the layout {layout} needs the family bert {which} classes; set model.classes",
            layout=recipe.data.layout,
            which="with" if classes else "without",
        )
    return recipe.model
