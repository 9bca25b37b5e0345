"""Pictures or their latents with what they show, said in other words each time, as batches.

B batch, L words, E width of a word's vector
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wenfang.data.batches import Share
from wenfang.device import noise
from wenfang.errors import DataError

# Of what a picture is called when it is shown: its name, the name and more, or only what it is
# like.
NAMED, TOLD_MORE = 0.5, 0.25
MOST_KEYWORDS = 3
LEAST_CAPTIONED = 0.9  # share of the pictures that must have words
# Of a file's name: runs of two letters or more (capitals begin a new one), or of Chinese.
WORDS = re.compile(r"[\u4e00-\u9fff]+|[A-Z]?[a-z]{2,}|[A-Z]{2,}")
OF_CAMERAS = {
    "dsc", "dscf", "dscn", "icon", "image", "img", "photo", "picture", "pxl", "screenshot", "x",
}  # fmt: skip
ReadWords = Callable[[Sequence[str]], tuple[Tensor, Tensor]]  # -> (B, L, E), (B, L) bool


@dataclass(frozen=True, kw_only=True)
class Caption:
    """Ways to say what one picture shows.

    names     in each language that there is
    keywords  as many rows; further words in that language
    """

    names: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Caption:
        """Of a record with `names` and `keywords` by language, or with a `text`; where there is
        none, its label says it, or the words that its file is named by.
        """
        names = record.get("names") or {"": _plain(record)}
        keywords = record.get("keywords") or {}
        return cls(
            names=tuple(names.values()),
            keywords=tuple(tuple(keywords.get(one, ())) for one in names),
        )

    def said(self, stream: np.random.Generator) -> str:
        """One way of saying it."""
        number = int(stream.integers(len(self.names)))
        kind, name, words = stream.random(), self.names[number], self.keywords[number]
        if kind < NAMED or not words:
            return name
        count = min(int(stream.integers(1, MOST_KEYWORDS + 1)), len(words))
        chosen = [words[place] for place in stream.permutation(len(words))[:count]]
        return joined([name, *chosen] if kind < NAMED + TOLD_MORE else chosen)


def _plain(record: Mapping[str, Any]) -> str:
    said = record.get("text") or record.get("label")
    return str(said) if said else words_of_name(str(record["name"]))


def thing_of(record: Mapping[str, Any]) -> str:
    """What a record is a variant of: its glyph; else it stands for itself."""
    return str(record.get("glyph", record["name"]))


def words_of_name(name: str) -> str:
    """The words that a picture's file is named by: "icons/red_car-2.png" -> "red car"; nothing for
    names such as cameras give.
    """
    stem = PurePath(name).stem
    found = [one for one in WORDS.findall(stem) if one.casefold() not in OF_CAMERAS]
    return " ".join(one.casefold() for one in found)


def joined(words: Sequence[str]) -> str:
    """Several words as one text, by a comma of the language that they are in."""
    return (", " if all(map(str.isascii, words)) else "，").join(words)


@dataclass(frozen=True, kw_only=True)
class Captioned:
    """Pictures or latents of one part of a data set, with their captions.

    pictures  (N, C, H, W) float32
    captions  one for each, or none
    weights   (N,) how often each is shown; they sum to 1
    """

    pictures: Tensor
    captions: tuple[Caption, ...]
    weights: np.ndarray

    @classmethod
    def build(cls, pictures: Tensor, records: Iterable[Mapping[str, Any]] | None) -> Captioned:
        """Variants of one glyph (skin tones, say) together count as the root of their number.

        records  None: nothing is told of the pictures; one without a caption is shown in silence
        """
        if records is None:
            even = np.full(len(pictures), 1 / len(pictures))
            return cls(pictures=pictures, captions=(), weights=even)
        kept = [(Caption.of(record), thing_of(record)) for record in records]
        places: dict[str, int] = {}
        owners = np.array([places.setdefault(glyph, len(places)) for _, glyph in kept])
        weights = 1 / np.sqrt(np.bincount(owners))[owners]
        return cls(
            pictures=pictures,
            captions=tuple(caption for caption, _ in kept),
            weights=weights / weights.sum(),
        )

    def require_captions(self) -> None:
        """DataError where more than a few pictures have none."""
        bare = sum(not all(caption.names) for caption in self.captions)
        if len(self) - bare < LEAST_CAPTIONED * len(self):
            raise DataError(
                "{count} of {total} pictures have no caption; write each beside its picture "
                "(cat.png, cat.txt) or all into captions.csv",
                count=bare,
                total=len(self),
            )

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True, kw_only=True)
class CaptionedBatches:
    """Batches drawn by weight; `read` makes vectors of words, or nothing is told."""

    captioned: Captioned
    read: ReadWords | None
    batch_size: int
    seed: int

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """pictures (b, C, H, W), and words (b, L, E) with mask (b, L) bool if anything is told."""
        drawn, shown = noise(self.seed, "drawn", index), self.captioned
        chosen = drawn.choice(len(shown), self.batch_size, p=shown.weights)
        part = share.of(self.batch_size)
        batch = {"pictures": shown.pictures[torch.from_numpy(chosen[part])]}
        if self.read:
            texts = [shown.captions[row].said(drawn) for row in chosen]
            batch["words"], batch["mask"] = self.read(texts[part])
        return batch
