"""Train, valid or test by the hash of a key, so that no key is in two parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from wenfang.errors import ConfigError

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Shares of the three parts, and the field whose hash decides.

    key  a field of the record, such as "author"; empty: the text itself
    """

    train: float = 0.90
    valid: float = 0.05
    test: float = 0.05
    key: str = ""

    def require_whole(self) -> None:
        """ConfigError where the shares do not add up; asked before use, since `--set` changes them
        one after another.
        """
        total = self.train + self.valid + self.test
        if min(self.train, self.valid, self.test) < 0 or abs(total - 1) > 1e-9:
            raise ConfigError(
                "split: the shares {train}, {valid} and {test} must be 0 or more and add up to 1",
                train=self.train,
                valid=self.valid,
                test=self.test,
            )

    def part_of(self, key: str, seed: int) -> str:
        """The part to which every record of `key` belongs; one of SPLITS."""
        digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        if place < self.train:
            return "train"
        return "valid" if place < self.train + self.valid else "test"
