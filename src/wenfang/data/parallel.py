"""Sentences and their translations as records: {"prompt", "completion", "text"}.

Unlike `prepare`, nothing is dropped for being like another record: a published number is only
comparable on the whole official set. "text" is the completion: what a model learns to write.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wenfang.atomic import exclusive, new_folder, sha256_bytes
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.lineage import FORMAT, dataset_manifest, request_key, source_manifest
from wenfang.data.lines import SourceFile
from wenfang.data.request import Source, request_for
from wenfang.data.shards import ShardWriter
from wenfang.errors import DataError
from wenfang.store.manifest import to_record, write_manifest

Rows = Iterable[tuple[str, dict[str, Any]]]

# The official files of the captions, by the part that they become.
CAPTIONS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
# Both sides are written with the same marks: the German files mix „“ with ".
PLAIN_MARKS = str.maketrans(
    {"„": '"', "“": '"', "”": '"', "«": '"', "»": '"', "‚": "'", "‘": "'", "’": "'", "´": "'"}
    | {"–": "-", "—": "-", "…": "..."}
)


def plain_caption(line: str) -> str:
    """A line with plain quotes and dashes, single spaces, in lower case (`str.lower`).

    No mark that this changes is in the German side of test_2016_flickr, so its references are
    the official ones in lower case.
    """
    return " ".join(line.translate(PLAIN_MARKS).split()).lower()


def caption_files() -> tuple[str, ...]:
    """The files that `prepare_captions` reads, English before German."""
    return tuple(f"{stem}.{side}.gz" for stem in CAPTIONS.values() for side in ("en", "de"))


def prepare_captions(name: str, source: Source, hashes: Mapping[str, str], output: Path) -> Dataset:
    """English captions and their German, in the official parts, every pair kept in its order.

    hashes  SHA-256 by the name of each file of `caption_files`, all beside source.path
    raises  DataError where two sides differ in their number of lines
    """
    folder = Path(source.path).parent
    settings = {"case": "lower", "marks": "plain quotes and dashes", "split": "official"}
    return write_pairs(name, source, hashes, settings, _captions(folder), output)


def _captions(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for split, stem in CAPTIONS.items():
        english, german = (_lines(folder / f"{stem}.{side}.gz") for side in ("en", "de"))
        if len(english) != len(german):
            raise DataError(
                "{path} has {count} lines in English and {other} in German; get both again",
                path=folder / stem,
                count=len(english),
                other=len(german),
            )
        for prompt, completion in zip(english, german, strict=True):
            written = plain_caption(completion)
            yield split, {"prompt": plain_caption(prompt), "completion": written, "text": written}


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return stream.read().removesuffix("\n").split("\n")


def write_pairs(
    name: str,
    source: Source,
    hashes: Mapping[str, str],
    settings: Mapping[str, object],
    rows: Rows,
    output: Path,
) -> Dataset:
    """The data set of `rows` ((split, record) each), with its source and licence.

    hashes    SHA-256 by the name of each file; they lie beside source.path
    settings  what was done to the text, for the manifest and the key
    """
    folder = Path(source.path).parent
    files = [SourceFile(path=folder / one, name=one) for one in hashes]
    manifest = source_manifest(source, files, list(hashes.values()))
    request = request_for("none", (source,), str(output))
    made = f"{FORMAT} pairs {sorted(settings.items())} {request_key(request, [manifest], [])}"
    with exclusive(output.parent / f".{output.name}.lock", str(output)), new_folder(output) as new:
        counts: Counter[str] = Counter()
        with ShardWriter(new, request.shard_bytes) as writer:
            for split, record in rows:
                counts[split] += 1
                writer.write(split, record)
        facts: dict[str, object] = {
            "sources": [to_record(manifest)],
            "settings": dict(settings),
            "counts": {
                "read": counts.total(),
                "kept": counts.total(),
                "rejected": {},
                "splits": {split: writer.totals(split) for split in counts},
            },
            "shards": writer.shards,
        }
        key = sha256_bytes(made.encode())
        write_manifest(new / MANIFEST, dataset_manifest(name, key, [manifest], facts))
    return Dataset.open(output)
