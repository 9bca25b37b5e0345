"""Laws of the Vendi score and of the checks for texts that repeat each other."""

from __future__ import annotations

import json
import lzma
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest

from wenfang.checks import Check, Material, judge
from wenfang.checks.sameness import batch_sameness, repeated_text
from wenfang.metrics.vendi import likeness, text_kernel, vendi, vendi_score

CHANCE = random.Random(4)
HAN = [chr(code) for code in range(0x4E00, 0x5200)]


def verse() -> str:
    return "\n".join("".join(CHANCE.choices(HAN, k=7)) for _ in range(4))


def edited(text: str, rate: float) -> str:
    return "".join(CHANCE.choice(HAN) if CHANCE.random() < rate else sign for sign in text)


def batch(texts: list[str]) -> Check:
    return batch_sameness(Material(text=texts[0], siblings=tuple(texts[1:])))


def test_different_things_count_in_full_and_equal_ones_once() -> None:
    assert vendi_score(np.eye(7)) == pytest.approx(7)
    assert vendi_score(np.ones((7, 7))) == pytest.approx(1)
    blocks = np.kron(np.eye(3), np.ones((4, 4)))
    assert vendi_score(blocks) == pytest.approx(3)
    assert vendi_score(np.zeros((0, 0))) == 0


def test_two_things_score_what_the_formula_says() -> None:
    shares = (0.9, 0.1)  # eigenvalues of [[1, .8], [.8, 1]] / 2
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert vendi_score(np.array([[1, 0.8], [0.8, 1]])) == pytest.approx(expected)


def test_a_kernel_is_symmetric_with_ones_and_no_negative_eigenvalue() -> None:
    kernel = text_kernel([verse(), verse(), "", "", "abc", "ab cd ab cd", "天"])
    assert np.allclose(kernel, kernel.T)
    assert np.allclose(np.diag(kernel), 1)
    assert kernel.min() >= 0
    assert np.linalg.eigvalsh(kernel).min() > -1e-9
    assert kernel[2, 3] == pytest.approx(1)
    assert kernel[0, 2] == 0


def test_likeness_is_the_cosine_of_counts() -> None:
    # Of pairs 2 of 3 are shared, of triples 1 of 2, of runs of four none.
    assert likeness("天地玄黃", ["天地玄宇"])[0] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_fifty_equal_outputs_are_caught_and_fifty_different_ones_pass() -> None:
    same = batch([verse()] * 50)
    assert same.verdict == "repair"
    assert same.value == pytest.approx(0.02)
    assert str(same.evidence[0]).startswith("50 texts are worth 1.0 different ones")
    different = [verse() for _ in range(50)]
    assert batch(different).verdict == "pass"
    assert vendi(different)["vendi_score"] == pytest.approx(50, rel=0.02)


def test_fifty_nearly_equal_outputs_are_caught() -> None:
    first = verse()
    near = batch([first, *(edited(first, 0.1) for _ in range(49))])
    assert near.verdict == "repair"
    assert near.value is not None
    assert near.value < 0.3


def test_a_text_like_an_earlier_piece_is_drawn_again() -> None:
    earlier = tuple(verse() for _ in range(20))
    again = repeated_text(Material(text=edited(earlier[4], 0.05), earlier=earlier))
    assert again.verdict == "repair"
    assert again.evidence[0].values["number"] == 5
    assert repeated_text(Material(text=verse(), earlier=earlier)).verdict == "pass"


def test_a_text_like_one_of_its_batch_says_which() -> None:
    siblings = (verse(), verse())
    answer = repeated_text(Material(text=siblings[1], siblings=siblings, earlier=(verse(),)))
    assert str(answer.evidence[0]) == "it is like text 2 of its batch (1.00)"


def test_alone_in_the_world_nothing_is_measured() -> None:
    for check in (batch_sameness, repeated_text):
        for material in (Material(text=verse()), Material(siblings=(verse(),))):
            answer = check(material)
            assert (answer.verdict, answer.value) == ("note", None)
            assert judge(material, [answer.name]).verdict


@pytest.mark.data
def test_quatrains_of_the_data_are_different() -> None:
    root = os.environ.get("WENFANG_DATA")
    path = Path(root or "", "chinese_poetry", "jueju_tang_song.jsonl.xz")
    if not root or not path.exists():
        pytest.skip("WENFANG_DATA holds no chinese_poetry")
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        poems = [
            "\n".join(json.loads(line)["lines"])
            for _, line in zip(range(3000), stream, strict=False)
        ]
    chosen = poems[::60]
    assert vendi(chosen)["vendi_score"] > 49
    first = poems[0]
    assert batch([first, *(edited(first, 0.1) for _ in range(49))]).verdict == "repair"
