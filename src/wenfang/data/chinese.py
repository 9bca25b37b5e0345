"""Rules for Chinese prose, by character.

English rules mean nothing here (words are not written apart), so these are our own: the share of
Han characters, the length of sentences, the rate of punctuation, a few function characters, and
repetition. They are set wide enough to keep at least 99 % of the passages of three novels of the
Ming and Qing dynasties, whose function characters are partly classical.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from wenfang.data.measurement import (
    Grams,
    Measurement,
    between,
    is_han,
    repeated,
    share,
)

SENTENCE_END = re.compile(r"[。！？!?；;…]+")
PUNCTUATION = frozenset("，。、；：？！“”‘’「」『』（）《》〈〉—…·,.;:?!()")
PLACEHOLDERS = frozenset("□■◇�")
POLICY = (
    "隐私政策",
    "隱私政策",
    "用户协议",
    "使用条款",
    "版权所有",
    "版權所有",
    "点击下载",
    "javascript",
)


@dataclass(frozen=True, kw_only=True)
class ChineseRules:
    """Thresholds for Chinese prose; a share is of 1."""

    profile: Literal["chinese"] = "chinese"
    characters_min: int = 50
    characters_max: int = 200_000
    han_share_min: float = 0.60
    sentence_length_mean_min: float = 4
    sentence_length_mean_max: float = 150
    punctuation_share_min: float = 0.02
    punctuation_share_max: float = 0.35
    stop_characters: str = "的是在了和不有之也而其以于於"
    stop_characters_min: int = 2
    placeholders_max: float = 0.005
    ellipsis_lines_max: float = 0.3
    repeated_lines_max: float = 0.30
    repeated_line_characters_max: float = 0.20
    top_gram_max: tuple[float, ...] = (0.20, 0.18, 0.16)  # of 2, 3 and 4 characters
    repeated_gram_max: tuple[float, ...] = (0.20, 0.15, 0.10)  # of 8, 12 and 16 characters
    forbidden: tuple[str, ...] = ("{", "lorem ipsum")


REPEATED_GRAMS = (8, 12, 16)


def clean(text: str, rules: ChineseRules) -> tuple[str, Counter[str]]:
    """Lines of web policy and script go."""
    kept: list[str] = []
    dropped: Counter[str] = Counter()
    for line in text.split("\n"):
        if any(phrase in line.lower() for phrase in POLICY):
            dropped["line_of_policy"] += 1
        else:
            kept.append(line)
    return "\n".join(kept).strip("\n"), dropped


def measure(text: str, rules: ChineseRules) -> Iterator[Measurement]:
    """One measurement per rule, cheapest first."""
    visible = "".join(text.split())
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    yield from _measure_characters(visible, rules)
    yield from _measure_sentences(text, visible, lines, rules)
    yield from _measure_repetition(visible, lines, rules)


def _measure_characters(visible: str, rules: ChineseRules) -> Iterator[Measurement]:
    size = len(visible)
    yield between("characters", size, least=rules.characters_min, most=rules.characters_max)
    yield between("han_share", share(sum(map(is_han, visible)), size), least=rules.han_share_min)
    marks = sum(character in PUNCTUATION for character in visible)
    yield between(
        "punctuation_share",
        share(marks, size),
        least=rules.punctuation_share_min,
        most=rules.punctuation_share_max,
    )
    lost = sum(character in PLACEHOLDERS for character in visible)
    yield between("placeholders", share(lost, size), most=rules.placeholders_max)
    found = set(visible) & set(rules.stop_characters)
    yield between("stop_characters", len(found), least=rules.stop_characters_min)


def _measure_sentences(
    text: str, visible: str, lines: list[str], rules: ChineseRules
) -> Iterator[Measurement]:
    sentences = [part for part in SENTENCE_END.split(visible) if part]
    yield between(
        "sentence_length_mean",
        share(sum(map(len, sentences)), len(sentences)),
        least=rules.sentence_length_mean_min,
        most=rules.sentence_length_mean_max,
    )
    unfinished = sum(line.endswith(("…", "...")) for line in lines)
    yield between("ellipsis_lines", share(unfinished, len(lines)), most=rules.ellipsis_lines_max)
    low = text.lower()
    yield between("forbidden", sum(phrase in low for phrase in rules.forbidden), most=0)


def _measure_repetition(
    visible: str, lines: list[str], rules: ChineseRules
) -> Iterator[Measurement]:
    size = len(visible)
    count, characters = repeated(lines)
    yield between("repeated_lines", share(count, len(lines)), most=rules.repeated_lines_max)
    yield between(
        "repeated_line_characters",
        share(characters, size),
        most=rules.repeated_line_characters_max,
    )
    grams = Grams(visible)
    for gram, most in enumerate(rules.top_gram_max, start=2):
        value = share(grams.top_characters(gram), size)
        yield between(f"top_{gram}_gram_characters", value, most=most)
    for gram, most in zip(REPEATED_GRAMS, rules.repeated_gram_max, strict=False):
        value = share(grams.repeated_characters(gram), size)
        yield between(f"repeated_{gram}_gram_characters", value, most=most)
