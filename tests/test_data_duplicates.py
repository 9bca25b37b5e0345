"""Repeats are found whatever the number of records, and the first is the one kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wenfang.data import duplicates
from wenfang.data.duplicates import KeyFile, band_keys, exact_key, match_probability, signature


@pytest.mark.parametrize(
    ("jaccard", "chance"), [(0.6, 0.21), (0.7, 0.57), (0.75, 0.77), (0.8, 0.92), (0.85, 0.99)]
)
def test_bands_match_with_the_published_chance(jaccard: float, chance: float) -> None:
    assert match_probability(jaccard) == pytest.approx(chance, abs=0.006)


def test_rows_agree_as_often_as_the_sets_overlap() -> None:
    stream = np.random.default_rng(1)
    shared = stream.integers(0, 2**64, 600, np.uint64)
    rates = []
    for _ in range(30):
        one = np.concatenate((shared, stream.integers(0, 2**64, 200, np.uint64)))
        other = np.concatenate((shared, stream.integers(0, 2**64, 200, np.uint64)))
        rates.append((signature(one) == signature(other)).mean())
    assert np.mean(rates) == pytest.approx(0.6, abs=0.03)


def test_bands_of_overlapping_sets_meet_as_often_as_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = np.random.default_rng(2)
    met = 0
    for _ in range(400):
        sets = [stream.integers(0, 2**64, 60, np.uint64) for _ in range(2)]
        shared = stream.integers(0, 2**64, 280, np.uint64)  # Jaccard 280 / 400 = 0.7
        keys = []
        for own in sets:
            grams = np.concatenate((shared, own))
            monkeypatch.setattr(duplicates, "shingles", lambda *_, grams=grams: grams)
            keys.append(band_keys("", 5, "word"))
        met += bool((keys[0] == keys[1]).any())
    assert met / 400 == pytest.approx(match_probability(0.7), abs=0.08)


def test_a_signature_does_not_depend_on_how_many_shingles_are_hashed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grams = np.random.default_rng(5).integers(0, 2**64, 5000, np.uint64)
    whole = signature(grams)
    monkeypatch.setattr(duplicates, "SHINGLES_AT_ONCE", 7)
    assert np.array_equal(signature(grams), whole)


def test_one_changed_character_in_a_quatrain_is_a_near_duplicate_and_another_poem_is_not() -> None:
    poem = "南浦隨花去迴舟路已迷\n暗香無覓處日落畫橋西"
    variant = poem.replace("畫", "板")
    other = "白日依山盡黃河入海流\n欲窮千里目更上一層樓"
    assert (band_keys(poem, 2, "character") == band_keys(variant, 2, "character")).any()
    assert not (band_keys(poem, 2, "character") == band_keys(other, 2, "character")).any()


def test_texts_shorter_than_a_shingle_are_compared_whole() -> None:
    assert (band_keys("月", 5, "character") == band_keys("月。", 5, "character")).all()
    assert not (band_keys("月", 5, "character") == band_keys("日", 5, "character")).any()


def test_the_exact_key_sets_punctuation_and_case_aside() -> None:
    assert exact_key("The sea,\nthe SEA") == exact_key("the sea the sea")
    assert exact_key("the sea") != exact_key("the seas")


@pytest.mark.parametrize("partition", [1, 3, 10, 10_000])
def test_every_key_seen_before_is_marked_whatever_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partition: int
) -> None:
    monkeypatch.setattr(duplicates, "PARTITION_KEYS", partition)
    monkeypatch.setattr(duplicates, "READ_KEYS", 7)
    keys = np.random.default_rng(6).integers(0, 40, 90, np.uint64)
    file = KeyFile(tmp_path / "keys")
    for start in range(0, 90, 11):
        file.add(keys[start : start + 11])
    seen: set[int] = set()
    expected = []
    for key in keys.tolist():
        expected.append(key in seen)
        seen.add(key)
    assert file.repeats().tolist() == expected


def test_no_keys_have_no_marks(tmp_path: Path) -> None:
    assert len(KeyFile(tmp_path / "keys").repeats()) == 0
