"""A subject becomes a quatrain that is read aloud over music: sound, text and a report, all sealed.

Music begins alone, gives way to the title and the lines, and ends after them; rain, water or wind
lies under it where the subject names them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wenfang import config
from wenfang.backends.composer import Composer, PartSampling
from wenfang.backends.loading import load_named
from wenfang.backends.speech.espeak import Espeak
from wenfang.backends.speech.speaker import (
    SpeechOptions,
    Spoken,
    Timed,
    Voice,
    phrases_of,
)
from wenfang.checks import SOUND, Material, Report, gate
from wenfang.compose.effects import EFFECTS, EffectOptions, find_effect, sound_of
from wenfang.compose.mix import Mix, Track, mix
from wenfang.compose.perform import ARRANGEMENTS, find_arrangement, perform
from wenfang.compose.voice import polished
from wenfang.data.part_tokens import MOST_BARS, Asked
from wenfang.device import environment, noise
from wenfang.errors import BriefError, CheckError
from wenfang.knowledge import script
from wenfang.knowledge.moods import DEFAULT, MOODS, Mood, key_for, mood_of
from wenfang.media.audio import Sound
from wenfang.media.four_parts import BEAT
from wenfang.media.score import Score, write_score
from wenfang.samplers.verse import VerseSampling
from wenfang.scenarios.piece import Event, Piece, Studio, publish, request_facts
from wenfang.scenarios.quatrain import repeated, write
from wenfang.scenarios.report import ReportContent, render_report
from wenfang.scenarios.rights import require_commercial
from wenfang.scenarios.verse_brief import WRITER, VerseCardBrief, VerseConstraints
from wenfang.scenarios.verse_writing import in_script, keep_brief, keep_piece, open_drafting
from wenfang.seal import Payload, SealedFile
from wenfang.store import Link, Manifest

COMPOSER = "chorale"
MUSIC_BEATS, CANDIDATES = 4, 4
BEFORE_S, AFTER_S = 3.4, 4.6  # of music alone
MUSIC_DB, DUCKED_DB, AMBIENT_DB = -5.0, 9.0, -13.0
TITLE_PAUSE = "。\n\n"


@dataclass(frozen=True, kw_only=True)
class Recital:
    """How it is read and what is heard beside it.

    voice        woman, man or child
    speed        of the reading; verse is read slowly
    pauses       what pauses are multiplied by
    music        a bundle that composes for four voices; "": none
    mood         of the music; "": as subject and lines have it
    arrangement  who plays
    ambience     an effect, such as rain; "": as the subject names one; "none"
    """

    voice: Voice = "woman"
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
        for name, value, known in (
            ("mood", self.mood, [*MOODS]),
            ("ambience", self.ambience, ["none", *EFFECTS]),
        ):
            if value and value not in known:
                raise BriefError(
                    "recital.{name} is {value}; choose one of {known}",
                    name=name,
                    value=value,
                    known=", ".join(known),
                )


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


def _with_sound(report: Report, heard: Heard, composer: Composer | None, studio: Studio) -> Report:
    """The poem's report and what is to be said of the sound; CheckError where that blocks."""
    material = Material(
        sound=heard.sound,
        melody=tuple(heard.score.notes()) if heard.score else None,
        melodies=composer.melodies if composer else None,
    )
    found = studio.judge.ask(material, (*SOUND, *(("melody_copy",) if heard.score else ())))
    joined = (*report.checks, *found.checks)
    verdict = gate(joined)
    if verdict.decision == "block":
        raise CheckError("the recital does not pass ({reasons}); try another seed", reasons=verdict)
    return Report(checks=joined, verdict=verdict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """A recital: its sound, and when each line is read."""

    sound: Sound
    lines: tuple[Timed, ...]
    score: Score | None


def verse_recital(brief: VerseRecitalBrief, studio: Studio) -> Piece:
    """Write, check, read, compose, mix and seal; raises CheckError if no draw passes."""
    card = brief.card
    made_with, drafting, bundle = open_drafting(studio.model or brief.writer, card, studio)
    composer, composed = _composer(brief, studio)
    lineage = studio.store.lineage(bundle.id)
    if studio.commercial:
        require_commercial(lineage, made_with)
    made_from: tuple[Link, ...] = (Link(role="bundle", id=bundle.id), *composed)
    if not studio.private:
        made_from = (*made_from, Link(role="brief", id=keep_brief(brief, studio).id))
    studio.on_event(Event(step="write", done=0, of=4))
    written, poem = write(card, studio, drafting, made_from)
    title = in_script(brief.language, brief.subject)
    lines = tuple(in_script(brief.language, line) for line in written.poem.lines)
    verse = tuple(card.rules.punctuated(lines))
    studio.on_event(Event(step="read", done=1, of=4))
    heard = recite(brief, title, verse, composer)
    written = replace(written, report=_with_sound(written.report, heard, composer, studio))
    inputs = made_from if studio.private else (*made_from, Link(role="poem", id=poem.id))
    facts: dict[str, Any] = {
        "made_with": made_with,
        **request_facts(studio, brief),
        "checks": written.report.to_dict(),
        "sameness": config.to_dict(repeated(poem, written.poem.lines, studio)),
        "lines": [config.to_dict(one) for one in heard.lines],
        "environment": environment(),
        **drafting.facts(),
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


def _composer(brief: VerseRecitalBrief, studio: Studio) -> tuple[Composer | None, tuple[Link, ...]]:
    """Who composes, and the link to its bundle; nobody where no music is asked for."""
    if not brief.recital.music:
        return None, ()
    loaded = load_named(brief.recital.music)
    adopted: Manifest = studio.store.adopt([*loaded.ancestors, loaded.manifest])[-1]
    if studio.commercial:
        require_commercial(studio.store.lineage(adopted.id), loaded.name)
    return Composer(loaded), (Link(role="composer", id=adopted.id),)


def recite(
    brief: VerseRecitalBrief, title: str, verse: tuple[str, ...], composer: Composer | None
) -> Heard:
    """The reading with its music and what lies under both."""
    asked = brief.recital
    options = SpeechOptions(
        voice=asked.voice, speed=asked.speed, pauses=asked.pauses, language="zh"
    )
    # Readings of characters are known best in simplified form.
    text = script.to_simplified(title + TITLE_PAUSE + "\n".join(verse))
    spoken = Espeak().speak(text, options)
    voice = polished(spoken.sound)
    seconds = BEFORE_S + voice.duration_s + AFTER_S
    tracks = [Track(sound=voice, start_s=BEFORE_S, speech=True)]
    mood = MOODS[asked.mood or mood_of(title + "".join(verse)) or DEFAULT]
    score = None
    if composer:
        score = _score(composer, brief, mood, seconds)
        played = perform(
            score, ARRANGEMENTS[asked.arrangement], brief.seed, Mix(duration_s=seconds)
        )
        tracks.append(Track(sound=played, gain_db=MUSIC_DB, ducked_db=DUCKED_DB, fade_out_s=1.5))
    if effect := _ambience(asked, title):
        under = sound_of(effect, EffectOptions(seconds=seconds, intensity=0.4), brief.seed)
        tracks.append(
            Track(sound=under, gain_db=AMBIENT_DB, fade_in_s=2.0, fade_out_s=3.0, ducked_db=3.0)
        )
    return Heard(
        sound=mix(tracks, Mix(duration_s=seconds)),
        lines=_lines(spoken, verse, BEFORE_S),
        score=score,
    )


def _score(composer: Composer, brief: VerseRecitalBrief, mood: Mood, seconds: float) -> Score:
    """A piece of whole bars whose tempo lets its last chord end with the recital."""
    slowed = ARRANGEMENTS[brief.recital.arrangement].slowing
    bars = round((seconds - 1.5) * mood.bpm / 60 / MUSIC_BEATS)
    bars = max(2, min(MOST_BARS, bars))
    choice = int(noise(brief.seed, "key").integers(60))
    asked = Asked(
        key=key_for(mood, choice), beats=MUSIC_BEATS, upbeat=0, bars=bars, density=mood.density
    )
    streams = [(brief.seed, "recital", number) for number in range(CANDIDATES)]
    drawn = composer.compose([asked] * CANDIDATES, streams, PartSampling())
    known = composer.melodies
    # The one that says least after others; of equals the first.
    piece = min(drawn, key=lambda one: known.longest_copy([*one.score().notes()]).intervals
                if known else 0)  # fmt: skip
    # The last two bars last longer by a third of what they are slowed by.
    beats = len(piece) / BEAT + slowed / 3 * 2 * MUSIC_BEATS
    return piece.articulated().score(beats * 60 / (seconds - 1.5))


def _ambience(asked: Recital, title: str) -> str:
    if asked.ambience:
        return "" if asked.ambience == "none" else asked.ambience
    try:
        return find_effect(title)
    except BriefError:
        return ""


def _lines(spoken: Spoken, verse: tuple[str, ...], after_s: float) -> tuple[Timed, ...]:
    """When each line is read: the voice's phrases after the title, in their order."""
    counts = [len(phrases_of(line)) for line in verse]
    phrases = list(spoken.phrases[-sum(counts) :])
    found = []
    for line, count in zip(verse, counts, strict=True):
        own = [phrases.pop(0) for _ in range(count)]
        found.append(
            Timed(
                text=line,
                start_s=round(own[0].start_s + after_s, 3),
                end_s=round(own[-1].end_s + after_s, 3),
            )
        )
    return tuple(found)


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
