"""The bundle `translator` that ships: size, rights, numbers, and what it can be trusted with."""

from __future__ import annotations

from pathlib import Path

import pytest

import wenfang as wf
from wenfang.backends.translator import BundleInterpreter
from wenfang.checkpoint import read_bundle
from wenfang.data.translation import MARK_BASE, Language
from wenfang.models.load import load

FOLDER = Path(wf.__file__).parent / "bundles" / "translator"


@pytest.fixture(scope="module")
def translator() -> BundleInterpreter:
    return BundleInterpreter(load(FOLDER))


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 12_000_000


def test_its_card_answers_the_question_of_credit() -> None:
    files = read_bundle(FOLDER)
    assert files.manifest["licence"] == "LicenseRef-CC-BY-2.0-FR"
    card = (FOLDER / "README.md").read_text("utf-8")
    for text in (card, (FOLDER / "NOTICE").read_text("utf-8")):
        assert "contributors of Tatoeba" in text
        assert "does not name the author of each" in text
    assert "Let somebody who reads both languages look" in card


@pytest.mark.parametrize(("into", "tokenizer"), [("zh", "zh"), ("en", "13a")])
def test_its_card_tells_bleu_with_its_signature(into: str, tokenizer: str) -> None:
    numbers = read_bundle(FOLDER).manifest["facts"]["numbers"]
    assert numbers["split"] == "test"
    assert numbers[f"into_{into}_bleu"] > 25
    assert f"tok:{tokenizer}" in numbers[f"into_{into}_bleu_signature"]


@pytest.mark.parametrize(
    ("text", "into", "expected"),
    [
        ("Please be quiet.", "zh", "请安静。"),
        ("I'll give you a book.", "zh", "我会给你一本书。"),
        ("请安静。", "en", "Please be quiet."),
        ("我会给你一本书。", "en", "I'll give you a book."),
    ],
)
def test_everyday_sentences_come_over(
    translator: BundleInterpreter, text: str, into: Language, expected: str
) -> None:
    assert translator.render(text, into, {}).text == expected


def test_every_mark_is_written_once(translator: BundleInterpreter) -> None:
    number, name = chr(MARK_BASE), chr(MARK_BASE + 1)
    made = translator.render(f"{name} has been here for {number} years.", "zh", {}).text
    assert made.count(number) == made.count(name) == 1
