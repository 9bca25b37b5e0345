"""How verse is read aloud over music, for every piece in which it is heard.

Music begins alone, gives way to the title and the lines, and ends after them; rain, water or wind
lies under it where the subject names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from wenfang import config
from wenfang.backends.composer import Composer
from wenfang.backends.speech.choosing import open_speaker
from wenfang.backends.speech.speaker import (
    Speaker,
    SpeechOptions,
    Spoken,
    Timed,
    Voice,
    phrases_of,
)
from wenfang.checks import SPOKEN, Material, Report, gate
from wenfang.compose.effects import EFFECTS, EffectOptions, find_effect, sound_of
from wenfang.compose.mix import Mix, Track, mix
from wenfang.compose.perform import ARRANGEMENTS, find_arrangement, perform
from wenfang.compose.reel import duration_of
from wenfang.compose.voice import polished
from wenfang.device import environment
from wenfang.errors import BriefError, CheckError
from wenfang.knowledge import script
from wenfang.knowledge.moods import DEFAULT, MOODS, mood_of
from wenfang.media.audio import Sound
from wenfang.media.score import Score, write_score
from wenfang.media.video import Film
from wenfang.scenarios.performers import (
    COMPOSER,
    PEAK_DBTP,
    Music,
    composed,
    composer_for,
    voice_for,
    voice_spent,
)
from wenfang.scenarios.picture import Drawn
from wenfang.scenarios.piece import (
    Event,
    Piece,
    Studio,
    keep_brief,
    keep_piece,
    publish,
    request_facts,
    require_known,
)
from wenfang.scenarios.quatrain import Written, repeated, write
from wenfang.scenarios.report import ReportContent, render_report
from wenfang.scenarios.rights import require_commercial
from wenfang.scenarios.verse_brief import VersePieceBrief
from wenfang.scenarios.verse_writing import in_script, open_drafting
from wenfang.seal import Payload
from wenfang.store import Link, Manifest

BEFORE_S, AFTER_S = 3.4, 4.6  # of music alone
MUSIC_DB, DUCKED_DB, AMBIENT_DB = -5.0, 9.0, -13.0
TITLE_PAUSE = "。\n\n"


@dataclass(frozen=True, kw_only=True)
class Recital:
    """How it is read and what is heard beside it.

    engine       who reads: espeak, openai:URL#model, or command:NAME of your own voices.json
    voice        woman, man or child
    variant      a voice by the engine's own name for it; "": by `voice`
    speed        of the reading; verse is read slowly
    pauses       what pauses are multiplied by
    music        a bundle that composes for four voices; "": none
    mood         of the music; "": as subject and lines have it
    arrangement  who plays
    ambience     an effect, such as rain; "": as the subject names one; "none"
    """

    engine: str = ""
    voice: Voice = "woman"
    variant: str = ""
    speed: float = 0.8
    pauses: float = 1.7
    music: str = COMPOSER
    mood: str = ""
    arrangement: str = "zither"
    ambience: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be heard."""
        SpeechOptions(voice=self.voice, speed=self.speed, pauses=self.pauses)
        find_arrangement(self.arrangement)
        require_known("recital.mood", self.mood, MOODS)
        require_known("recital.ambience", self.ambience, ["none", *EFFECTS])


@dataclass(frozen=True, kw_only=True)
class VerseReadBrief(VersePieceBrief):
    """The brief of a quatrain that is read aloud."""

    recital: Recital = Recital()


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """A recital: its sound, and when title, lines and their syllables are read."""

    sound: Sound
    title: Timed
    lines: tuple[Timed, ...]
    words: tuple[Timed, ...]
    score: Score | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is read, and how long there is music alone before and after it, in seconds."""

    title: str
    verse: tuple[str, ...]
    seed: int = 0
    before_s: float = BEFORE_S
    after_s: float = AFTER_S


def recite(
    asked: Recital, reading: Reading, composer: Composer | None, speaker: Speaker | None = None
) -> Heard:
    """The reading with its music and what lies under both."""
    options = SpeechOptions(
        voice=asked.voice,
        variant=asked.variant,
        speed=asked.speed,
        pauses=asked.pauses,
        language="zh",
    )
    # Readings of characters are known best in simplified form.
    text = script.to_simplified(reading.title + TITLE_PAUSE + "\n".join(reading.verse))
    spoken = (speaker or open_speaker(asked.engine)).speak(text, options)
    voice = polished(spoken.sound)
    seconds = reading.before_s + voice.duration_s + reading.after_s
    tracks = [Track(sound=voice, start_s=reading.before_s, speech=True)]
    mood = MOODS[asked.mood or mood_of(reading.title + "".join(reading.verse)) or DEFAULT]
    score = None
    if composer:
        arranged = ARRANGEMENTS[asked.arrangement]
        wanted = Music(mood=mood, seconds=seconds, slowing=arranged.slowing, seed=reading.seed)
        score = composed(composer, wanted)
        played = perform(score, arranged, reading.seed, Mix(duration_s=seconds))
        tracks.append(Track(sound=played, gain_db=MUSIC_DB, ducked_db=DUCKED_DB, fade_out_s=1.5))
    if effect := _ambience(asked, reading.title):
        under = sound_of(effect, EffectOptions(seconds=seconds, intensity=0.4), reading.seed)
        tracks.append(
            Track(sound=under, gain_db=AMBIENT_DB, fade_in_s=2.0, fade_out_s=3.0, ducked_db=3.0)
        )
    title, *lines = _lines(spoken, (reading.title, *reading.verse), reading.before_s)
    return Heard(
        sound=mix(tracks, Mix(duration_s=seconds, peak_dbtp=PEAK_DBTP)),
        title=title,
        lines=tuple(lines),
        words=tuple(word.later(reading.before_s) for word in spoken.words),
        score=score,
    )


def _ambience(asked: Recital, title: str) -> str:
    if asked.ambience:
        return "" if asked.ambience == "none" else asked.ambience
    try:
        return find_effect(title)
    except BriefError:
        return ""


def _lines(spoken: Spoken, read: tuple[str, ...], after_s: float) -> tuple[Timed, ...]:
    """When title and lines are read: the voice's phrases in their order."""
    counts = [len(phrases_of(line)) for line in read]
    phrases = list(spoken.phrases)
    found = []
    for line, count in zip(read, counts, strict=True):
        own = [phrases.pop(0) for _ in range(count)]
        found.append(
            Timed(
                text=line,
                start_s=round(own[0].start_s + after_s, 3),
                end_s=round(own[-1].end_s + after_s, 3),
            )
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recited:
    """A poem that was written and read aloud, before anything of it is published.

    inputs  what all its files are made from; facts  what their manifests tell
    """

    brief: VerseReadBrief
    studio: Studio
    title: str
    lines: tuple[str, ...]
    verse: tuple[str, ...]
    heard: Heard
    written: Written
    bundle: Manifest
    composer: Composer | None
    inputs: tuple[Link, ...]
    facts: dict[str, Any]

    def checked(self, film: Film | None = None) -> Recited:
        """The same with what is to be said of its sound; CheckError where that blocks.

        film  that is drawn for it: its pictures must last as long
        """
        heard, composer = self.heard, self.composer
        material = Material(
            sound=heard.sound,
            said=tuple((one.text, one.start_s, one.end_s) for one in (heard.title, *heard.lines)),
            film_s=None if film is None else duration_of(film),
            melody=tuple(heard.score.notes()) if heard.score else None,
            melodies=composer.melodies if composer else None,
        )
        names = (
            *SPOKEN,
            *(("film_timing",) if film else ()),
            *(("melody_copy",) if heard.score else ()),
        )
        found = self.studio.judge.ask(material, names)
        joined = (*self.written.report.checks, *found.checks)
        verdict = gate(joined)
        if verdict.decision == "block":
            raise CheckError(
                "the recital does not pass ({reasons}); try another seed", reasons=verdict
            )
        report = Report(checks=joined, verdict=verdict)
        return replace(
            self,
            written=replace(self.written, report=report),
            facts={**self.facts, "checks": report.to_dict()},
        )

    def published(
        self,
        payloads: Iterable[tuple[str, Payload]],
        shown: str,
        label: Literal["zh", "en", "both"] | None = None,
    ) -> Piece:
        """The files sealed one after the other, and last the report, which begins with `shown`."""
        studio = lettered = self.studio
        if label:
            own = replace(studio.sealer.label, language=label)
            lettered = replace(studio, sealer=replace(studio.sealer, label=own))
        studio.on_event(Event(step="seal", done=2, of=4))
        files = [
            publish(lettered, name, payload, self.inputs, self.facts) for name, payload in payloads
        ]
        content = ReportContent(
            brief=None if studio.private else config.to_dict(self.brief),
            title=self.title,
            lines=self.verse,
            written=self.written,
            model=self.bundle,
            lineage=studio.store.lineage(self.bundle.id),
            files=tuple(files),
            shown=shown,
        )
        page = Payload(media_type="text/html", data=render_report(content))
        files.append(publish(studio, "report.html", page, self.inputs, self.facts))
        studio.on_event(Event(step="done", done=4, of=4))
        return Piece(
            name=self.brief.subject,
            text="\n".join([self.title, "", *self.verse]),
            files=tuple(files),
            manifest=keep_piece(self.brief, studio, files),
            facts={
                "lines": list(self.lines),
                "checks": self.facts["checks"],
                "sameness": self.facts["sameness"],
            },
        )

    def texts(self) -> Iterator[tuple[str, Payload]]:
        """The poem, and its music as notes."""
        plain = "\n".join([self.title, "", *self.verse, ""])
        yield "poem.txt", Payload(media_type="text/plain", data=plain)
        if self.heard.score:
            notes = write_score(replace(self.heard.score, title=self.title))
            yield "music.mid", Payload(media_type="audio/midi", data=notes)


def recited(
    brief: VerseReadBrief, studio: Studio, after_s: float = AFTER_S, drawn: Drawn | None = None
) -> Recited:
    """Write, check, read and compose; raises CheckError if no draw of the poem passes."""
    card = brief.card
    made_with, drafting, bundle = open_drafting(studio.model or brief.writer, card, studio)
    composer, composed_by = composer_for(brief.recital.music, studio)
    speaker, spoken_by = voice_for(brief.recital.engine, studio)
    if studio.commercial:
        require_commercial(studio.store.lineage(bundle.id), made_with)
    inputs: tuple[Link, ...] = (Link(role="bundle", id=bundle.id), *composed_by, *spoken_by)
    if not studio.private:
        inputs = (*inputs, Link(role="brief", id=keep_brief(brief, studio).id))
    studio.on_event(Event(step="write", done=0, of=4))
    written, poem = write(card, studio, drafting, inputs)
    # A private poem's manifest would name the request, and its id would commit to it.
    if not studio.private:
        inputs = (*inputs, Link(role="poem", id=poem.id))
    title = in_script(brief.language, brief.subject)
    lines = tuple(in_script(brief.language, line) for line in written.poem.lines)
    verse = tuple(card.rules.punctuated(lines))
    studio.on_event(Event(step="read", done=1, of=4))
    reading = Reading(title=title, verse=verse, seed=brief.seed, after_s=after_s)
    heard = recite(brief.recital, reading, composer, speaker)
    return Recited(
        brief=brief,
        studio=studio,
        title=title,
        lines=lines,
        verse=verse,
        heard=heard,
        written=written,
        bundle=bundle,
        composer=composer,
        inputs=(*inputs, *((drawn.link,) if drawn else ())),
        facts={
            "made_with": made_with,
            **request_facts(studio, brief),
            "sameness": config.to_dict(repeated(poem, written.poem.lines, studio)),
            "lines": [config.to_dict(one) for one in heard.lines],
            "environment": environment(),
            **drafting.facts(),
            **voice_spent(speaker),
            **({"picture": drawn.facts} if drawn else {}),
        },
    )
