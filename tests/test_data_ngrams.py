"""Hashes are stable; the index of training material finds what was copied, and only that."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from wenfang.data.ngrams import gram_hashes, line_hashes, text_grams, unit_hashes
from wenfang.data.sorted_codes import SortedCodes
from wenfang.data.training_index import TrainingIndex, line_bits
from wenfang.errors import BundleError

GOLDEN_LINES = [8251265564338156110, 12954156701597746605]
GOLDEN_GRAM = 6091953765793897783
POEMS = [
    "白日依山盡\n黃河入海流\n欲窮千里目\n更上一層樓",
    "床前明月光\n疑是地上霜\n舉頭望明月\n低頭思故鄉",
]


def test_hashes_are_the_same_on_every_machine_and_in_every_release() -> None:
    assert [int(value) for value in line_hashes(["白日依山盡", "the sea"])] == GOLDEN_LINES
    assert int(text_grams("白日依山盡", 5, "character")[0]) == GOLDEN_GRAM


def test_a_gram_hashes_alike_wherever_it_stands() -> None:
    long = text_grams("日日白日依山盡，黃河", 5, "character")
    assert text_grams("白日依山盡", 5, "character")[0] in long
    assert text_grams("on the Wide sea", 3, "word")[1] == text_grams("the wide SEA!", 3, "word")[0]


def test_order_and_length_change_a_hash() -> None:
    hashes = line_hashes(["甲乙", "乙甲", "甲乙乙", "甲", "乙", "甲甲", "甲甲甲"])
    assert len(set(hashes.tolist())) == 7


def test_punctuation_spaces_and_case_do_not_change_a_hash() -> None:
    assert (
        len(set(line_hashes(["黃河入海流", "黃河 入海流。", "「黃河，入海流！」"]).tolist())) == 1
    )
    assert len(set(line_hashes(["The Sea", "the sea."]).tolist())) == 1


def test_texts_shorter_than_the_gram_have_none() -> None:
    assert len(text_grams("白日", 3, "character")) == 0
    assert len(gram_hashes(unit_hashes(""), 1)) == 0


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_packed_codes_unpack_to_the_same_set(count: int) -> None:
    hashes = np.random.default_rng(3).integers(0, 2**64, count, np.uint64)
    codes = SortedCodes.build(hashes, 37)
    lower, unary = codes.pack()
    again = SortedCodes.unpack(lower, unary, count=len(codes), bits=37)
    assert np.array_equal(again.codes, codes.codes)
    assert again.contains(hashes).all()
    assert (
        len(lower) + len(unary)
        <= (len(codes) * (2 + 37 - max(len(codes), 1).bit_length() + 2)) / 8 + 16
    )


def test_unknown_hashes_are_found_no_more_often_than_the_rate_says() -> None:
    stream = np.random.default_rng(4)
    codes = SortedCodes.build(stream.integers(0, 2**64, 4096, np.uint64), 20)
    found = codes.contains(stream.integers(0, 2**64, 200_000, np.uint64)).mean()
    assert codes.false_positive_rate == pytest.approx(2**-8, rel=0.01)
    assert found == pytest.approx(codes.false_positive_rate, rel=0.15)


@pytest.mark.parametrize("count", [1, 340_000, 10**8])
def test_a_new_line_passes_for_a_known_one_less_than_once_in_a_million(count: int) -> None:
    assert count / 2 ** line_bits(count) <= 1e-6


def test_a_known_line_is_contained_and_a_part_of_it_is_not() -> None:
    index = TrainingIndex.build(POEMS)
    assert index.contains("黃河入海流。")
    assert not index.contains("黃河入海")
    assert not index.contains("")
    assert not index.contains("，。")


def test_the_longest_copy_is_told_with_its_text() -> None:
    index = TrainingIndex.build(POEMS)
    assert index.longest_copy("我見白日依山盡，黃河入川") == (8, "白日依山盡，黃河入")
    assert index.longest_copy("春江\n低頭思故鄉") == (5, "低頭思故鄉")  # a whole line, under 6
    assert index.longest_copy("春江潮水連海平") == (0, "")
    assert index.longest_copy("") == (0, "")


def test_a_run_does_not_cross_from_one_record_to_the_next() -> None:
    index = TrainingIndex.build(["一二三四五六", "七八九十百千"], gram_size=6)
    assert index.longest_copy("四五六七八九") == (0, "")


def test_words_are_the_unit_for_english() -> None:
    index = TrainingIndex.build(
        ["It was the best of times, it was the worst of times"], unit="word"
    )
    text = "They said it was the best of times, it WAS so."
    assert index.longest_copy(text) == (8, "it was the best of times, it WAS")


def brute_longest(texts: list[str], query: str, shortest: int) -> int:
    lengths = [
        end - start
        for start in range(len(query))
        for end in range(start + shortest, len(query) + 1)
        if any(query[start:end] in text for text in texts)
    ]
    return max(lengths, default=0)


def test_chained_runs_are_those_of_a_search_in_the_texts() -> None:
    stream = random.Random(7)
    alphabet = "甲乙丙丁戊己庚辛壬癸子丑寅卯"
    texts = ["".join(stream.choices(alphabet, k=60)) for _ in range(40)]
    index = TrainingIndex.build(texts, gram_size=6)
    for _ in range(60):
        start = stream.randrange(40)
        length = stream.randrange(6, 20)
        query = "".join(stream.choices(alphabet, k=8)) + stream.choice(texts)[start:][:length]
        assert index.longest_copy(query)[0] == brute_longest(texts, query, 6)


def test_a_saved_index_is_small_and_comes_back_the_same(tmp_path: Path) -> None:
    index = TrainingIndex.build(POEMS)
    index.save(tmp_path / "a.safetensors")
    index.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    again = TrainingIndex.load(tmp_path / "a.safetensors")
    assert again.contains("黃河入海流")
    assert (
        again.longest_copy("白日依山盡黃")
        == index.longest_copy("白日依山盡黃")
        == (6, "白日依山盡黃")
    )


@pytest.mark.parametrize("payload", [b"", b"not an index", b"\x05\0\0\0\0\0\0\0{}   "])
def test_a_damaged_index_is_named(tmp_path: Path, payload: bytes) -> None:
    path = tmp_path / "index.safetensors"
    path.write_bytes(payload)
    with pytest.raises(BundleError, match="index\\.safetensors is no readable index"):
        TrainingIndex.load(path)
    with pytest.raises(BundleError, match="missing"):
        TrainingIndex.load(tmp_path / "missing.safetensors")
