"""What tuning gained: bits a byte on examples that were not learnt from, before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wenfang.data.batches import Examples
from wenfang.data.dataset import Dataset
from wenfang.data.layouts import COMPLETION, VERSE
from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.language import t
from wenfang.metrics.text import bits_per_byte
from wenfang.models import CausalModel
from wenfang.models.load import Loaded
from wenfang.objectives.next_token import score
from wenfang.recipes.build import window_loss
from wenfang.recipes.learn_pairs import pair_loss, read_pairs
from wenfang.recipes.streams import stream_tokens

SPLIT = "valid"
GAIN = "gain_bits_per_byte"


def measure_gain(before: Loaded, after: Loaded, dataset: Dataset) -> dict[str, Any]:
    """Bits a byte of the base and of what was tuned upon it, on the validation part."""
    window = min(loaded_context(before), loaded_context(after))
    old, new = (dataset_bits(one, dataset, after.layout, window=window) for one in (before, after))
    return {
        "split": SPLIT,
        "examples": dataset.count(SPLIT),
        "bits_per_byte_of_base": old,
        "bits_per_byte": new,
        GAIN: old - new,
    }


def measure(loaded: Loaded, dataset: Dataset) -> dict[str, Any]:
    """Bits a byte of what was tuned, on the validation part; for where its base is not at hand."""
    return {
        "split": SPLIT,
        "examples": dataset.count(SPLIT),
        "bits_per_byte": dataset_bits(loaded, dataset, loaded.layout),
    }


def tell_loss(numbers: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Tell where what was tuned is worse than its base on examples that it did not learn from."""
    if numbers[GAIN] < 0:
        tell(
            t(
                "the tuned bundle needs {loss} bits a byte more than its base on the {count} "
                "examples set aside: it learnt the others by heart; lower train.steps or optim.lr",
                loss=f"{-numbers[GAIN]:.3f}",
                count=numbers["examples"],
            )
        )


def loaded_context(loaded: Loaded) -> int:
    """Tokens that a model reads at once; learned vectors before them are taken off."""
    model: Any = loaded.model
    return int(model.config.context)


def dataset_bits(
    loaded: Loaded, dataset: Dataset, layout: str, split: str = SPLIT, window: int = 0
) -> float:
    """Bits that the model needs for each byte of the completions, poems or texts of one part.

    window  tokens of a stream that are read at once; 0: as many as the context holds
    """
    assert loaded.tokenizer is not None
    model: Any = loaded.model
    records = list(dataset.records(split))
    if layout == "stream":
        tokens = stream_tokens(dataset, split, loaded.tokenizer)
        size_bytes = sum(len(record["text"].encode()) for record in records)
        read = min(window or loaded_context(loaded), len(tokens) - 1)
        return bits_per_byte(window_loss(model, tokens, read) * len(tokens), size_bytes)
    if layout == "verse":
        return _poem_bits(loaded, records)
    size_bytes = sum(len(record["completion"].encode()) for record in records)
    if layout in PAIR_LAYOUTS:
        pairs = read_pairs(layout, dataset, split, loaded.tokenizer)
        tokens_written = int(pairs.targets.lengths.sum())
        return bits_per_byte(pair_loss(model, pairs, len(pairs)) * tokens_written, size_bytes)
    examples = Examples.build(COMPLETION.parts(record, loaded.tokenizer) for record in records)
    rows = [examples.sequence(index, conditioned=True) for index in range(len(examples))]
    nats, _ = score(model, rows, np.ones(loaded.tokenizer.size, dtype=bool))
    return bits_per_byte(float(nats.sum()), size_bytes)


def _poem_bits(loaded: Loaded, records: list[dict[str, Any]]) -> float:
    """Bits a byte of the characters of poems whose titles are told; line ends are not counted."""
    assert loaded.tokenizer is not None
    tokenizer, model = loaded.tokenizer, loaded.model
    assert isinstance(model, CausalModel)
    size_bytes = sum(len("".join(record["lines"]).encode()) for record in records)
    examples = Examples.build(VERSE.parts(record, tokenizer) for record in records)
    rows = [examples.sequence(index, conditioned=True) for index in range(len(examples))]
    nats, _ = score(model, rows, VERSE.scored(tokenizer))
    return bits_per_byte(float(nats.sum()), size_bytes)
