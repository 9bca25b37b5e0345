"""Where sentences and clauses end, in English and Chinese; the pieces joined are the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from wenfang.data.translation import Language

ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "dr", "prof", "st", "mt", "vs", "etc", "e.g", "i.e", "cf", "no", "fig",
     "vol", "inc", "ltd", "co", "jr", "sr", "u.s", "u.k", "a.m", "p.m", "approx", "dept", "est")
)  # fmt: skip
CLOSING = r"[\"'”’」』)）\]]*"
ENGLISH_END = re.compile(rf"(?:[.!?]+|…){CLOSING}\s+")
CHINESE_END = re.compile(rf"(?:[。！？!?；]+|…{{1,2}}){CLOSING}\s*|\n\s*")
CLAUSE_END = {
    "en": re.compile(r"[,;:]\s+|\s+(?=(?:and|but|or|because|which|when|while|if)\s)|\s+[-–—]+\s+"),
    "zh": re.compile(r"[，；：、,;:]\s*|——"),
}
# Where all else fails a text is cut at a space or, in Chinese, anywhere.
WORD_END = {"en": re.compile(r"\s+"), "zh": re.compile(r"(?<=.)", re.S)}


def sentences(text: str, language: Language) -> list[str]:
    """The sentences of `text`, each with the space after it."""
    if language == "zh":
        return _cut(text, [found.end() for found in CHINESE_END.finditer(text)])
    return _cut(text, [f.end() for f in ENGLISH_END.finditer(text) if _ends(text, f)])


def _ends(text: str, found: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence: no abbreviation or initial, and no small letter next."""
    last = text[: found.start()].rpartition(" ")[2].lstrip("\"'“‘(").lower()
    stop = found[0].rstrip().startswith(".")
    initial = len(last) == 1 and last.isalpha() and last != "i"
    if stop and (last in ABBREVIATIONS or initial):
        return False
    return not text[found.end() : found.end() + 1].islower()


def _cut(text: str, ends: list[int]) -> list[str]:
    places = [0, *ends, len(text)]
    return [text[a:b] for a, b in pairwise(places) if a < b]


def clauses(text: str, language: Language, fits: Callable[[str], bool]) -> list[str]:
    """`text` in as few pieces that fit as its marks allow; single words where they do not.

    A piece that cannot be cut any more is given back even if it does not fit.
    """
    pieces = [text]
    for ends in (CLAUSE_END[language], WORD_END[language]):
        pieces = [
            part
            for piece in pieces
            for part in ([piece] if fits(piece) else _fill(piece, ends, fits))
        ]
    return pieces


def _fill(text: str, ends: re.Pattern[str], fits: Callable[[str], bool]) -> Iterator[str]:
    """Pieces between `ends`, joined again as long as they fit; by halving, so few are tried."""
    parts = _cut(text, [found.end() for found in ends.finditer(text) if found.end() < len(text)])
    while parts:
        least, most = 1, len(parts)
        while least < most:
            middle = (least + most + 1) // 2
            if fits("".join(parts[:middle])):
                least = middle
            else:
                most = middle - 1
        yield "".join(parts[:least])
        parts = parts[least:]
