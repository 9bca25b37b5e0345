"""Drawings with what is said of them, as batches in which no glyph stands twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wenfang.data.batches import Share, keep_newest, require_batch
from wenfang.data.captions import Caption, ReadWords
from wenfang.data.picture_batches import Drawings, to_tensor
from wenfang.data.picture_views import light_view
from wenfang.device import noise


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Drawings and a caption for each."""

    drawings: Drawings
    captions: tuple[Caption, ...]

    @classmethod
    def read(cls, records: Iterable[Mapping[str, Any]]) -> Matched:
        """Decode records of `data.pictograms`."""
        kept = [dict(record) for record in records]
        return cls(
            drawings=Drawings.read(kept), captions=tuple(Caption.of(record) for record in kept)
        )


@dataclass(frozen=True, kw_only=True)
class MatchedBatches:
    """A view of one drawing of each of some glyphs, with its caption; an epoch shows each glyph."""

    matched: Matched
    read: ReadWords
    batch_size: int
    seed: int
    side_px: int = 64
    epochs: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False)

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """pictures (b, 3, S, S) float32 of -1..1, words (b, L, E), mask (b, L) bool."""
        rows = self._glyphs(index)[share.of(self.batch_size)]
        shown, texts = [], []
        for glyph in rows:
            stream = noise(self.seed, "matched", index, int(glyph))
            drawing = int(stream.choice(self.matched.drawings.glyphs[glyph]))
            image = self.matched.drawings.images[drawing]
            shown.append(light_view(image, stream, self.side_px))
            texts.append(self.matched.captions[drawing].said(stream))
        words, mask = self.read(texts)
        return {"pictures": to_tensor(np.stack(shown)), "words": words, "mask": mask}

    def _glyphs(self, index: int) -> NDArray[np.int64]:
        count = len(self.matched.drawings.glyphs)
        require_batch(count, self.batch_size)
        epoch, place = divmod(index, count // self.batch_size)
        if epoch not in self.epochs:
            keep_newest(self.epochs)
            self.epochs[epoch] = noise(self.seed, "order", epoch).permutation(count)
        return self.epochs[epoch][place * self.batch_size :][: self.batch_size]
