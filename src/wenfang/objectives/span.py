"""Span corruption: runs of tokens are cut out of a text, and the decoder writes them back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from wenfang.data.pair_batches import pad_pairs
from wenfang.device import NoiseStream, noise
from wenfang.errors import ConfigError
from wenfang.objectives import Batch, Loss
from wenfang.objectives.teacher_forcing import TeacherForcing

SENTINELS = 32
SENTINEL_NAMES = tuple(f"<extra_id_{index}>" for index in range(SENTINELS))


def span_mask(length: int, share: float, mean_span: float, stream: NoiseStream) -> np.ndarray:
    """Which of `length` tokens are cut out (T5, Raffel et al. 2020, section 3.1.4).

    share, mean_span  about share * length tokens in runs of mean_span on average; a text of two
                      tokens or more loses one at least, keeps one at least, and begins kept
    returns           (length,) bool
    """
    if length < 2:
        return np.zeros(length, dtype=bool)
    cut = min(max(round(length * share), 1), length - 1)
    spans = min(max(round(cut / mean_span), 1), cut, length - cut, SENTINELS)
    # T5 ends every text with a cut run; here kept tokens may follow, or a short text would always
    # lose its end.
    kept_runs = _partition(length - cut + 1, spans + 1, stream)
    kept_runs[-1] -= 1
    cut_runs = np.append(_partition(cut, spans, stream), 0)
    runs = np.stack((kept_runs, cut_runs), axis=1).ravel()
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _partition(total: int, parts: int, stream: NoiseStream) -> np.ndarray:
    """`total` cut into so many positive numbers, every way equally likely."""
    borders = np.sort(stream.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate(([0], borders, [total])))


def corrupt(
    ids: np.ndarray, mask: np.ndarray, sentinels: np.ndarray, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """Source and target of a text whose `mask`ed runs are cut out.

    ids, mask  (T,); sentinels  (SENTINELS,) ids that stand for the runs, in order
    returns    source: the text with a sentinel for each run, then `end`; target: each sentinel
               with what it stands for, then `end`
    raises     ConfigError where there are more runs than sentinels
    """
    starts = mask & ~np.concatenate(([False], mask[:-1]))
    count = int(starts.sum())
    if count > len(sentinels):
        raise ConfigError(
            "{count} spans need more than the {most} sentinel tokens; lower the share",
            count=count,
            most=len(sentinels),
        )
    named = ids.copy()
    named[starts] = sentinels[:count]
    source = np.append(named[~mask | starts], end)
    runs = np.split(ids, np.flatnonzero(starts))[1:]
    inside = np.split(mask, np.flatnonzero(starts))[1:]
    pieces = [
        np.concatenate(([sentinel], run[: int(np.argmin(np.append(own, False)))]))
        for sentinel, run, own in zip(sentinels, runs, inside, strict=False)
    ]
    return source, np.append(np.concatenate([*pieces, []]).astype(ids.dtype), end)


@dataclass(frozen=True, kw_only=True)
class SpanCorruption:
    """T5's pre-training: other spans are cut out each time that a text is seen.

    batch["tokens"]  (B, T) int64, filled up with `padding`
    sentinels        ids that stand for the spans, in order; end: the id that ends a sequence
    share, mean_span as of `span_mask`
    """

    sentinels: tuple[int, ...]
    end: int
    padding: int = 0
    share: float = 0.15
    mean_span: float = 3.0

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of an encoder-decoder on one batch."""
        return TeacherForcing()(model, self.corrupted(batch, rng), rng)

    def corrupted(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch as sources and targets, by the next number of `rng`."""
        seed = int(torch.randint(2**62, (1,), generator=rng))
        names = np.array(self.sentinels)
        pairs = []
        for number, row in enumerate(batch["tokens"].numpy()):
            ids = row[row != self.padding]
            mask = span_mask(len(ids), self.share, self.mean_span, noise(seed, "spans", number))
            pairs.append(corrupt(ids, mask, names, self.end))
        return pad_pairs(pairs, self.padding)

    def weight(self, batch: Batch) -> float:
        """Number of texts: how much is cut out of them is known only once it is drawn."""
        return float(len(batch["tokens"]))
