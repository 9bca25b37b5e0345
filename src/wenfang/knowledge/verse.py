"""The rules of regulated quatrains (絕句): form, rhyme, tone.

Samplers, metrics and checks share them. Everything here speaks of traditional characters, as the
table of rhymes does; `script` converts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from wenfang.knowledge.rhyme import Tone, rhyme_table

LINE_SIGNS = (1, -1, -1, 1)
POSITION_SIGNS = {1: 1, 3: -1, 5: 1}
HAN_RANGES = (
    (0x3007, 0x3007),  # 〇
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of verse.

    characters   in each line
    lines        in the poem
    rhyme_lines  numbers, from 1, of the lines that must rhyme
    punctuation  what follows each line when the poem is printed
    """

    name: str
    characters: int
    lines: int = 4
    rhyme_lines: tuple[int, ...] = (2, 4)
    punctuation: str = "，。，。"

    def punctuated(self, lines: Sequence[str]) -> list[str]:
        """The lines with their punctuation."""
        return [line + mark for line, mark in zip(lines, self.punctuation, strict=True)]


FORMS: dict[int, Form] = {
    5: Form(name="五言絕句", characters=5),
    7: Form(name="七言絕句", characters=7),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule found in a poem.

    rule      form | han | distinct_lines | rhyme | level_rhyme | first_line_rhyme | tonal_pattern
    passed    whether the rule is kept
    gate      False: measured, but no reason to refuse a poem
    value     a share from 0 to 1
    evidence  the characters or lines that decided
    """

    rule: str
    passed: bool
    value: float
    evidence: str
    gate: bool = True


def rhymes(first: str, second: str) -> bool:
    """Whether two characters rhyme: they share a class; unknown characters never do."""
    return rhyme_table().rhymes(first, second)


def rhyme_class(character: str) -> frozenset[str]:
    """Names such as "level:東"; two for a character of two readings, none for an unknown one."""
    return rhyme_table().rhyme_class(character)


def tone(character: str) -> Tone | None:
    """ "level" (平), "oblique" (仄), or None where it is unknown or was read in both."""
    return rhyme_table().tone(character)


def same_rhyme_characters(character: str) -> frozenset[str]:
    """The characters at home in any class of `character`, itself included if it is."""
    members = rhyme_table().members
    names = (name.split(":", 1) for name in rhyme_class(character))
    return frozenset().union(
        *(members["level" if t == "level" else "oblique"][n] for t, n in names)
    )


@cache
def level_rhyme_classes() -> list[frozenset[str]]:
    """The level-tone classes, most used first: only characters seen to rhyme so, for writing by.

    Any two characters of one class satisfy `rhymes`. A character may be in two classes.
    """
    return [frozenset(home) for home in rhyme_table().members["level"].values()]


def is_han(character: str) -> bool:
    """Whether a character is a Chinese one, and not punctuation, kana, a letter or a digit."""
    return any(low <= ord(character) <= high for low, high in HAN_RANGES)


def tonal_pattern(lines: Sequence[str]) -> float:
    """How well the poem keeps level and oblique apart (平仄, 粘對): 0.5 by chance, 1 perfectly.

    The share of characters at the 2nd, 4th and 6th place of a line that fit the better of the two
    patterns, among those whose tone is known; 0 where none is.
    """
    signs = [
        LINE_SIGNS[number % 4] * sign * (1 if tone(line[place]) == "level" else -1)
        for number, line in enumerate(lines)
        for place, sign in POSITION_SIGNS.items()
        if place < len(line) - 1 and tone(line[place])
    ]
    fitting = sum(sign > 0 for sign in signs)
    return max(fitting, len(signs) - fitting) / len(signs) if signs else 0.0


def tonal_schemes(form: Form) -> list[list[dict[int, Tone]]]:
    """The two patterns of a form: for each line the tones of its 2nd, 4th and 6th place, from 0.

    The first begins with a level tone; the last place of a line is the rhyme's, not the pattern's.
    """
    places = [place for place in POSITION_SIGNS if place < form.characters - 1]
    return [
        [
            {
                place: "level" if first * sign * POSITION_SIGNS[place] > 0 else "oblique"
                for place in places
            }
            for sign in LINE_SIGNS[: form.lines]
        ]
        for first in (1, -1)
    ]


def tonal_faults(lines: Sequence[str], form: Form) -> list[tuple[int, int, Tone]]:
    """Where a poem breaks the better of the two patterns: line, place (both from 0), tone wanted.

    Characters whose tone is unknown or double break nothing; `tonal_pattern` is 1 without a fault.
    """
    found = [
        [
            (number, place, wanted)
            for number, (line, tones) in enumerate(zip(lines, scheme, strict=False))
            for place, wanted in tones.items()
            if place < len(line) and tone(line[place]) not in (wanted, None)
        ]
        for scheme in tonal_schemes(form)
    ]
    return min(found, key=len)


def check(lines: Sequence[str], form: Form) -> list[Finding]:
    """Every rule's finding on a poem without punctuation; it may be broken in any way."""
    return [
        _check_form(lines, form),
        _check_han(lines),
        _check_distinct(lines),
        *_check_rhymes(lines, form),
        Finding(
            rule="tonal_pattern",
            passed=True,
            value=tonal_pattern(lines),
            evidence=" ".join("".join(_mark(c) for c in line) for line in lines),
            gate=False,
        ),
    ]


def _mark(character: str) -> str:
    return {"level": "平", "oblique": "仄"}.get(tone(character) or "", "中")


def _check_form(lines: Sequence[str], form: Form) -> Finding:
    right = sum(len(line) == form.characters for line in lines[: form.lines])
    return Finding(
        rule="form",
        passed=len(lines) == form.lines == right,
        value=right / max(form.lines, len(lines)),
        evidence=" ".join(str(len(line)) for line in lines),
    )


def _check_han(lines: Sequence[str]) -> Finding:
    text = "".join(lines)
    strange = [character for character in text if not is_han(character)]
    return Finding(
        rule="han",
        passed=bool(text) and not strange,
        value=1 - len(strange) / len(text) if text else 0.0,
        evidence="".join(strange),
    )


def _check_distinct(lines: Sequence[str]) -> Finding:
    repeated = sorted({line for line in lines if lines.count(line) > 1})
    return Finding(
        rule="distinct_lines",
        passed=not repeated,
        value=len(set(lines)) / len(lines) if lines else 0.0,
        evidence=" ".join(repeated),
    )


def _check_rhymes(lines: Sequence[str], form: Form) -> list[Finding]:
    ends = [lines[n - 1][-1] if n <= len(lines) and lines[n - 1] else "" for n in form.rhyme_lines]
    shared = _shared(ends)
    level = sorted(name for name in shared if name.startswith("level:"))
    words = " ".join(ends)
    first = lines[0][-1:] if lines else ""
    with_first = bool(shared & rhyme_class(first))
    return [
        _yes_or_no("rhyme", bool(shared), " ".join([words, *sorted(shared)])),
        _yes_or_no("level_rhyme", bool(level), " ".join([words, *level])),
        Finding(
            rule="first_line_rhyme",
            passed=True,
            value=float(with_first),
            evidence=f"{first} {words}",
            gate=False,
        ),
    ]


def _shared(characters: Sequence[str]) -> frozenset[str]:
    """The classes that all the characters are in."""
    classes = [rhyme_class(character) for character in characters]
    return frozenset.intersection(*classes) if classes else frozenset()


def _yes_or_no(rule: str, passed: bool, evidence: str) -> Finding:
    return Finding(rule=rule, passed=passed, value=float(passed), evidence=evidence)
