"""A data set that is known by name: where it comes from, and what its files must hash to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wenfang.data.dataset import Dataset
from wenfang.data.lineage import OnEvent
from wenfang.data.request import Source


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A file of a named data set and the SHA-256 that it must have."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class NamedSource:
    """A data set that is known by name.

    origin   where to get it, with the commit
    licence  SPDX expression; notice: the words that travel with it
    held_out the file beside it that the origin keeps for testing, if any
    further  other sources of the same set, whose files lie in folders of their own
    make     (source with its path, output, on_event) -> the data set
    """

    name: str
    origin: str
    licence: str
    notice: str
    file: NamedFile
    make: Callable[[NamedSource, Path, Path, OnEvent | None], Dataset]
    held_out: NamedFile | None = None
    further: tuple[NamedSource, ...] = ()

    def source(self, path: Path) -> Source:
        """The file at `path` with this origin and licence."""
        return Source(
            path=str(path),
            name=self.name,
            licence=self.licence,
            origin=self.origin,
            notice=self.notice,
        )


def beside(path: Path, named: NamedSource, other: NamedSource) -> Path:
    """Where the file of `other` lies if that of `named` is at `path`."""
    depth = len(Path(named.file.name).parts)
    return path.parents[depth - 1] / other.name / other.file.name
