"""Every rule has a text that breaks it and no other before it; good text breaks none."""

from __future__ import annotations

import textwrap
from dataclasses import replace

import pytest

from wenfang.config import from_dict, override, to_dict
from wenfang.data import (
    ChineseRules,
    EnglishRules,
    PrepareRequest,
    Split,
    VerseRules,
    request_for,
)
from wenfang.data.request import Source
from wenfang.data.rules import NoRules, judge, measure
from wenfang.errors import ConfigError

ENGLISH = """It was a bright cold day in the hills, and the river ran high over its old stones.
Nobody in the village could remember when the bridge had last been mended, or by whom.
The miller said that his father had laid the first plank with his own hands.
His sister, who kept the accounts, had a different opinion, and she was seldom wrong.
They walked down together to look at the water, which carried branches and a broken chair.
That evening the whole council met to decide what should be done before the winter came.
"""
CHINESE = """话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。
及秦灭之后，楚、汉分争，又并入于汉。汉朝自高祖斩白蛇而起义，一统天下。
后来光武中兴，传至献帝，遂分为三国。推其致乱之由，殆始于桓、灵二帝。
桓帝禁锢善类，崇信宦官。及桓帝崩，灵帝即位，大将军窦武、太傅陈蕃共相辅佐。
"""
POEM = "白日依山盡\n黃河入海流\n欲窮千里目\n更上一層樓"


def broken(text: str, rules: EnglishRules | ChineseRules | VerseRules | NoRules) -> str:
    found = judge(text, rules).rejected_by
    return found.rule if found else ""


def test_good_text_breaks_no_rule() -> None:
    assert broken(ENGLISH, EnglishRules()) == ""
    assert broken(CHINESE, ChineseRules()) == ""
    assert broken(POEM, VerseRules()) == ""


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("  \n ", "empty"),
        (ENGLISH + CHINESE.replace("，", " ").replace("。", "。 ") * 4, "letters_latin_share"),
        ("A short text that ends here.", "words"),
        (
            "it is so he is as we go on to do it by me or to us if up at no in an " * 6,
            "word_length_mean",
        ),
        (ENGLISH + "#a #b #c #d #e #f #g #h #i #j #k #l #m #n", "hash_per_word"),
        (ENGLISH.replace(" ", "... ", 30), "ellipsis_per_word"),
        (
            ENGLISH + " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28",
            "words_with_letter",
        ),
        (
            "Large green ships sailed slowly past many quiet islands under heavy northern clouds. "
            * 6,
            "stop_words",
        ),
        ("\n".join("- " + line for line in ENGLISH.splitlines()), "bullet_lines"),
        (ENGLISH.replace(".\n", " and so it went on ...\n"), "ellipsis_lines"),
        (ENGLISH.replace(".\n", " and\n"), "lines_with_end_mark"),
        (ENGLISH + "One two three.\n" * 13, "short_lines"),
        (ENGLISH + "Then came lorem ipsum.", "forbidden"),
        (ENGLISH.replace(".\n", ", \n")[:-3] + ".", "sentences"),
        (ENGLISH + ENGLISH.splitlines()[0] + "\n", "repeated_line_characters"),
        (ENGLISH + " nobody knew" * 24 + ".", "top_2_gram_characters"),
        (
            ENGLISH + " So seven old masons were sent to it."
            " Then seven old masons were sent away."
            " Yet seven old masons were sent back."
            " Thus seven old masons were sent home."
            " Where many young priests had come back."
            " Since many young priests had come north."
            " Those many young priests had come alone."
            " Some many young priests had come early.",
            "repeated_5_gram_characters",
        ),
    ],
)
def test_each_english_rule_rejects_its_text(text: str, rule: str) -> None:
    assert broken(text, EnglishRules()) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("天地玄黄。", "characters"),
        (ENGLISH, "han_share"),
        (CHINESE.replace("，", "").replace("。", "").replace("、", ""), "punctuation_share"),
        (CHINESE + "□□", "placeholders"),
        ("甲乙丙丁戊己庚辛壬癸，子丑寅卯辰巳午未申酉戌亥。" * 4, "stop_characters"),
        ("，".join(CHINESE.split("。")) * 3, "sentence_length_mean"),
        (CHINESE.replace("。\n", "……\n"), "ellipsis_lines"),
        (CHINESE + "{", "forbidden"),
        (CHINESE + CHINESE, "repeated_lines"),
        (CHINESE + "哈哈" * 40 + "。", "top_2_gram_characters"),
        (CHINESE.replace("\n", "") + CHINESE.replace("\n", ""), "repeated_8_gram_characters"),
    ],
)
def test_each_chinese_rule_rejects_its_text(text: str, rule: str) -> None:
    assert broken(text, ChineseRules()) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\n".join(POEM.split("\n")[:3]), "line_count"),
        (POEM.replace("河", "□"), "characters_not_han"),
        (POEM.replace("河", "?"), "characters_not_han"),
        (POEM.replace("河", "a"), "characters_not_han"),
        (POEM.replace("河", ""), "lines_of_other_length"),
        (POEM.replace("更上", "更上一一"), "line_lengths_in_one_poem"),
    ],
)
def test_each_verse_rule_rejects_its_text(text: str, rule: str) -> None:
    assert broken(text, VerseRules()) == rule


def test_rare_characters_beyond_the_first_plane_are_han() -> None:
    assert broken(POEM.replace("河", "𠀀"), VerseRules()) == ""


def test_every_rule_tells_its_name_and_value_once() -> None:
    for text, rules in ((ENGLISH, EnglishRules()), (CHINESE, ChineseRules()), (POEM, VerseRules())):
        names = [measurement.rule for measurement in measure(text, rules)]
        assert len(names) == len(set(names)) > 4


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("Read more", "line_of_few_words"),
        ("See our privacy policy for the details.", "line_of_policy"),
        ("Please enable JavaScript to see this page.", "line_about_javascript"),
        ("A word " + "x" * 1001 + " of that length.", "line_with_long_word"),
    ],
)
def test_lines_that_are_no_prose_are_dropped_and_counted(line: str, rule: str) -> None:
    verdict = judge(ENGLISH + line + "\n", EnglishRules())
    assert verdict.text == ENGLISH.strip()
    assert verdict.dropped_lines == {rule: 1}


def test_text_of_a_fixed_width_keeps_the_short_last_line_of_its_paragraphs() -> None:
    wrapped = textwrap.fill(ENGLISH.replace("\n", " ") + "The end.", 70)
    assert judge(wrapped, EnglishRules()).text == wrapped.replace("\n", " ")
    assert judge(wrapped, EnglishRules(unwrap=False)).text != wrapped.replace("\n", " ")
    verse = "Tyger Tyger, burning bright,\nIn the forests of the night;\nWhat immortal hand or eye"
    assert judge(verse, EnglishRules()).text == verse


def test_unfinished_lines_are_dropped_only_where_asked() -> None:
    text = ENGLISH + "and then the next of them"
    assert judge(text, EnglishRules()).text.endswith("the next of them")
    assert judge(text, EnglishRules(line_end_mark=True)).text == ENGLISH.strip()


def test_any_threshold_can_be_set_by_name() -> None:
    request = request_for("english", (Source(path="a.txt"),), "out")
    changed = override(request, ["rules.words_min=5", "split.train=0.8", "split.test=0.15"])
    assert changed.rules == replace(EnglishRules(), words_min=5)
    assert changed.split.train == 0.8
    with pytest.raises(ConfigError, match="did you mean words_min"):
        override(request, ["rules.word_min=5"])


@pytest.mark.parametrize("profile", ["english", "chinese", "verse", "none"])
def test_a_request_survives_json_with_its_profile(profile: str) -> None:
    request = request_for(profile, (Source(path="a.txt"),), "out")  # type: ignore[arg-type]
    assert from_dict(PrepareRequest, to_dict(request)) == request


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        Split(train=0.5).require_whole()
    Split(train=0.8, valid=0.1, test=0.1).require_whole()
