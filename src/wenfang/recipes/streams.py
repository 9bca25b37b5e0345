"""All texts of one part of a data set as one stream of tokens."""

from __future__ import annotations

import numpy as np

from wenfang.data.dataset import Dataset
from wenfang.tokenizer import Tokenizer


def stream_tokens(dataset: Dataset, split: str, tokenizer: Tokenizer) -> np.ndarray:
    """All texts of one part, (N,) uint32."""
    ids: list[int] = []
    for record in dataset.records(split):
        ids += tokenizer.encode(record["text"])
    return np.array(ids, dtype=np.uint32)
