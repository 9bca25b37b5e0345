"""What tuning gained: bits a byte on examples that were not learnt from, before and after."""

from __future__ import annotations

from typing import Any

import numpy as np

from wenfang.data.batches import Examples
from wenfang.data.dataset import Dataset
from wenfang.data.layouts import COMPLETION
from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.metrics.text import bits_per_byte
from wenfang.models.load import Loaded
from wenfang.objectives.next_token import score
from wenfang.recipes.build import window_loss
from wenfang.recipes.learn_pairs import pair_loss, read_pairs
from wenfang.recipes.streams import stream_tokens

SPLIT = "valid"


def measure_gain(before: Loaded, after: Loaded, dataset: Dataset) -> dict[str, Any]:
    """Bits a byte of the base and of what was tuned upon it, on the validation part."""
    old = dataset_bits(before, dataset, after.layout)
    new = dataset_bits(after, dataset, after.layout)
    return {
        "split": SPLIT,
        "examples": dataset.count(SPLIT),
        "bits_per_byte_of_base": old,
        "bits_per_byte": new,
        "gain_bits_per_byte": old - new,
    }


def dataset_bits(loaded: Loaded, dataset: Dataset, layout: str, split: str = SPLIT) -> float:
    """Bits that the model needs for each byte of the completions, or texts, of one part."""
    assert loaded.tokenizer is not None
    model: Any = loaded.model
    records = list(dataset.records(split))
    if layout == "stream":
        tokens = stream_tokens(dataset, split, loaded.tokenizer)
        size_bytes = sum(len(record["text"].encode()) for record in records)
        window = min(model.config.context, len(tokens) - 1)
        return bits_per_byte(window_loss(model, tokens, window) * len(tokens), size_bytes)
    size_bytes = sum(len(record["completion"].encode()) for record in records)
    if layout in PAIR_LAYOUTS:
        pairs = read_pairs(layout, dataset, split, loaded.tokenizer)
        tokens_written = int(pairs.targets.lengths.sum())
        return bits_per_byte(pair_loss(model, pairs, len(pairs)) * tokens_written, size_bytes)
    examples = Examples.build(COMPLETION.parts(record, loaded.tokenizer) for record in records)
    rows = [examples.sequence(index, conditioned=True) for index in range(len(examples))]
    nats, _ = score(model, rows, np.ones(loaded.tokenizer.size, dtype=bool))
    return bits_per_byte(float(nats.sum()), size_bytes)
