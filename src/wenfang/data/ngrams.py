"""Stable 64-bit hashes of lines and of character and word n-grams, vectorised.

A hash depends on nothing but the text: not on the machine, the run, or Python's hash seed. Each
unit (character or word) is mixed to 64 bits (the finaliser of SplitMix64, Steele, Lea and Flood
2014), and an n-gram is a polynomial in them modulo 2**64, mixed once more.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]
Unit: TypeAlias = Literal["character", "word"]

BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
BASE_INVERSE = pow(BASE, -1, 1 << 64)
WORD = re.compile(r"\w+(?:['’]\w+)*")


def mix(values: Hashes) -> Hashes:
    """SplitMix64's finaliser: a bijection of 64-bit integers whose every output bit depends on
    every input bit.
    """
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def matter(text: str) -> str:
    """What two texts are compared by: letters and digits only, lower-cased."""
    return "".join(filter(str.isalnum, text)).lower()


def words(text: str) -> list[str]:
    """Words of `text`, lower-cased, without punctuation."""
    return WORD.findall(text.lower())


def units_of(text: str, unit: Unit) -> list[str] | str:
    """The characters or words of `text` by which it is compared."""
    return matter(text) if unit == "character" else words(text)


def unit_hashes(units: list[str] | str) -> Hashes:
    """A hash for each character of a string, or for each word of a list: (U,) uint64."""
    if isinstance(units, str):
        return mix(np.frombuffer(units.encode("utf-32-le", "surrogatepass"), "<u4").astype("u8"))
    lengths = np.fromiter(map(len, units), np.int64, len(units))
    return segment_hashes(unit_hashes("".join(units)), lengths)


def segment_hashes(hashes: Hashes, lengths: NDArray[np.int64]) -> Hashes:
    """One hash for each run of consecutive units.

    hashes   (U,) uint64, of the units one after another
    lengths  (S,) the number of units in each run; they add up to U
    """
    ends = np.cumsum(lengths)
    prefix = np.zeros(len(hashes) + 1, np.uint64)
    np.cumsum(hashes * powers(BASE, len(hashes)), out=prefix[1:])
    shift = powers(BASE_INVERSE, len(hashes) + 1)[ends - lengths]
    return mix((prefix[ends] - prefix[ends - lengths]) * shift ^ lengths.astype(np.uint64))


def powers(base: int, count: int) -> Hashes:
    """base**0 ... base**(count-1) modulo 2**64."""
    factors = np.full(max(count, 1), base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)[:count]


def gram_hashes(hashes: Hashes, size: int) -> Hashes:
    """Hashes of every run of `size` units: (U - size + 1,), or none where U < size."""
    count = len(hashes) - size + 1
    if count < 1:
        return np.zeros(0, np.uint64)
    total = np.zeros(count, np.uint64)
    for offset in range(size):
        total = total * np.uint64(BASE) + hashes[offset : offset + count]
    return mix(total)


def text_grams(text: str, size: int, unit: Unit) -> Hashes:
    """Hashes of the n-grams of `text`, punctuation, spaces and case set aside."""
    return gram_hashes(unit_hashes(units_of(text, unit)), size)


def line_hashes(lines: list[str]) -> Hashes:
    """(L,) a hash of the whole of each line, punctuation, spaces and case set aside."""
    return unit_hashes([matter(line) for line in lines])
