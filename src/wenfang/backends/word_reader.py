"""Prompts as vectors of words for a model of pictures, by an encoder of texts that stays as it is.

B batch, L words, E width of a word's vector
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wenfang.backends.embedder import Embedder
from wenfang.errors import BriefError
from wenfang.models.load import Loaded

MOST_WORDS = 24  # of a text; the vector of the whole text tells what comes after
KNOWN_SCRIPTS = ("LATIN", "CJK")
KEPT = 100_000  # texts, about 400 MB


class WordReader:
    """(B, L, E) of texts: first the vector of the whole text, then those of its words.

    Numbers have a mean square of 1, since lengths are all alike.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._embedder = Embedder(loaded)
        self._known: dict[str, Tensor] = {}

    @property
    def width(self) -> int:
        """E."""
        return self._embedder.width

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Vectors (B, L, E) float32, and which are said (B, L) bool; an empty text says nothing."""
        if len(self._known) > KEPT:
            self._known.clear()
        fresh = [text for text in dict.fromkeys(texts) if text.strip() and text not in self._known]
        if fresh:
            self._learn(fresh)
        rows = [self._known.get(text, torch.zeros(0, self.width)) for text in texts]
        words = torch.zeros(len(rows), max([1, *map(len, rows)]), self.width)
        mask = torch.zeros(words.shape[:2], dtype=torch.bool)
        for place, row in enumerate(rows):
            words[place, : len(row)] = row
            mask[place, : len(row)] = True
        return words, mask

    def whole(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of whole texts alone, of length 1: (B, E)."""
        return self._embedder.embed(texts).vectors

    def _learn(self, texts: Sequence[str]) -> None:
        whole = self._embedder.embed(texts).vectors
        scale = self.width**0.5
        for text, first, found in zip(texts, whole, self._embedder.words(texts), strict=True):
            vectors = np.concatenate((first[None], found.vectors[:MOST_WORDS]))
            self._known[text] = torch.from_numpy(vectors * scale)


def is_readable(text: str) -> bool:
    """Whether a text has words, most of whose letters are Latin or Chinese."""
    letters = [unicodedata.name(one, "").split(" ")[0] for one in text if one.isalpha()]
    return bool(letters) and 2 * sum(name in KNOWN_SCRIPTS for name in letters) >= len(letters)


def require_known_script(text: str, model: str) -> None:
    """BriefError for a text that is not readable."""
    if not is_readable(text):
        raise BriefError(
            "{model} reads English and Chinese, and not {prompt}; say it in one of them",
            model=model,
            prompt=text,
        )
