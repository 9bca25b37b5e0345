"""Laws of parallel data: official pairs are kept as they are, no sentence is in two parts."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from tiny_translator import pairs_dataset
from wenfang.checks.rights import forbids_commerce
from wenfang.data.dataset import Dataset
from wenfang.data.named import NAMED, prepare_named
from wenfang.data.parallel import (
    caption_files,
    plain_caption,
    plain_chinese,
    plain_english,
    prepare_captions,
    prepare_short_sentences,
)
from wenfang.data.request import Source
from wenfang.data.split import SPLITS
from wenfang.errors import DataError

DATA = os.environ.get("WENFANG_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="WENFANG_DATA names no research data")


def captions(folder: Path, german: int = 2) -> tuple[Source, dict[str, str]]:
    hashes = {}
    for name in caption_files():
        lines = ["A „Dog“  runs.\n", "A „Dog“  runs.\n"][: german if ".de." in name else 2]
        (folder / name).write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
        hashes[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path = str(folder / caption_files()[0])
    return Source(path=path, name="captions", licence="CC0-1.0", origin="", notice=""), hashes


def test_repeated_captions_are_kept_lower_cased_in_the_official_parts(tmp_path: Path) -> None:
    source, hashes = captions(tmp_path)
    found = prepare_captions("captions", source, hashes, tmp_path / "out")
    for split in SPLITS:
        records = list(found.records(split))
        assert len(records) == 2
        assert records[0] == records[1]
        assert records[0]["prompt"] == 'a "dog" runs.'


def test_sides_of_different_length_are_refused(tmp_path: Path) -> None:
    source, hashes = captions(tmp_path, german=1)
    with pytest.raises(DataError, match="2 lines in English and 1 in German"):
        prepare_captions("captions", source, hashes, tmp_path / "out")


def test_both_directions_are_there_and_no_sentence_is_in_two_parts(tmp_path: Path) -> None:
    found = pairs_dataset(tmp_path)
    parts = {split: list(found.records(split)) for split in SPLITS}
    assert sum(map(len, parts.values())) == 80
    for records in parts.values():
        assert sum(one["into"] == "zh" for one in records) * 2 == len(records)
    require_apart(found)


def require_apart(found: Dataset) -> None:
    seen: dict[str, str] = {}
    for split in SPLITS:
        for record in found.records(split):
            for side in (record["prompt"], record["completion"]):
                assert seen.setdefault(side, split) == split


def test_sentences_that_share_a_translation_stay_together(tmp_path: Path) -> None:
    rows = [f"Hello {n}.\t你好。" for n in range(40)] + ["Hi.\t嗨。", "Hello 3.\t嗨。"]
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(rows), "utf-8")
    source = Source(path=str(path), name="p", licence="CC0-1.0", origin="", notice="")
    found = prepare_short_sentences("p", source, {path.name: "0" * 64}, tmp_path / "out")
    assert [bool(found.count(split)) for split in SPLITS].count(True) == 1


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ('他說:"好."', "他說：“好。”"),
        ("你 好?", "你好？"),
        ("Ｔom 有 10,000 元", "Tom 有10,000元"),
        ("「是」", "“是”"),
        ("是1.5米", "是1.5米"),
    ],
)
def test_chinese_marks_are_wide_and_letters_narrow(given: str, plain: str) -> None:
    assert plain_chinese(given).replace(" ", "") == plain.replace(" ", "")


def test_plain_text_stays_plain() -> None:
    for text in ("It's “fine”…", "ＡＢ　c"):
        once = plain_english(text)
        assert plain_english(once) == once
        assert plain_caption(text) == plain_caption(plain_caption(text))
    assert plain_english("It’s “fine”") == 'It\'s "fine"'


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_the_named_sets_have_their_official_sizes(tmp_path: Path) -> None:
    found = prepare_named("multi30k_en_de", DATA, tmp_path / "captions")
    assert [found.count(split) for split in SPLITS] == [29000, 1014, 1000]
    assert forbids_commerce(str(found.manifest.licence))
    pairs = prepare_named("tatoeba_en_zh", DATA, tmp_path / "pairs")
    assert sum(pairs.count(split) for split in SPLITS) == 40196
    assert not forbids_commerce(str(pairs.manifest.licence))
    require_apart(pairs)
    assert "tatoeba.org" in NAMED["tatoeba_en_zh"].notice


@needs_data
@pytest.mark.data
def test_lower_casing_is_all_that_is_done_to_the_references() -> None:
    path = Path(DATA) / "multi30k" / "test_2016_flickr.de.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = stream.read().split("\n")[:-1]
    assert [plain_caption(line) for line in lines] == [line.lower() for line in lines]
