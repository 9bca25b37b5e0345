"""Pages of a translation: both languages side by side, and what there is to tell of each passage.

Nothing that signing changes is in them, so that the same request gives the same pages again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from wenfang.language import keyed, t
from wenfang.scenarios.pages import files, page, rights, section, table
from wenfang.scenarios.translating import CUT, UNCERTAIN, UNTRANSLATED, PassageResult, Translated
from wenfang.seal import SealedFile
from wenfang.store import Lineage, Manifest

KINDS = {"paragraph": keyed("paragraph"), "heading": keyed("heading"), "cell": keyed("cell")}
SIDES = """
.sides td { width: 50%; font-size: 1rem; padding: .6rem 1.2rem .6rem 0; }
.sides .heading { font-weight: 600; font-size: 1.15rem; }
.sides mark { background: #f4e3b5; color: inherit; }
ul { margin: .2rem 0; padding-left: 1.1rem; }
"""


@dataclass(frozen=True, kw_only=True)
class TranslationReport:
    """Everything that the report tells; `brief` is None where the piece is private.

    files  those sealed before the report itself
    """

    brief: dict[str, Any] | None
    title: str
    translated: Translated
    terms: tuple[tuple[str, str], ...]
    model: Manifest
    lineage: Lineage
    files: tuple[SealedFile, ...]


def render_sides(title: str, translated: Translated, languages: tuple[str, str]) -> str:
    """Source and translation passage by passage; uncertain sentences are marked."""
    rows = [
        f'<tr class="{passage.kind}"><td lang="{languages[0]}">{_lines(passage.source)}</td>'
        f'<td lang="{languages[1]}">{_marked(passage)}</td></tr>'
        for passage in translated.passages
    ]
    sides = '<table class="sides">\n' + "\n".join(rows) + "\n</table>"
    note = t("Machine translation; what is marked yellow the model itself was unsure of.")
    return page(
        title, f'<h1>{escape(title)}</h1>\n<p class="soft">{escape(note)}</p>\n{sides}', SIDES
    )


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _marked(passage: PassageResult) -> str:
    out = _lines(passage.target)
    for one in passage.sentences:
        told = _lines(one.target)
        if told and (one.uncertain or not one.pieces):
            out = out.replace(told, f"<mark>{told}</mark>", 1)
    return out


def render_translation_report(content: TranslationReport) -> str:
    """The report as one HTML page that refers to nothing outside."""
    counts = content.translated.counts()
    sections = [
        f"<h1>{escape(content.title)}</h1>\n{_summary(counts)}",
        section(t("Passages"), _passages(content)),
        section(t("Glossary"), _glossary(content)),
        section(t("How it was made"), _making(content)),
        section(t("Rights"), rights(content.lineage)),
        section(t("Files"), files(content.files)),
    ]
    if content.brief is not None:
        told = json.dumps(content.brief, ensure_ascii=False, indent=2)
        sections.append(section(t("The brief"), f"<pre>{escape(told)}</pre>"))
    return page(f"{content.title} · {t('report')}", "\n".join(sections), SIDES)


def _summary(counts: dict[str, int]) -> str:
    told = t(
        "{passages} passages, {sentences} sentences: {untranslated} not translated, {cut} cut into "
        "pieces, {uncertain} uncertain; {terms} terms of the glossary, {kept} things kept as they "
        "were, {left} passages left as they were.",
        **counts,
    )
    return f'<p class="soft">{escape(told)}</p>'


def _passages(content: TranslationReport) -> str:
    shown = content.brief is not None
    rows = []
    for passage in content.translated.passages:
        notes = "".join(f"<li>{escape(note)}</li>" for note in _notes(passage, private=not shown))
        text = _lines(passage.source) if shown else "–"
        rows.append((str(passage.line), escape(t(KINDS[passage.kind])), text, f"<ul>{notes}</ul>"))
    for line in content.translated.unread:
        note = t("left as it was: its marks are too unusual to be taken apart")
        rows.append((str(line), "–", "–", escape(note)))
    return table(rows, (t("line"), t("kind"), t("source"), t("what was done")))


def _notes(passage: PassageResult, *, private: bool) -> Iterable[str]:
    if passage.refused:
        yield t("left as it was: its translation would have changed the document's structure")
    if passage.kept:
        listed = str(len(passage.kept)) if private else ", ".join(passage.kept)
        yield t("kept: {things}", things=listed)
    if passage.terms and not private:
        pairs = ", ".join(f"{term} → {translation}" for term, translation in passage.terms)
        yield t("glossary: {things}", things=pairs)
    if passage.unknown and not private:
        yield t("hardly known to the model: {things}", things=", ".join(passage.unknown))
    for one in passage.sentences:
        quoted = "" if private else f" ({one.source})"
        if not one.pieces:
            yield t(UNTRANSLATED) + quoted
        elif one.pieces > 1:
            yield t(CUT, count=one.pieces) + quoted
        if one.uncertain:
            yield t(UNCERTAIN, nats=f"{one.log_probability_nats:.2f}") + quoted


def _glossary(content: TranslationReport) -> str:
    met = [pair for passage in content.translated.passages for pair in passage.terms]
    if content.brief is None:
        return table([(t("terms met"), str(len(met)))])
    rows = [
        (escape(term), escape(translation), str(met.count((term, translation))))
        for term, translation in content.terms
    ]
    return table(rows, (t("term"), t("translation"), t("times")))


def _making(content: TranslationReport) -> str:
    facts = content.model.facts
    size = f"{facts.get('parameters', '–')} {t('parameters')}"
    rows = [
        (t("model"), f"{content.model.name} · {facts.get('endpoint', size)}"),
        (t("model id"), content.model.id),
    ]
    return table((escape(name), escape(value)) for name, value in rows)
