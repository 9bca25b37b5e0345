"""The report of a venue's ad: what every text tells of every fact, the drafts, rights and files.

Nothing that signing changes is in it, so that the same request gives the same page again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from wenfang.checks.facts import Finding
from wenfang.language import keyed, t
from wenfang.scenarios.pages import files, page, rights, section, table
from wenfang.scenarios.venue_copy import Words
from wenfang.seal import SealedFile
from wenfang.store import Lineage, Manifest

SLOT_NAMES = {
    "name": keyed("name"),
    "eatType": keyed("type"),
    "food": keyed("food"),
    "priceRange": keyed("price"),
    "customer rating": keyed("rating"),
    "area": keyed("area"),
    "familyFriendly": keyed("family friendly"),
    "near": keyed("near"),
}
TEXT_NAMES = {
    "headline": keyed("headline"),
    "body": keyed("body"),
    "post": keyed("social post"),
    "poster": keyed("poster"),
    "script": keyed("script of the film"),
}
OUTCOMES = {
    "realised": keyed("told"),
    "missing": keyed("not told"),
    "wrong": keyed("told wrong: {told}"),
    "invented": keyed("not given, but told: {told}"),
}
CLASSES = {"realised": "pass", "missing": "note", "wrong": "block", "invented": "block"}
STYLE = """
blockquote { margin: 0 0 1rem; padding-left: 1rem; border-left: 3px solid var(--line); }
header h1 { letter-spacing: .01em; }
"""


@dataclass(frozen=True, kw_only=True)
class VenueReport:
    """Everything that the report tells; `brief` is None where the piece is private.

    found  what became of each fact: name of a text -> findings
    files  those sealed before the report itself
    shown  the file beside it that is seen first, a picture or a film
    """

    brief: dict[str, Any] | None
    facts: Mapping[str, str]
    words: Words
    found: Mapping[str, Sequence[Finding]]
    model: Manifest
    lineage: Lineage
    files: tuple[SealedFile, ...]
    shown: str = "poster-web.png"


def render_venue_report(content: VenueReport) -> str:
    """The page as HTML; it shows the poster beside it and refers to nothing else."""
    sections = [
        _head(content),
        section(t("Facts in the texts"), _facts(content)),
        section(t("Drafts"), _drafts(content.words)),
        section(t("How it was made"), _making(content)),
        section(t("Rights"), rights(content.lineage)),
        section(t("Files"), files(content.files)),
    ]
    if content.brief is not None:
        told = json.dumps(content.brief, ensure_ascii=False, indent=2)
        sections.append(section(t("The brief"), f"<pre>{escape(told)}</pre>"))
    return page(f"{content.facts['name']} · {t('report')}", "\n".join(sections), STYLE)


def _head(content: VenueReport) -> str:
    words = content.words
    shown = f'<img src="{content.shown}" alt="{escape(content.facts["name"])}">'
    if content.shown.endswith(".mp4"):
        shown = f'<video controls src="{content.shown}"></video>'
    return (
        f"<header>\n{shown}\n"
        f'<div style="flex: 1 1 22rem">\n<h1>{escape(words.headline)}</h1>\n'
        f"<p>{escape(words.body)}</p>\n<h2>{escape(t('social post'))}</h2>\n"
        f"<blockquote>{escape(words.post)}</blockquote>\n</div>\n</header>"
    )


def _facts(content: VenueReport) -> str:
    """A row for each fact that was given, or told without being given."""
    slots = list(content.facts)
    slots += [
        one.slot
        for found in content.found.values()
        for one in found
        if one.outcome == "invented" and one.slot not in slots
    ]
    rows = []
    for slot in dict.fromkeys(slots):
        cells = [_cell(found, slot) for found in content.found.values()]
        rows.append((escape(t(SLOT_NAMES[slot])), escape(content.facts.get(slot, "–")), *cells))
    tags = ", ".join(f"{tag} ({t(SLOT_NAMES[slot])})" for tag, slot in content.words.tags.items())
    note = t(
        "Body and poster must tell every fact; headline, post and film may leave some out. A fact "
        "that is told wrong, or was not given, stops the ad. Hashtags: {tags}.",
        tags=tags or "–",
    )
    head = (t("fact"), t("given"), *(t(TEXT_NAMES[name]) for name in content.found))
    return table(rows, head) + f'\n<p class="soft">{escape(note)}</p>'


def _cell(found: Sequence[Finding], slot: str) -> str:
    one = next((finding for finding in found if finding.slot == slot), None)
    if one is None:
        return "–"
    told = t(OUTCOMES[one.outcome], told=one.told)
    return f'<span class="{CLASSES[one.outcome]}">{escape(told)}</span>'


def _drafts(words: Words) -> str:
    rows = [
        (
            str(number),
            escape(one.text),
            "–" if one.log_probability_nats is None else f"{one.log_probability_nats:.2f}",
        )
        for number, one in enumerate(words.drafts, start=1)
    ]
    note = t("{count} drafts passed every check, {refused} did not.",
             count=len(words.drafts), refused=words.refused)  # fmt: skip
    head = ("", t("draft"), t("log-probability, nats a token"))
    return f'<p class="soft">{escape(note)}</p>\n' + table(rows, head)


def _making(content: VenueReport) -> str:
    facts = content.model.facts
    rows = [
        (t("model"), f"{content.model.name} · {facts.get('parameters', '–')} {t('parameters')}"),
        (t("model id"), content.model.id),
        *([(t("seed"), str(content.brief.get("seed", "")))] if content.brief else []),
    ]
    return table((escape(name), escape(value)) for name, value in rows)
