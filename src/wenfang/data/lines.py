"""Bytes on the disk as numbered lines of text, no more than one bounded line in memory.

What cannot be read is a Fault: it says which file and line, what is wrong and what to do.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias, cast

from wenfang.data.encoding import SAMPLE_BYTES, guess, is_wide, require_text, wrong_encoding
from wenfang.data.request import Reading
from wenfang.errors import DataError

FORMATS = (".txt", ".md", ".jsonl", ".csv")
COMPRESSIONS = (".gz", ".xz")
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


class Fault(NamedTuple):
    """What cannot be read: the rule it is counted under and the error that says why."""

    rule: str
    error: DataError
    file: str
    line: int


Line: TypeAlias = tuple[int, str | Fault]


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a source and its name relative to the source."""

    path: Path
    name: str

    @property
    def format(self) -> str:
        """One of FORMATS, or "" where the name says nothing that is understood."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        if suffixes and suffixes[-1] in COMPRESSIONS:
            suffixes.pop()
        return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ""


@contextmanager
def open_file(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The file as stored (for its position) and as a stream of its uncompressed bytes."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DataError(
            "{path} cannot be read ({reason}); check its permissions",
            path=path,
            reason=error.strerror,
        ) from None
    with raw:
        suffix = path.suffix.lower()
        if suffix == ".gz":
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield raw, cast(BinaryIO, unpacked)
        elif suffix == ".xz":
            with lzma.LZMAFile(raw) as expanded:
                yield raw, cast(BinaryIO, expanded)
        else:
            yield raw, raw


def require_readable(file: SourceFile, encoding: str) -> None:
    """DataError where the first bytes of `file` are empty, binary or of another encoding."""
    with open_file(file.path) as (_, head):
        sample = head.read(SAMPLE_BYTES)
    if not sample.strip():
        raise DataError("{path} is empty; give a file that holds text", path=file.path)
    require_text(file.path, sample, encoding)


def numbered_lines(file: SourceFile, stream: BinaryIO, reading: Reading) -> Iterator[Line]:
    """Lines from 1 without their ends; one that is too long or of another encoding is a Fault,
    and no more than `line_bytes_max` of it is ever held.
    """
    if is_wide(reading.encoding):
        wide = io.TextIOWrapper(stream, reading.encoding, newline="\n")
        return _wide_lines(file, wide, reading)
    return _byte_lines(file, stream, reading)


def _byte_lines(file: SourceFile, stream: BinaryIO, reading: Reading) -> Iterator[Line]:
    limit, number = reading.line_bytes_max, 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit:
            yield number, _too_long(file, number, limit)
            while line and not line.endswith(b"\n"):
                line = stream.readline(limit)
            continue
        yield number, _decode(line, file, number, reading.encoding)


def _wide_lines(file: SourceFile, stream: io.TextIOWrapper, reading: Reading) -> Iterator[Line]:
    """Lines of UTF-16 and UTF-32, whose ends cannot be found before decoding."""
    limit, number = reading.line_bytes_max, 0
    try:
        while line := stream.readline(limit + 1):
            number += 1
            if len(line) > limit:
                yield number, _too_long(file, number, limit)
                while line and not line.endswith("\n"):
                    line = stream.readline(limit)
                continue
            yield number, _plain(line, number)
    except UnicodeError as reason:
        raise DataError(
            "{path} after line {line} is not {encoding} ({reason}); set another reading.encoding",
            path=file.path,
            line=number,
            encoding=reading.encoding,
            reason=str(reason)[:80],
        ) from None
    finally:
        stream.detach()  # the file is closed by who opened it


def _plain(text: str, number: int) -> str:
    return (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")


def _decode(line: bytes, file: SourceFile, number: int, encoding: str) -> str | Fault:
    where = f"{file.path}:{number}"
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        error = wrong_encoding(where, guess(line[:SAMPLE_BYTES]), encoding)
        return Fault("wrong_encoding", error, file.name, number)
    if "\0" in text:
        return Fault("wrong_encoding", wrong_encoding(where, "", encoding), file.name, number)
    return _plain(text, number)


def _too_long(file: SourceFile, number: int, limit: int) -> Fault:
    error = DataError(
        "{path}:{line}: the line is longer than {limit} bytes; break it, "
        "or set reading.line_bytes_max higher",
        path=file.path,
        line=number,
        limit=limit,
    )
    return Fault("line_too_long", error, file.name, number)
