"""Every form of file gives the same records, and bad input one clear line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wenfang.data.encoding import guess
from wenfang.data.lines import Fault
from wenfang.data.request import Reading
from wenfang.data.sources import Item, RawRecord, files_of, read_records
from wenfang.errors import ConfigError, DataError

TEXTS = ["第一段，說的是山。", "second paragraph, café", '三: "quoted", and, commas']
CHINESE = "我們的時間不多了，這是一個大問題。他說：人生在世，不可以沒有書。" * 3


def read(path: Path, reading: Reading | None = None) -> list[Item]:
    return [item for file in files_of(path) for item in read_records(file, reading or Reading())]


def texts(path: Path, reading: Reading | None = None) -> list[str]:
    return [item.text for item in read(path, reading) if isinstance(item, RawRecord)]


def as_bytes(form: str) -> bytes:
    if form == "jsonl":
        return "".join(json.dumps({"text": t}) + "\n" for t in TEXTS).encode()
    if form == "csv":
        stream = io.StringIO()
        csv.writer(stream).writerows([["n", "text"], *([str(i), t] for i, t in enumerate(TEXTS))])
        return stream.getvalue().encode()
    return "\n\n".join(TEXTS).encode()


@pytest.mark.parametrize("form", ["txt", "md", "jsonl", "csv"])
@pytest.mark.parametrize("compression", ["", ".gz", ".xz"])
def test_every_form_gives_the_same_records(tmp_path: Path, form: str, compression: str) -> None:
    packers: dict[str, Callable[[bytes], bytes]]
    packers = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
    path = tmp_path / f"texts.{form}{compression}"
    path.write_bytes(packers[compression](as_bytes(form)))
    assert texts(path, Reading(unit="paragraph")) == TEXTS


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/one.txt", "a.txt", "c.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert texts(tmp_path) == ["a.txt", "b/one.txt", "c.txt"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("line", ["a", "b", "c", "d"]),
        ("paragraph", ["a\nb", "c", "d"]),
        ("passage", ["a\nb\n\nc", "d"]),
        ("file", ["a\nb\n\nc\n\nd"]),
    ],
)
def test_plain_text_is_cut_as_the_unit_says(tmp_path: Path, unit: str, expected: list[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\na\nb\n\nc\n\nd\n")
    reading = Reading(unit=unit, passage_characters=5)  # type: ignore[arg-type]
    assert [text.rstrip("\n") for text in texts(path, reading)] == expected


def test_csv_keeps_line_breaks_inside_quotes_and_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufefftext,who\r\n"one\r\ntwo",me\r\n'.encode())
    (record,) = read(path)
    assert isinstance(record, RawRecord)
    assert record.text.splitlines() == ["one", "two"]
    assert record.fields["who"] == "me"


def test_a_list_of_lines_is_joined(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"lines": ["a", "b"], "title": "t"}\n\n')
    assert texts(path, Reading(text_field="lines")) == ["a\nb"]


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-32", "gb18030", "big5", "latin-1"]
)
def test_another_encoding_is_named_and_read_when_set(tmp_path: Path, encoding: str) -> None:
    text = "déjà vu à la façade, naïve" if encoding == "latin-1" else CHINESE
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=f"looks like {encoding}: set reading.encoding={encoding}"):
        read(path)
    assert texts(path, Reading(encoding=encoding)) == [text]


def test_simplified_chinese_in_gb18030_is_named() -> None:
    assert guess("我们在这里说话，时间过得很快。".encode("gb18030")) == "gb18030"


def test_wrong_bytes_deep_in_a_file_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"plain line\n" * 20_000 + "ein schöner Tag\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt:20001 is not utf-8; it looks like latin-1"):
        read(path)


def test_utf_16_that_ends_in_half_a_character_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("山水".encode("utf-16") + b"\x00")
    with pytest.raises(DataError, match="is not utf-16"):
        read(path, Reading(encoding="utf-16"))


def test_an_unknown_encoding_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    for name in ("utf-9", "base64"):
        with pytest.raises(ConfigError, match=name):
            read(tmp_path, Reading(encoding=name))


@pytest.mark.parametrize(
    ("name", "payload", "message"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b" \n\n", "is empty"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(100), "is a PNG image, not text"),
        ("a.txt", b"PK\x03\x04" + bytes(100), "is a ZIP archive"),
        ("a.txt", bytes(range(256)) * 4, "binary, not text"),
        ("a.txt", b"text\n" * 20_000 + b"\0\1\2\n", "a.txt:20001 is binary"),
        ("a.txt.gz", b"not gzip at all", "is damaged"),
        ("a.txt.gz", gzip.compress(b"text\n" * 50_000, mtime=0)[:-40], "is damaged"),
        ("a.txt.xz", lzma.compress(b"text\n" * 50_000)[:-40], "is damaged"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', r"a\.jsonl:2: not a JSON value"),
        ("a.jsonl", b'{"text": "a", "n": NaN}\n', "not a JSON value"),
        ("a.jsonl", b'{"text": "a", "n": 1e999}\n', "not a JSON value"),
        ("a.jsonl", b'{"text": "half \\ud800"}\n', "not a JSON value"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "not a JSON value"),
        ("a.jsonl", b'["a"]\n', "expected a JSON object"),
        ("a.jsonl", b'{"texts": "a"}\n', "no column text.*perhaps to texts"),
        ("a.jsonl", b'{"text": 5}\n', "text is not text"),
        ("a.csv", b"body,n\nx,1\n", r"a\.csv:2: there is no column text"),
        ("a.csv", b"text,n\nx\n", r"a\.csv:2: not a CSV row \(1 values for 2 columns\)"),
        ("a.csv", b'text,n\n"x"y,1\n', "not a CSV row"),
        ("a.csv", b'text,n\n"never closed,1\nmore\n', "not a CSV row"),
    ],
)
def test_bad_input_is_one_line_that_says_what_and_where(
    tmp_path: Path, name: str, payload: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(payload)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_what_is_not_there_or_not_understood_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        files_of(tmp_path / "none.txt")
    (tmp_path / "a.docx").write_bytes(b"PK")
    for path in (tmp_path, tmp_path / "a.docx"):
        with pytest.raises(DataError, match=r"give \.txt, \.md, \.jsonl or \.csv"):
            files_of(path)


def test_bad_lines_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    long = b'{"text": "' + b"x" * 500 + b'"}\n'
    path.write_bytes(b'{"text": "a"}\n{broken\n' + long + b'{"text": "\xe9"}\n{"text": "b"}\n')
    items = read(path, Reading(bad_records="skip", line_bytes_max=100))
    faults = [(item.rule, item.line) for item in items if isinstance(item, Fault)]
    assert faults == [("bad_json", 2), ("line_too_long", 3), ("wrong_encoding", 4)]
    assert texts(path, Reading(bad_records="skip", line_bytes_max=100)) == ["a", "b"]


def test_rows_after_a_bad_one_are_still_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,n\na,1\n"b"b,2\nc\nd,4\n')
    assert texts(path, Reading(bad_records="skip")) == ["a", "d"]


def test_a_paragraph_without_an_end_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("line\n" * 1000)
    with pytest.raises(DataError, match="longer than 100 characters; set reading"):
        read(path, Reading(unit="file", record_characters_max=100))


ONE_LONG_LINE = """
import resource, sys
from collections.abc import Callable
from pathlib import Path
from wenfang.data.request import Reading
from wenfang.data.sources import files_of, read_records
from wenfang.errors import DataError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for file in files_of(Path(sys.argv[1])):
        list(read_records(file, Reading()))
except DataError as error:
    sys.stdout.write(str(error))
sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_a_line_of_a_gigabyte_is_one_error_and_is_never_held(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as stream:
        stream.write(b"x" * 100_000)
        stream.seek(2**30)  # sparse: the disk is not filled
        stream.write(b"x")
    done = subprocess.run(
        [sys.executable, "-c", ONE_LONG_LINE, str(path)], capture_output=True, text=True, check=True
    )
    assert f"{name}:1: the line is longer than 16777216 bytes" in done.stdout
    assert int(done.stderr) < 120_000  # KiB of memory
