"""A subject becomes a quatrain, typeset on a card: PNG, Markdown, text and a report, all sealed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PIL import Image

from wenfang import config
from wenfang.backends.draughtsman import Finish
from wenfang.compose.typeset import CardStyle, CardText, inks, typeset_card
from wenfang.device import environment
from wenfang.knowledge import script
from wenfang.media.fonts import covers, installed
from wenfang.media.image import encode_png, web_size
from wenfang.media.recolour import in_hexadecimal
from wenfang.scenarios.picture import Drawn, draw_for
from wenfang.scenarios.piece import (
    Event,
    Piece,
    Studio,
    keep_brief,
    keep_piece,
    publish,
    request_facts,
)
from wenfang.scenarios.quatrain import repeated, write
from wenfang.scenarios.report import ReportContent, render_report
from wenfang.scenarios.rights import require_commercial
from wenfang.scenarios.verse_brief import VerseCardBrief
from wenfang.scenarios.verse_writing import in_script, open_drafting
from wenfang.seal import Payload, SealedFile
from wenfang.store import Link

PRINT_DPI = 150.0
PICTURE_PX = 512


def verse_card(brief: VerseCardBrief, studio: Studio) -> Piece:
    """Write, check, typeset and seal; raises CheckError if no draw within the budget passes."""
    made_with, drafting, bundle = open_drafting(studio.model or brief.writer, brief, studio)
    lineage = studio.store.lineage(bundle.id)
    if studio.commercial:
        require_commercial(lineage, made_with)
    made_from: tuple[Link, ...] = (Link(role="bundle", id=bundle.id),)
    if not studio.private:
        made_from = (*made_from, Link(role="brief", id=keep_brief(brief, studio).id))
    # A picture needs no poem, and what is wrong with it should be told before one is written.
    drawn = picture_of(brief, studio)
    studio.on_event(Event(step="write", done=0, of=4))
    written, poem = write(brief, studio, drafting, made_from)
    title = in_script(brief.language, brief.subject)
    lines = tuple(in_script(brief.language, line) for line in written.poem.lines)
    # A private poem's manifest would name the request, and its id would commit to it.
    inputs = made_from if studio.private else (*made_from, Link(role="poem", id=poem.id))
    if drawn:
        inputs = (*inputs, drawn.link)
    facts: dict[str, Any] = {
        "made_with": made_with,
        **request_facts(studio, brief),
        "checks": written.report.to_dict(),
        "sameness": config.to_dict(repeated(poem, written.poem.lines, studio)),
        "environment": environment(),
        **drafting.facts(),
        **({"picture": drawn.facts} if drawn else {}),
    }
    files: list[SealedFile] = []
    label = replace(studio.sealer.label, language=brief.style.label)
    lettered = replace(studio, sealer=replace(studio.sealer, label=label))
    for name, payload in _payloads(brief, title, lines, studio, drawn):
        files.append(publish(lettered, name, payload, inputs, facts))
    content = ReportContent(
        brief=None if studio.private else config.to_dict(brief),
        title=title,
        lines=tuple(brief.rules.punctuated(lines)),
        written=written,
        model=bundle,
        lineage=lineage,
        files=tuple(files),
    )
    page = Payload(media_type="text/html", data=render_report(content))
    files.append(publish(studio, "report.html", page, inputs, facts))
    studio.on_event(Event(step="done", done=4, of=4))
    return Piece(
        name=brief.subject,
        text="\n".join([title, "", *content.lines]),
        files=tuple(files),
        manifest=keep_piece(brief, studio, files),
        facts={
            "lines": list(lines),
            "checks": facts["checks"],
            "sameness": facts["sameness"],
        },
    )


def picture_of(brief: VerseCardBrief, studio: Studio) -> Drawn | None:
    """The subject as a picture, if one is asked for."""
    style = brief.style
    if not style.picture:
        return None
    own = style.picture_ink == "own"
    palette = "" if own else ", ".join(map(in_hexadecimal, inks(style.paper)))
    # Encoders of words read simplified characters best.
    words = script.to_simplified(brief.subject)
    finish = Finish(side_px=PICTURE_PX, palette=palette)
    return draw_for(studio, style.picture, words, brief.seed, finish)


def set_in_kai(text: str) -> str:
    """`text` with today's form of a character where the brush face has only that one (顔 顏)."""
    faces = installed("kai")
    if not faces:
        return text
    path, face = faces[0]

    def form(character: str) -> str:
        other = script.STANDARD_FORMS.get(character, character)
        lacking = not covers(path, face.index, character)
        return other if lacking and covers(path, face.index, other) else character

    return "".join(map(form, text))


def drawn_card(
    brief: VerseCardBrief, title: str, lines: tuple[str, ...], drawn: Drawn | None
) -> Image.Image:
    """The card, before any label."""
    return typeset_card(
        CardText(
            lines=tuple(map(set_in_kai, brief.rules.punctuated(lines))),
            title=set_in_kai(title),
            signature=brief.signature,
            date=brief.date,
            seal=brief.seal,
        ),
        CardStyle(paper=brief.style.paper, stops=brief.style.stops, seed=brief.seed),
        drawn.image if drawn else None,
    )


def _payloads(
    brief: VerseCardBrief,
    title: str,
    lines: tuple[str, ...],
    studio: Studio,
    drawn: Drawn | None,
) -> list[tuple[str, Payload]]:
    """Every file of the piece but the report, before its label."""
    studio.on_event(Event(step="typeset", done=1, of=4))
    card = drawn_card(brief, title, lines, drawn)
    studio.on_event(Event(step="seal", done=2, of=4))
    verse = brief.rules.punctuated(lines)
    signed = [f"—— {brief.signature}"] if brief.signature else []
    markdown = [f"# {title}", "", "  \n".join(verse), *(["", *signed] if signed else []), ""]
    plain = [title, "", *verse, *(["", *signed] if signed else []), ""]
    return [
        ("card.png", Payload(media_type="image/png", data=encode_png(card, PRINT_DPI))),
        ("card-web.png", Payload(media_type="image/png", data=encode_png(web_size(card)))),
        ("poem.md", Payload(media_type="text/markdown", data="\n".join(markdown))),
        ("poem.txt", Payload(media_type="text/plain", data="\n".join(plain))),
    ]
