"""A text becomes its translation: the document, both languages side by side, a report; sealed."""

from __future__ import annotations

from typing import Any

from wenfang import config
from wenfang.backends.choosing import open_writer, spent_by
from wenfang.backends.loading import load_named
from wenfang.backends.shelf import find_local as find_local
from wenfang.backends.translator import BundleInterpreter, Interpreter, WriterInterpreter
from wenfang.device import environment
from wenfang.media.markdown import read_markdown, read_plain
from wenfang.scenarios.piece import (
    Event,
    Piece,
    Studio,
    keep_brief,
    keep_piece,
    publish,
    request_facts,
)
from wenfang.scenarios.rights import require_commercial
from wenfang.scenarios.translate_brief import TranslateBrief
from wenfang.scenarios.translate_pages import (
    TranslationReport,
    render_sides,
    render_translation_report,
)
from wenfang.scenarios.translating import Direction, Translated, translate_document
from wenfang.seal import Payload
from wenfang.store import Link, Manifest


def translate(brief: TranslateBrief, studio: Studio) -> Piece:
    """Translate, put together again, and seal."""
    made_with, interpreter, bundle = _open(studio.model or brief.writer, brief, studio)
    lineage = studio.store.lineage(bundle.id)
    if studio.commercial:
        require_commercial(lineage, made_with)
    inputs: tuple[Link, ...] = (Link(role="bundle", id=bundle.id),)
    if not studio.private:
        inputs = (*inputs, Link(role="brief", id=keep_brief(brief, studio).id))
    document = read_markdown(brief.content) if brief.markdown else read_plain(brief.content)
    source, into = brief.languages
    translated = translate_document(
        document,
        interpreter,
        Direction(source=source, into=into),
        brief.terms,
        lambda done, of: studio.on_event(Event(step="write", done=done, of=of)),
    )
    facts: dict[str, Any] = {
        "made_with": made_with,
        **request_facts(studio, brief),
        "translation": {"from": source, "into": into, **translated.counts()},
        "environment": environment(),
    }
    if isinstance(interpreter, WriterInterpreter) and (spent := spent_by(interpreter.writer)):
        facts["spent"] = spent
    payloads = _payloads(brief, translated, studio)
    files = [publish(studio, name, payload, inputs, facts) for name, payload in payloads]
    content = TranslationReport(
        brief=None if studio.private else config.to_dict(brief),
        title=brief.subject,
        translated=translated,
        terms=brief.terms,
        model=bundle,
        lineage=lineage,
        files=tuple(files),
    )
    page = Payload(media_type="text/html", data=render_translation_report(content))
    files.append(publish(studio, "report.html", page, inputs, facts))
    studio.on_event(Event(step="done", done=1, of=1))
    return Piece(
        name=brief.subject,
        text=translated.text,
        files=tuple(files),
        manifest=keep_piece(brief, studio, files),
        facts={"translation": facts["translation"]},
    )


def _open(named: str, brief: TranslateBrief, studio: Studio) -> tuple[str, Interpreter, Manifest]:
    """The translator, its name, and its manifest in the store."""
    if writer := open_writer(named):
        adopted = studio.store.adopt(writer.made_from)[-1]
        return writer.name, WriterInterpreter(writer, brief.seed), adopted
    loaded = load_named(named)
    adopted = studio.store.adopt([*loaded.ancestors, loaded.manifest])[-1]
    return loaded.name, BundleInterpreter(loaded), adopted


def _payloads(
    brief: TranslateBrief, translated: Translated, studio: Studio
) -> list[tuple[str, Payload]]:
    """The translation, and beside its source; a private piece's source is not published."""
    made = [
        ("translation.md", Payload(media_type="text/markdown", data=translated.text))
        if brief.markdown
        else ("translation.txt", Payload(media_type="text/plain", data=translated.text))
    ]
    if not studio.private:
        sides = render_sides(brief.subject, translated, brief.languages)
        made.append(("bilingual.html", Payload(media_type="text/html", data=sides)))
    return made
