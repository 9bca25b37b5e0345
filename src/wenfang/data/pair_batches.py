"""Batches of a source and a target, for models that read one sequence and write another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from wenfang.data.batches import BUCKET_BATCHES, Share, keep_newest, require_batch
from wenfang.device import noise

LENGTH_STEP = 4  # lengths are rounded up, so that few shapes occur


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Token sequences, one after another: flat (N,) uint32, offsets (n + 1,) int64."""

    flat: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def build(cls, rows: Iterable[Sequence[int]]) -> Sequences:
        """Pack lists of ids."""
        flat: list[int] = []
        offsets = [0]
        for row in rows:
            flat.extend(row)
            offsets.append(len(flat))
        return cls(flat=np.array(flat, dtype=np.uint32), offsets=np.array(offsets))

    def __getitem__(self, index: int) -> np.ndarray:
        """Ids of one sequence."""
        return self.flat[self.offsets[index] : self.offsets[index + 1]].astype(np.int64)

    @property
    def lengths(self) -> np.ndarray:
        """(n,) int64."""
        return np.diff(self.offsets)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Sources and what is written for each."""

    sources: Sequences
    targets: Sequences

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def build(cls, pairs: Iterable[tuple[list[int], list[int]]]) -> Pairs:
        """Pack (source, target) id lists."""
        rows = list(pairs)
        return cls(
            sources=Sequences.build(source for source, _ in rows),
            targets=Sequences.build(target for _, target in rows),
        )

    def batch(self, rows: Iterable[int], padding: int) -> dict[str, Tensor]:
        """`pad_pairs` of these examples."""
        chosen = [(self.sources[int(row)], self.targets[int(row)]) for row in rows]
        return pad_pairs(chosen, padding)


@dataclass(frozen=True, kw_only=True)
class PairBatches:
    """Padded batches of pairs of similar length; each is a pure function of its number.

    padding  fills up both sequences and is the decoder's first token, as in T5
    """

    pairs: Pairs
    batch_size: int
    seed: int
    padding: int
    epochs: dict[int, tuple[None, np.ndarray]] = field(default_factory=dict, init=False)

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """source (b, S), source_mask (b, S), tokens (b, T + 1), weight (b, T)."""
        require_batch(len(self.pairs), self.batch_size)
        per_epoch = len(self.pairs) // self.batch_size
        epoch, position = divmod(index, per_epoch)
        if epoch not in self.epochs:
            keep_newest(self.epochs)
            self.epochs[epoch] = (None, self._order(epoch, per_epoch))
        rows = self.epochs[epoch][1][position][share.of(self.batch_size)]
        return self.pairs.batch(rows, self.padding)

    def _order(self, epoch: int, per_epoch: int) -> np.ndarray:
        """The examples of every batch of an epoch, (per_epoch, size)."""
        stream = noise(self.seed, "order", epoch)
        order = stream.permutation(len(self.pairs))[: per_epoch * self.batch_size]
        pool = BUCKET_BATCHES * self.batch_size
        # By the target first, since the head is what costs most; then by the source.
        keys = (self.pairs.sources.lengths, self.pairs.targets.lengths)
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        order = np.concatenate([p[np.lexsort([key[p] for key in keys])] for p in pools])
        batches = order.reshape(per_epoch, self.batch_size)
        return batches[stream.permutation(per_epoch)]


def pad_pairs(pairs: Sequence[tuple[np.ndarray, np.ndarray]], padding: int) -> dict[str, Tensor]:
    """Pairs of ids as rectangles; the target is shifted behind the decoder's start."""
    count = len(pairs)
    longest = [max(len(pair[side]) for pair in pairs) for side in (0, 1)]
    reading, writing = (-(-length // LENGTH_STEP) * LENGTH_STEP for length in longest)
    source = np.full((count, reading), padding, dtype=np.int64)
    tokens = np.full((count, writing + 1), padding, dtype=np.int64)
    mask = np.zeros((count, reading), dtype=bool)
    weight = np.zeros((count, writing), dtype=np.float32)
    for row, (read, written) in enumerate(pairs):
        source[row, : len(read)] = read
        mask[row, : len(read)] = True
        tokens[row, 1 : len(written) + 1] = written
        weight[row, : len(written)] = 1
    found = {"source": source, "source_mask": mask, "tokens": tokens, "weight": weight}
    return {name: torch.from_numpy(array) for name, array in found.items()}
