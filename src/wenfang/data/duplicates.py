"""Exact and near duplicates among any number of records, in bounded memory.

Keys (64-bit hashes) are appended to a file as records pass by: one key of the SHA-256 of the
normalised text, BANDS keys of a MinHash signature, one key for each line. Afterwards
`repeats_in` marks every key that was seen before. The one rule of a cluster: the first is kept; a
record that shares a key with any earlier record is dropped.

On disk a record costs 8 + 8 * BANDS bytes of keys and 1 + BANDS bytes of marks (135 in all), a
line 9. In memory nothing grows with the number of records: marking holds PARTITION_KEYS keys at
a time (about 40 bytes each) and reads the file once for each such part.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from wenfang.data.ngrams import Hashes, Unit, gram_hashes, matter, mix, unit_hashes, units_of

BANDS = 14
ROWS = 8
PARTITION_KEYS = 2_000_000
READ_KEYS = 1_000_000
SHINGLES_AT_ONCE = 8192

_SIGNATURE_SEED = 20_130_109  # fixes the hash family; changing it changes every data set
_family = np.random.Generator(np.random.Philox(key=_SIGNATURE_SEED))
_FACTORS = _family.integers(0, 2**63, BANDS * ROWS, np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _family.integers(0, 2**63, BANDS * ROWS, np.uint64)


def match_probability(jaccard: float) -> float:
    """Chance that two texts whose shingle sets overlap by `jaccard` share a band."""
    return float(1 - (1 - jaccard**ROWS) ** BANDS)


def exact_key(text: str) -> int:
    """The first 64 bits of the SHA-256 of `text` without punctuation, spaces and case."""
    return int.from_bytes(hashlib.sha256(matter(text).encode("utf-8")).digest()[:8], "little")


def shingles(text: str, size: int, unit: Unit) -> Hashes:
    """Hashes of the n-grams of `text`; of the whole of it where it is shorter than `size`."""
    hashes = unit_hashes(units_of(text, unit))
    if len(hashes) == 0:
        return np.zeros(1, np.uint64)
    return gram_hashes(hashes, min(size, len(hashes)))


def signature(grams: Hashes) -> NDArray[np.uint32]:
    """MinHash signature (BANDS * ROWS,) of a set of shingle hashes.

    Each row is the least of the upper 32 bits of a*x + b mod 2**64 over the shingles
    (Broder 1997; multiply-shift hashing of Dietzfelbinger et al. 1997).
    """
    least = np.full(BANDS * ROWS, np.iinfo(np.uint32).max, np.uint32)
    for start in range(0, len(grams), SHINGLES_AT_ONCE):
        part = grams[start : start + SHINGLES_AT_ONCE]
        rows = (_FACTORS[:, None] * part[None, :] + _OFFSETS[:, None]) >> np.uint64(32)
        least = np.minimum(least, rows.min(axis=1).astype(np.uint32))
    return least


def band_keys(text: str, size: int, unit: Unit) -> Hashes:
    """(BANDS,) keys of `text`; two texts are near duplicates where a key is the same."""
    rows = signature(shingles(text, size, unit)).reshape(BANDS, ROWS).astype(np.uint64)
    key = np.arange(BANDS, dtype=np.uint64)
    for column in range(ROWS):
        key = mix(key ^ rows[:, column])
    return key


class KeyFile:
    """Keys appended to a file in order, and afterwards which of them were seen before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._stream: BinaryIO = path.open("wb")

    def __enter__(self) -> KeyFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def add(self, keys: Hashes) -> None:
        """Append `keys` in their order."""
        self._stream.write(keys.astype("<u8").tobytes())
        self.count += len(keys)

    def repeats(self) -> NDArray[np.bool_]:
        """(count,) True where an equal key came earlier; the array lies on the disk."""
        self._stream.close()
        return repeats_in(self.path, self.count)


def repeats_in(path: Path, count: int) -> NDArray[np.bool_]:
    """Mark, in a file of `count` little-endian uint64 keys, those that came before."""
    if count == 0:
        return np.zeros(0, np.bool_)
    marks = np.memmap(path.with_suffix(".marks"), np.bool_, "w+", shape=(count,))
    parts = -(-count // PARTITION_KEYS)
    for part in range(parts):
        keys, places = _part_of(path, part, parts)
        order = np.argsort(keys, kind="stable")
        keys, places = keys[order], places[order]
        marks[places[1:][keys[1:] == keys[:-1]]] = True
    os.unlink(path)
    return marks


def _part_of(path: Path, part: int, parts: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Keys that are `part` modulo `parts`, and their places, in order."""
    keys: list[Hashes] = []
    places: list[NDArray[np.int64]] = []
    start = 0
    with path.open("rb") as stream:
        while block := stream.read(8 * READ_KEYS):
            values = np.frombuffer(block, "<u8")
            chosen = np.flatnonzero(values % np.uint64(parts) == part)
            keys.append(values[chosen])
            places.append(chosen + start)
            start += len(values)
    return np.concatenate(keys), np.concatenate(places)
