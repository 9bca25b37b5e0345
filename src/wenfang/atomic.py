"""Files that appear complete or not at all, and the two hashes that name them.

Everything is written beside its destination, flushed to the disk and renamed. A full disk or a
forbidden folder becomes one clear DiskError, and no half-written file stays behind.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wenfang.errors import BusyError, DiskError

TEMPORARY_PREFIX = ".partial-"


def canonical_json(value: Any) -> bytes:
    """The one byte sequence of a JSON value: sorted keys, no spaces, UTF-8, no NaN."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def sha256_bytes(payload: bytes) -> str:
    """SHA-256 of `payload` in 64 hexadecimal digits."""
    return hashlib.sha256(payload).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes in 64 hexadecimal digits, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Translate the operating system's refusals at `path` into a DiskError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskError("no space left to write {path}; free some and try again", path=path)
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise DiskError(
                "{path} cannot be written (read-only or not permitted); choose another folder",
                path=path,
            )
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG):
            raise DiskError(
                "{path} cannot be written ({reason}); choose another place",
                path=path,
                reason=error.strerror,
            )
        raise


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes become the file `path` when the block ends without an error."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that becomes `path`, replacing one of that name, when the block ends."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        temporary.mkdir()
        try:
            yield temporary
            _flush_files(temporary)
            _swap_folder(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _swap_folder(new: Path, path: Path) -> None:
    """Rename `new` to `path`; a folder already there is moved aside first, then removed."""
    old = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    if path.exists():
        os.rename(path, old)
    try:
        os.rename(new, path)
    except OSError:
        if old.exists():
            os.rename(old, path)
        raise
    _flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _flush_files(folder: Path) -> None:
    """Flush every file and folder inside: libraries that write files themselves do not."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_file() or path.is_dir():
            _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, payload: bytes) -> None:
    """Write a whole file at once, atomically."""
    with new_file(path) as stream:
        stream.write(payload)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 text file, atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that people can read: two spaces, UTF-8, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for this process; wait while another holds it."""
    with _lock_file(path) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for this process; BusyError names `what` if another holds it."""
    with _lock_file(path) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                "{what} is in use by another process; wait for it or choose another folder",
                what=what,
            ) from None
        yield


def _lock_file(path: Path) -> BinaryIO:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
