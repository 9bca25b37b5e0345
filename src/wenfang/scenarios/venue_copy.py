"""The words of a venue's ad: a body and a social post by a writer, a headline set from the facts.

Every text is read by the check of facts before it is used. Body and drafts must tell all facts;
the headline and, where there is no room, the post may tell fewer, but none wrong and none beside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from wenfang.backends.copywriter import Copywriter, alike
from wenfang.backends.venue_lexicon import is_kind_of_food
from wenfang.backends.writer import Ask, Writer
from wenfang.checks import Material, Report
from wenfang.checks.judging import Judge
from wenfang.data.venue import REPEATED, article, write_facts
from wenfang.errors import CheckError

HEADLINE_CHARACTERS, POST_CHARACTERS = 60, 280
CHECKS = ("facts", "words", "personal")
ROUNDS = 2  # how often a writer that follows instructions is asked
# Left out of a post that is too long, the first first.
DISPENSABLE = ("near", "customer rating", "priceRange", "familyFriendly", "food", "area")
PRICES = {"cheap": "Low prices", "moderate": "Moderate prices", "high": "High prices"}
# What a line says where the venue has neither kind nor food nor place; the first that it has.
TELLING: dict[str, Callable[[str], str]] = {
    "familyFriendly": lambda value: "Family friendly" if value == "yes" else "",
    "priceRange": lambda value: PRICES.get(value) or f"Prices: {value}",
    "customer rating": lambda value: f"Customer rating: {value}",
}


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A draft and the checks' report on it."""

    text: str
    report: Report
    log_probability_nats: float | None = None


@dataclass(frozen=True, kw_only=True)
class Words:
    """Everything that an ad says.

    line    the headline without the name, for the poster
    post    with its hashtags
    tags    hashtag -> slot that it is made of
    drafts  those that passed, the body's first; refused: how many did not
    """

    headline: str
    line: str
    body: str
    post: str
    tags: Mapping[str, str]
    drafts: tuple[Passed, ...]
    refused: int


class Drafting(Protocol):
    """Anything that writes copy for facts."""

    def drafts(
        self, facts: Mapping[str, str], count: int, seed: int
    ) -> list[tuple[str, float | None]]:
        """Texts and, where it is known, the mean log-probability of their tokens."""
        ...


class BundleDrafting:
    """Drafts by a bundle of the layout `venue`, under its constraint."""

    def __init__(self, copywriter: Copywriter) -> None:
        self.copywriter = copywriter

    def drafts(
        self, facts: Mapping[str, str], count: int, seed: int
    ) -> list[tuple[str, float | None]]:
        """Different drafts, best first; CheckError where none tells every fact."""
        found = self.copywriter.write(facts, count, seed)
        return [(one.text, one.log_probability_nats) for one in found]


class WriterDrafting:
    """Drafts by a writer that follows instructions."""

    def __init__(self, writer: Writer, tone: str) -> None:
        self.writer = writer
        self.tone = tone

    def drafts(
        self, facts: Mapping[str, str], count: int, seed: int
    ) -> list[tuple[str, float | None]]:
        """Whatever it answers, one paragraph each; drafts that were cut are left out."""
        ask = Ask(prompt=write_facts(facts), system=instructions(self.tone), count=count, seed=seed)
        return [
            (" ".join(one.text.split()).strip('"“”'), None)
            for one in self.writer.write(ask)
            if one.finish == "stop" and one.text.strip()
        ]


def instructions(tone: str) -> str:
    """What a writer is told."""
    asked = [
        "Write one short paragraph of advertising copy in English for the venue whose facts follow "
        "in the notation slot[value].",
        "Tell every fact, with its value in the same words, and no other fact: no dishes, no "
        "opinions, no prices or places that are not given.",
        "familyFriendly[no] means that the venue is not family-friendly.",
        "Answer with the paragraph alone.",
    ]
    return " ".join([*asked, f"Tone: {tone}."] if tone else asked)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Who writes, who judges, and how many characters a post may have."""

    drafting: Drafting
    judge: Judge
    post_characters: int = POST_CHARACTERS

    def write(self, facts: Mapping[str, str], count: int, seed: int) -> Words:
        """All words of the ad; raises CheckError with the reasons if no draft passes."""
        passed, refused = self._drafts(facts, count, seed)
        body = passed[0].text
        post, tags = self._post(facts, passed, seed)
        line, told = headline(facts)
        full = f"{facts['name']}: {line}" if line != facts["name"] else line
        title = full if len(full) <= HEADLINE_CHARACTERS else line
        subset = {slot: value for slot, value in facts.items() if slot in told}
        named = {"name": facts["name"], **subset} if title == full else subset
        self._require(title, named)
        return Words(
            headline=title, line=line, body=body, post=post, tags=tags, drafts=tuple(passed),
            refused=refused,
        )  # fmt: skip

    def _drafts(self, facts: Mapping[str, str], count: int, seed: int) -> tuple[list[Passed], int]:
        judged: list[Passed] = []
        for attempt in range(ROUNDS):
            for text, nats in self.drafting.drafts(facts, count, seed + attempt):
                report = self.judge.ask(Material(text=text, facts=facts), CHECKS)
                judged.append(Passed(text=text, report=report, log_probability_nats=nats))
            passed = [one for one in judged if one.report.verdict]
            if passed:
                return passed, len(judged) - len(passed)
        reasons = judged[0].report.verdict if judged else "-"
        raise CheckError(
            "none of {count} drafts for {name} passed every check ({reasons}); try another seed, "
            "writer or policy",
            count=len(judged),
            name=facts["name"],
            reasons=reasons,
        )

    def _post(
        self, facts: Mapping[str, str], passed: list[Passed], seed: int
    ) -> tuple[str, Mapping[str, str]]:
        """The draft least like the body that fits, else one for fewer facts."""
        body = passed[0].text
        others = sorted(passed[1:], key=lambda one: alike(one.text, body))
        for one in (*others, passed[0]):
            if len(one.text) <= self.post_characters:
                return with_tags(one.text, facts, self.post_characters)
        fewer = dict(facts)
        for slot in DISPENSABLE:
            if slot in fewer and len(fewer) > 2:
                del fewer[slot]
                if short := self._short(fewer, seed):
                    return with_tags(short[0], fewer, self.post_characters)
        raise CheckError(
            "no post for {name} fits {most} characters; shorten the name or give fewer facts",
            name=facts["name"],
            most=self.post_characters,
        )

    def _short(self, facts: Mapping[str, str], seed: int) -> list[str]:
        """Drafts for some of the facts that fit a post and pass every check."""
        try:
            drafts = self.drafting.drafts(facts, 1, seed)
        except CheckError:  # none tells them all; the next has fewer to tell
            return []
        return [
            text
            for text, _ in drafts
            if len(text) <= self.post_characters
            and self.judge.ask(Material(text=text, facts=facts), CHECKS).verdict
        ]

    def _require(self, text: str, told: Mapping[str, str]) -> None:
        report = self.judge.ask(Material(text=text, facts=told), CHECKS)
        if not report.verdict:
            raise CheckError(
                "the text {text} did not pass ({reasons}); change the facts or the policy",
                text=text,
                reasons=report.verdict,
            )


def headline(facts: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """One line set from the facts that identify a venue, and the slots it tells.

    The richest of a few forms that has at most HEADLINE_CHARACTERS; where there is neither kind nor
    food nor place, another fact, and at last the name.
    """
    forms = (("food", "area", "near"), ("food", "area"), ("food", "near"), ("area", "near"),
             ("area",), ("food",), ("near",), ())  # fmt: skip
    lines = [_line(facts, [slot for slot in form if slot in facts]) for form in forms]
    lines += [(TELLING[slot](facts[slot]), (slot,)) for slot in TELLING if slot in facts]
    fitting = [one for one in lines if one[0] and len(one[0]) <= HEADLINE_CHARACTERS]
    return fitting[0] if fitting else (facts["name"][:HEADLINE_CHARACTERS], ("name",))


def _line(facts: Mapping[str, str], slots: list[str]) -> tuple[str, tuple[str, ...]]:
    kind = facts.get("eatType", "")
    food = facts["food"] if "food" in slots else ""
    what = what_of(food, kind)
    where = []
    if "area" in slots:
        if facts["area"] == "riverside" and what:
            what = f"riverside {what}"
        else:
            where.append(f"in {place_of(facts['area'])}")
    if "near" in slots:
        where.append(f"near {facts['near']}")
    begin = f"{article(what)} {what}" if kind else what
    text = " ".join(part for part in (begin, ", ".join(where)) if part)
    told = (*(["eatType"] if kind else []), *slots)
    return text[:1].upper() + text[1:], told


def what_of(food: str, kind: str) -> str:
    """Italian pub, pub, Italian food."""
    inner = food.lower() if food == "Fast food" else food
    if kind or not food:
        return f"{inner} {kind}".strip()
    bare = inner.lower().endswith(REPEATED) or not is_kind_of_food(inner)
    return inner if bare else f"{inner} food"


def place_of(area: str) -> str:
    """An area with its article: a proper name has none."""
    if area == "riverside":
        return "the riverside area"
    bare = area[:1].isupper() or not area[:1].isalpha() or area.lower().startswith("the ")
    return area if bare else f"the {area}"


def with_tags(text: str, facts: Mapping[str, str], most: int) -> tuple[str, Mapping[str, str]]:
    """A post with as many hashtags behind it as fit, and which fact each is made of."""
    tags: dict[str, str] = {}
    for slot, words in _tag_words(facts):
        parts = re.findall(r"\w+", re.sub(r"['’]", "", words))
        tag = "#" + "".join(part[:1].upper() + part[1:] for part in parts)
        longer = " ".join((text, *tags, tag))
        # A hashtag of figures alone is none anywhere.
        if not tag[1:].isnumeric() and len(tag) > 1 and tag not in tags and len(longer) <= most:
            tags[tag] = slot
    return " ".join((text, *tags)), tags


def _tag_words(facts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Slots and the words of their hashtags; degrees, figures and what is not make none."""
    words = [("name", facts["name"]), ("eatType", facts.get("eatType", ""))]
    if "food" in facts:
        words.append(("food", what_of(facts["food"], "")))
    words.append(("area", facts.get("area", "")))
    if facts.get("familyFriendly") == "yes":
        words.append(("familyFriendly", "family friendly"))
    return [(slot, said) for slot, said in words if said]
