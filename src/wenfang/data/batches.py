"""Resumable batches: each is a pure function of the step, so a run resumes from one integer.

The order is permutation(seed, epoch)[step]; ranks take slices of the same global batch, so it
survives another number of machines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from wenfang.device import noise
from wenfang.errors import DataError

BUCKET_BATCHES = 64


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which part of a global batch this process takes."""

    rank: int = 0
    world: int = 1

    def of(self, count: int) -> slice:
        """The rows of `count` that are this rank's; raises DataError if they do not divide."""
        if count % self.world:
            raise DataError(
                "a batch of {count} cannot be divided among {world} processes; "
                "set train.batch_size to a multiple",
                count=count,
                world=self.world,
            )
        size = count // self.world
        return slice(self.rank * size, (self.rank + 1) * size)


class Batches(Protocol):
    """A data set as batches."""

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """Global micro-batch `index` (from 0), the part of `share`."""
        ...


@dataclass(frozen=True, kw_only=True)
class WindowBatches:
    """Windows of one long token stream; each epoch covers it once from another offset.

    tokens  (N,) integers
    """

    tokens: np.ndarray
    window: int
    batch_size: int
    seed: int
    epochs: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Refuse a stream that has not two windows."""
        if len(self.tokens) < 2 * self.window + 1:
            raise DataError(
                "{count} tokens are too few for windows of {window}; give more text",
                count=len(self.tokens),
                window=self.window,
            )

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """tokens (b, window + 1) int64, weight (b, window) of ones."""
        per_epoch = (len(self.tokens) - 1) // self.window - 1
        first = index * self.batch_size
        rows = range(first, first + self.batch_size)[share.of(self.batch_size)]
        starts = [self._start(row // per_epoch, row % per_epoch, per_epoch) for row in rows]
        tokens = np.stack([self.tokens[s : s + self.window + 1] for s in starts])
        return {
            "tokens": torch.from_numpy(tokens.astype(np.int64)),
            "weight": torch.ones(len(starts), self.window),
        }

    def _start(self, epoch: int, position: int, per_epoch: int) -> int:
        if epoch not in self.epochs:
            stream = noise(self.seed, "order", epoch)
            keep_newest(self.epochs)
            offset = int(stream.integers(self.window))
            self.epochs[epoch] = (offset, stream.permutation(per_epoch))
        offset, order = self.epochs[epoch]
        return int(offset + order[position] * self.window)


def require_batch(count: int, size: int) -> None:
    """DataError where `count` examples do not fill one batch."""
    if count < size:
        raise DataError(
            "{count} examples do not fill one batch of {size}; lower train.batch_size",
            count=count,
            size=size,
        )


def keep_newest(epochs: dict[int, Any]) -> None:
    """Make room for another epoch's order; two can be alive where a batch spans them."""
    while len(epochs) > 1:
        del epochs[next(iter(epochs))]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Token sequences of three parts: opening, condition, body; only the body is predicted.

    flat      (N,) uint32, all sequences one after another
    offsets   (n + 1,) int64, where each begins
    openings, conditions  (n,) int64, lengths of the first two parts
    """

    flat: np.ndarray
    offsets: np.ndarray
    openings: np.ndarray
    conditions: np.ndarray

    def __len__(self) -> int:
        return len(self.openings)

    @classmethod
    def build(cls, parts: Iterable[tuple[list[int], list[int], list[int]]]) -> Examples:
        """Pack (opening, condition, body) id lists."""
        flat: list[int] = []
        offsets, openings, conditions = [0], [], []
        for opening, condition, body in parts:
            flat += opening + condition + body
            offsets.append(len(flat))
            openings.append(len(opening))
            conditions.append(len(condition))
        return cls(
            flat=np.array(flat, dtype=np.uint32),
            offsets=np.array(offsets, dtype=np.int64),
            openings=np.array(openings, dtype=np.int64),
            conditions=np.array(conditions, dtype=np.int64),
        )

    def sequence(self, index: int, *, conditioned: bool) -> tuple[np.ndarray, int]:
        """Ids of one example and the index of its first predicted token."""
        ids = self.flat[self.offsets[index] : self.offsets[index + 1]]
        opening, condition = int(self.openings[index]), int(self.conditions[index])
        if conditioned:
            return ids, opening + condition
        return np.concatenate((ids[:opening], ids[opening + condition :])), opening


@dataclass(frozen=True, kw_only=True)
class ExampleBatches:
    """Padded batches of examples of similar length.

    drop_condition  chance that the condition is left out, which teaches the model to do without
                    it and makes classifier-free guidance possible (Ho & Salimans 2022)
    """

    examples: Examples
    batch_size: int
    seed: int
    padding: int
    drop_condition: float = 0.0
    epochs: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, init=False)

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """tokens (b, T + 1) int64 and weight (b, T), 1 on the body, 0 on prompt and padding."""
        chosen, keep = self.chosen(index, share)
        rows = [
            self.examples.sequence(int(i), conditioned=bool(kept))
            for i, kept in zip(chosen, keep, strict=True)
        ]
        return pad(rows, self.padding)

    def chosen(self, index: int, share: Share) -> tuple[np.ndarray, np.ndarray]:
        """(b,) the examples of a batch, and (b,) bool, which of them keep their condition."""
        require_batch(len(self.examples), self.batch_size)
        per_epoch = len(self.examples) // self.batch_size
        epoch, position = divmod(index, per_epoch)
        keep, order = self._epoch(epoch, per_epoch)
        chosen = order[position][share.of(self.batch_size)]
        return chosen, keep[chosen]

    def _epoch(self, epoch: int, per_epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Which conditions are kept (n,), and the examples of every batch (per_epoch, size)."""
        if epoch not in self.epochs:
            stream = noise(self.seed, "order", epoch)
            keep_newest(self.epochs)
            keep = stream.random(len(self.examples)) >= self.drop_condition
            self.epochs[epoch] = (keep, self._order(stream, keep, per_epoch))
        return self.epochs[epoch]

    def _order(self, stream: np.random.Generator, keep: np.ndarray, per_epoch: int) -> np.ndarray:
        lengths = np.diff(self.examples.offsets) - self.examples.conditions * ~keep
        order = stream.permutation(len(self.examples))[: per_epoch * self.batch_size]
        # Sorting by length inside a pool of batches saves padding and keeps the order random.
        pool = BUCKET_BATCHES * self.batch_size
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        order = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools])
        batches = order.reshape(per_epoch, self.batch_size)
        return batches[stream.permutation(per_epoch)]


@dataclass(frozen=True, kw_only=True)
class LabelledBatches:
    """Batches of `inner` with the class of each example.

    labels  (n,) int64
    """

    inner: ExampleBatches
    labels: np.ndarray

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """tokens (b, T) int64, weight, and label (b,) int64."""
        chosen, _ = self.inner.chosen(index, share)
        label = torch.from_numpy(self.labels[chosen])
        return self.inner.batch(index, share) | {"label": label}


def pad(rows: list[tuple[np.ndarray, int]], padding: int) -> dict[str, Tensor]:
    """Rows of (ids, first predicted index) as one rectangle; lengths are rounded up to 8."""
    longest = max(len(ids) for ids, _ in rows)
    width = -(-(longest - 1) // 8) * 8
    tokens = np.full((len(rows), width + 1), padding, dtype=np.int64)
    weight = np.zeros((len(rows), width), dtype=np.float32)
    for row, (ids, first) in enumerate(rows):
        tokens[row, : len(ids)] = ids
        # Nothing comes before the first token, so it is never predicted.
        weight[row, max(first, 1) - 1 : len(ids) - 1] = 1
    return {"tokens": torch.from_numpy(tokens), "weight": torch.from_numpy(weight)}
