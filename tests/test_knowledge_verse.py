from __future__ import annotations

import pytest

from wenfang.knowledge.rhyme import rhyme_table
from wenfang.knowledge.verse import (
    FORMS,
    check,
    is_han,
    level_rhyme_classes,
    rhyme_class,
    rhymes,
    same_rhyme_characters,
    tonal_pattern,
    tone,
)

# 李白《早發白帝城》: 間 還 山, regulated.
BAIDI = ["朝辭白帝彩雲間", "千里江陵一日還", "兩岸猿聲啼不住", "輕舟已過萬重山"]
# 柳宗元《江雪》: 絕 滅 雪, an oblique rhyme.
RIVER_SNOW = ["千山鳥飛絕", "萬徑人蹤滅", "孤舟蓑笠翁", "獨釣寒江雪"]


def findings(lines: list[str], characters: int = 7) -> dict[str, bool]:
    return {f.rule: f.passed for f in check(lines, FORMS[characters]) if f.gate}


def test_a_classic_passes_every_gate() -> None:
    assert all(findings(BAIDI).values())


def test_an_oblique_rhyme_rhymes_but_is_not_level() -> None:
    found = findings(RIVER_SNOW, 5)
    assert found["rhyme"]
    assert not found["level_rhyme"]


@pytest.mark.parametrize(
    ("lines", "broken"),
    [
        ([*BAIDI[:3], "輕舟已過萬重天"], "rhyme"),
        ([BAIDI[0], BAIDI[1], BAIDI[1], BAIDI[3]], "distinct_lines"),
        ([*BAIDI[:3], "輕舟已過重山"], "form"),
        (BAIDI[:3], "form"),
        ([*BAIDI[:3], "輕舟已過,重山"], "han"),
        (["", "", "", ""], "rhyme"),
        ([], "form"),
    ],
)
def test_each_fault_is_found_by_its_rule(lines: list[str], broken: str) -> None:
    assert not findings(lines)[broken]


def test_evidence_names_the_rhyme_words_and_their_class() -> None:
    rhyme = next(f for f in check(BAIDI, FORMS[7]) if f.rule == "rhyme")
    assert rhyme.evidence == "還 山 level:刪"


@pytest.mark.parametrize(
    ("first", "second"), [("東", "風"), ("頭", "流"), ("家", "車"), ("書", "車"), ("寒", "看")]
)
def test_words_of_one_old_rhyme_rhyme(first: str, second: str) -> None:
    assert rhymes(first, second)
    assert rhymes(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("東", "江"),
        ("頭", "家"),
        ("心", "天"),
        ("書", "歌"),
        ("頭", "口"),
        ("a", "a"),
        ("。", "。"),
    ],
)
def test_others_do_not(first: str, second: str) -> None:
    assert not rhymes(first, second)


def test_a_character_of_two_readings_has_two_classes() -> None:
    assert rhyme_class("車") >= {"level:魚", "level:佳麻"}


def test_tones_are_those_of_old_not_of_modern_mandarin() -> None:
    # Entering tones that became modern first or second tones, and a reading of both.
    assert [tone(c) for c in "白竹國一"] == ["oblique"] * 4
    assert [tone(c) for c in "春江花天"] == ["level"] * 4
    assert tone("看") is None
    assert tone("x") is None


def test_most_old_level_rhymes_were_found_again_as_classes_of_their_own() -> None:
    names = "".join(rhyme_table().members["level"])
    assert len(set(names) & set("東冬江支微魚虞齊灰真文元寒刪先蕭肴豪歌麻陽庚青蒸尤侵覃鹽咸")) >= 27


def test_any_two_characters_of_a_writing_class_rhyme_in_level_tone() -> None:
    for members in level_rhyme_classes():
        assert len(members) >= 10
        names = frozenset.intersection(*(rhyme_class(character) for character in members))
        assert any(name.startswith("level:") for name in names)
        assert not {c for c in members if tone(c) == "oblique"}


def test_same_rhyme_characters_rhyme() -> None:
    others = same_rhyme_characters("流")
    assert "秋" in others
    assert all(rhymes("流", other) for other in others)
    assert same_rhyme_characters("?") == frozenset()


def test_the_tonal_pattern_of_a_regulated_poem_is_whole_and_breaks_when_lines_move() -> None:
    assert tonal_pattern(BAIDI) > 0.9
    assert tonal_pattern([BAIDI[1], BAIDI[0], BAIDI[2], BAIDI[3]]) < tonal_pattern(BAIDI)
    assert tonal_pattern([]) == 0.0


def test_only_chinese_characters_are_han() -> None:
    assert all(map(is_han, "春〇㩧𠀀"))
    assert not any(map(is_han, "，。aあ1 "))


def test_punctuation_follows_the_form() -> None:
    assert FORMS[7].punctuated(BAIDI)[1:3] == ["千里江陵一日還。", "兩岸猿聲啼不住，"]
