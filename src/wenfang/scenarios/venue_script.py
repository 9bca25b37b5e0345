"""What a venue's film says: a hook, three facts, and where to come; each line is checked.

Lines are set from the facts, not drawn: a film of fifteen seconds has no room for a wrong word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wenfang.checks import Material
from wenfang.checks.judging import Judge
from wenfang.errors import CheckError
from wenfang.scenarios.venue_ad import LABELS
from wenfang.scenarios.venue_copy import CHECKS, PRICES, headline, place_of, what_of

MOST_FACTS = 3
# Which facts are told before others; what does not speak for a venue is not told at all.
ORDER = ("customer rating", "priceRange", "familyFriendly", "food", "area", "near")
UNTOLD = {("customer rating", "low"), ("customer rating", "1 out of 5"), ("familyFriendly", "no")}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the script.

    kind    hook, fact or call
    spoken  what the voice says, and the caption; small, large, line are what is shown
    said    the facts in what is spoken, by slot; told those in what is shown
    """

    kind: str
    spoken: str
    large: str
    said: Mapping[str, str]
    told: Mapping[str, str]
    small: str = ""
    line: str = ""
    slot: str = ""

    @property
    def shown(self) -> str:
        """What is read on the screen."""
        if self.kind == "fact":
            own = self.slot in ("familyFriendly", "area", "near")
            near = "Near " if self.slot == "near" else ""
            return f"{near}{self.large}." if own else f"{self.small}: {self.large}."
        return ". ".join(part for part in (self.large, self.line) if part) + "."


TERSENESS = (0, 1, 2)  # how much of what is shown goes unsaid


def script_of(facts: Mapping[str, str], call: str, judge: Judge, terse: int = 0) -> list[Line]:
    """The lines in their order; raises CheckError where one does not pass.

    call   what people are asked to do, "" for "Come and see us"
    terse  1 leaves places out of what is spoken first, 2 all but the name; shown it all is
    """
    lines = [_hook(facts, terse), *_facts(facts), _call(facts, call)]
    for one in lines:
        for text, told in ((one.spoken, one.said), (one.shown, one.told)):
            report = judge.ask(Material(text=text, facts=told), CHECKS)
            if not report.verdict:
                raise CheckError(
                    "the text {text} did not pass ({reasons}); change the facts or the policy",
                    text=text,
                    reasons=report.verdict,
                )
    return lines


def _hook(facts: Mapping[str, str], terse: int) -> Line:
    name = facts["name"]
    line, slots = headline(facts)
    unsaid = ((), ("area", "near"), tuple(facts))[terse]
    heard, heard_slots = headline(
        {slot: value for slot, value in facts.items() if slot == "name" or slot not in unsaid}
    )
    return Line(
        kind="hook",
        spoken=f"{name}." if heard == name else f"{name}. {heard}.",
        small=facts.get("eatType", ""),
        large=name,
        line="" if line == name else line,
        said={"name": name, **{slot: facts[slot] for slot in heard_slots}},
        told={"name": name, **{slot: facts[slot] for slot in slots}},
    )


def _facts(facts: Mapping[str, str]) -> list[Line]:
    """Three facts, those first that the hook has not told."""
    _, hooked = headline(facts)
    worth = [one for one in ORDER if one in facts and (one, facts[one]) not in UNTOLD]
    chosen = sorted(worth, key=lambda slot: slot in hooked)[:MOST_FACTS]
    return [
        Line(
            kind="fact",
            spoken=_sentence(slot, facts[slot]),
            small=LABELS[slot],
            large=_shown(slot, facts[slot]),
            slot=slot,
            said={slot: facts[slot]},
            told={slot: facts[slot]},
        )
        for slot in chosen
    ]


def _sentence(slot: str, value: str) -> str:
    said = {
        "customer rating": f"Customer rating: {value}.",
        "priceRange": f"{PRICES.get(value) or f'Prices: {value}'}.",
        "familyFriendly": "Family friendly.",
        "food": f"{what_of(value, '')}.",
        "area": f"In {place_of(value)}.",
        "near": f"Near {value}.",
    }[slot]
    return said[:1].upper() + said[1:]


def _shown(slot: str, value: str) -> str:
    said = {"familyFriendly": "Family friendly", "area": place_of(value)}.get(slot, value)
    return said[:1].upper() + said[1:]


def _call(facts: Mapping[str, str], asked: str) -> Line:
    """The name has been said; it is shown again, with the nearest that people can look for."""
    place: dict[str, str] = {}
    where = ""
    if "near" in facts:
        where, place = f"near {facts['near']}", {"near": facts["near"]}
    elif "area" in facts:
        where, place = f"in {place_of(facts['area'])}", {"area": facts["area"]}
    begin = (asked or "Come and see us").rstrip(".!")
    return Line(
        kind="call",
        spoken=f"{begin}, {where}." if where else f"{begin}.",
        small=begin,
        large=facts["name"],
        line=where[:1].upper() + where[1:],
        said=place,
        told={"name": facts["name"], **place},
    )
