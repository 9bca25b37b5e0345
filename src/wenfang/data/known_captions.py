"""What a drawer was told while it learnt, so that other words for it are read as those it knows.

A drawer of some thousand things knows them by the words that it was told. Asked in others it draws
what lies between; the nearest words that it knows lie close by in the vectors of the encoder that
reads for it, and those it draws well (as Blattmann et al. 2022, arXiv:2204.11824, who draw from
neighbours in place of a larger model). Vectors are kept in few dimensions and 8 bits, by which the
nearest hardly changes.

N distinct texts of C things, E width of the encoder's vectors, D of what is kept of them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wenfang.data.captions import Caption
from wenfang.data.index_file import damaged, read_index, write_index
from wenfang.int8 import quantise

CAPTIONS, KIND = "captions.safetensors", "known_captions"  # its name in a bundle, and what it is
WIDTH = 64  # D, where vectors and texts are as many
# What a text is made of: English words, or what stands between commas.
WORDS, PARTS = re.compile(r"[a-z']+", re.IGNORECASE), re.compile(r"[^,;，、；]+")
SAYING_NOTHING = frozenset(
    ("a", "an", "the", "of", "with", "and", "or", "in", "on", "at", "to", "for", "by", "from")
)
MOST_PARTS = 24  # the first ones of a longer text
# What the text as a whole counts beside the mean of its parts.
WHOLE = 0.5
# Texts to their vectors (N, E).
ReadTexts = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class KnownCaptions:
    """Names and keywords of what was learnt.

    names    of each thing, one for each language that there is
    texts    all their names and keywords
    also     what else was learnt by, which is found nowhere near: variants of these things
    members  texts of all things, one thing after another, as places in `texts`
    starts   (C,) where in `members` each thing's begin
    basis    (D, E) onto which vectors are taken
    vectors  (N, D) of the texts, of length 1
    """

    names: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    also: tuple[str, ...]
    members: NDArray[np.int32]
    starts: NDArray[np.int32]
    basis: NDArray[np.float32]
    vectors: NDArray[np.float32]

    @classmethod
    def build(cls, captions: Iterable[tuple[str, Caption]], read: ReadTexts) -> KnownCaptions:
        """Of what was learnt, each with the thing that it shows: the first of a thing stands for
        all of its variants.
        """
        firsts: dict[str, Caption] = {}
        every: dict[str, None] = {}
        for thing, caption in captions:
            if all(caption.names):
                firsts.setdefault(thing, caption)
                every.update(dict.fromkeys(_said(caption)))
        places: dict[str, int] = {}
        told = [dict.fromkeys(_said(caption)) for caption in firsts.values()]
        members = [places.setdefault(text, len(places)) for texts in told for text in texts]
        vectors = _normed(read(list(places)))
        _, _, directions = np.linalg.svd(vectors, full_matrices=False)
        basis = directions[:WIDTH].astype(np.float16).astype(np.float32)
        return cls(
            names=tuple(caption.names for caption in firsts.values()),
            texts=tuple(places),
            also=tuple(text for text in every if text not in places),
            members=np.array(members, np.int32),
            starts=np.cumsum([0, *map(len, told[:-1])]).astype(np.int32),
            basis=basis,
            vectors=_normed(quantise(_normed(vectors @ basis.T))[0].astype(np.float32)),
        )

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(one.casefold() for one in (*self.texts, *self.also))

    def knows(self, text: str) -> bool:
        """Whether something was called so, but for capitals."""
        return text.strip().casefold() in self._folded

    def nearest(self, text: str, read: ReadTexts) -> str:
        """The name of the thing whose names and keywords are nearest, in the text's language."""
        asked = _normed(_normed(read([text, *_parts(text)])) @ self.basis.T)
        likeness = asked @ self.vectors.T
        by_thing = np.maximum.reduceat(likeness[:, self.members], self.starts, axis=1)
        names = self.names[int((WHOLE * by_thing[0] + by_thing[1:].mean(0)).argmax())]
        alike = [name for name in names if name.isascii() == text.isascii()]
        return (alike or names)[0]

    def save(self, path: Path) -> None:
        """Write one .safetensors file, atomically."""
        arrays = {
            "vectors": quantise(self.vectors)[0],  # whose length is known
            "basis": self.basis.astype(np.float16),
            "members": self.members,
            "starts": self.starts,
        }
        about = {"format": 1, "names": self.names, "texts": self.texts, "also": self.also}
        write_index(path, KIND, arrays, about)

    @classmethod
    def load(cls, path: Path) -> KnownCaptions:
        """Read what `save` wrote; BundleError where the file is none or is damaged."""
        arrays, about = read_index(path, KIND)
        try:
            return cls(
                names=tuple(map(tuple, about["names"])),
                texts=tuple(about["texts"]),
                also=tuple(about["also"]),
                members=arrays["members"].astype(np.int32),
                starts=arrays["starts"].astype(np.int32),
                basis=arrays["basis"].astype(np.float32),
                vectors=_normed(arrays["vectors"].astype(np.float32)),
            )
        except (KeyError, TypeError, ValueError) as reason:
            raise damaged(path, str(reason)) from None


def _said(caption: Caption) -> list[str]:
    return [*caption.names, *(word for row in caption.keywords for word in row)]


def _parts(text: str) -> list[str]:
    found = (WORDS if text.isascii() else PARTS).findall(text)
    telling = [one for one in map(str.strip, found) if one and one.lower() not in SAYING_NOTHING]
    return list(dict.fromkeys(telling))[:MOST_PARTS] or [text]


def _normed(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: NDArray[np.float32] = vectors / np.maximum(length, 1e-9)
    return found
