"""A user's own material for tuning: prompts with their completions, talks, or plain texts.

Understood in jsonl (plain, .gz, .xz), one object a line: {"prompt", "completion"} or {"messages":
[{"role", "content"}, …]}, whose last message, by the assistant, is the completion. A folder or
file of .txt and .md is plain text, for pre-training that goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from wenfang.atomic import exclusive, new_folder, sha256_bytes
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.lineage import (
    FORMAT,
    content_hash,
    dataset_manifest,
    request_key,
    source_manifest,
)
from wenfang.data.lines import Fault
from wenfang.data.request import UNKNOWN_LICENCE, Reading, Source, request_for
from wenfang.data.shards import ShardWriter
from wenfang.data.sources import files_of, read_objects, read_records
from wenfang.errors import DataError
from wenfang.language import t
from wenfang.store.manifest import Manifest, to_record, write_manifest

Kind = Literal["pairs", "texts"]
Record = dict[str, Any]
VALID_SHARE = 0.1
SHARD_BYTES = 32 * 2**20
ROLES = ("system", "user", "assistant")
TEXT_FIELD = "text"


def kind_of(path: Path) -> Kind:
    """What a user's file or folder holds, by the names of its files.

    raises DataError where they are of both kinds, or where nothing is understood
    """
    names = {file.format for file in files_of(path)}
    if names <= {".txt", ".md"}:
        return "texts"
    if names == {".jsonl"}:
        return "pairs"
    raise DataError(
        "{path} holds files of the kinds {kinds}; give jsonl with prompt and completion, or txt "
        "and md alone",
        path=path,
        kinds=", ".join(sorted(names)),
    )


def prepare_own(path: Path, output: Path, licence: str = "") -> Dataset:
    """A user's file or folder as a data set with a part for training and one for validation.

    Equal records are kept once; the same prompt is never in both parts. One tenth, at least one
    record, is for validation. What `output` holds of the same files and licence is not made again.

    licence  SPDX expression of the material
    raises   DataError naming file, line and fault
    """
    kind = kind_of(path)
    source, key = _identity(path, output, licence)
    if (output / MANIFEST).is_file():
        known = Dataset.open(output)
        if known.manifest.key == key:
            return known
    rows = list(_pairs(path) if kind == "pairs" else _texts(path))
    kept = list({str(sorted(row.items())): row for row in rows}.values())
    if len(kept) < 2:
        raise DataError(
            "{path} holds {count} examples; at least 2 are needed, to learn and to measure",
            path=path,
            count=len(kept),
        )
    valid = _validation_keys([_key(row) for row in kept], path)
    parts = [("valid" if _key(row) in valid else "train", row) for row in kept]
    return _write(parts, output, source, key, repeated=len(rows) - len(kept))


def _identity(path: Path, output: Path, licence: str) -> tuple[Manifest, str]:
    """The node of the material, and the key of the data set that is made of it."""
    files = files_of(path)
    source = Source(path=str(path), name=path.name, licence=licence or UNKNOWN_LICENCE)
    manifest = source_manifest(source, files, [content_hash(file.path) for file in files])
    request = request_for("none", (source,), str(output))
    return manifest, sha256_bytes(f"{FORMAT} own {request_key(request, [manifest], [])}".encode())


def _key(row: Record) -> str:
    return str(row.get("prompt", row.get(TEXT_FIELD)))


def _validation_keys(keys: Sequence[str], path: Path) -> set[str]:
    """So many prompts, in the order of their hashes, as a tenth of the records needs."""
    counts: dict[str, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    if len(counts) < 2:
        raise DataError("{path} holds one prompt only; give several", path=path)
    chosen: set[str] = set()
    wanted = math.ceil(VALID_SHARE * len(keys))
    for key in sorted(counts, key=lambda one: sha256_bytes(one.encode()))[:-1]:
        if wanted <= 0:
            break
        chosen.add(key)
        wanted -= counts[key]
    return chosen


def _pairs(path: Path) -> Iterator[Record]:
    for file in files_of(path):
        for line, fields in read_objects(file, Reading()):
            yield _pair(file.path, line, fields)


def _pair(path: Path, line: int, fields: Mapping[str, object]) -> Record:
    if "messages" in fields:
        return _talk(path, line, fields["messages"])
    for name in ("prompt", "completion"):
        if name not in fields:
            found = ", ".join(fields) or "-"
            raise _fault(path, line, t("there is no field {name} but {found}", name=name,
                                       found=found[:80]))  # fmt: skip
        value = fields[name]
        if not isinstance(value, str) or not value.strip():
            raise _fault(path, line, t("{name} must be a text that is not empty", name=name))
    prompt, completion = fields["prompt"], fields["completion"]
    return {"prompt": prompt, "completion": completion, TEXT_FIELD: completion}


def _talk(path: Path, line: int, messages: object) -> Record:
    good = isinstance(messages, list) and all(
        isinstance(one, Mapping)
        and one.get("role") in ROLES
        and isinstance(one.get("content"), str)
        and one["content"].strip()
        for one in messages
    )
    if not good or len(messages) < 2 or messages[-1]["role"] != "assistant":  # type: ignore[arg-type,index]
        fault = t("messages must hold roles and contents, the last one of the assistant")
        raise _fault(path, line, fault)
    contents = [one["content"] for one in messages]  # type: ignore[attr-defined]
    prompt, completion = "\n".join(contents[:-1]), contents[-1]
    return {"prompt": prompt, "completion": completion, TEXT_FIELD: completion}


def _fault(path: Path, line: int, reason: str) -> DataError:
    return DataError("{path}:{line}: {reason}; mend the line", path=path, line=line, reason=reason)


def _texts(path: Path) -> Iterator[Record]:
    for file in files_of(path):
        for item in read_records(file, Reading(unit="passage")):
            assert not isinstance(item, Fault)
            if item.text.strip():
                yield {TEXT_FIELD: item.text}


def _write(
    parts: Sequence[tuple[str, Record]], output: Path, source: Manifest, key: str, repeated: int
) -> Dataset:
    with exclusive(output.parent / f".{output.name}.lock", str(output)), new_folder(output) as new:
        with ShardWriter(new, SHARD_BYTES) as writer:
            for part, record in parts:
                writer.write(part, record)
        splits = {part: writer.totals(part) for part in ("train", "valid")}
        facts: dict[str, object] = {
            "sources": [to_record(source)],
            "settings": {"valid_share": VALID_SHARE},
            "counts": {
                "read": len(parts) + repeated,
                "kept": len(parts),
                "rejected": {"repeated": repeated} if repeated else {},
                "splits": splits,
            },
            "shards": writer.shards,
        }
        write_manifest(new / MANIFEST, dataset_manifest("own", key, [source], facts))
    return Dataset.open(output)
