"""What `verify` is given - files, folders, zip archives - as items with their sidecars, bounded.

A zip is read in memory, one member at a time, and nothing of it is written to the disk.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wenfang.atomic import TEMPORARY_PREFIX
from wenfang.errors import NotFoundError
from wenfang.language import t
from wenfang.seal.layers import Verdict, undecided

CREDENTIAL, STATEMENT, LABEL = ".c2pa", ".wenfang.json", ".aigc.json"
SIDECARS = (CREDENTIAL, STATEMENT, LABEL)
MAX_FILE_BYTES = 128 << 20
MAX_FILES = 10_000
Read = Callable[[str], "bytes | str"]  # the bytes, or why there are none


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file's bytes and those of its sidecars, by suffix."""

    name: str
    data: bytes
    sidecars: Mapping[str, bytes]


def owner_of(name: str) -> str | None:
    """The file that a sidecar's name belongs to; None for a name that is no sidecar's."""
    suffix = next((one for one in SIDECARS if name.endswith(one)), None)
    owner = name.removesuffix(suffix) if suffix else ""
    return owner if owner and not owner.endswith("/") else None


def items(paths: Iterable[Path]) -> Iterator[Item | Verdict]:
    """Every file under `paths` once, with its sidecars; a Verdict where it cannot be examined.

    raises NotFoundError for a path that does not exist
    """
    files: dict[str, None] = {}
    for path in paths:
        if not _exists(path):
            raise NotFoundError("{path} is not there; give a file, a folder or a zip", path=path)
        if path.is_dir():
            yield from _folder(path)
        elif path.suffix.lower() == ".zip" and path.is_file() and not _sealed(path):
            yield from _archive(path)
        else:
            files[str(path)] = None
    yield from _group(_with_owners(files), read_file, os.path.isfile)


def _exists(path: Path) -> bool:
    """Whether something has that name; False for a name that no file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _sealed(path: Path) -> bool:
    """A sealed zip is one file; what is in it belongs to it."""
    return path.with_name(path.name + STATEMENT).is_file()


def _with_owners(files: Iterable[str]) -> list[str]:
    """Sidecars that were named alone stand for their file where it lies beside them."""
    named: dict[str, None] = {}
    for name in files:
        owner = owner_of(name)
        named[owner if owner and os.path.isfile(owner) else name] = None
    return list(named)


def _folder(folder: Path) -> Iterator[Item | Verdict]:
    names: list[str] = []
    for place, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(one for one in subfolders if not one.startswith(TEMPORARY_PREFIX))
        names += [os.path.join(place, one) for one in sorted(files)]
        if len(names) > MAX_FILES:
            yield undecided(str(folder), t("more than {count} files; give a part", count=MAX_FILES))
            return
    present = set(names)
    yield from _group(names, read_file, present.__contains__)


def _group(names: list[str], read: Read, exists: Callable[[str], bool]) -> Iterator[Item | Verdict]:
    """Items of files with their sidecars; lone sidecars and unreadable files as verdicts."""
    for name in names:
        owner = owner_of(name)
        if owner is not None and exists(owner):
            continue
        if owner is not None:
            yield undecided(name, t("a sidecar without its file {name}", name=Path(owner).name))
            continue
        data = read(name)
        found = {one: read(name + one) for one in SIDECARS if exists(name + one)}
        reason = next((one for one in (data, *found.values()) if isinstance(one, str)), None)
        if reason is not None or isinstance(data, str):
            yield undecided(name, reason or "")
            continue
        sidecars = {key: value for key, value in found.items() if isinstance(value, bytes)}
        yield Item(name=name, data=data, sidecars=sidecars)


def read_file(name: str) -> bytes | str:
    """The bytes of a regular file of bearable size, or why there are none."""
    path = Path(name)
    try:
        if not path.is_file():
            return t("not a regular file")
        if path.stat().st_size > MAX_FILE_BYTES:
            return t("larger than {limit} bytes", limit=MAX_FILE_BYTES)
        return path.read_bytes()
    except OSError as error:
        return t("cannot be read: {reason}", reason=error.strerror)


def _archive(path: Path) -> Iterator[Item | Verdict]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield undecided(str(path), t("not a zip archive that can be read"))
        return
    with archive:
        names = [one for one in archive.namelist() if not one.endswith("/")]
        if len(names) > MAX_FILES or len(names) != len(set(names)):
            yield undecided(str(path), t("too many files in the archive, or two of one name"))
            return
        present = set(names)
        for one in _group(names, lambda name: _read_member(archive, name), present.__contains__):
            yield _inside(path, one)


def _inside(path: Path, found: Item | Verdict) -> Item | Verdict:
    """The same under the archive's name, so that two archives are told apart."""
    if isinstance(found, Verdict):
        return undecided(f"{path}!{found.path}", found.summary)
    return Item(name=f"{path}!{found.name}", data=found.data, sidecars=found.sidecars)


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes | str:
    """A member's bytes; a size that the archive understates is bounded too."""
    try:
        with archive.open(name) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        return t("cannot be unpacked (encrypted or damaged)")
    return data if len(data) <= MAX_FILE_BYTES else t("larger than {limit} bytes",
                                                      limit=MAX_FILE_BYTES)  # fmt: skip
