"""Pieces in four voices as batches: in every key that the voices can sing, other bars given each
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from wenfang.data.batches import Share, pad, require_batch
from wenfang.data.chorales import piece_of
from wenfang.data.part_tokens import (
    MOST_BARS,
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


def example(piece: FourParts, asked: Asked, tokenizer: Tokenizer) -> tuple[np.ndarray, int]:
    """Ids of what is asked and of the piece, and the place of the piece's first."""
    opening = prompt_tokens(asked)
    names = [*opening, *piece_tokens(piece)]
    return np.array([tokenizer.id(name) for name in names]), len(opening)


@dataclass(frozen=True, kw_only=True)
class PartBatches:
    """Every piece once an epoch, each time in another key and with other things given."""

    pieces: tuple[FourParts, ...]
    tokenizer: Tokenizer
    batch_size: int
    seed: int

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """tokens (b, T + 1) int64 and weight (b, T), 1 on the piece, 0 on what is asked."""
        require_batch(len(self.pieces), self.batch_size)
        per_epoch = len(self.pieces) // self.batch_size
        epoch, position = divmod(index, per_epoch)
        order = noise(self.seed, "order", epoch).permutation(len(self.pieces))
        first = position * self.batch_size
        rows = []
        for row in range(first, first + self.batch_size)[share.of(self.batch_size)]:
            stream = noise(self.seed, "piece", epoch, row)
            piece = _varied(self.pieces[int(order[row])], stream)
            asked = Asked.like(piece, drawn_known(piece.bars, stream))
            rows.append(example(piece, asked, self.tokenizer))
        return pad(rows, self.tokenizer.id(PADDING))


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
