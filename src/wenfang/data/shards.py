"""Records of the three splits, written as gzip files whose bytes depend on the records only."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from wenfang.atomic import canonical_json


class Shard:
    """One file being written: JSON lines, gzip without a clock or a name in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO = path.open("xb")
        self._stream = gzip.GzipFile("", "wb", 6, self._file, mtime=0)

    def write(self, line: bytes) -> None:
        """Append one line."""
        self._stream.write(line)
        self._hash.update(line)
        self.records += 1
        self.bytes += len(line)

    def close(self) -> dict[str, Any]:
        """Flush to the disk and describe; the hash is of the content before compression, so that
        another version of zlib does not make another data set.
        """
        self._stream.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {
            "name": self.path.name,
            "records": self.records,
            "bytes": self.bytes,
            "sha256": self._hash.hexdigest(),
        }

    def abandon(self) -> None:
        """Let go of the file after an error."""
        self._file.close()


class ShardWriter:
    """Writes each record to the open shard of its split; a full shard is closed for the next."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self.folder = folder
        self.shard_bytes = shard_bytes
        self.shards: list[dict[str, Any]] = []
        self.characters: dict[str, int] = {}
        self._open: dict[str, Shard] = {}
        self._next: dict[str, int] = {}

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        for split in sorted(self._open):
            if kind is None:
                self._close(split)
            else:
                self._open[split].abandon()
        self.shards.sort(key=lambda shard: str(shard["name"]))

    def write(self, split: str, record: dict[str, Any]) -> None:
        """Append `record` to `split`."""
        line = canonical_json(record) + b"\n"
        shard = self._open.get(split)
        if shard and shard.bytes + len(line) > self.shard_bytes:
            self._close(split)
            shard = None
        if shard is None:
            index = self._next.get(split, 0)
            self._next[split] = index + 1
            shard = self._open[split] = Shard(self.folder / f"{split}-{index:05d}.jsonl.gz")
        shard.write(line)
        self.characters[split] = self.characters.get(split, 0) + len(record["text"])

    def totals(self, split: str) -> dict[str, int]:
        """Records, bytes and characters of the text in the closed shards of `split`."""
        shards = [shard for shard in self.shards if shard["split"] == split]
        return {
            "records": sum(shard["records"] for shard in shards),
            "bytes": sum(shard["bytes"] for shard in shards),
            "characters": self.characters.get(split, 0),
        }

    def _close(self, split: str) -> None:
        self.shards.append({"split": split, **self._open[split].close()})
        del self._open[split]
