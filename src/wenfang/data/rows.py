"""A data set that a reader's rows fill, each said to belong to one of the three parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wenfang.atomic import exclusive, new_folder, sha256_bytes
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.lineage import FORMAT, dataset_manifest, request_key, source_manifest
from wenfang.data.lines import SourceFile
from wenfang.data.request import Source, request_for
from wenfang.data.shards import ShardWriter
from wenfang.store.manifest import to_record, write_manifest

Rows = Iterable[tuple[str, dict[str, Any]]]


def write_rows(
    name: str,
    source: Source,
    hashes: Mapping[str, str],
    settings: Mapping[str, object],
    rows: Rows,
    output: Path,
    rejected: Mapping[str, int] | None = None,
    kind: str = "pairs",
) -> Dataset:
    """The data set of `rows` ((split, record) each), with its source and licence.

    hashes    SHA-256 by the name of each file; they lie beside source.path
    settings  what was done to the rows, for the manifest and the key
    rejected  rows left out, by the reason; it may be counted while the rows are read
    kind      of data, a part of the key
    """
    folder = Path(source.path).parent
    files = [SourceFile(path=folder / one, name=one) for one in hashes]
    manifest = source_manifest(source, files, list(hashes.values()))
    request = request_for("none", (source,), str(output))
    made = f"{FORMAT} {kind} {sorted(settings.items())} {request_key(request, [manifest], [])}"
    with exclusive(output.parent / f".{output.name}.lock", str(output)), new_folder(output) as new:
        counts: Counter[str] = Counter()
        with ShardWriter(new, request.shard_bytes) as writer:
            for split, record in rows:
                counts[split] += 1
                writer.write(split, record)
        lost = dict(rejected or {})
        facts: dict[str, object] = {
            "sources": [to_record(manifest)],
            "settings": dict(settings),
            "counts": {
                "read": counts.total() + sum(lost.values()),
                "kept": counts.total(),
                "rejected": lost,
                "splits": {split: writer.totals(split) for split in counts},
            },
            "shards": writer.shards,
        }
        key = sha256_bytes(made.encode())
        write_manifest(new / MANIFEST, dataset_manifest(name, key, [manifest], facts))
    return Dataset.open(output)
