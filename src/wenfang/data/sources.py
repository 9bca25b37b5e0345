"""Files and folders as a stream of records, never more than one record in memory.

Understood: .txt, .md, .jsonl and .csv, each plain, .gz or .xz.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from wenfang.config import nearest
from wenfang.data.encoding import require_known
from wenfang.data.lines import (
    DAMAGE,
    Fault,
    Line,
    SourceFile,
    numbered_lines,
    open_file,
    require_readable,
)
from wenfang.data.request import Reading
from wenfang.errors import DataError


class RawRecord(NamedTuple):
    """A record as it stands in its file: the text, its other fields, and where it is."""

    text: str
    fields: dict[str, object]
    file: str
    line: int


Item: TypeAlias = RawRecord | Fault


def files_of(path: Path) -> list[SourceFile]:
    """The readable files at `path` in the order of their names; DataError where there is none."""
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file())
        files = [SourceFile(path=f, name=f.relative_to(path).as_posix()) for f in found]
        files = [file for file in files if file.format and not file.name.startswith(".")]
    elif path.exists():
        files = [SourceFile(path=path, name=path.name)]
        files = [file for file in files if file.format]
    else:
        raise DataError("{path} does not exist; check the name", path=path)
    if not files:
        raise DataError(
            "{path} holds no text that is understood; give .txt, .md, .jsonl or .csv, "
            "plain, .gz or .xz",
            path=path,
        )
    return files


def read_records(
    file: SourceFile, reading: Reading, on_bytes: Callable[[int], None] | None = None
) -> Iterator[Item]:
    """Every record of `file`, and a Fault for each that cannot be read.

    on_bytes  is told the number of bytes of the file (as stored) read so far
    raises    DataError at the first fault where reading.bad_records is "stop"
    """
    require_known(reading.encoding)
    for item in _items(file, reading, on_bytes):
        if isinstance(item, Fault) and reading.bad_records == "stop":
            raise item.error
        yield item


def _items(
    file: SourceFile, reading: Reading, on_bytes: Callable[[int], None] | None
) -> Iterator[Item]:
    with open_file(file.path) as (raw, stream):
        try:
            require_readable(file, reading.encoding)
            lines = numbered_lines(file, stream, reading)
            for item in READERS[file.format](file, lines, reading):
                if on_bytes:
                    on_bytes(raw.tell())
                yield item
        except DataError as error:
            yield Fault("unreadable_file", error, file.name, 0)
        except DAMAGE as reason:
            damage = DataError(
                "{path} is damaged ({reason}); get it again", path=file.path, reason=reason
            )
            yield Fault("unreadable_file", damage, file.name, 0)


def _plain_records(file: SourceFile, lines: Iterator[Line], reading: Reading) -> Iterator[Item]:
    """Passages, paragraphs, lines or the whole of a text file, as reading.unit says."""
    passage: list[str] = []
    size = first = 0
    for number, line in lines:
        if isinstance(line, Fault):
            yield line
            continue
        if passage and _is_end(line, size, reading):
            yield RawRecord("\n".join(passage), {}, file.name, first)
            passage, size = [], 0
        if line.strip() or passage:
            first = first if passage else number
            passage.append(line)
            size += len(line) + 1
        if size > reading.record_characters_max:
            yield _too_large(file, first, reading)
            passage, size = [], 0
    if passage:
        yield RawRecord("\n".join(passage), {}, file.name, first)


def _is_end(line: str, size: int, reading: Reading) -> bool:
    """True where the record so far, of `size` characters, ends before `line`."""
    if reading.unit == "line":
        return True
    if reading.unit == "passage":
        return size >= reading.passage_characters and not line.strip()
    return reading.unit == "paragraph" and not line.strip()


def _too_large(file: SourceFile, number: int, reading: Reading) -> Fault:
    error = DataError(
        "{path}:{line}: the record that begins here is longer than {limit} characters; set "
        "reading.unit=line, or reading.record_characters_max higher",
        path=file.path,
        line=number,
        limit=reading.record_characters_max,
    )
    return Fault("record_too_large", error, file.name, number)


def read_objects(file: SourceFile, reading: Reading) -> Iterator[tuple[int, dict[str, object]]]:
    """Every JSON object of a .jsonl file with the number of its line.

    raises DataError at the first line that holds none
    """
    try:
        require_readable(file, reading.encoding)
        with open_file(file.path) as (_, stream):
            for number, line in numbered_lines(file, stream, reading):
                if isinstance(line, str) and not line.strip():
                    continue
                if isinstance(line, Fault):
                    raise line.error
                yield number, _required_object(file, number, line)
    except DAMAGE as reason:
        raise DataError(
            "{path} is damaged ({reason}); get it again", path=file.path, reason=reason
        ) from None


def _required_object(file: SourceFile, number: int, line: str) -> dict[str, object]:
    try:
        value = _json_value(line)
        if isinstance(value, dict):
            return value
        reason = type(value).__name__
    except (ValueError, RecursionError) as error:
        reason = str(error)[:120]
    raise DataError(
        "{path}:{line}: not a JSON object ({reason}); mend the line",
        path=file.path,
        line=number,
        reason=reason,
    )


def _json_records(file: SourceFile, lines: Iterator[Line], reading: Reading) -> Iterator[Item]:
    for number, line in lines:
        if isinstance(line, Fault):
            yield line
        elif line.strip():
            yield _json_record(file, number, line, reading)


def _json_record(file: SourceFile, number: int, line: str, reading: Reading) -> Item:
    value = _json_object(file, number, line)
    return value if isinstance(value, Fault) else _record(file, number, value, reading)


def _json_object(file: SourceFile, number: int, line: str) -> dict[str, object] | Fault:
    try:
        value = _json_value(line)
    except (ValueError, RecursionError) as reason:
        error = DataError(
            "{path}:{line}: not a JSON value ({reason}); mend the line, "
            "or set reading.bad_records=skip",
            path=file.path,
            line=number,
            reason=str(reason)[:120],
        )
        return Fault("bad_json", error, file.name, number)
    if not isinstance(value, dict):
        error = DataError(
            "{path}:{line}: expected a JSON object with fields; mend the line, "
            "or set reading.bad_records=skip",
            path=file.path,
            line=number,
        )
        return Fault("bad_json", error, file.name, number)
    return value


def _json_value(line: str) -> object:
    value: object = json.loads(line, parse_constant=_refuse_number, parse_float=_finite)
    if "\\u" in line:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair fails
    return value


def _refuse_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def _csv_records(file: SourceFile, lines: Iterator[Line], reading: Reading) -> Iterator[Item]:
    faults: list[Fault] = []
    rows = csv.reader(_good_lines(lines, faults, reading), strict=True)
    before = csv.field_size_limit(reading.line_bytes_max)
    try:
        header = next(rows, [])
        yield from faults
        while True:
            faults.clear()
            try:
                row = next(rows)
            except StopIteration:
                break
            except csv.Error as reason:
                faults.append(_bad_row(file, rows.line_num, str(reason)))
                row = []
            yield from faults
            if row:
                yield _csv_record(file, rows.line_num, header, row, reading)
        yield from faults
    finally:
        csv.field_size_limit(before)


def _good_lines(lines: Iterator[Line], faults: list[Fault], reading: Reading) -> Iterator[str]:
    """Lines for the CSV reader; faults are set aside, since it can be given nothing but text."""
    for _, line in lines:
        if isinstance(line, Fault):
            if reading.bad_records == "stop":
                raise line.error
            faults.append(line)
        else:
            yield line + "\n"


def _bad_row(file: SourceFile, number: int, reason: str) -> Fault:
    error = DataError(
        "{path}:{line}: not a CSV row ({reason}); mend the line, or set reading.bad_records=skip",
        path=file.path,
        line=number,
        reason=reason,
    )
    return Fault("bad_csv", error, file.name, number)


def _csv_record(
    file: SourceFile, number: int, header: list[str], row: list[str], reading: Reading
) -> Item:
    if len(row) != len(header):
        return _bad_row(file, number, f"{len(row)} values for {len(header)} columns")
    return _record(file, number, dict(zip(header, row, strict=True)), reading)


def _record(file: SourceFile, number: int, value: dict[str, object], reading: Reading) -> Item:
    """Take the text out of the fields; a list of lines is joined."""
    if reading.text_field not in value:
        close = nearest(reading.text_field, value) or ", ".join(value)
        error = DataError(
            "{path}:{line}: there is no column {name}; set reading.text_field (perhaps to {close})",
            path=file.path,
            line=number,
            name=reading.text_field,
            close=close[:80],
        )
        return Fault("missing_column", error, file.name, number)
    text = value[reading.text_field]
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        text = "\n".join(text)
    if not isinstance(text, str):
        error = DataError(
            "{path}:{line}: {name} is not text nor a list of lines",
            path=file.path,
            line=number,
            name=reading.text_field,
        )
        return Fault("not_text", error, file.name, number)
    names = reading.keep_fields if reading.keep_fields is not None else tuple(value)
    return RawRecord(
        text, {name: value[name] for name in names if name in value}, file.name, number
    )


READERS: dict[str, Callable[[SourceFile, Iterator[Line], Reading], Iterator[Item]]] = {
    ".txt": _plain_records,
    ".md": _plain_records,
    ".jsonl": _json_records,
    ".csv": _csv_records,
}
