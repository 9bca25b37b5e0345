"""The store: content-addressed assets, their manifests, and the graph between them."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from wenfang.atomic import write_bytes
from wenfang.errors import NotFoundError, StoreError
from wenfang.store import upkeep
from wenfang.store.index import Index
from wenfang.store.lineage import SHOWN_DIGITS, Lineage, trace
from wenfang.store.manifest import Link, Manifest, from_record
from wenfang.store.parcel import Parcel, pack, unpack
from wenfang.store.place import home
from wenfang.store.shelf import Shelf
from wenfang.store.upkeep import GRACE_S, Collected, Damage, Usage

SHORTEST_PREFIX = 6
_PREFIX = re.compile(r"[0-9a-f]{6,64}")


class Store:
    """One store; safe for many threads and processes at once. Made by `Store.open`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._shelf = Shelf(root)
        self._index = Index(root / "index.sqlite3")

    @classmethod
    def open(cls, root: Path | str | None = None) -> Self:
        """The store under `root` (default: WENFANG_HOME/store), made if it is not there.

        An index that is lost or damaged is made again, an older one is migrated, and what an
        interrupted writer left out of it is entered. StoreError for an index of a newer program.
        """
        store = cls(Path(root) if root is not None else home() / "store")
        with store._shelf.shared():
            ready = store._index.ready()
        if not ready:
            with store._shelf.alone():
                if not store._index.ready():
                    store._index.prepare()
        with store._shelf.shared():
            store._reconcile()
        return store

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.close()

    def put(self, payload: bytes | Path | None, manifest: Manifest) -> Manifest:
        """Keep a payload (bytes, or a file to copy) and its manifest; both, or neither, are there.

        returns  the manifest with payload_sha256 and payload_bytes filled in. Putting the same
                 again changes nothing, but heals a damaged copy.
        raises   StoreError if the manifest already claims another payload, DataError if the file
                 cannot be read, DiskError if it cannot be written
        """
        with self._shelf.shared():
            if payload is not None:
                digest, size_bytes = self._shelf.put_blob(payload, claimed=manifest.payload_sha256)
                manifest = replace(manifest, payload_sha256=digest, payload_bytes=size_bytes)
            self._enter(manifest, held=payload is not None)
        return manifest

    def adopt(self, manifests: Iterable[Manifest | Mapping[str, object]]) -> list[Manifest]:
        """Keep manifests without their payloads, as a bundle carries those of its ancestors.

        A record (`to_record`) that names its id must have the content of that id: StoreError
        otherwise, and none is kept.
        """
        checked = [
            record if isinstance(record, Manifest) else from_record(record, where="lineage")
            for record in manifests
        ]
        with self._shelf.shared():
            for manifest in checked:
                self._enter(manifest, held=False)
        return checked

    def manifest(self, asset: str) -> Manifest:
        """The manifest of a full id; NotFoundError, or StoreError if it is damaged."""
        found = self._shelf.manifest(asset) if _is_id(asset) else None
        if found is None:
            raise NotFoundError(
                "no asset {asset} in {root}; wenfang store du shows what there is",
                asset=asset,
                root=self.root,
            )
        return found

    def payload_path(self, asset: str) -> Path:
        """The file that holds an asset's payload, hashed just now; it must not be changed.

        StoreError names blob and asset where the blob is missing or damaged.
        """
        manifest = self.manifest(asset)
        if manifest.payload_sha256 is None or not self._shelf.holds(asset):
            raise StoreError(
                "the payload of {name} ({asset}) is not in this store, only its manifest",
                name=manifest.name,
                asset=asset,
            )
        self._require_intact(manifest, self._shelf.blob_problem(manifest.payload_sha256))
        return self._shelf.blob_path(manifest.payload_sha256)

    def read(self, asset: str) -> bytes:
        """An asset's payload, its hash checked; StoreError names blob and asset otherwise."""
        return self.payload_path(asset).read_bytes()

    def find(self, key: str) -> Manifest | None:
        """The newest asset with that step key whose manifest and payload are intact."""
        for asset in self._index.with_key(key):
            if self._intact(asset):
                self._index.touch(asset)
                return self.manifest(asset)
        return None

    def resolve(self, prefix_or_name: str) -> Manifest:
        """The one asset whose id begins so (6 digits or more), or that has this name."""
        return self.manifest(self._resolve_id(prefix_or_name))

    def list(self, kind: str | None = None) -> list[Manifest]:
        """All manifests, or those of one kind, in the order in which they came."""
        return [self.manifest(row.id) for row in self._index.rows(kind)]

    def inputs(self, asset: str) -> tuple[Link, ...]:
        """What an asset was made from."""
        return self.manifest(asset).inputs

    def outputs(self, asset: str) -> builtins.list[Manifest]:
        """What was made from an asset, in the order in which it came."""
        return [self.manifest(output) for output in self._index.outputs(asset)]

    def lineage(self, asset: str) -> Lineage:
        """The way back from an asset to its sources; for `render_lineage` and rights."""
        self.manifest(asset)
        return trace(asset, self._shelf.manifest)

    def pin(self, asset: str) -> None:
        """Keep an asset, and what it came from, through every collection."""
        write_bytes(self._shelf.pin_path(self.manifest(asset).id), b"")

    def unpin(self, asset: str) -> None:
        """Undo `pin`."""
        if _is_id(asset):
            self._shelf.pin_path(asset).unlink(missing_ok=True)

    def pinned(self) -> builtins.list[str]:
        """Ids of the pinned assets."""
        return sorted(self._shelf.pins())

    def check(self) -> builtins.list[Damage]:
        """Hash everything again; an empty list means that all is whole."""
        with self._shelf.shared():
            return upkeep.check(self._shelf)

    def du(self) -> Usage:
        """Bytes and counts per kind."""
        return upkeep.usage(self._shelf, self._index)

    def gc(self, dry_run: bool = False, *, older_than_s: float = GRACE_S) -> Collected:
        """Remove what nobody needs.

        What stays: published pieces, bundles, sources, data sets, reports on these, pinned
        assets, whatever was put or found in the last `older_than_s` seconds, and everything that
        these came from. All else goes, with blobs that nothing refers to and the files that
        interrupted writers left, both only when older than `older_than_s`.
        """
        with self._shelf.alone():
            self._reconcile()
            return upkeep.collect(
                self._shelf, self._index, dry_run=dry_run, older_than_s=older_than_s
            )

    def delete(self, asset: str, force: bool = False) -> int:
        """Remove an asset (id, prefix or name), and its blob when no other holds it.

        returns  the bytes freed
        raises   UsageError if something was made from it or it is pinned, unless `force`
        """
        with self._shelf.alone():
            self._reconcile()
            return upkeep.delete(self._shelf, self._index, self._resolve_id(asset), force=force)

    def export(self, asset: str, path: Path | str) -> Path:
        """Write an asset, its ancestors' manifests and payloads to a new zip (by suffix) or folder.

        StoreError if one of the payloads is damaged.
        """
        with self._shelf.shared():
            graph = trace(self._resolve_id(asset), self._shelf.manifest)
            manifests = [found for found in graph.manifests.values() if found is not None]
            for manifest in manifests:
                if manifest.payload_sha256 and self._shelf.holds(manifest.id):
                    problem = self._shelf.blob_problem(manifest.payload_sha256)
                    self._require_intact(manifest, problem)
            pack(self._shelf, graph.asset, manifests, Path(path))
        return Path(path)

    def import_from(self, path: Path | str) -> Manifest:
        """Take in what `export` wrote, every hash checked before the first byte is kept.

        returns  the manifest of the exported asset
        raises   DataError that names what is damaged or missing in the parcel
        """
        with unpack(Path(path)) as parcel:
            manifests = parcel.manifests()
            carried = set(parcel.contents.payloads)
            for manifest in manifests:
                if manifest.payload_sha256 in carried:
                    parcel.verify_payload(manifest)
            with self._shelf.shared():
                for manifest in manifests:
                    self._take(parcel, manifest, held=manifest.payload_sha256 in carried)
        return self.manifest(parcel.contents.asset)

    def _take(self, parcel: Parcel, manifest: Manifest, *, held: bool) -> None:
        digest = manifest.payload_sha256
        if held and digest and self._shelf.blob_problem(digest):
            with parcel.payload(manifest) as stream:
                self._shelf.copy_blob(stream, digest, str(parcel.path))
        self._enter(manifest, held=held)

    def _enter(self, manifest: Manifest, *, held: bool) -> None:
        """Write and index a manifest whose payload, if `held`, has been written."""
        digest = manifest.payload_sha256
        held = held or digest is None or self._shelf.blob_problem(digest) is None
        held = held or self._shelf.holds(manifest.id)
        self._shelf.put_manifest(manifest, held=held)
        self._index.add(manifest, held=held)

    def _reconcile(self) -> None:
        """Make the index agree with the files: enter what it lacks, forget what is gone.

        The index is read first: what others add meanwhile is then at worst entered twice.
        """
        entered = {row.id: row.held for row in self._index.rows()}
        there = self._shelf.manifests()
        for asset, held in there.items():
            if entered.get(asset) != held:
                self._index_file(asset, held)
        gone = [asset for asset in entered if asset not in there]
        if gone:
            self._index.remove(gone)

    def _index_file(self, asset: str, held: bool) -> None:
        """Enter a manifest file; a damaged one is left to `check`, which names it."""
        path = self._shelf.manifest_path(asset, held=held)
        try:
            manifest = self._shelf.manifest(asset)
            added_s = path.stat().st_mtime
        except (StoreError, FileNotFoundError):
            return
        if manifest is not None:
            self._index.add(manifest, held=held, added_s=added_s)

    def _intact(self, asset: str) -> bool:
        try:
            manifest = self.manifest(asset)
        except (StoreError, NotFoundError):
            return False
        digest = manifest.payload_sha256
        return digest is None or self._shelf.blob_problem(digest) is None

    def _require_intact(self, manifest: Manifest, problem: str | None) -> None:
        values = {"blob": manifest.payload_sha256, "name": manifest.name, "asset": manifest.id}
        if problem == "missing":
            raise StoreError(
                "blob {blob} of asset {name} ({asset}) is missing; make the asset again, "
                "or import it from an export",
                **values,
            )
        if problem is not None:
            raise StoreError(
                "blob {blob} of asset {name} ({asset}) is damaged; make the asset again, "
                "or import it from an export",
                **values,
            )

    def _resolve_id(self, prefix_or_name: str) -> str:
        wanted = prefix_or_name.strip()
        if _is_id(wanted):
            return wanted
        found: list[str] = []
        if _PREFIX.fullmatch(wanted.lower()):
            found = self._index.with_prefix(wanted.lower())
        found = found or self._index.with_name(wanted)
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFoundError(
                "no asset is named {wanted} or has an id that begins so; give a name or at least "
                "{digits} digits of an id",
                wanted=wanted[:80],
                digits=SHORTEST_PREFIX,
            )
        raise NotFoundError(
            "{count} assets answer to {wanted}; give more digits of the id: {ids}",
            count=len(found),
            wanted=wanted[:80],
            ids=", ".join(asset[:SHOWN_DIGITS] for asset in found[:8]),
        )


def _is_id(text: str) -> bool:
    return len(text) == 64 and _PREFIX.fullmatch(text) is not None
