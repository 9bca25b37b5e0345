"""A parcel: an asset with all it came from, as a folder or a zip, for another store.

    parcel.json               format, asset, ids of the manifests, hashes of the payloads
    manifests/ab/cdef….json   as in a store
    blobs/ab/cdef…

Nothing in a parcel is believed: names are made from ids, never read, and every hash is checked
before the first byte enters the store.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from wenfang.atomic import canonical_json, disk_errors, new_file, new_folder, sha256_bytes
from wenfang.config import from_dict
from wenfang.errors import DataError, UsageError
from wenfang.store.manifest import Manifest, from_record
from wenfang.store.shelf import PIECE_BYTES, Shelf

FORMAT = "wenfang-parcel-1"
CONTENTS = "parcel.json"
LARGEST_TEXT_BYTES = 64 << 20
# The oldest date that a zip can tell: equal contents make equal files.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What parcel.json says."""

    format: str
    asset: str
    manifests: tuple[str, ...]
    payloads: tuple[str, ...]


def pack(shelf: Shelf, asset: str, manifests: list[Manifest], path: Path) -> None:
    """Write the parcel of `asset`; a zip if `path` ends so, else a folder. `path` must be new.

    manifests  of the asset and its ancestors; their payloads go along where they are held
    """
    if path.exists():
        raise UsageError("{path} exists; name a new file or folder for the export", path=path)
    digests = {
        manifest.payload_sha256
        for manifest in manifests
        if manifest.payload_sha256 and shelf.holds(manifest.id)
    }
    contents = Contents(
        format=FORMAT,
        asset=asset,
        manifests=tuple(sorted(manifest.id for manifest in manifests)),
        payloads=tuple(sorted(digests)),
    )
    texts = {_manifest_name(manifest.id): manifest.canonical for manifest in manifests}
    texts = {CONTENTS: canonical_json(vars(contents)), **dict(sorted(texts.items()))}
    if path.suffix.lower() == ".zip":
        _write_zip(shelf, contents, texts, path)
    else:
        _write_folder(shelf, contents, texts, path)


def _write_zip(shelf: Shelf, contents: Contents, texts: dict[str, bytes], path: Path) -> None:
    with new_file(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), text)
        for digest in contents.payloads:
            entry = zipfile.ZipInfo(_blob_name(digest), ZIP_DATE)
            with (
                shelf.blob_path(digest).open("rb") as source,
                archive.open(entry, "w", force_zip64=True) as target,
            ):
                shutil.copyfileobj(source, target)


def _write_folder(shelf: Shelf, contents: Contents, texts: dict[str, bytes], path: Path) -> None:
    with new_folder(path) as folder:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text)
        for digest in contents.payloads:
            target = folder / _blob_name(digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shelf.blob_path(digest), target)


class Parcel:
    """A parcel opened for reading; every fault of it is a DataError that names the parcel."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None) -> None:
        self.path = path
        self._archive = archive
        self.contents = self._read_contents()

    def manifests(self) -> list[Manifest]:
        """All its manifests, each id checked; the asset's own is among them."""
        found = [self._manifest(asset) for asset in self.contents.manifests]
        if self.contents.asset not in self.contents.manifests:
            raise DataError(
                "{path} does not hold the manifest of its asset {asset}; export it again",
                path=self.path,
                asset=self.contents.asset,
            )
        return found

    def verify_payload(self, manifest: Manifest) -> None:
        """Hash a payload as it lies in the parcel; DataError names the asset if it is another."""
        with self.payload(manifest) as stream:
            found = _hash(stream, manifest.payload_bytes)
        if found != manifest.payload_sha256:
            raise DataError(
                "{path}: payload {blob} of asset {name} ({asset}) is damaged; export it again",
                path=self.path,
                blob=manifest.payload_sha256,
                name=manifest.name,
                asset=manifest.id,
            )

    @contextmanager
    def payload(self, manifest: Manifest) -> Iterator[BinaryIO]:
        """The stream of a manifest's payload."""
        assert manifest.payload_sha256 is not None
        with self._entry(_blob_name(manifest.payload_sha256)) as stream:
            yield stream

    def _manifest(self, asset: str) -> Manifest:
        if len(asset) != 64 or set(asset) - set("0123456789abcdef"):
            raise DataError("{path}: {asset} is not an id", path=self.path, asset=repr(asset)[:80])
        text = self._text(_manifest_name(asset))
        if sha256_bytes(text) != asset:
            raise DataError(
                "{path}: the manifest of {asset} is damaged; export it again",
                path=self.path,
                asset=asset,
            )
        return from_record(self._json(text), where=f"{self.path}: {asset}", error=DataError)

    def _read_contents(self) -> Contents:
        data = self._json(self._text(CONTENTS))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError("{path} is not an export of a wenfang store", path=self.path)
        return from_dict(Contents, data, where=f"{self.path}: {CONTENTS}", error=DataError)

    def _text(self, name: str) -> bytes:
        with self._entry(name) as stream:
            text = stream.read(LARGEST_TEXT_BYTES + 1)
        if len(text) > LARGEST_TEXT_BYTES:
            raise DataError("{path}: {name} is too large to be true", path=self.path, name=name)
        return text

    def _json(self, text: bytes) -> object:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise DataError("{path} is not an export of a wenfang store", path=self.path) from None

    @contextmanager
    def _entry(self, name: str) -> Iterator[BinaryIO]:
        """One file of the parcel; what is missing or cannot be unpacked is named."""
        try:
            if self._archive is None:
                with (self.path / name).open("rb") as stream:
                    yield stream
            else:
                entry = self._archive.getinfo(name)
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile("unknown compression")
                with self._archive.open(entry) as unpacked:
                    yield cast(BinaryIO, unpacked)
        except (KeyError, FileNotFoundError, NotADirectoryError):
            raise DataError(
                "{path} lacks {name}; export it again", path=self.path, name=name
            ) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, IsADirectoryError) as error:
            raise DataError(
                "{path}: {name} cannot be read ({reason})", path=self.path, name=name, reason=error
            ) from None


@contextmanager
def unpack(path: Path) -> Iterator[Parcel]:
    """Open a parcel: a folder, or a zip."""
    if path.is_dir():
        yield Parcel(path, None)
        return
    try:
        with disk_errors(path):
            archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise DataError("{path} is missing; name an exported folder or zip", path=path) from None
    except zipfile.BadZipFile:
        raise DataError("{path} is not an export of a wenfang store", path=path) from None
    with archive:
        yield Parcel(path, archive)


def _manifest_name(asset: str) -> str:
    return f"manifests/{asset[:2]}/{asset[2:]}.json"


def _blob_name(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest[2:]}"


def _hash(stream: BinaryIO, limit_bytes: int) -> str | None:
    """SHA-256 of a stream, or None once it is longer than it may be (a zip can swell)."""
    digest = hashlib.sha256()
    while piece := stream.read(PIECE_BYTES):
        limit_bytes -= len(piece)
        if limit_bytes < 0:
            return None
        digest.update(piece)
    return digest.hexdigest()
