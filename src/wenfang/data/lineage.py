"""The nodes of sources and data sets, and the key of a request.

Nothing here depends on where files lie, on a clock or on a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from wenfang.atomic import canonical_json, sha256_bytes, sha256_file
from wenfang.config import to_dict
from wenfang.data.lines import SourceFile
from wenfang.data.request import UNKNOWN_LICENCE, Event, PrepareRequest, Source
from wenfang.data.sources import files_of
from wenfang.errors import DataError
from wenfang.store import Link, Manifest
from wenfang.version import __version__

FORMAT = 1  # part of a data set's key: raise it when the same request would give other bytes
PLACES = (
    "sources",
    "output",
    "fresh",
    "evaluation",
    "held_out",
)  # settings that their content stands for

OnEvent = Callable[[Event], None]


def settings_of(request: PrepareRequest) -> dict[str, Any]:
    """The settings of a request without places on this machine."""
    settings = cast(dict[str, Any], to_dict(request))
    return {name: value for name, value in settings.items() if name not in PLACES}


def request_key(
    request: PrepareRequest, sources: list[Manifest], evaluation: list[dict[str, str]]
) -> str:
    """Hash of all that decides a data set: settings, sources, evaluation sets, code."""
    inputs = [source.id for source in sources]
    hashes = [one["sha256"] + one.get("part", "") for one in evaluation]
    step = [FORMAT, __version__, settings_of(request), inputs, hashes]
    return sha256_bytes(canonical_json(step))


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and hashes of a folder's files."""
    if path.is_dir():
        table = [[file.name, content_hash(file.path)] for file in files_of(path)]
        return sha256_bytes(canonical_json(table))
    try:
        return sha256_file(path)
    except OSError as error:
        raise DataError(
            "{path} cannot be read ({reason}); check that it is there and its permissions",
            path=path,
            reason=error.strerror,
        ) from None


def describe_evaluation(request: PrepareRequest) -> list[dict[str, str]]:
    """Names and hashes of the evaluation sets that must not be in the data set, or not in its
    training part: those have a "part" of their own.
    """
    return [
        *({"name": Path(n).name, "sha256": content_hash(Path(n))} for n in request.evaluation),
        *(
            {"name": Path(n).name, "sha256": content_hash(Path(n)), "part": "test"}
            for n in request.held_out
        ),
    ]


def describe_sources(
    request: PrepareRequest, files: dict[str, list[SourceFile]], on_event: OnEvent | None
) -> list[Manifest]:
    """One manifest for each source, its files hashed."""
    total = sum(size_bytes(found) for found in files.values())
    done = 0
    manifests = []
    for source in request.sources:
        hashes = []
        for file in files[source.path]:
            hashes.append(content_hash(file.path))
            done += size_bytes([file])
            if on_event:
                on_event(Event(step="hash", done=done, total=total, unit="bytes"))
        manifests.append(source_manifest(source, files[source.path], hashes))
    return manifests


def size_bytes(files: list[SourceFile]) -> int:
    """The size of `files` on the disk."""
    return sum(file.path.stat().st_size for file in files)


def source_manifest(source: Source, files: list[SourceFile], hashes: list[str]) -> Manifest:
    """The node of a source: its files by name and hash, where it came from, its licence."""
    table = [
        {"name": file.name, "bytes": size_bytes([file]), "sha256": digest}
        for file, digest in zip(files, hashes, strict=True)
    ]
    return Manifest(
        kind="source",
        name=source.label,
        media_type="text/plain",
        payload_sha256=hashes[0] if len(files) == 1 else sha256_bytes(canonical_json(table)),
        payload_bytes=size_bytes(files),
        licence=source.licence,
        facts={"origin": source.origin, "notice": source.notice, "files": table},
    )


def joined_licences(licences: Iterable[str | None]) -> str:
    """One SPDX expression that says that every one of these licences holds."""
    terms = {term for one in licences for term in _terms(one or UNKNOWN_LICENCE)}
    return " AND ".join(sorted(terms, key=lambda term: term.strip("()")))


def _terms(expression: str) -> list[str]:
    """What an expression joins by AND outside of brackets; a choice is bracketed, and stays one."""
    terms, depth = [""], 0
    for word in expression.split(" "):
        if word == "OR" and not depth:
            return [f"({expression})"]
        if word == "AND" and not depth:
            terms.append("")
            continue
        depth += word.count("(") - word.count(")")
        terms[-1] += f" {word}" if terms[-1] else word
    return terms


def dataset_manifest(
    name: str, key: str, sources: list[Manifest], facts: dict[str, object]
) -> Manifest:
    """The node of a data set; its payload is the content of its shards in their order."""
    shards = cast(list[dict[str, Any]], facts["shards"])
    fingerprint = sha256_bytes(canonical_json([[s["name"], s["sha256"]] for s in shards]))
    return Manifest(
        kind="dataset",
        name=name,
        media_type="application/jsonl",
        payload_sha256=fingerprint,
        payload_bytes=sum(shard["bytes"] for shard in shards),
        inputs=tuple(Link(role="source", id=source.id) for source in sources),
        licence=joined_licences(source.licence for source in sources),
        key=key,
        facts={"format": FORMAT, "fingerprint": fingerprint, **facts},
    )
