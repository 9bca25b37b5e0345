"""Quality rules: each is a name, a measured value and the bounds it must keep.

A profile is a frozen dataclass of thresholds, so that `--set rules.words_min=30` reaches each of
them, with two functions beside it: `measure` yields one Measurement per rule, cheapest first, and
`clean` drops single lines before. The first rule that is not kept rejects the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from wenfang.data import chinese, english
from wenfang.data.chinese import ChineseRules
from wenfang.data.english import EnglishRules
from wenfang.data.measurement import Measurement, between, is_han

__all__ = [
    "ChineseRules",
    "EnglishRules",
    "Measurement",
    "NoRules",
    "Rules",
    "Verdict",
    "VerseRules",
    "clean",
    "judge",
    "measure",
]


@dataclass(frozen=True, kw_only=True)
class VerseRules:
    """Regulated quatrains: so many lines of one of these lengths, nothing but Han characters."""

    profile: Literal["verse"] = "verse"
    lines: int = 4
    line_lengths: tuple[int, ...] = (5, 7)


@dataclass(frozen=True, kw_only=True)
class NoRules:
    """Everything that is not empty is kept."""

    profile: Literal["none"] = "none"


Rules: TypeAlias = EnglishRules | ChineseRules | VerseRules | NoRules


class Verdict(NamedTuple):
    """What `judge` found: the cleaned text, lines dropped per rule, and the rule that rejects."""

    text: str
    dropped_lines: Counter[str]
    rejected_by: Measurement | None


def judge(text: str, rules: Rules) -> Verdict:
    """Clean `text` line by line, then hold it against every rule of the profile."""
    dropped: Counter[str] = Counter()
    if CLEANERS.get(rules.profile):
        text, dropped = CLEANERS[rules.profile](text, rules)
    for measurement in measure(text, rules):
        if not measurement.kept:
            return Verdict(text, dropped, measurement)
    return Verdict(text, dropped, None)


def clean(text: str, rules: Rules) -> tuple[str, Counter[str]]:
    """`text` without the lines that the profile drops, and how many each line rule dropped."""
    cleaner = CLEANERS.get(rules.profile)
    return cleaner(text, rules) if cleaner else (text, Counter())


def measure(text: str, rules: Rules) -> Iterator[Measurement]:
    """One measurement for each rule of the profile, cheapest first."""
    yield between("empty", float(bool(text.strip())), least=1)
    yield from MEASURES[rules.profile](text, rules)


def measure_verse(text: str, rules: VerseRules) -> Iterator[Measurement]:
    """The form of a quatrain, and no placeholder (□, ?, ○) for a lost character."""
    lines = text.split("\n")
    yield between("line_count", len(lines), least=rules.lines, most=rules.lines)
    foreign = sum(not is_han(character) for line in lines for character in line)
    yield between("characters_not_han", foreign, most=0)
    odd = sum(len(line) not in rules.line_lengths for line in lines)
    yield between("lines_of_other_length", odd, most=0)
    yield between("line_lengths_in_one_poem", len({len(line) for line in lines}), most=1)


def measure_nothing(text: str, rules: NoRules) -> Iterator[Measurement]:
    """No measurement."""
    yield from ()


MEASURES: dict[str, Callable[[str, Any], Iterator[Measurement]]] = {
    "english": english.measure,
    "chinese": chinese.measure,
    "verse": measure_verse,
    "none": measure_nothing,
}
CLEANERS: dict[str, Callable[[str, Any], tuple[str, Counter[str]]]] = {
    "english": english.clean,
    "chinese": chinese.clean,
}
