"""Batches for an encoder of two languages: sentences with their translation, and texts to fill in.

A translation is also shown as a text of two segments, in either order, so that a hidden word can
be told from its counterpart in the other language (Conneau & Lample 2019, arXiv:1901.07291).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from wenfang.data.batches import Share
from wenfang.data.masked import MaskedLayout, SegmentBatches, Segments
from wenfang.data.pair_batches import PairBatches
from wenfang.tokenizer import Tokenizer

# The vocabulary is to be that of short sentences first; there is less of them than of stories.
PAIR_WEIGHT = 3


@dataclass(frozen=True, kw_only=True)
class BilingualLayout(MaskedLayout):
    """Texts as `MaskedLayout` reads them; a record with "english" holds its translation."""

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its vocabulary from."""
        if "english" not in record:
            return [self.plain(record["text"])]
        return PAIR_WEIGHT * [self.plain(record["english"]), self.plain(record["text"])]

    def pairs(
        self, records: Iterable[Mapping[str, Any]], tokenizer: Tokenizer
    ) -> Iterator[tuple[list[int], list[int]]]:
        """English and Chinese of every record that has both, each between its marks."""
        for record in records:
            if "english" in record:
                english, chinese = (
                    self.marked(self.words(record[name], tokenizer), tokenizer)
                    for name in ("english", "text")
                )
                yield english, chinese


BILINGUAL = BilingualLayout()


def segments_of(
    records: Iterable[Mapping[str, Any]], tokenizer: Tokenizer, longest: int
) -> Segments:
    """Plain texts in runs of sentences, and every pair as a text of two segments, both ways."""
    rows = list(records)
    plain = (row["text"] for row in rows if "english" not in row)
    runs = Segments.build(plain, tokenizer, longest)
    flat, offsets, texts = runs.flat.tolist(), runs.offsets.tolist(), runs.texts.tolist()
    owner = texts[-1] if texts else -1
    for row in rows:
        if "english" not in row:
            continue
        sides = [BILINGUAL.words(row[name], tokenizer) for name in ("english", "text")]
        if max(map(len, sides)) > longest:
            continue  # seen as a pair all the same
        for ordered in (sides, sides[::-1]):
            owner += 1
            for side in ordered:
                flat += side
                offsets.append(len(flat))
                texts.append(owner)
    return Segments(
        flat=np.array(flat, dtype=np.uint32),
        offsets=np.array(offsets, dtype=np.int64),
        texts=np.array(texts, dtype=np.int64),
    )


@dataclass(frozen=True, kw_only=True)
class BilingualBatches:
    """Pairs to tell apart, and segments with words to be hidden, side by side."""

    pairs: PairBatches
    segments: SegmentBatches

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """one, other (b, ·) int64, English and Chinese; tokens, segments, next as of
        `SegmentBatches`.
        """
        pair = self.pairs.batch(index, share)
        both = {"one": pair["source"], "other": pair["tokens"][:, 1:]}
        return both | self.segments.batch(index, share)
