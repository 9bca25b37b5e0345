"""A set of hashes in about as few bits as it can take (Elias 1974, Fano 1971).

n hashes cut to b bits are n numbers below 2**b. Sorted, the lowest b - log2(n) bits of each are
kept as they are and the rest, which hardly grow, in unary: about 2 + b - log2(n) bits each.
A hash that is not in the set is taken for a member with chance n / 2**b.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wenfang.data.ngrams import Hashes

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class SortedCodes:
    """A sorted set of hashes.

    codes  (n,) uint64, strictly increasing: the upper `bits` bits of each hash
    """

    codes: Hashes
    bits: int

    @classmethod
    def build(cls, hashes: Hashes, bits: int) -> SortedCodes:
        """The set of the upper `bits` bits of 64-bit `hashes`."""
        return cls(codes=np.unique(hashes >> np.uint64(64 - bits)), bits=bits)

    def joined(self, other: SortedCodes) -> SortedCodes:
        """The set of both, cut to the bits that both have."""
        bits = min(self.bits, other.bits)
        both = [one.codes >> np.uint64(one.bits - bits) for one in (self, other)]
        return SortedCodes(codes=np.unique(np.concatenate(both)), bits=bits)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def false_positive_rate(self) -> float:
        """Chance that a hash that is not in the set is found in it."""
        return len(self.codes) / 2.0**self.bits

    def contains(self, hashes: Hashes) -> NDArray[np.bool_]:
        """(k,) True for each of `hashes` that is in the set."""
        if len(self.codes) == 0:
            return np.zeros(len(hashes), np.bool_)
        wanted = hashes >> np.uint64(64 - self.bits)
        places = np.searchsorted(self.codes, wanted)
        places[places == len(self.codes)] = 0
        return np.asarray(self.codes[places] == wanted)

    @cached_property
    def low_bits(self) -> int:
        """How many bits of each code are kept as they are."""
        count = len(self.codes)
        return max(self.bits - max(count, 1).bit_length() + 1, 0)

    def pack(self) -> tuple[Bytes, Bytes]:
        """The codes as (lower bits, upper part in unary), both as bytes."""
        width = self.low_bits
        columns = np.arange(width, dtype=np.uint64)
        lower = ((self.codes[:, None] >> columns) & np.uint64(1)).astype(np.uint8)
        upper = (self.codes >> np.uint64(width)).astype(np.int64)
        unary = np.zeros(len(upper) + int(upper[-1]) + 1 if len(upper) else 0, np.uint8)
        unary[upper + np.arange(len(upper))] = 1
        return np.packbits(lower.ravel()), np.packbits(unary)

    @classmethod
    def unpack(cls, lower: Bytes, unary: Bytes, *, count: int, bits: int) -> SortedCodes:
        """The set that `pack` wrote; ValueError where the bytes do not hold `count` codes."""
        width = max(bits - max(count, 1).bit_length() + 1, 0)
        ones = np.flatnonzero(np.unpackbits(unary))
        if len(ones) != count or len(lower) != -(-count * width // 8):
            raise ValueError("the packed codes are not as many as they should be")
        codes = (ones - np.arange(count)).astype(np.uint64) << np.uint64(width)
        bits_of = np.unpackbits(lower, count=count * width).reshape(count, width)
        for column in range(width):
            codes |= bits_of[:, column].astype(np.uint64) << np.uint64(column)
        return cls(codes=codes, bits=bits)
