"""Texts as an encoder reads them: `<cls> words <sep>`, or `<cls> words <sep> words <sep>`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wenfang.data.batches import BUCKET_BATCHES, Share, keep_newest, require_batch
from wenfang.data.layouts import LABELLED
from wenfang.device import noise
from wenfang.tokenizer import Tokenizer

FIRST, BREAK, MASK = "<cls>", "<sep>", "<mask>"
MARKS = 3  # <cls> and two <sep>
SENTENCE_END = re.compile(r"(?<=[。！？!?；;\n])|(?<=[.] )")
FOLLOWS, STRANGER, NOT_ASKED = 0, 1, -1


@dataclass(frozen=True, kw_only=True)
class MaskedLayout:
    """How a record's text becomes what an encoder reads; a label is its class.

    Compatibility forms and case are taken away and spaces made single; nothing else is changed.
    """

    specials: tuple[str, ...] = (FIRST, BREAK, MASK)

    def plain(self, text: str) -> str:
        """`text` as the encoder reads it."""
        return " ".join(unicodedata.normalize("NFKC", text).casefold().split())

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its vocabulary from."""
        return [self.plain(record["text"])]

    def words(self, text: str, tokenizer: Tokenizer) -> list[int]:
        """Ids of a text without any mark."""
        return tokenizer.encode(self.plain(text))

    def marked(self, words: list[int], tokenizer: Tokenizer) -> list[int]:
        """One segment between its marks."""
        return [tokenizer.id(FIRST), *words, tokenizer.id(BREAK)]

    def label(self, record: Mapping[str, Any]) -> int:
        """The number of the record's class; DataError where it has none."""
        return LABELLED.label(record)


MASKED = MaskedLayout()


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Runs of whole sentences, one after another, and which text each is of.

    flat (N,) uint32, offsets (n + 1,) int64, texts (n,) int64, which do not fall
    """

    flat: np.ndarray
    offsets: np.ndarray
    texts: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> np.ndarray:
        """Ids of one segment."""
        return self.flat[self.offsets[index] : self.offsets[index + 1]].astype(np.int64)

    @classmethod
    def build(cls, texts: Iterable[str], tokenizer: Tokenizer, longest: int) -> Segments:
        """Texts cut at ends of sentences into runs of at most `longest` tokens.

        A single sentence that is longer is cut in pieces, of which none is lost.
        """
        flat: list[int] = []
        offsets, owners = [0], []
        for number, text in enumerate(texts):
            run: list[int] = []
            for sentence in SENTENCE_END.split(text):
                words = MASKED.words(sentence, tokenizer)
                if run and len(run) + len(words) > longest:
                    flat += run
                    offsets.append(len(flat))
                    owners.append(number)
                    run = []
                run += words
                while len(run) > longest:
                    flat += run[:longest]
                    offsets.append(len(flat))
                    owners.append(number)
                    run = run[longest:]
            if run:
                flat += run
                offsets.append(len(flat))
                owners.append(number)
        return cls(
            flat=np.array(flat, dtype=np.uint32),
            offsets=np.array(offsets, dtype=np.int64),
            texts=np.array(owners, dtype=np.int64),
        )


@dataclass(frozen=True, kw_only=True)
class SegmentBatches:
    """Padded batches of one or two segments; each is a pure function of its number.

    A segment that another of the same text follows is shown with it half of the time, else with
    one drawn from anywhere, and the model is asked which; one that none follows stands alone.
    first, brk  ids of <cls> and <sep>
    """

    segments: Segments
    batch_size: int
    seed: int
    first: int
    brk: int
    epochs: dict[int, tuple[None, np.ndarray]] = field(default_factory=dict, init=False)

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """tokens and segments (b, T) int64, next (b,) int64."""
        require_batch(len(self.segments), self.batch_size)
        per_epoch = len(self.segments) // self.batch_size
        epoch, position = divmod(index, per_epoch)
        if epoch not in self.epochs:
            keep_newest(self.epochs)
            self.epochs[epoch] = (None, self._order(epoch, per_epoch))
        rows = self.epochs[epoch][1][position]
        stream = noise(self.seed, "next", index)
        draws = stream.random((len(rows), 2))
        part = share.of(self.batch_size)
        shown = [
            self._shown(int(row), float(follow), float(stranger))
            for row, (follow, stranger) in zip(rows[part], draws[part], strict=True)
        ]
        return pad_segments(shown)

    def _shown(self, row: int, follow: float, stranger: float) -> tuple[list[int], list[int], int]:
        """Ids, segment of each, and what is asked of one example."""
        segments = self.segments
        own = [self.first, *segments[row].tolist(), self.brk]
        if row + 1 == len(segments) or segments.texts[row + 1] != segments.texts[row]:
            return own, [0] * len(own), NOT_ASKED
        other = row + 1 if follow < 0.5 else int(stranger * len(segments))
        second = [*segments[other].tolist(), self.brk]
        asked = FOLLOWS if other == row + 1 else STRANGER
        return own + second, [0] * len(own) + [1] * len(second), asked

    def _order(self, epoch: int, per_epoch: int) -> np.ndarray:
        """The segments of every batch of an epoch, (per_epoch, size); of like length together."""
        stream = noise(self.seed, "order", epoch)
        order = stream.permutation(len(self.segments))[: per_epoch * self.batch_size]
        lengths = np.diff(self.segments.offsets)
        pool = BUCKET_BATCHES * self.batch_size
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        order = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools])
        batches = order.reshape(per_epoch, self.batch_size)
        return batches[stream.permutation(per_epoch)]


def pad_segments(rows: list[tuple[list[int], list[int], int]]) -> dict[str, Tensor]:
    """Examples as rectangles; lengths are rounded up to 8."""
    width = -(-max(len(ids) for ids, _, _ in rows) // 8) * 8
    tokens = torch.zeros(len(rows), width, dtype=torch.int64)
    segments = torch.zeros_like(tokens)
    for place, (ids, parts, _) in enumerate(rows):
        tokens[place, : len(ids)] = torch.tensor(ids)
        segments[place, : len(parts)] = torch.tensor(parts)
    asked = torch.tensor([asked for _, _, asked in rows])
    return {"tokens": tokens, "segments": segments, "next": asked}
