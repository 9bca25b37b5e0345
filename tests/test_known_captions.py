"""Words that a drawer did not learn by are read as the nearest that it did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wenfang.backends.shelf import find_bundle
from wenfang.backends.word_reader import WordReader
from wenfang.data.captions import Caption
from wenfang.data.known_captions import CAPTIONS, MOST_PARTS, WIDTH, KnownCaptions
from wenfang.device import noise
from wenfang.errors import BundleError
from wenfang.models.load import load

# Words of one meaning have one vector here; a text is the sum of its words.
MEANINGS = {"hound": "dog", "unhappy": "sad", "犬": "狗", "automobile": "car", "rouge": "red"}


def read(texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors (N, 96) by meaning; a Chinese text is one word."""
    rows = []
    for text in texts:
        words = text.lower().replace(",", " ").split() if text.isascii() else [text]
        meant = [MEANINGS.get(word, word) for word in words]
        rows.append(sum(noise(1, word).standard_normal(96) for word in meant))
    return np.array(rows, np.float32)


def caption(*names: str, keywords: Sequence[Sequence[str]] = ((), ())) -> Caption:
    return Caption(names=names, keywords=tuple(map(tuple, keywords)))


TOLD = [
    ("dog", caption("dog face", "狗", keywords=(("dog", "pet"), ("宠物",)))),
    ("dog", caption("dog face: brown", "狗：棕色", keywords=(("dog", "brown"), ()))),
    ("car", caption("red car", "红色汽车", keywords=(("car", "red"), ("车",)))),
    ("face", caption("sad face", "难过的脸", keywords=(("sad",), ("难过",)))),
]


@pytest.fixture(scope="module")
def known() -> KnownCaptions:
    return KnownCaptions.build(TOLD, read)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hound", "dog face"),
        ("an unhappy hound, pet", "dog face"),
        ("the rouge automobile", "red car"),
        ("犬", "狗"),
        ("犬，宠物", "狗"),
        ("unhappy", "sad face"),
    ],
)
def test_the_nearest_is_named_in_the_texts_language(
    known: KnownCaptions, text: str, expected: str
) -> None:
    assert not known.knows(text)
    assert known.nearest(text, read) == expected


def test_what_was_learnt_by_is_known_and_variants_stand_for_nothing_else(
    known: KnownCaptions,
) -> None:
    for text in ("dog face", "Pet", " sad ", "狗", "dog face: brown", "Brown", "狗：棕色"):
        assert known.knows(text)
    assert known.names == (("dog face", "狗"), ("red car", "红色汽车"), ("sad face", "难过的脸"))
    assert known.nearest("brown hound", read) == "dog face"


def test_a_language_that_nothing_is_named_in_gets_what_there_is() -> None:
    english = KnownCaptions.build([("dog", caption("dog", keywords=[["pet"]]))], read)
    assert english.nearest("犬", read) == "dog"


def test_of_a_long_text_the_first_parts_are_read(known: KnownCaptions) -> None:
    asked: list[int] = []

    def counted(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.append(len(texts))
        return read(texts)

    assert known.nearest("hound pet " * 5000, counted) == "dog face"
    known.nearest(" ".join("w" * number for number in range(1, 500)), counted)
    assert asked == [3, 1 + MOST_PARTS]


def test_a_file_holds_it_all_in_few_bytes(known: KnownCaptions, tmp_path: Path) -> None:
    known.save(tmp_path / CAPTIONS)
    found = KnownCaptions.load(tmp_path / CAPTIONS)
    assert (found.names, found.texts, found.also) == (known.names, known.texts, known.also)
    assert np.array_equal(found.members, known.members)
    assert np.allclose(found.vectors, known.vectors, atol=0.01)
    assert found.nearest("an unhappy hound, pet", read) == "dog face"
    before = (tmp_path / CAPTIONS).read_bytes()
    found.save(tmp_path / CAPTIONS)
    assert (tmp_path / CAPTIONS).read_bytes() == before


def test_a_damaged_file_is_told_by_its_name(known: KnownCaptions, tmp_path: Path) -> None:
    known.save(tmp_path / CAPTIONS)
    content = (tmp_path / CAPTIONS).read_bytes()
    for wrong in (b"", content[:40], content[: len(content) // 2], b"\xff" * 100):
        (tmp_path / CAPTIONS).write_bytes(wrong)
        with pytest.raises(BundleError, match=CAPTIONS):
            KnownCaptions.load(tmp_path / CAPTIONS)


def test_emblem_knows_what_it_learnt_by() -> None:
    folder = find_bundle("emblem")
    known = KnownCaptions.load(folder / CAPTIONS)
    assert known.vectors.shape == (len(known.texts), WIDTH)
    assert (folder / CAPTIONS).stat().st_size < 1_000_000
    reader = WordReader(load(find_bundle("encoder")))
    for text in ("cat", "red heart", "woman teacher: medium skin tone", "苹果"):
        assert known.knows(text)
    asked = {"a sad dog": "dog face", "soup, ramen": "pot of food", "龙卷风，旋风": "龙卷风"}
    for text, expected in asked.items():
        assert not known.knows(text)
        assert known.nearest(text, reader.whole) == expected
