"""A subject becomes a quatrain that is read aloud over music: sound, text and a report, sealed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wenfang import config
from wenfang.device import environment
from wenfang.media.score import write_score
from wenfang.samplers.verse import VerseSampling
from wenfang.scenarios.piece import Event, Piece, Studio, publish, request_facts
from wenfang.scenarios.quatrain import repeated, write
from wenfang.scenarios.reciting import (
    Heard,
    Reading,
    Recital,
    composer_for,
    recite,
    voice_for,
    voice_spent,
    with_sound,
)
from wenfang.scenarios.report import ReportContent, render_report
from wenfang.scenarios.rights import require_commercial
from wenfang.scenarios.verse_brief import WRITER, VerseCardBrief, VerseConstraints
from wenfang.scenarios.verse_writing import in_script, keep_brief, keep_piece, open_drafting
from wenfang.seal import Payload, SealedFile
from wenfang.store import Link


@dataclass(frozen=True, kw_only=True)
class VerseRecitalBrief:
    """The brief of `verse_recital`."""

    scenario: Literal["verse_recital"] = field(
        default="verse_recital", metadata={"doc": "which scenario this brief is for"}
    )
    subject: str = field(
        metadata={"doc": "title or subject words, in traditional or simplified characters"}
    )
    form: Literal["五言絕句", "七言絕句"] = field(
        default="七言絕句", metadata={"doc": "five or seven characters a line"}
    )
    language: Literal["zh-Hant", "zh-Hans"] = field(
        default="zh-Hant", metadata={"doc": "script of everything that is written"}
    )
    recital: Recital = Recital()
    seed: int = field(default=0, metadata={"doc": "the same seed gives the same piece"})
    writer: str = field(
        default=WRITER,
        metadata={"doc": "who writes: a bundle, hub:FOLDER or openai:URL#model"},
    )
    constraints: VerseConstraints = VerseConstraints()
    sampling: VerseSampling = VerseSampling()

    @property
    def card(self) -> VerseCardBrief:
        """The same poem, as a card's brief asks for it."""
        return VerseCardBrief(
            subject=self.subject,
            form=self.form,
            language=self.language,
            seed=self.seed,
            writer=self.writer,
            constraints=self.constraints,
            sampling=self.sampling,
        )

    def __post_init__(self) -> None:
        """Refuse what no card could hold either."""
        _ = self.card


def verse_recital(brief: VerseRecitalBrief, studio: Studio) -> Piece:
    """Write, check, read, compose, mix and seal; raises CheckError if no draw passes."""
    card = brief.card
    made_with, drafting, bundle = open_drafting(studio.model or brief.writer, card, studio)
    composer, composed = composer_for(brief.recital.music, studio)
    speaker, spoken_by = voice_for(brief.recital.engine, studio)
    lineage = studio.store.lineage(bundle.id)
    if studio.commercial:
        require_commercial(lineage, made_with)
    made_from: tuple[Link, ...] = (Link(role="bundle", id=bundle.id), *composed, *spoken_by)
    if not studio.private:
        made_from = (*made_from, Link(role="brief", id=keep_brief(brief, studio).id))
    studio.on_event(Event(step="write", done=0, of=4))
    written, poem = write(card, studio, drafting, made_from)
    title = in_script(brief.language, brief.subject)
    lines = tuple(in_script(brief.language, line) for line in written.poem.lines)
    verse = tuple(card.rules.punctuated(lines))
    studio.on_event(Event(step="read", done=1, of=4))
    heard = recite(
        brief.recital, Reading(title=title, verse=verse, seed=brief.seed), composer, speaker
    )
    written = replace(written, report=with_sound(written.report, heard, composer, studio))
    inputs = made_from if studio.private else (*made_from, Link(role="poem", id=poem.id))
    facts: dict[str, Any] = {
        "made_with": made_with,
        **request_facts(studio, brief),
        "checks": written.report.to_dict(),
        "sameness": config.to_dict(repeated(poem, written.poem.lines, studio)),
        "lines": [config.to_dict(one) for one in heard.lines],
        "environment": environment(),
        **drafting.facts(),
        **voice_spent(speaker),
    }
    studio.on_event(Event(step="seal", done=2, of=4))
    files: list[SealedFile] = [
        publish(studio, name, payload, inputs, facts)
        for name, payload in _payloads(title, verse, heard)
    ]
    content = ReportContent(
        brief=None if studio.private else config.to_dict(brief),
        title=title,
        lines=verse,
        written=written,
        model=bundle,
        lineage=lineage,
        files=tuple(files),
        shown="recital.mp3",
    )
    page = Payload(media_type="text/html", data=render_report(content))
    files.append(publish(studio, "report.html", page, inputs, facts))
    studio.on_event(Event(step="done", done=4, of=4))
    return Piece(
        name=brief.subject,
        text="\n".join([title, "", *verse]),
        files=tuple(files),
        manifest=keep_piece(brief, studio, files),
        facts={"lines": list(lines), "checks": facts["checks"], "sameness": facts["sameness"]},
    )


def _payloads(title: str, verse: tuple[str, ...], heard: Heard) -> list[tuple[str, Payload]]:
    plain = "\n".join([title, "", *verse, ""])
    found = [
        ("recital.mp3", Payload(media_type="audio/mpeg", data=heard.sound)),
        ("recital.wav", Payload(media_type="audio/wav", data=heard.sound)),
        ("poem.txt", Payload(media_type="text/plain", data=plain)),
    ]
    if heard.score:
        notes = write_score(replace(heard.score, title=title))
        found.append(("music.mid", Payload(media_type="audio/midi", data=notes)))
    return found
