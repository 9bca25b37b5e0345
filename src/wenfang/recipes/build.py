"""From a recipe and its data set to everything that a run needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang import config
from wenfang.adapt import lora, prompt
from wenfang.adapt.prompt import PromptConfig
from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.checkpoint import BundleFiles, load_weights
from wenfang.data.batches import (
    Batches,
    ExampleBatches,
    Examples,
    LabelledBatches,
    WindowBatches,
)
from wenfang.data.bilingual import BILINGUAL
from wenfang.data.dataset import Dataset
from wenfang.data.layouts import LAYOUTS, VERSE
from wenfang.data.masked import MASKED
from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.data.part_batches import part_tokenizer
from wenfang.device import noise, set_threads
from wenfang.errors import ConfigError
from wenfang.models import MODELS, CausalModel
from wenfang.models.bert import Config as BertConfig
from wenfang.models.dit import Config as DitConfig
from wenfang.models.load import tokenizer_of
from wenfang.models.vae import Config as VaeConfig
from wenfang.objectives import Objective
from wenfang.objectives.classification import Classification
from wenfang.objectives.next_token import NextToken, negative_log_likelihood, score
from wenfang.objectives.span import SENTINEL_NAMES
from wenfang.recipes.class_scores import EVALUATION_ROWS, class_logits, labels_of
from wenfang.recipes.companions import companion_records
from wenfang.recipes.learn_encoder import learn_bilingual
from wenfang.recipes.learn_masked import learn_classes, learn_masked
from wenfang.recipes.learn_pairs import learn_pairs, learn_spans
from wenfang.recipes.learn_parts import learn_parts
from wenfang.recipes.learn_pictures import PICTURE_LEARNING, watch_game
from wenfang.recipes.recipe import ObjectiveConfig, Recipe
from wenfang.recipes.streams import stream_tokens
from wenfang.recipes.tune import settings_of
from wenfang.tokenizer import PADDING, Tokenizer, train_bytes, train_characters
from wenfang.trainer import Phase, Task

# What makes an autoencoder's decoder another one.
DECODERS = ("likelihood", "decoder_patch", "decoder_channels")
Evaluate = Callable[[nn.Module], dict[str, float]]
Learning = tuple[Objective, Batches, Evaluate]  # what a layout decides


@dataclass(frozen=True, kw_only=True)
class Run:
    """A task with the tokenizer that its model speaks; None where it reads pictures."""

    recipe: Recipe
    task: Task
    tokenizer: Tokenizer | None


def build(recipe: Recipe, dataset: Dataset, base: BundleFiles | None = None) -> Run:
    """The run of `recipe` on `dataset`, from fresh weights or from those of bundle `base`."""
    set_threads(recipe.threads)
    tokenizer = _tokenizer(recipe, dataset, base)
    if tokenizer:
        recipe = _sized(recipe, tokenizer, base)
    model: Any = MODELS[recipe.family](recipe.model)
    some = _comes_along(recipe, base) if base else ""
    if base and not some:
        load_weights(model, base.tensors(), base.folder)
    else:
        seed = int(noise(recipe.train.seed, "weights").integers(2**62))
        model.initialise(torch.Generator().manual_seed(seed))
        if base:
            load_weights(model, _partly(model, base, some), base.folder)
    tuned = _thin(recipe, model)
    phases: tuple[Phase, ...]
    if tokenizer:
        objective, batches, evaluate = LEARNING[recipe.data.layout](recipe, dataset, tokenizer)
        phases = (Phase(objective=objective, optim=recipe.optim, parameters=tuned),)
    else:
        phases, batches, evaluate = PICTURE_LEARNING[recipe.data.layout](recipe, dataset)
    task = Task(
        model=model,
        phases=phases,
        batches=batches,
        config=recipe.train,
        evaluate=evaluate,
        fingerprint=_fingerprint(recipe, dataset, base),
        watch=_watch(recipe),
    )
    return Run(recipe=recipe, task=task, tokenizer=tokenizer)


def _watch(recipe: Recipe) -> Callable[[dict[str, float]], str]:
    # A Wasserstein critic is meant to tell everything apart.
    if recipe.data.layout == "game" and recipe.objective.game.game != "wasserstein":
        return watch_game
    return lambda values: ""


def _thin(recipe: Recipe, model: nn.Module) -> str:
    """Put a fresh adapter on the model where one is asked for; which parameters then learn."""
    if not recipe.tune.thin:
        return ""
    generator = torch.Generator().manual_seed(
        int(noise(recipe.train.seed, "adapter").integers(2**62))
    )
    settings = settings_of(recipe.tune)
    if isinstance(settings, PromptConfig):
        prompt.inject(model, settings, generator)
        return rf"^{prompt.NAME}$"
    names = lora.chosen_names(model, recipe.family, settings.targets)
    lora.inject(model, settings, names, generator)
    return r"\.parametrizations\."


def _comes_along(recipe: Recipe, base: BundleFiles) -> str:
    """Which weights of the base go on, as a regular expression, where not all do: an encoder's
    below classes that are new, an autoencoder's encoder before another decoder, or a denoiser
    that is to sketch and did not.
    """
    known = base.config.get("model", {})
    if isinstance(recipe.model, BertConfig):
        return r"^bert\." if recipe.model.classes != known.get("classes", 0) else ""
    if isinstance(recipe.model, VaeConfig) and base.config.get("family") == recipe.family:
        own = config.to_dict(recipe.model)
        if any(own.get(name) != known.get(name) for name in DECODERS):
            return r"^encoder\."
    if isinstance(recipe.model, DitConfig) and recipe.model.sketch_width:
        return "" if known.get("sketch_width") else r"^(?!sketch|embed_sketch)"
    return ""


def _partly(model: nn.Module, base: BundleFiles, names: str) -> dict[str, Tensor]:
    """The weights of the base that go on, and fresh ones for the others."""
    tensors = base.tensors()
    return {
        name: tensors[name] if re.search(names, name) and name in tensors else fresh.detach()
        for name, fresh in model.named_parameters()
    }


def _fingerprint(recipe: Recipe, dataset: Dataset, base: BundleFiles | None) -> str:
    """What must be equal for a run to be resumed."""
    content: dict[str, Any] = recipe.to_dict()
    del content["summary"], content["threads"], content["eight_bits"]
    for name in ("upscaler", "enlarged"):
        content["data"].pop(name, None)
    if recipe.tune.kind == "none":  # as runs were told apart before there was tuning
        del content["tune"]
    plain = config.to_dict(ObjectiveConfig())
    content["objective"] = {
        name: value
        for name, value in content["objective"].items()
        if name == "label_smoothing" or value != plain[name]  # the others came later
    }
    for name in ("evaluate_every", "checkpoint_every", "log_every", "keep_checkpoints"):
        del content["train"][name]
    origin = base.manifest["payload_sha256"] if base else None
    made_from = [content, dataset.manifest.payload_sha256, origin]
    # What makes pictures larger afterwards may change while a run goes on.
    beside = [
        one.payload_sha256 for role, one in companion_records(recipe).items() if role != "upscaler"
    ]
    return sha256_bytes(canonical_json([*made_from, *beside]))


def _tokenizer(recipe: Recipe, dataset: Dataset, base: BundleFiles | None) -> Tokenizer | None:
    if recipe.data.layout in PICTURE_LEARNING:
        return None
    known = tokenizer_of(base) if base else None
    return known or _train_tokenizer(recipe, dataset)


def _sized(recipe: Recipe, tokenizer: Tokenizer, base: BundleFiles | None) -> Recipe:
    model: Any = recipe.model
    size = model.vocabulary_size
    if base and size > tokenizer.size:  # a foreign table with rows that no token has
        return recipe
    if size not in (0, tokenizer.size):
        raise ConfigError(
            "model.vocabulary_size is {size}, the tokenizer has {found}; leave it at 0",
            size=size,
            found=tokenizer.size,
        )
    return replace(recipe, model=replace(model, vocabulary_size=tokenizer.size))


def _train_tokenizer(recipe: Recipe, dataset: Dataset) -> Tokenizer:
    """Learn the vocabulary from the training part."""
    config = recipe.tokenizer
    if recipe.data.layout == "parts":
        return part_tokenizer()
    if recipe.data.layout in STREAMS:
        texts = (record["text"] for record in dataset.records("train"))
        specials = STREAMS[recipe.data.layout]
    else:
        layout: Any = {
            **LAYOUTS,
            **PAIR_LAYOUTS,
            "masked": MASKED,
            "classes": MASKED,
            "bilingual": BILINGUAL,
        }[recipe.data.layout]
        texts = (text for record in dataset.records("train") for text in layout.texts(record))
        specials = layout.specials
    if config.kind == "bytes":
        return train_bytes(texts, vocabulary_size=config.size, specials=specials)
    return train_characters(texts, specials=specials, least_count=config.least_count)


def _stream(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Learning:
    window = recipe.data.window
    batches = WindowBatches(
        tokens=stream_tokens(dataset, "train", tokenizer),
        window=window,
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
    )
    valid = stream_tokens(dataset, "valid", tokenizer)
    return NextToken(), batches, lambda model: {"val_loss": window_loss(model, valid, window)}


def window_loss(model: nn.Module, tokens: np.ndarray, window: int) -> float:
    """Mean NLL in nats a token over the whole of `tokens` (N,), cut in windows side by side."""
    assert isinstance(model, CausalModel)
    count = (len(tokens) - 1) // window
    if not count:
        raise ConfigError(
            "the validation part has {found} tokens, too few for a window of {window}",
            found=len(tokens),
            window=window,
        )
    starts = np.arange(count) * window
    rows = tokens[starts[:, None] + np.arange(window + 1)].astype(np.int64)
    weight = torch.ones(EVALUATION_ROWS, window)
    total = 0.0
    for part in torch.split(torch.from_numpy(rows), EVALUATION_ROWS):
        total += float(negative_log_likelihood(model, part, weight[: len(part)]).sum())
    return total / (count * window)


def conditioned_examples(
    recipe: Recipe, dataset: Dataset, split: str, tokenizer: Tokenizer
) -> Examples:
    """One part of a data set as examples of the recipe's layout."""
    layout = LAYOUTS[recipe.data.layout]
    return Examples.build(layout.parts(record, tokenizer) for record in dataset.records(split))


def _conditioned(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Learning:
    batches = ExampleBatches(
        examples=conditioned_examples(recipe, dataset, "train", tokenizer),
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
        padding=tokenizer.id(PADDING),
        drop_condition=recipe.data.drop_condition,
    )
    valid = conditioned_examples(recipe, dataset, "valid", tokenizer)
    scored = VERSE.scored(tokenizer)
    limit = min(recipe.data.validation_examples, len(valid))

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {
            "val_loss": example_loss(model, valid, range(limit), scored, conditioned=False),
            "val_loss_conditioned": example_loss(
                model, valid, range(limit), scored, conditioned=True
            ),
        }

    return NextToken(), batches, evaluate


def _completion(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Learning:
    batches = ExampleBatches(
        examples=conditioned_examples(recipe, dataset, "train", tokenizer),
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
        padding=tokenizer.find(PADDING) or 0,  # of no weight, and not every vocabulary has one
    )
    valid = conditioned_examples(recipe, dataset, "valid", tokenizer)
    every = np.ones(tokenizer.size, dtype=bool)
    chosen = range(min(recipe.data.validation_examples, len(valid)))

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"val_loss": example_loss(model, valid, chosen, every, conditioned=True)}

    return NextToken(), batches, evaluate


def _labelled(recipe: Recipe, dataset: Dataset, tokenizer: Tokenizer) -> Learning:
    inner = ExampleBatches(
        examples=conditioned_examples(recipe, dataset, "train", tokenizer),
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
        padding=tokenizer.id(PADDING),
    )
    batches = LabelledBatches(inner=inner, labels=labels_of(dataset, "train"))
    valid = conditioned_examples(recipe, dataset, "valid", tokenizer)
    labels = torch.from_numpy(labels_of(dataset, "valid"))

    def evaluate(model: nn.Module) -> dict[str, float]:
        logits = class_logits(model, valid)
        return {
            "val_loss": float(functional.cross_entropy(logits, labels)),
            "val_accuracy_share": float((logits.argmax(1) == labels).double().mean()),
        }

    return Classification(), batches, evaluate


def example_loss(
    model: nn.Module, examples: Examples, chosen: range, scored: np.ndarray, *, conditioned: bool
) -> float:
    """Mean NLL in nats over the scored tokens of the chosen examples' bodies.

    scored  (V,) bool, the tokens that count
    """
    assert isinstance(model, CausalModel)
    rows = [examples.sequence(index, conditioned=conditioned) for index in chosen]
    nats, counts = score(model, rows, scored)
    return float(nats.sum() / counts.sum())


# Layouts of running text, with the special tokens that each needs.
STREAMS: dict[str, tuple[str, ...]] = {"stream": (), "spans": SENTINEL_NAMES}
LEARNING: dict[str, Callable[[Recipe, Dataset, Tokenizer], Learning]] = {
    "stream": _stream,
    "verse": _conditioned,
    "labelled": _labelled,
    "completion": _completion,
    "masked": learn_masked,
    "classes": learn_classes,
    "bilingual": learn_bilingual,
    "spans": learn_spans,
    "parts": learn_parts,
    **dict.fromkeys(PAIR_LAYOUTS, learn_pairs),
}
