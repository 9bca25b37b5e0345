"""The store's files: blobs named by their hash, manifests named by theirs.

    blobs/ab/cdef…            payloads
    manifests/ab/cdef….json   canonical JSON, so the file's own SHA-256 is the id
    known/ab/cdef….json       manifests whose payload is elsewhere (a bundle's ancestors)
    pins/abcdef…              an empty file for each asset that must stay

These files are the truth; the index can always be made again from them. A payload is written
before its manifest, so whatever has a manifest is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from wenfang.atomic import (
    TEMPORARY_PREFIX,
    disk_errors,
    new_file,
    sha256_bytes,
    sha256_file,
    write_bytes,
)
from wenfang.errors import DataError, StoreError
from wenfang.store.manifest import Manifest, from_record

PIECE_BYTES = 1 << 20

BlobProblem = Literal["missing", "damaged"]


class Shelf:
    """Files under `root`; creates the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the store for adding to it; many processes may at once."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store for taking from it: waits until nobody adds, and lets nobody begin."""
        with self._locked(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        path = self.root / "lock"
        with disk_errors(path):
            stream = path.open("ab")
        with stream:
            fcntl.flock(stream, mode)
            yield

    def blob_path(self, digest: str) -> Path:
        """Where the payload of that SHA-256 lies."""
        return self.root / "blobs" / digest[:2] / digest[2:]

    def manifest_path(self, asset: str, *, held: bool) -> Path:
        """Where the manifest lies when its payload is held here, or is not."""
        return self.root / ("manifests" if held else "known") / asset[:2] / f"{asset[2:]}.json"

    def pin_path(self, asset: str) -> Path:
        """The file that says that this asset must stay."""
        return self.root / "pins" / asset

    def blob_problem(self, digest: str) -> BlobProblem | None:
        """None for an intact blob, otherwise "missing" or "damaged"; reads all of it."""
        try:
            return None if sha256_file(self.blob_path(digest)) == digest else "damaged"
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "damaged"

    def put_blob(self, payload: bytes | Path, *, claimed: str | None) -> tuple[str, int]:
        """Write a payload unless an intact one is there; its SHA-256 and number of bytes.

        StoreError, and nothing is written, if it is not what was `claimed`.
        """
        digest, size_bytes = measure(payload)
        if claimed not in (None, digest):
            raise StoreError(
                "the manifest claims payload {claimed}, but the bytes given are {digest}",
                claimed=claimed,
                digest=digest,
            )
        if self.blob_problem(digest) is None:
            return digest, size_bytes
        if isinstance(payload, bytes):
            write_bytes(self.blob_path(digest), payload)
        else:
            with payload.open("rb") as stream:
                self.copy_blob(stream, digest, str(payload))
        return digest, size_bytes

    def copy_blob(self, stream: BinaryIO, digest: str, where: str) -> None:
        """Write the blob `digest` from a stream; nothing appears unless the hash is right."""
        with new_file(self.blob_path(digest)) as target:
            if copy_hashing(stream, target) != digest:
                raise StoreError("{where} changed while it was read; try again", where=where)

    def put_manifest(self, manifest: Manifest, *, held: bool) -> None:
        """Write a manifest unless it is there, intact."""
        path = self.manifest_path(manifest.id, held=held)
        if _read_if_any(path) != manifest.canonical:
            write_bytes(path, manifest.canonical)
        if held:
            self.manifest_path(manifest.id, held=False).unlink(missing_ok=True)

    def manifest(self, asset: str) -> Manifest | None:
        """The manifest, or None if it is not here; StoreError names a damaged one."""
        for held in (True, False):
            path = self.manifest_path(asset, held=held)
            text = _read_if_any(path)
            if text is not None:
                return _parse(text, asset, path)
        return None

    def holds(self, asset: str) -> bool:
        """Whether the manifest is here together with its payload (if it has one)."""
        return self.manifest_path(asset, held=True).exists()

    def manifests(self) -> dict[str, bool]:
        """Every manifest's id, and whether its payload is held here."""
        known = {asset.removesuffix(".json"): False for asset in self._names("known")}
        return known | {asset.removesuffix(".json"): True for asset in self._names("manifests")}

    def blobs(self) -> list[str]:
        """The SHA-256 of every blob, by its name."""
        return sorted(self._names("blobs"))

    def pins(self) -> set[str]:
        """The ids of all pinned assets."""
        folder = self.root / "pins"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    def partials(self) -> list[Path]:
        """What interrupted writers left behind."""
        return sorted(self.root.rglob(f"{TEMPORARY_PREFIX}*"))

    def _names(self, folder: str) -> Iterator[str]:
        for shard in sorted((self.root / folder).glob("??")):
            for name in os.listdir(shard):
                if not name.startswith(TEMPORARY_PREFIX):
                    yield shard.name + name


def measure(payload: bytes | Path) -> tuple[str, int]:
    """SHA-256 and number of bytes of a payload; DataError names a file that cannot be read."""
    if isinstance(payload, bytes):
        return sha256_bytes(payload), len(payload)
    try:
        return sha256_file(payload), payload.stat().st_size
    except OSError as error:
        raise DataError(
            "{path} cannot be read ({reason}); name an existing file",
            path=payload,
            reason=error.strerror,
        ) from None


def copy_hashing(stream: BinaryIO, target: BinaryIO) -> str:
    """Copy a stream piece by piece; the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    while piece := stream.read(PIECE_BYTES):
        digest.update(piece)
        target.write(piece)
    return digest.hexdigest()


def _read_if_any(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parse(text: bytes, asset: str, path: Path) -> Manifest:
    if sha256_bytes(text) != asset:
        raise StoreError(
            "the manifest {path} of asset {asset} is damaged; restore it from a copy, or remove it "
            "with wenfang store delete {asset} --force",
            path=path,
            asset=asset,
        )
    return from_record(json.loads(text), where=str(path))
