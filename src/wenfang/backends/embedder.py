"""Vectors of sentences and words from any bundle of the family bert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wenfang.data.masked import BREAK, FIRST, MASKED, Segments
from wenfang.data.word_spans import Word, as_it_stands, fold, words_of
from wenfang.errors import BriefError, BundleError
from wenfang.models.bert import PADDING_ID, Bert
from wenfang.models.load import Loaded
from wenfang.models.pooling import mean_of
from wenfang.tokenizer import Tokenizer

TOKENS_AT_ONCE = 8192
ROWS_AT_ONCE = 128
LENGTH_STEP = 8
# The marks of our own tokenizers, and those of BERT's.
MARKS = ((FIRST, BREAK), ("[CLS]", "[SEP]"))
SHOWN_CHARACTERS = 40

Vectors = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Vectors of texts.

    vectors  (N, D) float32 of Euclidean length 1
    windows  (N,) int64, in how many pieces each text was read; above 1 the pieces' vectors were
             averaged, each weighing as many tokens as it has, so that nothing was cut
    tokens   (N,) int64, how many tokens of each text were read, marks left out
    """

    vectors: Vectors
    windows: NDArray[np.int64]
    tokens: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class WordVectors:
    """The words of one text in their order.

    words    as they stand in the text
    spans    (W, 2) int64, first character and the one after the last, in the text as given
    vectors  (W, D) float32 of Euclidean length 1: the mean of the word's tokens in the last layer
    windows  in how many pieces the text was read; a word knows those around it in its own piece
    """

    words: tuple[str, ...]
    spans: NDArray[np.int64]
    vectors: Vectors
    windows: int


class Embedder:
    """The encoder of a bundle.

    raises BundleError for a bundle of another kind, or whose tokenizer has no marks known here
    """

    def __init__(self, loaded: Loaded) -> None:
        if not isinstance(loaded.model, Bert) or loaded.tokenizer is None:
            raise BundleError(
                "{name} is no encoder of texts (family bert); choose another model",
                name=loaded.name,
            )
        self.name = loaded.name
        self.model: Bert = loaded.model
        self.tokenizer: Tokenizer = loaded.tokenizer
        self.first, self.last, self.own = self._marks()
        # What stands beside the words of a piece.
        self.room = self.model.config.context - 2
        if self.room < 1:
            raise BundleError(
                "{name} has a context of {context}, no room for a word; choose another model",
                name=self.name,
                context=self.model.config.context,
            )

    @property
    def width(self) -> int:
        """D, numbers in a vector."""
        return self.model.config.width

    def _marks(self) -> tuple[int, int, bool]:
        """Ids of the marks around a piece, and whether the tokenizer is one of ours."""
        for number, names in enumerate(MARKS):
            first, last = map(self.tokenizer.find, names)
            if first is not None and last is not None:
                return first, last, number == 0
        raise BundleError(
            "the tokenizer of {name} has neither <cls> and <sep> nor [CLS] and [SEP]; choose "
            "another model",
            name=self.name,
        )

    def embed(self, texts: Sequence[str]) -> Embedded:
        """One vector a text; a text gets the same vector alone as among others, but for rounding.

        raises BriefError for a text without a word or mark in it, or that is no text
        """
        pieces = [self._pieces(text, number) for number, text in enumerate(checked(texts))]
        owners = np.repeat(np.arange(len(pieces)), [len(own) for own in pieces])
        rows = [piece for own in pieces for piece in own]
        vectors = np.zeros((len(pieces), self.width), dtype=np.float32)
        for chosen in batches_by_length([len(row) for row in rows]):
            hidden = self._hidden([rows[index] for index in chosen])
            for vector, index in zip(self._sums(hidden, rows, chosen), chosen, strict=True):
                vectors[owners[index]] += vector
        windows = np.array([len(own) for own in pieces], dtype=np.int64)
        tokens = np.array([sum(map(len, own)) for own in pieces], dtype=np.int64)
        return Embedded(vectors=unit(vectors), windows=windows, tokens=tokens)

    def words(self, texts: Sequence[str]) -> list[WordVectors]:
        """The vectors of every word of every text; a text without a word gives none of them.

        raises BriefError as `embed`
        """
        read = [self._words(text, number) for number, text in enumerate(checked(texts))]
        cut = [self._windows(len(ids), words) for ids, words in read]
        rows = [
            (number, window, read[number][0][window.start : window.stop])
            for number, windows in enumerate(cut)
            for window in windows
        ]
        read_as = [np.zeros((len(ids), self.width), dtype=np.float32) for ids, _ in read]
        for chosen in batches_by_length([len(ids) for _, _, ids in rows]):
            hidden = self._hidden([rows[index][2] for index in chosen]).numpy()
            for row, index in enumerate(chosen):
                number, window, ids = rows[index]
                read_as[number][window.start : window.stop] = hidden[row, 1 : len(ids) + 1]
        return [
            self._word_vectors(text, words, own, len(windows))
            for text, (_, words), own, windows in zip(texts, read, read_as, cut, strict=True)
        ]

    def _word_vectors(
        self, text: str, words: list[Word], tokens: Vectors, windows: int
    ) -> WordVectors:
        means = [tokens[word.tokens.start : word.tokens.stop].mean(0) for word in words]
        return WordVectors(
            words=tuple(text[word.first : word.end] for word in words),
            spans=np.array([(w.first, w.end) for w in words], dtype=np.int64).reshape(-1, 2),
            vectors=unit(np.array(means, dtype=np.float32).reshape(-1, self.width)),
            windows=windows,
        )

    def _pieces(self, text: str, number: int) -> list[list[int]]:
        """Ids of a text in pieces that fit, cut at ends of sentences where there are any."""
        ids = self.tokenizer.encode(MASKED.plain(text) if self.own else text)
        _require_words(ids, text, number)
        if len(ids) <= self.room:
            return [ids]
        if self.own:
            runs = Segments.build([text], self.tokenizer, self.room)
            return [runs[index].tolist() for index in range(len(runs))]
        return [ids[start : start + self.room] for start in range(0, len(ids), self.room)]

    def _words(self, text: str, number: int) -> tuple[list[int], list[Word]]:
        ids, words = words_of((fold if self.own else as_it_stands)(text), self.tokenizer)
        _require_words(ids, text, number)
        return ids, words

    def _windows(self, length: int, words: Sequence[Word]) -> list[range]:
        """Ranges of at most `room` tokens that cut no word, but one that is longer by itself."""
        starts = sorted({word.tokens.start for word in words})
        windows, first = [], 0
        while length - first > self.room:
            fitting = [start for start in starts if first < start <= first + self.room]
            stop = max(fitting, default=first + self.room)
            windows.append(range(first, stop))
            first = stop
        return [*windows, range(first, length)]

    @torch.inference_mode()
    def _hidden(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """(B, T, D) of rows of words, each between its marks, filled up with padding."""
        width = -(-(max(map(len, rows)) + 2) // LENGTH_STEP) * LENGTH_STEP
        width = min(width, self.model.config.context)
        tokens = torch.full((len(rows), width), PADDING_ID, dtype=torch.int64)
        for place, row in enumerate(rows):
            tokens[place, : len(row) + 2] = torch.tensor([self.first, *row, self.last])
        return self.model.hidden(tokens)

    def _sums(self, hidden: Tensor, rows: list[list[int]], chosen: Sequence[int]) -> Vectors:
        """(B, D), the sum of each row's words."""
        lengths = torch.tensor([len(rows[index]) for index in chosen])
        places = torch.arange(hidden.shape[1])
        words = (places >= 1) & (places <= lengths[:, None])
        sums: Vectors = (mean_of(hidden, words) * lengths[:, None]).numpy()
        return sums


def checked(texts: Sequence[str]) -> Sequence[str]:
    """`texts`, if they are a sequence of texts; raises BriefError."""
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise BriefError(
            "texts to embed are a list of texts, not {kind}; put one text into a list",
            kind=type(texts).__name__,
        )
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise BriefError(
                "text {number} of those to embed is {kind}; give text",
                number=number + 1,
                kind=type(text).__name__,
            )
    return texts


def _require_words(ids: Sequence[int], text: str, number: int) -> None:
    if not ids:
        raise BriefError(
            "text {number} of those to embed is empty ({shown}); leave it out",
            number=number + 1,
            shown=repr(text[:SHOWN_CHARACTERS]),
        )


def batches_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of rows in batches of like length, the shortest first."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        # Rows come by length, so this one is the batch's longest.
        size = len(batches[-1]) + 1 if batches else 0
        if batches and size <= ROWS_AT_ONCE and size * lengths[index] <= TOKENS_AT_ONCE:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def unit(vectors: Vectors) -> Vectors:
    """Rows of Euclidean length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found
