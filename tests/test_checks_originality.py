"""Laws of the checks for copied texts: planted copies, near copies, folders of a user."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from wenfang.checks import CHECKS, Material, judge, policy_from
from wenfang.checks.originality import FOLDER_COPY_ALLOWED_UNITS, NEAR_COPY_ALLOWED_SHARE
from wenfang.data import gram_index
from wenfang.data.comparison import Comparison, read_comparison
from wenfang.data.gram_index import NOTHING, GramIndex
from wenfang.data.text_index import OVERLAP_UNITS, SEGMENT_UNITS, TextIndex
from wenfang.data.training_index import TrainingIndex
from wenfang.data.units import located, units
from wenfang.errors import BundleError, DataError

CHANCE = random.Random(11)
HAN = [chr(code) for code in range(0x4E00, 0x5A00)]


def prose(characters: int) -> str:
    """Made-up Chinese: random characters with a stop now and then."""
    signs = [
        CHANCE.choice(HAN) + ("，" if CHANCE.random() < 0.1 else "") for _ in range(characters)
    ]
    return "".join(signs)


def english(words: int) -> str:
    """Made-up English."""
    return " ".join("".join(CHANCE.choices("aeinorst", k=6)) for _ in range(words))


def edited(text: str, rate: float) -> str:
    """`text` with characters replaced at `rate`."""
    return "".join(CHANCE.choice(HAN) if CHANCE.random() < rate else sign for sign in text)


SOURCE = prose(9_000)
OTHER = english(3_000)


@pytest.fixture(scope="module")
def texts() -> TextIndex:
    return TextIndex.build([("novel.txt", SOURCE), ("notes.md", OTHER)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ours")
    (place / "novel.txt").write_text(SOURCE, "utf-8")
    (place / "deep").mkdir()
    (place / "deep" / "notes.md").write_text(OTHER, "utf-8")
    (place / "letter.doc").write_bytes(b"not read")
    return place


@pytest.fixture(scope="module")
def compared(folder: Path) -> Comparison:
    return read_comparison([folder])


@pytest.mark.parametrize("start", [0, 100, SEGMENT_UNITS - 230, 2 * SEGMENT_UNITS - 450, 8_900])
def test_a_planted_copy_of_sixty_characters_is_found_wherever_it_stood(
    start: int, texts: TextIndex, compared: Comparison
) -> None:
    copy = "".join(located(SOURCE).units[start : start + 60])
    draft = prose(300) + "\n" + copy[:25] + "\n" + copy[25:] + prose(300)
    found = texts.longest_copy(draft)
    assert 60 <= found.value <= 62
    assert found.name == "novel.txt"
    check = CHECKS["folder_copy"](Material(text=draft, compared=compared))
    assert (check.verdict, check.value) == ("repair", found.value)
    assert check.evidence[0].values["name"] == "novel.txt"


def test_a_planted_copy_of_sixty_characters_is_found_in_the_training_material() -> None:
    index = TrainingIndex.build([SOURCE, OTHER])
    draft = prose(300) + SOURCE[500:570] + prose(300)
    for name in ("longest_copy", "near_copy"):
        assert CHECKS[name](Material(text=draft, index=index)).verdict == "repair"
        assert CHECKS[name](Material(text=prose(600), index=index)).verdict == "pass"


def test_fifty_words_verbatim_are_found(compared: Comparison) -> None:
    copy = " ".join(OTHER.split()[70:120]).upper().replace(" ", ", ")
    draft = f"{english(200)}. {copy}. {english(200)}"
    check = CHECKS["folder_copy"](Material(text=draft, compared=compared))
    assert check.value == 50
    assert str(check.evidence[0]).startswith("50 characters or words in a row stand in deep/notes")


def test_what_is_written_anew_passes(compared: Comparison) -> None:
    draft = Material(text=prose(500) + english(200), compared=compared)
    for name in ("folder_copy", "near_copy"):
        assert CHECKS[name](draft).verdict == "pass"


def test_a_short_quotation_is_no_copy(compared: Comparison) -> None:
    quoted = "".join(units(SOURCE)[200 : 200 + FOLDER_COPY_ALLOWED_UNITS])
    draft = prose(100) + quoted + prose(100)
    check = CHECKS["folder_copy"](Material(text=draft, compared=compared))
    assert check.verdict == "pass"
    assert check.value is not None
    assert check.value >= FOLDER_COPY_ALLOWED_UNITS


def test_a_passage_with_every_tenth_character_changed_is_a_near_copy(
    compared: Comparison,
) -> None:
    found = 0
    for start in range(0, 8_000, 400):
        draft = prose(300) + edited(SOURCE[start : start + 180], 0.1) + prose(300)
        check = CHECKS["near_copy"](Material(text=draft, compared=compared))
        found += check.verdict == "repair"
    assert found == 20


def test_a_near_copy_that_is_the_whole_of_a_short_draft_is_found(compared: Comparison) -> None:
    draft = SOURCE[50:62] + "一" + SOURCE[63:75]
    check = CHECKS["near_copy"](Material(text=draft, compared=compared))
    assert check.value is not None
    assert check.value > NEAR_COPY_ALLOWED_SHARE


def test_commonplaces_of_many_texts_do_not_add_up() -> None:
    draft = prose(90)
    parts = [(f"{i}.txt", prose(50) + draft[i : i + 9] + prose(50)) for i in range(0, 90, 9)]
    index = TextIndex.build(parts)
    assert index.nearest(draft).value < NEAR_COPY_ALLOWED_SHARE
    assert index.longest_copy(draft).value <= 10


def test_without_a_folder_or_a_text_nothing_is_measured(compared: Comparison) -> None:
    for name in ("folder_copy", "near_copy"):
        for material in (Material(text="春江花月夜"), Material(compared=compared)):
            answer = CHECKS[name](material)
            assert (answer.verdict, answer.value) == ("note", None)


def test_a_policy_may_draw_the_line_elsewhere(compared: Comparison) -> None:
    material = Material(text=prose(50) + SOURCE[:60], compared=compared)
    loose = policy_from({"uses": {"default": {"checks": {"folder_copy": {"threshold": 100}}}}})
    assert judge(material, ["folder_copy"]).verdict.decision == "repair"
    assert judge(material, ["folder_copy"], loose).verdict


# The folder --------------------------------------------------------------------------------------


def test_an_unchanged_folder_is_not_indexed_again_and_a_changed_one_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_comparison([folder], tmp_path)
    built: list[int] = []
    build = TextIndex.build.__func__  # type: ignore[attr-defined]

    def counted(cls: type[TextIndex], texts: object) -> TextIndex:
        built.append(1)
        return build(cls, texts)  # type: ignore[no-any-return]

    monkeypatch.setattr(TextIndex, "build", classmethod(counted))
    again = read_comparison([folder], tmp_path)
    assert not built
    assert again.texts.longest_copy(SOURCE[:80]) == first.texts.longest_copy(SOURCE[:80])
    (folder / "new.txt").write_text(prose(50), "utf-8")
    read_comparison([folder], tmp_path)
    assert built == [1]
    (folder / "new.txt").unlink()


def test_a_damaged_cache_is_made_again(folder: Path, tmp_path: Path) -> None:
    read_comparison([folder], tmp_path)
    (kept,) = tmp_path.glob("compare-*/texts.safetensors")
    kept.write_bytes(b"damaged")
    assert read_comparison([folder], tmp_path).texts.longest_copy(SOURCE[:80]).value >= 60
    assert kept.stat().st_size > 1000


def test_files_that_cannot_be_read_are_named_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\x00\x01\x02" * 50)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "bad.mid").write_bytes(b"MThd")
    (tmp_path / "good.txt").write_text(SOURCE[:100], "utf-8")
    (tmp_path / "link.txt").symlink_to(tmp_path / "good.txt")
    read = read_comparison([tmp_path])
    assert sorted(read.unread) == ["bad.mid", "bad.png", "bad.txt"]
    assert set(read.texts.names) == {"good.txt"}


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        read_comparison([tmp_path / "nowhere"])


def test_too_much_to_compare_with_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram_index, "LIMIT_GRAMS", 100)
    with pytest.raises(DataError, match="smaller folder"):
        TextIndex.build([("a", prose(200))])


# The index ---------------------------------------------------------------------------------------


def test_a_saved_index_answers_the_same(texts: TextIndex, tmp_path: Path) -> None:
    path = tmp_path / "texts.safetensors"
    texts.save(path)
    draft = prose(30) + SOURCE[77:150]
    loaded = TextIndex.load(path)
    assert loaded.names == texts.names
    assert loaded.nearest(draft) == texts.nearest(draft)
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("payload", [b"", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}", b"[" * 5000])
def test_what_is_no_index_is_one_clear_error(payload: bytes, tmp_path: Path) -> None:
    path = tmp_path / "texts.safetensors"
    path.write_bytes(payload)
    with pytest.raises(BundleError, match="build it again"):
        TextIndex.load(path)


def test_runs_and_windows_are_those_that_a_slow_search_finds() -> None:
    generator = np.random.default_rng(3)
    for _ in range(30):
        documents = [generator.integers(0, 12, 25).astype(np.uint64) for _ in range(5)]
        grams = generator.integers(0, 14, 40).astype(np.uint64)
        index = GramIndex.build(documents)
        known = [np.isin(grams, document) for document in documents]
        longest = max(
            len(run)
            for hits in known
            for run in "".join("x" if hit else " " for hit in hits).split(" ")
        )
        densest = max(int(hits[i : i + 7].sum()) for hits in known for i in range(len(grams)))
        assert index.longest_run(grams).found == longest
        assert index.densest(grams, 7).found == densest


def test_nothing_is_found_in_nothing() -> None:
    nothing = np.zeros(0, np.uint64)
    assert GramIndex.build([]).longest_run(np.ones(3, np.uint64)) == NOTHING
    assert GramIndex.build([np.ones(3, np.uint64)]).densest(nothing, 5) == NOTHING


def test_a_commonplace_of_very_many_texts_costs_no_more_than_the_bound() -> None:
    same = np.arange(50, dtype=np.uint64)
    index = GramIndex.build(same for _ in range(2_000))
    span = index.longest_run(np.tile(same, 400))
    assert span.found == 50 * 400
    assert OVERLAP_UNITS < SEGMENT_UNITS


def test_files_that_could_not_be_compared_with_are_told(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\x00\x01\x02" * 50)
    draft = Material(text=prose(50), compared=read_comparison([tmp_path]))
    assert CHECKS["folder_copy"](draft).verdict == "note"
    (tmp_path / "good.txt").write_text(SOURCE[:100], "utf-8")
    draft = Material(text=prose(50), compared=read_comparison([tmp_path]))
    answer = CHECKS["folder_copy"](draft)
    assert answer.verdict == "pass"
    assert "bad.txt" in str(answer.evidence[0])
