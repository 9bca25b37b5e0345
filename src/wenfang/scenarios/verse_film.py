"""A subject becomes a film: the poem, its card, its reading over music, and scenery for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from PIL import Image

from wenfang import config
from wenfang.backends.speech.speaker import Timed
from wenfang.checks import FILM, Material, Report, gate
from wenfang.compose.film import SCREENS, Shape, filmed, shot_starts
from wenfang.compose.scenery import HOURS, Theme, draw_scenery, theme_of
from wenfang.compose.verse_shots import (
    Spoken,
    VerseText,
    captions_of,
    scenery_size,
    syllables_within,
    verse_shots,
)
from wenfang.compose.weather import KINDS
from wenfang.device import environment
from wenfang.errors import BriefError, CheckError
from wenfang.media.image import encode_png
from wenfang.media.score import write_score
from wenfang.media.video import Film
from wenfang.samplers.verse import VerseSampling
from wenfang.scenarios.filming import FilmLook, film_payloads, told
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
from wenfang.scenarios.verse_brief import WRITER, CardLook, VerseCardBrief, VerseConstraints
from wenfang.scenarios.verse_card import PRINT_DPI, drawn_card, picture_of, set_in_kai
from wenfang.scenarios.verse_writing import in_script, keep_brief, keep_piece, open_drafting
from wenfang.seal import Payload, SealedFile
from wenfang.store import Link

AFTER_S = 7.5  # music after the last line: the card is read meanwhile


@dataclass(frozen=True, kw_only=True)
class SceneryLook:
    """What is behind the verse; "" leaves it to the words of title and lines.

    hour     day, dawn, dusk, night, winter or rain
    weather  what falls: petals, leaves, snow, rain, glow, or none
    """

    hour: str = ""
    weather: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        for name, value, known in (
            ("hour", self.hour, [*HOURS]),
            ("weather", self.weather, ["none", *KINDS]),
        ):
            if value and value not in known:
                raise BriefError(
                    "scenery.{name} is {value}; choose one of {known}",
                    name=name,
                    value=value,
                    known=", ".join(known),
                )

    def of(self, title: str, text: str) -> Theme:
        """What is drawn for some words."""
        theme = theme_of(title, text)
        weather = {"": theme.weather, "none": ""}.get(self.weather, self.weather)
        return replace(theme, hour=self.hour or theme.hour, weather=weather)


@dataclass(frozen=True, kw_only=True)
class VerseFilmBrief:
    """The brief of `verse_film`."""

    scenario: Literal["verse_film"] = field(
        default="verse_film", metadata={"doc": "which scenario this brief is for"}
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
    film: FilmLook = FilmLook()
    scenery: SceneryLook = SceneryLook()
    style: CardLook = CardLook()
    signature: str = field(default="", metadata={"doc": "name at the foot of the card"})
    date: str = field(default="", metadata={"doc": "date line of the card, as it shall stand"})
    seal: str = field(default="文房", metadata={"doc": "up to four characters of the red seal"})
    seed: int = field(default=0, metadata={"doc": "the same seed gives the same piece"})
    writer: str = field(
        default=WRITER,
        metadata={"doc": "who writes: a bundle, hub:FOLDER or openai:URL#model"},
    )
    constraints: VerseConstraints = VerseConstraints()
    sampling: VerseSampling = VerseSampling()

    @property
    def card(self) -> VerseCardBrief:
        """The same poem and its card, as a card's brief asks for them."""
        return VerseCardBrief(
            subject=self.subject,
            form=self.form,
            language=self.language,
            style=self.style,
            signature=self.signature,
            date=self.date,
            seal=self.seal,
            seed=self.seed,
            writer=self.writer,
            constraints=self.constraints,
            sampling=self.sampling,
        )

    def __post_init__(self) -> None:
        """Refuse what no card could hold either."""
        _ = self.card


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """What the film is made of."""

    title: str
    verse: tuple[str, ...]
    heard: Heard
    card: Image.Image


def verse_film(brief: VerseFilmBrief, studio: Studio) -> Piece:
    """Write, check, typeset, read, compose, film and seal; CheckError if no draw passes."""
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
    drawn = picture_of(card, studio)
    studio.on_event(Event(step="write", done=0, of=4))
    written, poem = write(card, studio, drafting, made_from)
    title = in_script(brief.language, brief.subject)
    lines = tuple(in_script(brief.language, line) for line in written.poem.lines)
    verse = tuple(card.rules.punctuated(lines))
    studio.on_event(Event(step="read", done=1, of=4))
    reading = Reading(title=title, verse=verse, seed=brief.seed, after_s=AFTER_S)
    heard = recite(brief.recital, reading, composer, speaker)
    made = _Made(title=title, verse=verse, heard=heard, card=drawn_card(card, title, lines, drawn))
    report = _with_film(with_sound(written.report, heard, composer, studio), made, studio)
    written = replace(written, report=report)
    inputs = made_from if studio.private else (*made_from, Link(role="poem", id=poem.id))
    if drawn:
        inputs = (*inputs, drawn.link)
    facts: dict[str, Any] = {
        "made_with": made_with,
        **request_facts(studio, brief),
        "checks": report.to_dict(),
        "sameness": config.to_dict(repeated(poem, written.poem.lines, studio)),
        "lines": [config.to_dict(one) for one in heard.lines],
        "scenery": config.to_dict(brief.scenery.of(title, "".join(verse))),
        "environment": environment(),
        **drafting.facts(),
        **voice_spent(speaker),
        **({"picture": drawn.facts} if drawn else {}),
    }
    studio.on_event(Event(step="seal", done=2, of=4))
    label = replace(studio.sealer.label, language=brief.style.label)
    lettered = replace(studio, sealer=replace(studio.sealer, label=label))
    files: list[SealedFile] = [
        publish(lettered, name, payload, inputs, facts)
        for name, payload in _payloads(brief, made, studio)
    ]
    content = ReportContent(
        brief=None if studio.private else config.to_dict(brief),
        title=title,
        lines=verse,
        written=written,
        model=bundle,
        lineage=lineage,
        files=tuple(files),
        shown="film.mp4",
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


def _with_film(report: Report, made: _Made, studio: Studio) -> Report:
    """The report with what is to be said of the times; CheckError where that blocks."""
    said = (made.heard.title, *made.heard.lines)
    frames = round(made.heard.sound.duration_s * SCREENS["16:9"].fps)
    material = Material(
        sound=made.heard.sound,
        said=tuple((one.text, one.start_s, one.end_s) for one in said),
        film_s=frames / SCREENS["16:9"].fps,
    )
    names = [name for name in FILM if name not in {one.name for one in report.checks}]
    found = studio.judge.ask(material, names)
    joined = (*report.checks, *found.checks)
    verdict = gate(joined)
    if verdict.decision == "block":
        raise CheckError("the film does not pass ({reasons}); try another seed", reasons=verdict)
    return Report(checks=joined, verdict=verdict)


def _payloads(brief: VerseFilmBrief, made: _Made, studio: Studio) -> Iterator[tuple[str, Payload]]:
    """Every file of the piece but the report, the films last."""
    plain = "\n".join([made.title, "", *made.verse, ""])
    heard = made.heard
    yield "card.png", Payload(media_type="image/png", data=encode_png(made.card, PRINT_DPI))
    yield "recital.mp3", Payload(media_type="audio/mpeg", data=heard.sound)
    yield "poem.txt", Payload(media_type="text/plain", data=plain)
    if heard.score:
        notes = write_score(replace(heard.score, title=made.title))
        yield "music.mid", Payload(media_type="audio/midi", data=notes)
    for shape in brief.film.shapes:
        film, count = _film(brief, made, shape)
        yield from film_payloads(told(film, count, studio), shape, brief.film)


def _film(brief: VerseFilmBrief, made: _Made, shape: Shape) -> tuple[Film, int]:
    """The film on a screen, and how many frames it has."""
    screen = brief.film.screen(shape)
    heard = made.heard
    theme = brief.scenery.of(made.title, "".join(made.verse))
    scenery = draw_scenery(theme, scenery_size(screen), brief.seed)
    syllables = [(one.start_s, one.end_s) for one in heard.words]
    text = VerseText(
        title=_spoken(heard.title, made.title, syllables),
        lines=tuple(
            _spoken(one, set_in_kai(line), syllables)
            for one, line in zip(heard.lines, made.verse, strict=True)
        ),
        aside=in_script(brief.language, brief.form),
        seal=brief.seal,
    )
    shots = verse_shots(text, scenery, made.card, screen, heard.sound.duration_s)
    film = filmed(shots, screen, heard.sound, captions_of(text))
    return film, round(shot_starts(shots)[-1] * screen.fps)


def _spoken(timed: Timed, shown: str, syllables: list[tuple[float, float]]) -> Spoken:
    return Spoken(
        text=shown,
        start_s=timed.start_s,
        end_s=timed.end_s,
        syllables=syllables_within(syllables, timed.start_s, timed.end_s),
    )
