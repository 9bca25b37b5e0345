from __future__ import annotations

import pytest

from wenfang.knowledge.script import VARIANTS, script_of, to_simplified, to_traditional


@pytest.mark.parametrize(
    ("simplified", "traditional"),
    [
        ("春江花月夜", "春江花月夜"),
        ("雨后登楼", "雨後登樓"),
        ("皇后", "皇后"),
        ("白发", "白髮"),
        ("出发", "出發"),
        ("千里云", "千里雲"),
        ("雪里梅", "雪裏梅"),
        ("出征", "出征"),
        ("黄叶却飞", "黄葉却飛"),
        ("为闲人系舟", "爲閑人繫舟"),
    ],
)
def test_simplified_titles_become_the_characters_of_the_poems(
    simplified: str, traditional: str
) -> None:
    assert to_traditional(simplified) == traditional


@pytest.mark.parametrize("text", ["云何憶餘杭", "皇后詩歸", "余亦東門游", "岩巖羣峰"])
def test_traditional_text_keeps_the_characters_that_are_also_simplified_ones(text: str) -> None:
    assert to_traditional(text) == text


def test_traditional_text_of_another_standard_gets_the_variants_of_the_poems() -> None:
    assert to_traditional("為誰在雪裡眾卻還") == "爲誰在雪裏衆却還"


def test_the_way_there_and_back_keeps_simplified_text() -> None:
    text = "两岸猿声啼不住，轻舟已过万重山。"
    assert to_simplified(to_traditional(text)) == text


def test_a_conversion_keeps_the_length_even_of_emoji_and_latin() -> None:
    text = "🌸 spring 春风" * 50
    assert len(to_traditional(text)) == len(text)
    assert to_traditional("") == ""


def test_the_variant_table_has_no_chains() -> None:
    assert not set(VARIANTS) & set(VARIANTS.values())


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("两岸猿声", "simplified"),
        ("兩岸猿聲", "traditional"),
        ("兩岸猿声", "mixed"),
        ("江上", "either"),
        ("云里", "either"),
        ("abc", "either"),
        ("", "either"),
    ],
)
def test_a_script_is_told_by_its_own_characters(text: str, script: str) -> None:
    assert script_of(text) == script
