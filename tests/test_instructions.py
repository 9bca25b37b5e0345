"""A user's own examples become a data set, or one line says what is wrong with which line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from wenfang.data.dataset import Dataset
from wenfang.data.instructions import prepare_own
from wenfang.errors import DataError


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def pairs(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"p{number}", "completion": f"c{number}"} for number in range(count)]


def prompts(dataset: Dataset, split: str) -> set[str]:
    return {record["prompt"] for record in dataset.records(split)}


def test_a_tenth_is_for_validation_and_no_prompt_is_in_both_parts(tmp_path: Path) -> None:
    rows = [*pairs(40), {"prompt": "p3", "completion": "another"}, *pairs(5)]
    made = prepare_own(write(tmp_path / "my.jsonl", rows), tmp_path / "set", "CC0-1.0")
    assert made.count("train") + made.count("valid") == 41
    assert 5 <= made.count("valid") <= 6
    assert not prompts(made, "train") & prompts(made, "valid")
    assert made.counts["rejected"] == {"repeated": 5}
    assert made.source_manifests[0].licence == "CC0-1.0"
    again = prepare_own(tmp_path / "my.jsonl", tmp_path / "other")
    assert prompts(again, "valid") == prompts(made, "valid")


def test_the_same_files_and_licence_are_not_prepared_again(tmp_path: Path) -> None:
    path = write(tmp_path / "my.jsonl", pairs(8))
    first = prepare_own(path, tmp_path / "set", "MIT")
    kept = (tmp_path / "set" / "manifest.json").stat().st_ino
    assert prepare_own(path, tmp_path / "set", "MIT").manifest == first.manifest
    assert (tmp_path / "set" / "manifest.json").stat().st_ino == kept
    assert prepare_own(path, tmp_path / "set", "ISC").manifest.licence == "ISC"
    write(path, pairs(9))
    again = prepare_own(path, tmp_path / "set", "ISC")
    assert again.count("train") + again.count("valid") == 9


def test_talks_and_compressed_files_are_understood(tmp_path: Path) -> None:
    talk = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello?"},
            {"role": "assistant", "content": "Good day."},
        ]
    }
    lines = "\n".join(json.dumps(row) for row in [talk, *pairs(3)])
    (tmp_path / "my.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    made = prepare_own(tmp_path / "my.jsonl.gz", tmp_path / "set")
    records = [*made.records("train"), *made.records("valid")]
    expected = {"prompt": "Be kind.\nHello?", "completion": "Good day.", "text": "Good day."}
    assert expected in records


def test_a_folder_of_texts_is_plain_text(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.md").write_text(f"# Note {number}\n\nSome words, number {number}.\n")
    made = prepare_own(folder, tmp_path / "set")
    assert made.count("train") == 3
    assert made.count("valid") == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*pairs(2), {"prompt": "x"}], "my.jsonl:3: there is no field completion but prompt"),
        ([{"input": "x", "output": "y"}], "my.jsonl:1: there is no field prompt but input, output"),
        ([{}], "my.jsonl:1: there is no field prompt but -"),
        ([*pairs(2), {"prompt": "x", "completion": ""}], "my.jsonl:3: completion must be a text"),
        ([*pairs(2), {"prompt": " ", "completion": "y"}], "my.jsonl:3: prompt must be a text"),
        ([{"prompt": 3, "completion": "y"}], "my.jsonl:1: prompt must be a text"),
        ([["p", "c"]], r"my.jsonl:1: not a JSON object \(list\); mend the line$"),
        ([{"messages": []}], "my.jsonl:1: messages must hold"),
        ([{"messages": [{"role": "user", "content": "x"}]}], "my.jsonl:1: messages must hold"),
        ([{"messages": [{"role": "x", "content": "x"}] * 2}], "my.jsonl:1: messages must hold"),
        ([{"messages": "hello"}], "my.jsonl:1: messages must hold"),
        (pairs(1), "at least 2 are needed"),
        (pairs(1) * 9, "at least 2 are needed"),
        ([{"prompt": "p", "completion": str(number)} for number in range(4)], "one prompt only"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, rows: list[Any], message: str) -> None:
    path = write(tmp_path / "my.jsonl", rows)
    with pytest.raises(DataError, match=message):
        prepare_own(path, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my.jsonl", b"\n", "my.jsonl is empty"),
        ("my.jsonl", b"{not json\n", "my.jsonl:1: not a JSON object .*; mend the line$"),
        ("my.jsonl", b'{"prompt": "\xff"}\n', "my.jsonl"),
        ("my.jsonl.gz", b"no gzip", "my.jsonl.gz"),
        ("my.csv", b"prompt,completion\na,b\n", "give jsonl"),
        ("my.pdf", b"%PDF", "no text that is understood"),
    ],
)
def test_files_that_cannot_be_read_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        prepare_own(tmp_path / name, tmp_path / "set")
