"""Pieces in four voices as batches: in every key that the voices can sing, other bars given each
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wenfang.data.batches import Share, keep_newest, pad, require_batch
from wenfang.data.chorales import piece_of
from wenfang.data.part_tokens import (
    GIVEN,
    MOST_BARS,
    PIECE,
    RANGES,
    Asked,
    drawn_known,
    excerpt,
    filled,
    fits,
    moved,
    piece_tokens,
    prompt_tokens,
    vocabulary,
)
from wenfang.device import NoiseStream, noise
from wenfang.media.four_parts import REST, VOICES, FourParts
from wenfang.tokenizer import PADDING, Tokenizer, train_characters

FARTHEST = 6  # semitones
Row = tuple[np.ndarray, np.ndarray]  # ids (T,) int64, and which of them are predicted, bool
SHORTENED, LEAST_BARS = 0.3, 4  # share of the pieces of which only an end is learnt


def part_tokenizer() -> Tokenizer:
    """A token for each thing that can be told of four voices."""
    return train_characters((), specials=vocabulary())


def read_pieces(records: Iterable[Mapping[str, Any]]) -> tuple[FourParts, ...]:
    """Pieces that tokens can tell, their last bars full; the ends of those that are too long."""
    found = (filled(piece_of(record)) for record in records)
    ended = (
        excerpt(one, one.bars - MOST_BARS, MOST_BARS) if one.bars > MOST_BARS else one
        for one in found
    )
    return tuple(one for one in ended if fits(one))


def example(piece: FourParts, asked: Asked, tokenizer: Tokenizer) -> Row:
    """A piece after what is asked; only what is neither asked nor given is predicted."""
    opening = prompt_tokens(asked)
    names = [*opening, *piece_tokens(piece, asked.known)]
    predicted = np.ones(len(names), np.bool_)
    predicted[: len(opening) + 1] = False  # the first bar tells how many are asked
    given = False
    for place, name in enumerate(names):
        given = given or name == GIVEN
        if given:
            predicted[place] = False
        given = given and name != PIECE
    return np.array([tokenizer.id(name) for name in names]), predicted


def padded(rows: list[Row], padding: int) -> dict[str, Tensor]:
    """tokens (b, T + 1) int64 and weight (b, T) float32: 1 where the next token is predicted."""
    batch = pad([(ids, 0) for ids, _ in rows], padding)
    for row, (ids, predicted) in enumerate(rows):
        batch["weight"][row, : len(ids) - 1] = torch.from_numpy(predicted[1:]).float()
    return batch


@dataclass(frozen=True, kw_only=True)
class PartBatches:
    """Every piece once an epoch, each time in another key and with other things given; those of
    one length together.
    """

    pieces: tuple[FourParts, ...]
    tokenizer: Tokenizer
    batch_size: int
    seed: int
    epochs: dict[int, tuple[list[Row], np.ndarray]] = field(default_factory=dict, init=False)

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """tokens (b, T + 1) int64 and weight (b, T), 0 on what is asked and given."""
        require_batch(len(self.pieces), self.batch_size)
        per_epoch = len(self.pieces) // self.batch_size
        epoch, position = divmod(index, per_epoch)
        if epoch not in self.epochs:
            keep_newest(self.epochs)
            self.epochs[epoch] = self._epoch(epoch, per_epoch)
        rows, order = self.epochs[epoch]
        chosen = order[position][share.of(self.batch_size)]
        return padded([rows[row] for row in chosen], self.tokenizer.id(PADDING))

    def _epoch(self, epoch: int, per_epoch: int) -> tuple[list[Row], np.ndarray]:
        """Every piece as it is learnt this time, and the rows of each batch."""
        rows = []
        for number, piece in enumerate(self.pieces):
            stream = noise(self.seed, "piece", epoch, number)
            varied = _varied(piece, stream)
            asked = Asked.like(varied, drawn_known(varied.bars, stream))
            rows.append(example(varied, asked, self.tokenizer))
        drawn = noise(self.seed, "order", epoch)
        kept = drawn.permutation(len(rows))[: per_epoch * self.batch_size]
        by_length = kept[np.argsort([len(rows[row][0]) for row in kept], kind="stable")]
        return rows, drawn.permutation(by_length.reshape(per_epoch, self.batch_size))


def _varied(piece: FourParts, stream: NoiseStream) -> FourParts:
    """In another key, and at times only its end."""
    if piece.bars > LEAST_BARS and stream.random() < SHORTENED:
        kept = int(stream.integers(LEAST_BARS, piece.bars))
        piece = excerpt(piece, piece.bars - kept, kept)
    lowest, highest = -FARTHEST, FARTHEST
    for voice, (low, high) in zip(range(len(VOICES)), RANGES, strict=True):
        sung = piece.pitches[:, voice][piece.pitches[:, voice] != REST]
        if sung.size:
            lowest = max(lowest, low - int(sung.min()))
            highest = min(highest, high - int(sung.max()))
    if lowest > highest:
        return piece
    return moved(piece, int(stream.integers(lowest, highest + 1)))
