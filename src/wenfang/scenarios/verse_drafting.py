"""Who drafts quatrains for a brief: a bundle of verse, or a writer that follows instructions.

Both are judged by the same checks. A bundle cannot break the form, since it is held to it while it
draws; what a writer was only told is checked as the brief's constraints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from wenfang.backends.choosing import spent_by
from wenfang.backends.poet import Poem, Poet
from wenfang.backends.verse_writer import Refused, VerseOrder, VerseWriter
from wenfang.backends.writer import Writer
from wenfang.checkpoint import MANIFEST
from wenfang.checks import Check, Evidence, Material, Report
from wenfang.checks.check import Outcome
from wenfang.checks.gate import gate
from wenfang.checks.judging import Judge
from wenfang.data.training_index import INDEX, TrainingIndex
from wenfang.errors import CheckError
from wenfang.knowledge import script, verse
from wenfang.knowledge.rhyme import Tone
from wenfang.samplers.verse import VerseRules
from wenfang.scenarios.verse_brief import VerseCardBrief, words_of
from wenfang.store import read_manifest

QUATRAIN = (
    "form",
    "copied_lines",
    "longest_copy",
    "near_copy",
    "folder_copy",
    "words",
    "offence",
)
# How much the title's grip on a poem counts beside the poem's own likelihood.
AFFINITY_WEIGHT = 2.0
# In nats a character for a poem that says one character only.
REPETITION_WEIGHT = 4.0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A draft and the checks' report on it; without lines where an answer held none."""

    poem: Poem
    report: Report


class Drafting(Protocol):
    """Anything that writes quatrains for one brief."""

    def draw(self, attempt: int, judge: Judge, before: Sequence[Judged]) -> list[Judged]:
        """The drafts of one round; `before`: those of earlier rounds, none of which passed."""
        ...

    def facts(self) -> dict[str, object]:
        """What a manifest tells beyond the request."""
        ...


class BundleDrafting:
    """As many drafts at once as the brief wants candidates, by a bundle of the layout `verse`."""

    def __init__(self, poet: Poet, brief: VerseCardBrief) -> None:
        self.poet, self.brief = poet, brief

    @cached_property
    def index(self) -> TrainingIndex:
        """Of the bundle's training material."""
        return TrainingIndex.load(self.poet.loaded.folder / INDEX)

    def draw(self, attempt: int, judge: Judge, before: Sequence[Judged]) -> list[Judged]:
        """One draft for each candidate; BriefError for a title that the bundle cannot read."""
        brief, asked = self.brief, self.brief.constraints
        rules = VerseRules(
            characters=brief.rules.characters,
            rhyme_first=asked.rhyme_first,
            regular_tones=asked.regular_tones,
            forbidden=_forbidden(asked.avoid, self.poet),
        )
        poems = self.poet.draw(
            self.poet.title_of(words_of(brief.subject)),
            rules,
            brief.sampling,
            [(brief.seed, "quatrain", attempt, i) for i in range(asked.candidates)],
        )
        return [
            Judged(
                poem=one, report=judge.ask(material(one.lines, brief.rules, self.index), QUATRAIN)
            )
            for one in poems
        ]

    def facts(self) -> dict[str, object]:
        """Nothing: a bundle's manifest tells all."""
        return {}


def _forbidden(avoid: str, poet: Poet) -> str:
    """The vocabulary's characters that are those of `avoid` in either script."""
    if not avoid:
        return ""
    avoided = set(script.to_simplified(avoid))
    characters = [token for token in poet.tokenizer.tokens() if len(token) == 1]
    simplified = [script.to_simplified(character) for character in characters]
    pairs = zip(characters, simplified, strict=True)
    return "".join(character for character, simple in pairs if simple in avoided)


class WriterDrafting:
    """Drafts by a writer that follows instructions, one after another until one passes.

    known  a bundle with an index of known poems, which a writer may know by heart
    """

    def __init__(self, writer: Writer, brief: VerseCardBrief, known: Path) -> None:
        asked = brief.constraints
        order = VerseOrder(
            title=script.to_traditional(brief.subject),
            form=brief.rules,
            rhyme_first=asked.rhyme_first,
            regular_tones=asked.regular_tones,
            avoid=asked.avoid,
        )
        self.brief, self.known, self.writer = brief, known, writer
        self.index = TrainingIndex.load(known / INDEX)
        self.poet = VerseWriter(writer, order, brief.sampling)

    def draw(self, attempt: int, judge: Judge, before: Sequence[Judged]) -> list[Judged]:
        """At most as many drafts as the brief wants candidates; the last one may pass."""
        least_wrong = sorted((one for one in before if one.poem.lines), key=_faults)
        refused = [_refused(one) for one in least_wrong]
        found: list[Judged] = []
        for number in range(self.brief.constraints.candidates):
            found.append(self._judged((self.brief.seed, attempt, number), judge, refused))
            if found[-1].report.verdict:
                break
        return found

    def facts(self) -> dict[str, object]:
        """What was spent, and the bundle whose poems the drafts were compared with."""
        spent = spent_by(self.writer)
        known = read_manifest(self.known / MANIFEST)
        compared = {"compared_with": {"name": known.name, "id": known.id}}
        return {**compared, **({"spent": spent} if spent else {})}

    def _judged(self, counters: Sequence[int], judge: Judge, refused: Sequence[Refused]) -> Judged:
        try:
            lines = self.poet.lines(counters, refused)
        except CheckError as error:
            against = Evidence("there is no quatrain: {reason}", {"reason": str(error)})
            check = replace(_kept(), value=1.0, verdict="repair", evidence=(against,))
            return Judged(poem=Poem(lines=()), report=_report((check,)))
        report = judge.ask(material(lines, self.brief.rules, self.index), QUATRAIN)
        checks = (*report.checks, constraints(lines, self.brief))
        return Judged(poem=Poem(lines=lines), report=_report(checks))


def _report(checks: tuple[Check, ...]) -> Report:
    return Report(checks=checks, verdict=gate(checks))


def _faults(one: Judged) -> int:
    return len(one.report.verdict.reasons)


def _refused(one: Judged) -> Refused:
    """What the writer is told of a draft: in English, whatever the language of our messages."""
    reasons = [against.template.format(**against.values) for against in one.report.verdict.reasons]
    return Refused(lines=one.poem.lines, reasons="; ".join(reasons))


def constraints(lines: Sequence[str], brief: VerseCardBrief) -> Check:
    """Whether a draft keeps what the brief asks beyond the form."""
    asked, broken = brief.constraints, list[Evidence]()
    avoided = set(script.to_simplified(asked.avoid))
    seen = "".join(c for c in dict.fromkeys("".join(lines)) if script.to_simplified(c) in avoided)
    if seen:
        broken.append(Evidence("it holds {seen}, which the brief avoids", {"seen": seen}))
    ends = [line[-1:] for line in (*lines, "", "")[:2]]
    if asked.rhyme_first and not verse.rhymes(*ends):
        broken.append(Evidence("the first line does not rhyme ({first} {second})",
                               {"first": ends[0], "second": ends[1]}))  # fmt: skip
    if asked.regular_tones:
        broken += [_untuned(lines, *one) for one in verse.tonal_faults(lines, brief.rules)]
    count = float(len(broken))
    verdict: Outcome = "repair" if broken else "pass"
    return replace(_kept(), value=count, verdict=verdict, evidence=tuple(broken))


def _untuned(lines: Sequence[str], line: int, place: int, wanted: Tone) -> Evidence:
    signs = {"level": "平", "oblique": "仄"}
    seen = lines[line][place]
    values = {"line": line + 1, "place": place + 1, "seen": seen,
              "tone": signs[verse.tone(seen) or ""], "wanted": signs[wanted]}  # fmt: skip
    return Evidence(
        "line {line}, character {place}: {seen} is {tone}, the pattern wants {wanted} "
        "(constraints.regular_tones)",
        values,
    )


def _kept() -> Check:
    return Check(name="constraints", version="1", value=0.0, threshold=0.0, verdict="pass")


def material(lines: Sequence[str], form: verse.Form, index: TrainingIndex) -> Material:
    """A quatrain as what the checks look at."""
    return Material(text="\n".join(lines), form=form, index=index)


def merit(poem: Poem) -> float:
    """What drafts are ranked by: likelihood, the title's grip, and few repeated characters.

    Likelihood alone prefers 昏昏昏: what was just said is always likely. A writer tells neither;
    an answer without lines comes last.
    """
    text = "".join(poem.lines)
    if not text:
        return float("-inf")
    repeated = 1 - len(set(text)) / len(text)
    grip = (poem.affinity_nats or 0.0) / len(text)
    return (
        (poem.likelihood_nats_per_character or 0.0)
        + AFFINITY_WEIGHT * grip
        - REPETITION_WEIGHT * repeated
    )
