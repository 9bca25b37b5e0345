"""Texts to compare with: where a draft copies them, and where it nearly does.

Long texts are cut into overlapping segments, so that a find says about where, and so that the
commonplaces of a whole novel do not add up to a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wenfang.data.gram_index import GramIndex, Span
from wenfang.data.index_file import damaged, read_index, write_index
from wenfang.data.ngrams import Hashes, gram_hashes, unit_hashes
from wenfang.data.units import Located, located

KIND = "text_index"
TEXT_INDEX = "texts.safetensors"  # its name in a bundle, as of any folder of indexes
GRAM_SIZE = 6  # units
WINDOW_GRAMS = 60
SEGMENT_UNITS = 4_000
OVERLAP_UNITS = 200  # a copy up to this long is never cut in two


class Find(NamedTuple):
    """Where a draft is like a text: the measure, the draft's own words, and the text's name."""

    value: float
    excerpt: str
    name: str


@dataclass(frozen=True, kw_only=True)
class TextIndex:
    """N-grams of segments of texts; `names` (one a segment) says which text each is of."""

    grams: GramIndex
    names: tuple[str, ...]

    @classmethod
    def build(cls, texts: Iterable[tuple[str, str]]) -> TextIndex:
        """Index (name, text) pairs."""
        names: list[str] = []

        def segments() -> Iterator[Hashes]:
            for name, text in texts:
                for part in _segments(located(text).units):
                    names.append(name)
                    yield _grams(part)

        return cls(grams=GramIndex.build(segments()), names=tuple(names))

    def longest_copy(self, text: str) -> Find:
        """Units of the longest run of `text` that one segment holds; 0 below GRAM_SIZE."""
        draft = located(text)
        span = self.grams.longest_run(_grams(draft.units))
        length = span.found + GRAM_SIZE - 1 if span.found else 0
        return self._find(float(length), draft, span, length)

    def nearest(self, text: str) -> Find:
        """The largest share, in WINDOW_GRAMS consecutive n-grams of `text`, that one segment holds.

        A shorter text is one window. Near copies keep most of their n-grams: of every tenth unit
        changed, 0.9 ** GRAM_SIZE = 0.53 remain.
        """
        draft = located(text)
        grams = _grams(draft.units)
        window = min(WINDOW_GRAMS, len(grams))
        span = self.grams.densest(grams, WINDOW_GRAMS)
        share = span.found / window if window else 0.0
        end = min(span.first + window + GRAM_SIZE - 1, len(draft.units))
        return self._find(share, draft, span, end - span.first)

    def _find(self, value: float, draft: Located, span: Span, count: int) -> Find:
        if span.found == 0:
            return Find(0.0, "", "")
        return Find(value, draft.excerpt(span.first, count), self.names[span.owner])

    def save(self, path: Path) -> None:
        """Write one .safetensors file, atomically."""
        write_index(path, KIND, self.grams.pack(), {"format": 1, "names": list(self.names)})

    @classmethod
    def load(cls, path: Path) -> TextIndex:
        """Read what `save` wrote; BundleError where the file is none."""
        arrays, about = read_index(path, KIND)
        try:
            names = tuple(map(str, about["names"]))
            return cls(grams=GramIndex.unpack(arrays, len(names)), names=names)
        except (KeyError, TypeError, ValueError) as reason:
            raise damaged(path, str(reason)) from None


def _grams(units: list[str]) -> Hashes:
    return gram_hashes(unit_hashes(units), GRAM_SIZE)


def _segments(units: list[str]) -> Iterator[list[str]]:
    step = SEGMENT_UNITS - OVERLAP_UNITS
    for start in range(0, max(len(units) - OVERLAP_UNITS, 1), step):
        yield units[start : start + SEGMENT_UNITS]
