"""Texts as vectors: the verb behind `wenfang.embed` and the command of that name."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wenfang.atomic import new_file
from wenfang.backends.embedder import Embedder, Vectors
from wenfang.backends.loading import load_named
from wenfang.device import DRAWING_THREADS, set_threads
from wenfang.errors import DataError, UsageError
from wenfang.language import t

ENCODER = "encoder"
TEXT_BYTES_MAX = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Near:
    """A text that lies near a query: its number from 0, and the cosine between the two."""

    number: int
    text: str
    likeness: float


def load_embedder(model: str = ENCODER) -> Embedder:
    """The encoder of that name, or in that folder, with adapters if any are named."""
    set_threads(DRAWING_THREADS)
    return Embedder(load_named(model))


def told_windows(windows: Sequence[int], context: int) -> str:
    """What is to be told where texts were longer than the encoder reads at once; else nothing."""
    long = sum(count > 1 for count in windows)
    if not long:
        return ""
    return t(
        "{long} of {count} texts are longer than the {context} tokens that the encoder reads "
        "at once; they were read in pieces, none left out",
        long=long,
        count=len(windows),
        context=context,
    )


def warn_of_windows(windows: Sequence[int], context: int) -> None:
    """Warn where texts were longer than the encoder reads at once."""
    if told := told_windows(windows, context):
        warnings.warn(told, stacklevel=3)


def nearest_texts(
    query: str, texts: Sequence[str], vectors: Vectors, embedder: Embedder, count: int = 5
) -> list[Near]:
    """The texts that lie nearest to `query`, nearest first.

    vectors  (N, D) of `texts`, by the same encoder
    raises   UsageError for a query without words
    """
    if not query.strip():
        raise UsageError("the query is empty; write what to look for")
    likeness = vectors @ embedder.embed([query]).vectors[0]
    order = np.argsort(-likeness, kind="stable")[:count]
    return [
        Near(number=int(index), text=texts[index], likeness=float(likeness[index]))
        for index in order
    ]


def read_content(path: Path) -> bytes:
    """A file's bytes, at most one more than `lines_of` takes; DataError where there is none."""
    try:
        with path.open("rb") as stream:
            return stream.read(TEXT_BYTES_MAX + 1)
    except OSError as error:
        raise DataError(
            "{path} cannot be read ({reason}); check that it is there and its permissions",
            path=path,
            reason=error.strerror,
        ) from None


def lines_of(content: bytes, name: str) -> list[str]:
    """The lines of a text file that hold text; raises DataError where there is none."""
    if len(content) > TEXT_BYTES_MAX:
        raise DataError(
            "{path} has {size} bytes, at most {most} are read; split it",
            path=name,
            size=len(content),
            most=TEXT_BYTES_MAX,
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "{path} is not UTF-8 text (byte {place}); convert it", path=name, place=error.start
        ) from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError("{path} is empty; give a file that holds text", path=name)
    return lines


def require_vector_file(path: Path) -> None:
    """UsageError for a name that does not end in .npy, before anything is computed."""
    if path.suffix != ".npy":
        raise UsageError("vectors are saved as .npy, not as {path}; name such a file", path=path)


def save_vectors(path: Path, vectors: Vectors) -> None:
    """Write (N, D) float32 as a .npy file, whole or not at all; numpy.load reads it.

    raises UsageError for a name that does not end in .npy
    """
    require_vector_file(path)
    with new_file(path) as stream:
        np.save(stream, vectors, allow_pickle=False)
