"""Does an English text tell a venue's facts: all of them, with their values, and no others?

The reading is `venue_reading`'s, so it knows nothing of how the text was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wenfang.checks.check import NO_TEXT, Check, Evidence, Material, not_measured
from wenfang.checks.venue_reading import Said, find, plain, read_venue
from wenfang.checks.venue_words import CUISINES, KINDS
from wenfang.language import keyed

VERSION = "1"
ERRORS_ALLOWED = 0
SLOTS = ("name", "eatType", "food", "priceRange", "customer rating", "area", "familyFriendly",
         "near")  # fmt: skip

Outcome = Literal["realised", "missing", "wrong", "invented"]

PRICES = {
    "cheap": ("low", ""), "less than £20": ("low", "<20"),
    "moderate": ("average", ""), "£20-25": ("average", "20-25"),
    "high": ("high", ""), "more than £30": ("high", ">30"),
}  # fmt: skip
RATINGS = {
    "low": ("low", ""), "1 out of 5": ("low", "1"),
    "average": ("average", ""), "3 out of 5": ("average", "3"),
    "high": ("high", ""), "5 out of 5": ("high", "5"),
}  # fmt: skip
FREE = {"food": {name.lower() for name in CUISINES}, "area": {"riverside", "city centre"}}
DEGREES = ("low", "average", "high")
NEAR = re.compile(
    r"\b(?:near|nearby|next to|close to|beside|besides|opposite|adjacent to|across from)"
    r" (?:to |of |by )?(?:the |a )?([A-Z][\w']+(?: [A-Z][\w']+)*)"
)
# Places that are no neighbour: an area, a town.
NO_NEIGHBOUR = re.compile(r"river|cent(?:re|er)|city|town|cambridge|downtown|london|uk", re.I)

TELLINGS: dict[str, str] = {
    "missing": keyed("the fact {slot} ({given}) is not told"),
    "wrong": keyed("the fact {slot} is {given}, the text says {told}"),
    "invented": keyed("the text tells {slot} ({told}), which was not given"),
}
NO_FACTS = keyed("no facts were given to compare with")
NOT_ENGLISH = keyed("facts are only checked in English text")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of one slot; `told` is what the text says instead, or too much."""

    slot: str
    outcome: Outcome
    given: str = ""
    told: str = ""


def read_facts(text: str, facts: Mapping[str, str]) -> list[Finding]:
    """One finding for each given slot, and one for each that the text tells without being given."""
    masked = plain(text)
    findings = []
    for slot in ("name", "near"):
        if slot in facts:
            spot = find(masked, plain(facts[slot]))
            outcome: Outcome = "realised" if spot else "missing"
            findings.append(Finding(slot=slot, outcome=outcome, given=facts[slot]))
            masked = _without(masked, plain(facts[slot]))
    if "near" not in facts and (stranger := _neighbour(text, facts)):
        findings.append(Finding(slot="near", outcome="invented", told=stranger))
    said = read_venue(_without_free(masked, facts))
    for slot in SLOTS[1:-1]:
        found = JUDGES[slot](masked, said[slot], facts.get(slot, "").strip())
        if found:
            told = ", ".join(sorted(found[1]))
            findings.append(
                Finding(slot=slot, outcome=found[0], given=facts.get(slot, ""), told=told)
            )
    return findings


def _without(text: str, words: str) -> str:
    """Plain `text` with every mention of `words` taken out, or the nearest to one."""
    bare = re.escape(words.removeprefix("the "))
    left, count = re.subn(rf"(?<!\w){bare}(?!\w)", "\0", text)
    if not count and (spot := find(text, words)):
        left = f"{text[: spot[0]]}\0{text[spot[1] :]}"
    return left


def _without_free(text: str, facts: Mapping[str, str]) -> str:
    """Plain `text` without values that are no known ones: tapas say nothing of Spain."""
    for slot, known in FREE.items():
        value = facts.get(slot, "").strip()
        if value and value.lower() not in known:
            text = _without(text, plain(value))
    return text


def _neighbour(text: str, facts: Mapping[str, str]) -> str:
    for found in NEAR.finditer(text):
        place = found[1]
        if not NO_NEIGHBOUR.search(place) and plain(place) not in plain(facts.get("name", "")):
            return place
    return ""


Judged = tuple[Outcome, set[str]] | None


def _kind(text: str, said: set[str], given: str) -> Judged:
    """Restaurant is also what people call a pub, so beside the kind that was given it is none."""
    if not given:
        told = said - {"restaurant"}
        return ("invented", told) if told else None
    return _one_of(text, said, given, KINDS, aside=frozenset({"restaurant"}))


def _food(text: str, said: set[str], given: str) -> Judged:
    if not given:
        return ("invented", said) if said else None
    return _one_of(text, said, given, CUISINES)


def _one_of(
    text: str,
    said: set[str],
    given: str,
    table: Mapping[str, str],
    aside: frozenset[str] = frozenset(),
) -> Judged:
    """A value among named ones; what the table lacks is looked for by its own words."""
    known = next((name for name in table if name.lower() == given.lower()), "")
    told = known in said if known else find(text, plain(given)) is not None
    others = {name for name in said - {known} if plain(name) not in plain(given)}
    if told:
        return ("wrong", others - aside) if others - aside else ("realised", set())
    return ("wrong", others) if others else ("missing", set())


def _area(text: str, said: set[str], given: str) -> Judged:
    if not given:
        return ("invented", said) if said else None
    known = given.lower() in ("riverside", "city centre")
    told = given.lower() in said if known else find(text, plain(given)) is not None
    others = said - {given.lower()}
    if others:
        return "wrong", others
    return ("realised" if told else "missing"), set()


def _friendly(text: str, said: set[str], given: str) -> Judged:
    if not given:
        return ("invented", said) if said else None
    if given in said and len(said) == 1:
        return "realised", set()
    return ("wrong", said) if said else ("missing", set())


def _degree(said: set[str], given: str, table: Mapping[str, tuple[str, str]]) -> Judged:
    """A degree in words is right for its figure too; a figure only for itself."""
    if not given:
        return ("invented", said) if said else None
    if given.lower() not in table:
        return ("wrong", said) if said else ("missing", set())
    degree, figure = table[given.lower()]
    figures = said - set(DEGREES)
    if figures:
        wrong = figures - {figure}
        return ("wrong", wrong) if wrong else ("realised", set())
    wrong = said - {degree}
    if degree in said and not wrong:
        return "realised", set()
    return ("wrong", wrong) if said else ("missing", set())


JUDGES = {
    "eatType": _kind,
    "food": _food,
    "priceRange": lambda text, said, given: _degree(said, given, PRICES),
    "customer rating": lambda text, said, given: _degree(said, given, RATINGS),
    "area": _area,
    "familyFriendly": _friendly,
}


def facts(material: Material) -> Check:
    """Facts that the text leaves out, tells wrong or adds: their number.

    Fails by drawing again: a text without its facts is of no use, but the next may have them.
    """
    allowed = material.threshold("facts", ERRORS_ALLOWED)
    if not material.facts:
        return not_measured("facts", VERSION, allowed, NO_FACTS)
    if not material.text.strip():
        return not_measured("facts", VERSION, allowed, NO_TEXT)
    if re.search(r"[\u3400-\u9fff]", material.text):
        return not_measured("facts", VERSION, allowed, NOT_ENGLISH)
    amiss = [f for f in read_facts(material.text, material.facts) if f.outcome != "realised"]
    return Check(
        name="facts",
        version=VERSION,
        value=float(len(amiss)),
        threshold=allowed,
        verdict="repair" if len(amiss) > allowed else "pass",
        evidence=tuple(
            Evidence(
                TELLINGS[one.outcome], {"slot": one.slot, "given": one.given, "told": one.told}
            )
            for one in amiss
        ),
    )


__all__ = ["SLOTS", "Finding", "Said", "facts", "read_facts"]
