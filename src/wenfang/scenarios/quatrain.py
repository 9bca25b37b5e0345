"""Draw quatrains, judge them, draw again where none passes, and keep the best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wenfang import config
from wenfang.backends.poet import Poem, Poet
from wenfang.checks import Check, Material, Report
from wenfang.data.training_index import INDEX, TrainingIndex
from wenfang.device import environment
from wenfang.errors import CheckError
from wenfang.knowledge import script
from wenfang.knowledge.verse import FORMS
from wenfang.samplers.verse import VerseRules
from wenfang.scenarios.piece import Event, Studio, step_key
from wenfang.scenarios.verse_brief import VerseCardBrief, words_of
from wenfang.store import Link, Manifest

QUATRAIN = (
    "form",
    "copied_lines",
    "longest_copy",
    "near_copy",
    "folder_copy",
    "words",
    "offence",
)
QUATRAIN_FILE = ".quatrain.json"
# How many earlier poems a new one is compared with.
EARLIER = 500
# How much the title's grip on a poem counts beside the poem's own likelihood.
AFFINITY_WEIGHT = 2.0
# In nats a character for a poem that says one character only.
REPETITION_WEIGHT = 4.0


@dataclass(frozen=True, kw_only=True)
class Written:
    """The chosen poem in traditional characters, its checks, and how it was found."""

    poem: Poem
    report: Report
    drawn: int
    passed: int

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Written:
        """Read what `config.to_dict` wrote."""
        return config.from_dict(cls, content, where="quatrain")


def write(
    brief: VerseCardBrief, studio: Studio, poet: Poet, made_from: tuple[Link, ...]
) -> tuple[Written, Manifest]:
    """The quatrain of a brief, from the store if the same was asked before.

    raises CheckError with the reasons if no draw within the budget passes
    """
    request = config.to_dict(brief)
    asked = {name: request[name] for name in ("subject", "form", "seed", "constraints", "sampling")}
    asked["judge"] = studio.judge.record()
    bundle = next(link.id for link in made_from if link.role == "bundle")
    key = step_key("quatrain", bundle, asked)
    found = None if studio.fresh else studio.store.find(key)
    if found:
        return Written.from_dict(json.loads(studio.store.read(found.id))), found
    written = _draw(brief, studio, poet)
    manifest = Manifest(
        kind="asset",
        name=f"{brief.subject}{QUATRAIN_FILE}",
        media_type="application/json",
        inputs=made_from,
        key=key,
        facts={"request": asked, "environment": environment()},
    )
    payload = json.dumps(config.to_dict(written), ensure_ascii=False).encode()
    return written, studio.store.put(payload, manifest)


def _draw(brief: VerseCardBrief, studio: Studio, poet: Poet) -> Written:
    asked = brief.constraints
    title = poet.title_of(words_of(brief.subject))
    rules = VerseRules(
        characters=brief.rules.characters,
        rhyme_first=asked.rhyme_first,
        regular_tones=asked.regular_tones,
        forbidden=_forbidden(asked.avoid, poet),
    )
    index = TrainingIndex.load(poet.loaded.folder / INDEX)
    judged: list[tuple[Poem, Report]] = []
    for attempt in range(asked.rounds):
        streams = [(brief.seed, "quatrain", attempt, i) for i in range(asked.candidates)]
        poems = poet.draw(title, rules, brief.sampling, streams)
        judged += [
            (poem, studio.judge.ask(material(poem.lines, index), QUATRAIN)) for poem in poems
        ]
        studio.on_event(Event(step="drawn", done=attempt + 1, of=asked.rounds))
        passing = [(poem, report) for poem, report in judged if report.verdict]
        if passing:
            poem, report = max(passing, key=lambda pair: merit(pair[0]))
            return Written(poem=poem, report=report, drawn=len(judged), passed=len(passing))
    closest = max(judged, key=lambda pair: merit(pair[0]))[1]
    raise CheckError(
        "none of {count} quatrains on {subject} passed every check ({reasons}); "
        "try another seed or raise constraints.rounds",
        count=len(judged),
        subject=brief.subject,
        reasons=closest.verdict,
    )


def repeated(poem: Manifest, lines: tuple[str, ...], studio: Studio) -> Check:
    """Is the poem like one of the last that were made here? It is told, and draws nothing again:
    a replay elsewhere, without those poems, must come to the same one."""
    made = [one for one in studio.store.list("asset") if one.name.endswith(QUATRAIN_FILE)]
    earlier = []
    for one in made[-EARLIER:]:
        if one.id != poem.id:
            found = Written.from_dict(json.loads(studio.store.read(one.id)))
            earlier.append("\n".join(found.poem.lines))
    draft = Material(text="\n".join(lines), earlier=tuple(earlier))
    check = studio.judge.ask(draft, ("repeated_text",)).checks[0]
    return replace(check, verdict="warn") if check.verdict in ("repair", "block") else check


def _forbidden(avoid: str, poet: Poet) -> str:
    """The vocabulary's characters that are those of `avoid` in either script."""
    if not avoid:
        return ""
    avoided = set(script.to_simplified(avoid))
    characters = [token for token in poet.tokenizer.tokens() if len(token) == 1]
    simplified = [script.to_simplified(character) for character in characters]
    pairs = zip(characters, simplified, strict=True)
    return "".join(character for character, simple in pairs if simple in avoided)


def material(lines: tuple[str, ...], index: TrainingIndex) -> Material:
    """A quatrain as what the checks look at."""
    form = FORMS[len(lines[0])]
    return Material(text="\n".join(lines), form=form, index=index)


def merit(poem: Poem) -> float:
    """What drafts are ranked by: likelihood, the title's grip, and few repeated characters.

    Likelihood alone prefers 昏昏昏: what was just said is always likely.
    """
    text = "".join(poem.lines)
    repeated = 1 - len(set(text)) / len(text)
    grip = poem.affinity_nats / len(text)
    return (
        poem.likelihood_nats_per_character + AFFINITY_WEIGHT * grip - REPETITION_WEIGHT * repeated
    )
