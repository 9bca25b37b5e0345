"""Draw quatrains, judge them, draw again where none passes, and keep the best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wenfang import config
from wenfang.backends.poet import Poem
from wenfang.checks import Check, Material, Report
from wenfang.device import environment
from wenfang.errors import CheckError
from wenfang.scenarios.piece import Event, Studio, step_key
from wenfang.scenarios.verse_brief import VerseCardBrief
from wenfang.scenarios.verse_drafting import Drafting, Judged, merit
from wenfang.store import Link, Manifest

QUATRAIN_FILE = ".quatrain.json"
# How many earlier poems a new one is compared with.
EARLIER = 500


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
    brief: VerseCardBrief, studio: Studio, drafting: Drafting, made_from: tuple[Link, ...]
) -> tuple[Written, Manifest]:
    """The quatrain of a brief, from the store if the same was asked before.

    raises CheckError with the reasons if no draft within the budget passes
    """
    request = config.to_dict(brief)
    asked = {name: request[name] for name in ("subject", "form", "seed", "constraints", "sampling")}
    asked["judge"] = studio.judge.record()
    bundle = next(link.id for link in made_from if link.role == "bundle")
    key = step_key("quatrain", bundle, asked)
    found = None if studio.fresh else studio.store.find(key)
    if found:
        return Written.from_dict(json.loads(studio.store.read(found.id))), found
    written = _draw(brief, studio, drafting)
    manifest = Manifest(
        kind="asset",
        name=f"{brief.subject}{QUATRAIN_FILE}",
        media_type="application/json",
        inputs=made_from,
        key=key,
        facts={"request": asked, "environment": environment(), **drafting.facts()},
    )
    payload = json.dumps(config.to_dict(written), ensure_ascii=False).encode()
    return written, studio.store.put(payload, manifest)


def _draw(brief: VerseCardBrief, studio: Studio, drafting: Drafting) -> Written:
    judged: list[Judged] = []
    rounds = brief.constraints.rounds
    for attempt in range(rounds):
        judged += drafting.draw(attempt, studio.judge, judged)
        studio.on_event(Event(step="drawn", done=attempt + 1, of=rounds))
        passing = [one for one in judged if one.report.verdict]
        if passing:
            best = max(passing, key=lambda one: merit(one.poem))
            return Written(
                poem=best.poem, report=best.report, drawn=len(judged), passed=len(passing)
            )
    closest = max(judged, key=lambda one: merit(one.poem))
    raise CheckError(
        "none of {count} quatrains on {subject} passed every check ({reasons}); "
        "try another seed or raise constraints.rounds",
        count=len(judged),
        subject=brief.subject,
        reasons=closest.report.verdict,
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
