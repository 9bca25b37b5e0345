"""A prepared data set on the disk: its manifest, and its records as a stream."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from wenfang.data.split import SPLITS
from wenfang.errors import DataError
from wenfang.store import Manifest
from wenfang.store.manifest import from_record, read_manifest

MANIFEST = "manifest.json"
REJECTS = "rejects.jsonl"
PIECE_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A folder with manifest.json, shards of JSON lines for each split, and rejects.jsonl.

    A shard is checked against its hash before the first record of it is given out.
    """

    folder: Path
    manifest: Manifest
    _checked: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path | str) -> Dataset:
        """The data set in `folder`; DataError where it is none, or where a shard is missing."""
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise DataError(
                "{path} is not a data set (it has no manifest.json); make one with wenfang prepare",
                path=folder,
            )
        manifest = read_manifest(folder / MANIFEST, error=DataError)
        if manifest.kind != "dataset":
            raise DataError(
                "{path} holds a {kind}, not a data set", path=folder, kind=manifest.kind
            )
        dataset = cls(folder=folder, manifest=manifest)
        for shard in dataset.shards():
            if not (folder / shard["name"]).is_file():
                raise DataError(
                    "{path} is missing; prepare the data set again", path=folder / shard["name"]
                )
        return dataset

    def shards(self, split: str | None = None) -> list[dict[str, Any]]:
        """What the manifest says of every shard, or of those of one split."""
        shards = cast(list[dict[str, Any]], self.manifest.facts["shards"])
        return [shard for shard in shards if split in (None, shard["split"])]

    def count(self, split: str) -> int:
        """The number of records in `split`."""
        _require_split(split)
        return sum(shard["records"] for shard in self.shards(split))

    def records(self, split: str) -> Iterator[dict[str, Any]]:
        """Every record of `split` in its order; DataError names a damaged shard."""
        _require_split(split)
        for shard in self.shards(split):
            path = self.folder / shard["name"]
            if shard["name"] not in self._checked:
                _require_content(path, shard["sha256"])
                self._checked.add(shard["name"])
            with gzip.open(path, "rb") as stream:
                for line in stream:
                    yield json.loads(line)

    @property
    def source_manifests(self) -> tuple[Manifest, ...]:
        """The sources with their origins and licences."""
        records = cast(list[object], self.manifest.facts["sources"])
        where = str(self.folder / MANIFEST)
        return tuple(from_record(record, where=where, error=DataError) for record in records)

    @property
    def counts(self) -> dict[str, Any]:
        """Records read, kept, rejected per rule; lines dropped, matches masked; per split."""
        return cast(dict[str, Any], self.manifest.facts["counts"])


def _require_split(split: str) -> None:
    if split not in SPLITS:
        raise DataError(
            "{name} is not a part of a data set; the parts are {names}",
            name=split,
            names=", ".join(SPLITS),
        )


def _require_content(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
    except (EOFError, zlib.error, OSError) as reason:
        raise DataError(
            "{path} is damaged ({reason}); prepare the data set again", path=path, reason=reason
        ) from None
    if digest.hexdigest() != sha256:
        raise DataError(
            "{path} is damaged (its hash is not the manifest's); prepare the data set again",
            path=path,
        )
