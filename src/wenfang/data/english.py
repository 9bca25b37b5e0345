"""Rules for English prose.

The values are those of Gopher (Rae et al. 2021, arXiv:2112.11446, tables A1 and A2), C4 (Raffel et
al. 2020, section 2.2) and FineWeb (Penedo et al. 2024, arXiv:2406.17557). As FineWeb does, C4's
rule that every line must end in a punctuation mark is off.
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
    repeated,
    share,
)

END_MARKS = (".", "?", "!", '"', "'", "”", "’")
ELLIPSES = ("...", "…")
WRAP_MIN, WRAP_MAX = 45, 100  # characters of a full line in text of a fixed width
POLICY = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
CITATION = re.compile(r"\[(?:\d{1,3}|edit|citation needed)\]")
SENTENCE_END = re.compile(r"[.!?][\"'”’)]*(?:\s|$)")
PARAGRAPH = re.compile(r"\n{2,}")


@dataclass(frozen=True, kw_only=True)
class EnglishRules:
    """Thresholds for English prose; a share is of 1."""

    profile: Literal["english"] = "english"
    letters_latin_share_min: float = 0.65
    words_min: int = 50
    words_max: int = 100_000
    word_length_mean_min: float = 3
    word_length_mean_max: float = 10
    hash_per_word_max: float = 0.1
    ellipsis_per_word_max: float = 0.1
    bullet_lines_max: float = 0.9
    ellipsis_lines_max: float = 0.3
    words_with_letter_min: float = 0.8
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")
    stop_words_min: int = 2
    repeated_lines_max: float = 0.30
    repeated_paragraphs_max: float = 0.30
    repeated_line_characters_max: float = 0.20
    repeated_paragraph_characters_max: float = 0.20
    top_gram_max: tuple[float, ...] = (0.20, 0.18, 0.16)  # 2-, 3- and 4-grams
    repeated_gram_max: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)  # 5- to 10-grams
    sentences_min: int = 5
    unwrap: bool = True  # paragraphs broken at a fixed width become one line
    line_words_min: int = 3
    line_word_characters_max: int = 1000
    line_end_mark: bool = False
    forbidden: tuple[str, ...] = ("lorem ipsum", "{")
    lines_with_end_mark_min: float = 0.12
    short_line_characters: int = 30
    short_lines_max: float = 0.67
    characters_in_repeated_lines_max: float = 0.01
    newlines_per_word_max: float = 0.3


def clean(text: str, rules: EnglishRules) -> tuple[str, Counter[str]]:
    """Join wrapped lines, then C4's line rules: short, policy, script and (if asked) unfinished
    lines go.
    """
    text = unwrapped(text) if rules.unwrap else text
    dropped: Counter[str] = Counter()
    kept: list[str] = []
    for line in CITATION.sub("", text).split("\n"):
        reason = _line_fault(line.strip(), rules) if line.strip() else ""
        if reason:
            dropped[reason] += 1
        else:
            kept.append(line)
    return "\n".join(kept).strip("\n"), dropped


def unwrapped(text: str) -> str:
    """`text` with each paragraph that was broken at a fixed width (as in Project Gutenberg's books)
    made one line: the rules were written for web pages, where a line is a paragraph, and would
    drop the short last line of every sentence.
    """
    paragraphs = (paragraph.split("\n") for paragraph in text.split("\n\n"))
    return "\n\n".join(
        " ".join(map(str.strip, lines)) if _is_wrapped(lines) else "\n".join(lines)
        for lines in paragraphs
    )


def _is_wrapped(lines: list[str]) -> bool:
    """True where all lines but the last are of one width and few of them end a sentence."""
    full = lines[:-1]
    if not full:
        return False
    of_width = sum(WRAP_MIN <= len(line) <= WRAP_MAX for line in full)
    ended = sum(line.rstrip().endswith(END_MARKS) for line in full)
    return of_width >= 0.9 * len(full) and ended <= 0.5 * len(full)


def _line_fault(line: str, rules: EnglishRules) -> str:
    low = line.lower()
    words = line.split()
    if len(words) < rules.line_words_min:
        return "line_of_few_words"
    if max(map(len, words)) > rules.line_word_characters_max:
        return "line_with_long_word"
    if "javascript" in low:
        return "line_about_javascript"
    if any(phrase in low for phrase in POLICY):
        return "line_of_policy"
    if rules.line_end_mark and (not line.endswith(END_MARKS) or line.endswith(ELLIPSES)):
        return "line_without_end_mark"
    return ""


def measure(text: str, rules: EnglishRules) -> Iterator[Measurement]:
    """One measurement per rule: Gopher's quality, C4's and FineWeb's rules, then repetition."""
    words = text.split()
    lines = [line for line in text.split("\n") if line.strip()]
    yield from _measure_words(text, words, rules)
    yield from _measure_lines(lines, rules)
    yield from _measure_document(text, words, lines, rules)
    yield from _measure_repetition(text, words, lines, rules)


def _measure_words(text: str, words: list[str], rules: EnglishRules) -> Iterator[Measurement]:
    latin = sum("a" <= character <= "z" for character in text.lower())
    letters = sum(map(str.isalpha, text))
    yield between("letters_latin_share", share(latin, letters), least=rules.letters_latin_share_min)
    plain = [word for word in words if any(map(str.isalnum, word))]
    yield between("words", len(plain), least=rules.words_min, most=rules.words_max)
    yield between(
        "word_length_mean",
        share(sum(map(len, plain)), len(plain)),
        least=rules.word_length_mean_min,
        most=rules.word_length_mean_max,
    )
    yield between("hash_per_word", text.count("#") / len(words), most=rules.hash_per_word_max)
    ellipses = sum(map(text.count, ELLIPSES))
    yield between("ellipsis_per_word", ellipses / len(words), most=rules.ellipsis_per_word_max)
    with_letter = sum(any(map(str.isalpha, word)) for word in words)
    yield between("words_with_letter", with_letter / len(words), least=rules.words_with_letter_min)
    found = {word.strip(".,;:!?\"'()“”‘’").lower() for word in words} & set(rules.stop_words)
    yield between("stop_words", len(found), least=rules.stop_words_min)


def _measure_lines(lines: list[str], rules: EnglishRules) -> Iterator[Measurement]:
    count = len(lines)
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    yield between("bullet_lines", bullets / count, most=rules.bullet_lines_max)
    ellipses = sum(line.rstrip().endswith(ELLIPSES) for line in lines)
    yield between("ellipsis_lines", ellipses / count, most=rules.ellipsis_lines_max)
    ended = sum(line.rstrip().endswith(END_MARKS) for line in lines)
    yield between("lines_with_end_mark", ended / count, least=rules.lines_with_end_mark_min)
    short = sum(len(line.strip()) <= rules.short_line_characters for line in lines)
    yield between("short_lines", short / count, most=rules.short_lines_max)


def _measure_document(
    text: str, words: list[str], lines: list[str], rules: EnglishRules
) -> Iterator[Measurement]:
    low = text.lower()
    yield between("forbidden", sum(phrase in low for phrase in rules.forbidden), most=0)
    sentences = len(SENTENCE_END.findall(text))
    yield between("sentences", sentences, least=rules.sentences_min)
    newlines = text.count("\n") / len(words)
    yield between("newlines_per_word", newlines, most=rules.newlines_per_word_max)


def _measure_repetition(
    text: str, words: list[str], lines: list[str], rules: EnglishRules
) -> Iterator[Measurement]:
    count, characters = repeated([line.strip() for line in lines])
    size = len(text)
    yield between("repeated_lines", count / len(lines), most=rules.repeated_lines_max)
    limit = min(rules.repeated_line_characters_max, rules.characters_in_repeated_lines_max)
    yield between("repeated_line_characters", characters / size, most=limit)
    paragraphs = PARAGRAPH.split(text.strip())
    count, characters = repeated(paragraphs)
    yield between(
        "repeated_paragraphs", count / len(paragraphs), most=rules.repeated_paragraphs_max
    )
    yield between(
        "repeated_paragraph_characters",
        characters / size,
        most=rules.repeated_paragraph_characters_max,
    )
    grams = Grams(words)
    for gram, most in enumerate(rules.top_gram_max, start=2):
        value = grams.top_characters(gram) / size
        yield between(f"top_{gram}_gram_characters", value, most=most)
    for gram, most in enumerate(rules.repeated_gram_max, start=5):
        value = grams.repeated_characters(gram) / size
        yield between(f"repeated_{gram}_gram_characters", value, most=most)
