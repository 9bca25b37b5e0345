"""What a thing is and what it was made from: one node of the lineage graph.

A manifest's id is the SHA-256 of its canonical JSON, so equal content has equal ids on every
machine and a changed byte is noticed. No clock is in it; times live in the store's index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from wenfang.atomic import canonical_json, sha256_bytes, write_json
from wenfang.config import ErrorClass, from_dict, to_dict
from wenfang.errors import StoreError
from wenfang.version import __version__

KINDS = ("source", "dataset", "recipe", "bundle", "brief", "asset", "report", "piece")

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Link:
    """An edge to the manifest that this one was made from; `role` says what it served as."""

    role: str
    id: str

    def __post_init__(self) -> None:
        _require_digest(self.id, f"inputs.{self.role}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A node of the lineage.

    kind            one of KINDS
    payload_sha256  hash of the bytes it describes, before labels and signing; None without bytes
    payload_bytes   their number
    licence         SPDX expression of the thing itself
    key             hash of the step's inputs; the same request is answered from the store
    facts           everything particular to the kind, as JSON values
    """

    kind: str
    name: str
    media_type: str
    payload_sha256: str | None = None
    payload_bytes: int = 0
    inputs: tuple[Link, ...] = ()
    licence: str | None = None
    key: str | None = None
    facts: dict[str, object] = field(default_factory=dict)
    version: str = __version__

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise StoreError(
                "{name}: {kind} is not a kind of manifest; the kinds are {kinds}",
                name=self.name,
                kind=self.kind,
                kinds=", ".join(KINDS),
            )
        if self.payload_sha256 is not None:
            _require_digest(self.payload_sha256, "payload_sha256")
        # A private copy in JSON's own types: what the caller changes later cannot change the id.
        object.__setattr__(self, "facts", to_dict(self.facts))

    def __hash__(self) -> int:
        return hash(self.id)

    @cached_property
    def canonical(self) -> bytes:
        """The bytes that the id is the hash of; StoreError where JSON cannot carry a fact."""
        try:
            return canonical_json(to_dict(self))
        except (TypeError, ValueError) as error:
            raise StoreError(
                "the manifest of {name} holds a value that JSON cannot carry ({reason})",
                name=repr(self.name),
                reason=error,
            ) from error

    @cached_property
    def id(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return sha256_bytes(self.canonical)


def to_record(manifest: Manifest) -> dict[str, Any]:
    """A manifest as it travels in files of other kinds: its fields and, first, its id."""
    return {"id": manifest.id, **to_dict(manifest)}


def from_record(
    record: object, *, where: str = "manifest", error: ErrorClass = StoreError
) -> Manifest:
    """The manifest in `record`; where it names its id, the id must be that of its content."""
    if not isinstance(record, Mapping):
        raise error("{where} is not a manifest: it must be a JSON object", where=where)
    fields = {name: value for name, value in record.items() if name != "id"}
    try:
        manifest = from_dict(Manifest, fields, where=where, error=error)
    except StoreError as fault:  # of an id that is none
        raise error("{where}: {reason}", where=where, reason=fault) from None
    if record.get("id", manifest.id) != manifest.id:
        raise error(
            "{where}: the content of the manifest does not fit its id {id}; it was changed",
            where=where,
            id=record["id"],
        )
    return manifest


def read_manifest(path: Path, *, error: ErrorClass = StoreError) -> Manifest:
    """The manifest in the JSON file `path`, its id checked; `error` names the file."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise error("{path} is missing; it should hold a manifest", path=path) from None
    except (ValueError, OSError, RecursionError) as reason:
        raise error("{path} is not a manifest ({reason})", path=path, reason=reason) from None
    return from_record(record, where=str(path), error=error)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest with its id as a JSON file that people can read, atomically."""
    write_json(path, to_record(manifest))


def _require_digest(value: object, where: str) -> None:
    """Ids become file names: anything but 64 hexadecimal digits is refused."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise StoreError(
            "{where}: {value} is not a SHA-256 in 64 lower-case hexadecimal digits",
            where=where,
            value=repr(value)[:80],
        )
