"""What an English text says of a venue: own patterns, found by reading the E2E development set.

Independent by design: it shares neither code nor word lists with what writes such texts or keeps
them to their facts. A reading may hold several values for one slot.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from wenfang.checks.venue_words import (
    AREAS,
    CUISINES,
    DEAR,
    DEARNESS,
    DEGREE_OF,
    ELSEWHERE,
    FIGURES,
    GRACES,
    KIN,
    KINDS,
    LINKS,
    MENDED,
    NEGATIONS,
    PRICE_FIGURES,
    PRICE_HEADS,
    RATING_FIGURE,
    RATING_HEADS,
    SOFTENERS,
    SPOKEN,
    STERLING,
)

Said = dict[str, set[str]]

WORD = re.compile(r"£?\d+(?:\.\d+)?|[a-z]+(?:'[a-z]+)?|[.,;:!?()/&-]")
FUZZY_CHARACTERS = 5000  # a longer text is no copy of a venue, and slow to compare
BREAKS = frozenset(".;!?()")
STOPS = ("but", "with", "while", "is", "are", "located", "near", "which", "serves", "serving", "in")
# Words beside which a degree needs no verb: rates it highly.
DIRECT = ("rated", "priced", "rate", "rates", "reviewed", "scores", "charges", "ranked", "costs",
          "charge")  # fmt: skip
CLAUSES = re.compile(
    r"[.;!?]|\bbut\b|\bhowever\b|\balthough\b|\bwhile\b|\bthough\b|,(?! not)"
    r"| and (?!(?:kid|child|famil|is not|not|fami))"
)


def plain(text: str) -> str:
    """Lower case without accents, typographic marks as plain ones."""
    folded = unicodedata.normalize("NFKD", text.replace("£", " £ "))
    bare = "".join(c for c in folded if not unicodedata.combining(c))
    for odd, usual in (("’", "'"), ("‘", "'"), ("–", "-"), ("—", "-"), ("`", "'")):
        bare = bare.replace(odd, usual)
    return " ".join(bare.lower().split())


def holds(text: str, words: str) -> bool:
    """Whether plain `text` holds plain `words`, or the like with one slip of the pen."""
    return find(text, words) is not None


def find(text: str, words: str) -> tuple[int, int] | None:
    """Where plain `words` stand in plain `text`, exactly or with one slip for every 6 letters."""
    bare = words.removeprefix("the ")
    exact = re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", text)
    if exact:
        return exact.span()
    if len(text) > FUZZY_CHARACTERS:
        return None
    count, slips = len(bare.split()), max(1, len(bare) // 6) if len(bare) > 4 else 0
    spots = [found.span() for found in re.finditer(r"[\w']+", text)]
    for size in (count, count + 1, max(1, count - 1)):
        for start in range(len(spots) - size + 1):
            first, last = spots[start][0], spots[start + size - 1][1]
            if abs(last - first - len(bare)) <= slips and _slips(text[first:last], bare) <= slips:
                return first, last
    return None


def _slips(one: str, other: str) -> int:
    """Letters to insert, delete or replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        left, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (a != b))
    return row[-1]


def read_venue(text: str) -> Said:
    """Values that plain `text` tells, by slot; names should be masked before.

    priceRange and customer rating are degrees ("high", "average", "low") or figures ("<20",
    "20-25", ">30", "1".."5"); familyFriendly is "yes" or "no".
    """
    said: Said = {
        "eatType": _named(text, KINDS),
        "food": _named(STERLING.sub(" ", text), CUISINES),
        "area": _named(ELSEWHERE.sub(" ", text), AREAS),
        "familyFriendly": set(_friendliness(text)),
        "priceRange": {figure for figure, found in PRICE_FIGURES.items() if found.search(text)},
        "customer rating": set(_rating_figures(text)),
    }
    # A figure's place is kept by a head word, so that what stands beside it is still read.
    worded = RATING_FIGURE.sub(" stars ", text)
    for slot, degree in _degrees(worded):
        said[slot].add(degree)
    for pattern, slot in SPOKEN:
        said[slot] |= {DEGREE_OF[found[1]] for found in pattern.finditer(worded)}
    said["priceRange"] |= _named(text, DEAR)
    for phrase, told, instead in MENDED:
        if re.search(phrase, text):
            said["priceRange"] = said["priceRange"] - {told} | {instead}
    return said


def _named(text: str, table: Mapping[str, str]) -> set[str]:
    return {name for name, words in table.items() if re.search(rf"\b(?:{words})(?!\w)", text)}


def _rating_figures(text: str) -> Iterator[str]:
    for found in RATING_FIGURE.finditer(text):
        figure = next(group for group in found.groups() if group)
        yield FIGURES.get(figure, figure)


def _degrees(text: str) -> Iterator[tuple[str, str]]:
    """(slot, degree) for each word of degree that belongs to a price or a rating."""
    words = WORD.findall(text.replace("-", " "))
    for place, word in enumerate(words):
        following = "".join(words[place + 1 : place + 2])
        if word not in DEGREE_OF or words[place - 1 : place + 2] == ["as", "well", "as"]:
            continue
        if word.endswith("ly") and following in DEGREE_OF:
            continue  # "fairly high" is high
        # "priced low rating": what stands right behind is nearer than what stands before.
        close = place and words[place - 1] not in LINKS and _slot_of(following)
        slot = close or _before(words, place) or _after(words, place)
        degree = DEARNESS.get(word, DEGREE_OF[word]) if slot == "priceRange" else DEGREE_OF[word]
        if slot and _denied(words, place):
            degree = {"high": "low", "low": ""}.get(degree, degree)
        if slot and degree:
            yield slot, degree


def _denied(words: list[str], place: int) -> bool:
    before = words[max(0, place - 4) : place]
    return any(word in ("not", "no", "lacks") or word.endswith("n't") for word in before)


def _slot_of(word: str) -> str:
    if word in RATING_HEADS:
        return "customer rating"
    return "priceRange" if word in PRICE_HEADS else ""


def _before(words: list[str], place: int) -> str:
    """The slot whose head stands before, joined by a verb or a preposition: rating is high."""
    linked = False
    for spot in range(place - 1, max(-1, place - 8), -1):
        word = words[spot]
        if slot := _slot_of(word):
            joined = linked or place - spot == 1 or (place - spot == 2 and word in DIRECT)
            if word in ("range", "ranges") and spot:
                slot = _slot_of(words[spot - 1]) or slot
            return slot if joined else ""
        if word in LINKS:
            linked = True
        elif word not in SOFTENERS:
            return ""
    return ""


def _after(words: list[str], place: int) -> str:
    """The slot whose head comes next within a few words: high customer rating."""
    coming = words[place + 1 : place + 6]
    for word, following in zip(coming, [*coming[1:], ""], strict=False):
        if word in BREAKS or word in STOPS:
            return ""
        if word in ("and", ",", "/", "&") and following and following not in DEGREE_OF:
            return ""
        if slot := _slot_of(word):
            return slot
    return ""


def _friendliness(text: str) -> Iterator[str]:
    for clause in CLAUSES.split(text):
        bare = clause.replace("-", " ")
        for found in re.finditer(rf"\b(?:{KIN})\b", bare):
            yield from _welcome(bare, found)
        if re.search(r"\badults?\b", bare) and not re.search(rf"\b(?:{KIN})\b", bare):
            yield "no"
        if re.search(r"\ball (?:the )?ages\b|everyone|\bwhole family", bare):
            yield "no" if NEGATIONS.search(bare) else "yes"
        if re.search(r"\b(?:over|above) (?:18|eighteen)|\b18 ?\+|mature (?:audience|crowd)", bare):
            yield "no"


def _welcome(clause: str, found: re.Match[str]) -> Iterator[str]:
    """Whether the people that `found` names in a clause are welcome, if it says so at all."""
    around = clause[max(0, found.start() - 60) : found.end() + 30]
    before = clause[max(0, found.start() - 80) : found.start()]
    brought = re.search(r"\b(?:with|bring) (?:the |your |all )+$", before)
    if re.search(r"\b(?:no|without|dislike|don't like)\b[a-z ]{0,12}$", before):
        yield "no"
    elif brought or re.search(rf"\b(?:{GRACES})\b", around.replace(found[0], " ", 1)):
        yield "no" if NEGATIONS.search(around) else "yes"
