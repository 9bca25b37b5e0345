"""What a classifier says of every example, and what is true of it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from wenfang.data.batches import Examples, pad
from wenfang.data.dataset import Dataset
from wenfang.data.layouts import LABELLED

EVALUATION_ROWS = 128


def labels_of(dataset: Dataset, split: str) -> np.ndarray:
    """(n,) int64, the classes of one part of a data set."""
    found = [LABELLED.label(record) for record in dataset.records(split)]
    return np.array(found, dtype=np.int64)


@torch.no_grad()
def class_logits(model: nn.Module, examples: Examples) -> Tensor:
    """(n, N) float32 logits of a classifier for every example, in their order."""
    found = []
    for start in range(0, len(examples), EVALUATION_ROWS):
        chosen = range(start, min(start + EVALUATION_ROWS, len(examples)))
        rows = [examples.sequence(index, conditioned=True) for index in chosen]
        found.append(model(pad(rows, padding=0)["tokens"]))
    return torch.cat(found)
