"""Measure a store, look for damage, and take away what nobody needs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wenfang.atomic import disk_errors
from wenfang.errors import NotFoundError, StoreError, UsageError
from wenfang.language import t
from wenfang.store.index import Index, Row
from wenfang.store.shelf import Shelf

# These stay, with everything they came from; so do pinned assets and reports on these.
KEPT_KINDS = ("source", "dataset", "bundle", "piece")
GRACE_S = 3600.0

Problem = Literal["missing", "damaged", "manifest"]


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A missing or damaged blob, or a damaged manifest; `asset` is None for a loose blob."""

    problem: Problem
    asset: str | None
    name: str
    blob: str | None

    def __str__(self) -> str:
        values = {"blob": self.blob, "name": self.name, "asset": self.asset}
        if self.asset is None:
            return t("blob {blob}, which no asset uses, is damaged", **values)
        if self.problem == "manifest":
            return t("the manifest of asset {asset} is damaged", **values)
        if self.problem == "missing":
            return t("blob {blob} of asset {name} ({asset}) is missing", **values)
        return t("blob {blob} of asset {name} ({asset}) is damaged", **values)


@dataclass(frozen=True, kw_only=True)
class KindUsage:
    """How many assets of a kind there are, and the bytes of their payloads held here."""

    count: int
    payload_bytes: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a store takes. A blob that two kinds share is counted in both, once in `blob_bytes`."""

    kinds: dict[str, KindUsage]
    blobs: int
    blob_bytes: int
    partial_bytes: int
    index_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What a collection removed, or would remove, and how many assets stay for which reason."""

    dry_run: bool
    assets: tuple[Row, ...]
    blobs: tuple[str, ...]
    partials: tuple[str, ...]
    freed_bytes: int
    kept: dict[str, int] = field(default_factory=dict)


def usage(shelf: Shelf, index: Index) -> Usage:
    """Bytes and counts per kind, and of the whole folder."""
    held: dict[str, dict[str, int]] = {}
    counts: Counter[str] = Counter()
    for row in index.rows():
        counts[row.kind] += 1
        blobs = held.setdefault(row.kind, {})
        if row.held and row.payload_sha256:
            blobs[row.payload_sha256] = row.payload_bytes
    kinds = {
        kind: KindUsage(count=counts[kind], payload_bytes=sum(held[kind].values()))
        for kind in sorted(counts)
    }
    paths = [shelf.blob_path(digest) for digest in shelf.blobs()]
    everything = [path for path in shelf.root.rglob("*") if path.is_file()]
    return Usage(
        kinds=kinds,
        blobs=len(paths),
        blob_bytes=_bytes(paths),
        partial_bytes=_bytes(shelf.partials()),
        index_bytes=_bytes(path for path in everything if path.name.startswith(index.path.name)),
        total_bytes=_bytes(everything),
    )


def check(shelf: Shelf) -> list[Damage]:
    """Hash every manifest and every blob again; what is wrong, by asset."""
    damages = []
    problems: dict[str, Problem | None] = {}
    for asset, held in shelf.manifests().items():
        try:
            manifest = shelf.manifest(asset)
        except StoreError:
            damages.append(Damage(problem="manifest", asset=asset, name="", blob=None))
            continue
        digest = manifest.payload_sha256 if manifest and held else None
        if manifest is None or digest is None:
            continue
        if digest not in problems:
            problems[digest] = shelf.blob_problem(digest)
        if problem := problems[digest]:
            name = manifest.name
            damages.append(Damage(problem=problem, asset=asset, name=name, blob=digest))
    for digest in shelf.blobs():
        if digest not in problems and shelf.blob_problem(digest):
            damages.append(Damage(problem="damaged", asset=None, name="", blob=digest))
    return damages


def collect(shelf: Shelf, index: Index, *, dry_run: bool, older_than_s: float) -> Collected:
    """Remove what neither a kept kind, a pin nor recent work refers to; the store is held alone.

    Damaged manifests are refused first: what they refer to is not known.
    """
    _refuse_damaged_manifests(shelf)
    before_s = time.time() - older_than_s
    rows = index.rows()
    reasons = _reasons(rows, index.edges(), shelf.pins(), before_s)
    gone = tuple(row for row in rows if row.id not in reasons)
    used = {row.payload_sha256 for row in rows if row.id in reasons and row.held}
    released = {row.payload_sha256 for row in gone if row.held}
    blobs = tuple(
        digest
        for digest in shelf.blobs()
        if digest not in used
        and (digest in released or _modified_s(shelf.blob_path(digest)) < before_s)
    )
    partials = tuple(path for path in shelf.partials() if _modified_s(path) < before_s)
    # What was made goes before what it was made from.
    paths = [shelf.manifest_path(row.id, held=row.held) for row in reversed(gone)]
    paths += [shelf.blob_path(digest) for digest in blobs]
    paths += partials
    freed_bytes = _bytes(paths)
    if not dry_run:
        _remove(paths)
        index.remove(row.id for row in gone)
    return Collected(
        dry_run=dry_run,
        assets=gone,
        blobs=blobs,
        partials=tuple(str(path) for path in partials),
        freed_bytes=freed_bytes,
        kept=dict(sorted(Counter(reasons.values()).items())),
    )


def delete(shelf: Shelf, index: Index, asset: str, *, force: bool) -> int:
    """Remove one asset, and its blob when no other holds it; the bytes freed. Held alone."""
    paths = [shelf.manifest_path(asset, held=held) for held in (True, False)]
    paths = [path for path in paths if path.exists()]
    rows = [row for row in index.rows() if row.id == asset]
    if not paths:
        raise NotFoundError("no asset {asset}; wenfang store du shows what there is", asset=asset)
    if not force:
        _refuse_needed(shelf, index, asset, rows)
    for row in rows:
        digest = row.payload_sha256
        if digest and row.held and index.with_payload(digest) == [asset]:
            paths.append(shelf.blob_path(digest))
    freed_bytes = _bytes(paths)
    _remove([*paths, shelf.pin_path(asset)])
    index.remove([asset])
    return freed_bytes


def _refuse_needed(shelf: Shelf, index: Index, asset: str, rows: list[Row]) -> None:
    name = rows[0].name if rows else asset
    outputs = index.outputs(asset)
    if outputs:
        raise UsageError(
            "{name} ({asset}): {count} made from it, the first is {output}; "
            "delete those first, or use --force",
            name=name,
            asset=asset,
            count=len(outputs),
            output=outputs[0],
        )
    if shelf.pin_path(asset).exists():
        raise UsageError(
            "{name} ({asset}) is pinned; unpin it first, or use --force", name=name, asset=asset
        )


def _refuse_damaged_manifests(shelf: Shelf) -> None:
    for asset in shelf.manifests():
        shelf.manifest(asset)


def _reasons(
    rows: list[Row], edges: dict[str, list[str]], pins: set[str], before_s: float
) -> dict[str, str]:
    """Asset -> why it stays."""
    known = {row.id: row for row in rows}
    reasons: dict[str, str] = {}
    for row in rows:
        if row.kind in KEPT_KINDS:
            reasons[row.id] = row.kind
        elif row.id in pins:
            reasons[row.id] = "pinned"
        elif row.used_s >= before_s:
            reasons[row.id] = "recent"
        elif row.kind == "report" and any(
            known[source].kind in KEPT_KINDS for source in edges.get(row.id, ()) if source in known
        ):
            reasons[row.id] = "report"
    waiting = list(reasons)
    while waiting:
        for source in edges.get(waiting.pop(), ()):
            if source in known and source not in reasons:
                reasons[source] = "ancestor"
                waiting.append(source)
    return reasons


def _remove(paths: Iterable[Path]) -> None:
    """Manifests come first in `paths`: stopped half-way, blobs are left over, never a manifest."""
    for path in paths:
        with disk_errors(path):
            path.unlink(missing_ok=True)


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())


def _modified_s(path: Path) -> float:
    """A time long in the future for a file that has just been renamed away."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
