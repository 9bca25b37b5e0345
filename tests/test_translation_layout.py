"""Laws of the translation layout: slots are specials, and both sides hold the same ones."""

from __future__ import annotations

import pytest

from wenfang.data.sentences import clauses, sentences
from wenfang.data.translation import (
    SLOT_TOKENS,
    SLOTS,
    TERMS,
    TranslationLayout,
    decode,
    encode,
    language_of,
    slotted,
)
from wenfang.errors import DataError
from wenfang.tokenizer import END, Tokenizer, train_bytes

LAYOUT = TranslationLayout()
PAIR = ("Tom came to Boston at 10:30.", "汤姆10:30来到波士顿。")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_bytes(PAIR, vocabulary_size=300, specials=LAYOUT.specials)


def test_text_with_slots_comes_back(tokenizer: Tokenizer) -> None:
    text = f"See {SLOTS[0]}, {SLOTS[7]}{SLOTS[1]}我。"
    assert decode(encode(text, tokenizer), tokenizer) == text


def test_the_name_of_a_slot_in_a_text_is_plain_text(tokenizer: Tokenizer) -> None:
    ids = encode("<slot0> <2en>", tokenizer)
    assert not {tokenizer.id(one) for one in LAYOUT.specials} & set(ids)


def test_a_source_begins_with_its_direction_and_ends(tokenizer: Tokenizer) -> None:
    for text, into, token in (("Hi.", "zh", "<2zh>"), ("嗨。", "en", "<2en>")):
        ids = LAYOUT.source(text, tokenizer, into)
        assert (ids[0], ids[-1]) == (tokenizer.id(token), tokenizer.id(END))
        assert LAYOUT.source(text, tokenizer) == ids
    with pytest.raises(DataError, match="fr"):
        LAYOUT.source("Hi.", tokenizer, "fr")


def test_what_both_sides_share_is_the_same_slot_in_both_directions(tokenizer: Tokenizer) -> None:
    english, chinese = PAIR
    there = LAYOUT.pair({"prompt": english, "completion": chinese, "into": "zh"}, tokenizer)
    back = LAYOUT.pair({"prompt": chinese, "completion": english, "into": "en"}, tokenizer)
    ids = {tokenizer.id(one) for one in SLOT_TOKENS}
    used = [sorted(set(side) & ids) for pair in (there, back) for side in pair]
    assert used[0]
    assert all(one == used[0] for one in used)


def test_numbers_and_latin_names_are_always_slots() -> None:
    english, chinese = slotted("I paid 5,000 yen on Twitter.", "我在Twitter上付了5,000日元。")
    for side in (english, chinese):
        assert "5,000" not in side
        assert "Twitter" not in side
        assert sum(character in SLOTS for character in side) == 2


def test_terms_are_slots_in_some_pairs_and_words_in_others() -> None:
    found = [slotted(f"Tom is number {n}.", f"汤姆是{n}号。")[0] for n in range(60)]
    assert 10 < sum("Tom" in one for one in found) < 50


def test_a_word_that_stands_twice_is_no_slot() -> None:
    assert slotted("5 and 5", "5和5") == ("5 and 5", "5和5")


def test_terms_have_one_translation_each() -> None:
    assert len({english for english, _ in TERMS}) == len(TERMS)
    assert all(language_of(chinese) == "zh" for _, chinese in TERMS)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Mr. Smith paid $3.50. He left. Ok?", ["Mr. Smith paid $3.50. ", "He left. ", "Ok?"]),
        ('"Go!" he said. Then…', ['"Go!" he said. ', "Then…"]),
        ("In the U.S. it is cold, e.g. now.", ["In the U.S. it is cold, e.g. now."]),
        ("你好。“走吧！”他说。完", ["你好。", "“走吧！”", "他说。", "完"]),
    ],
)
def test_sentences_end_where_people_end_them(text: str, pieces: list[str]) -> None:
    found = sentences(text, language_of(text))
    assert found == pieces
    assert "".join(found) == text


def test_clauses_fit_and_are_the_whole_text() -> None:
    text = "one two, three four five; six seven eight nine ten"
    found = clauses(text, "en", lambda piece: len(piece) <= 12)
    assert "".join(found) == text
    assert all(len(piece) <= 12 for piece in found)
    assert clauses("一二三四五，六七", "zh", lambda piece: len(piece) <= 3) == [
        "一二三", "四五，", "六七",
    ]  # fmt: skip
    assert clauses("abc", "en", lambda piece: False) == ["abc"]
