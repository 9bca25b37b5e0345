"""Named data sets: what is missing or changed is named with its origin and checksum."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wenfang.atomic import sha256_bytes
from wenfang.data import NAMED, prepare_named
from wenfang.data.training_index import TrainingIndex
from wenfang.errors import DataError, NotFoundError

DATA = os.environ.get("WENFANG_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="WENFANG_DATA names no folder of data sets")


def test_an_unknown_name_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean chinese_poetry"):
        prepare_named("chinese_poems", tmp_path, tmp_path / "set")


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_missing_file_tells_origin_checksum_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("WENFANG_DATA", raising=False)
    for root in (tmp_path, None):
        with pytest.raises(DataError) as caught:
            prepare_named(name, root, tmp_path / "set")
        for part in (NAMED[name].origin, NAMED[name].file.sha256, "WENFANG_DATA", f"/{name}/"):
            assert part in str(caught.value)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("To be, or")
    with pytest.raises(DataError, match=r"has the SHA-256 \w+, expected 86c4e6aa"):
        prepare_named("tinyshakespeare", tmp_path, tmp_path / "set")


@needs_data
@pytest.mark.data
def test_shakespeare_is_kept_byte_for_byte_and_cut_at_nine_tenths(tmp_path: Path) -> None:
    dataset = prepare_named("tinyshakespeare", None, tmp_path / "set")
    train, valid = (next(iter(dataset.records(s)))["text"] for s in ("train", "valid"))
    assert (len(train), len(valid)) == (1_003_854, 111_540)
    assert sha256_bytes((train + valid).encode()) == NAMED["tinyshakespeare"].file.sha256
    again = prepare_named("tinyshakespeare", DATA, tmp_path / "again")
    assert again.manifest.payload_sha256 == dataset.manifest.payload_sha256


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_quatrains_are_split_by_author_and_their_index_is_small(tmp_path: Path) -> None:
    dataset = prepare_named("chinese_poetry", Path(DATA) / "chinese_poetry", tmp_path / "set")
    counts = dataset.counts
    assert counts["read"] == 95_015
    assert counts["kept"] == 93_897
    assert dataset.manifest.licence == "MIT"
    authors = [{r["author"] for r in dataset.records(s)} for s in ("train", "valid", "test")]
    assert sum(map(len, authors)) == len(set.union(*authors))
    poems = [record["text"] for record in dataset.records("valid")]
    index = TrainingIndex.build(poems)
    assert all(index.longest_copy(poem)[0] == len(poem) - 3 for poem in poems[:200])
    index.save(tmp_path / "index.safetensors")
    assert (tmp_path / "index.safetensors").stat().st_size < 60 * len(poems)
