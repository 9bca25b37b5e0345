"""How verse is read aloud over music, for every piece in which it is heard.

Music begins alone, gives way to the title and the lines, and ends after them; rain, water or wind
lies under it where the subject names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wenfang.backends.choosing import spent_by
from wenfang.backends.composer import Composer, PartSampling
from wenfang.backends.loading import load_named
from wenfang.backends.speech.choosing import open_speaker
from wenfang.backends.speech.speaker import (
    Speaker,
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
from wenfang.device import noise
from wenfang.errors import BriefError, CheckError
from wenfang.knowledge import script
from wenfang.knowledge.moods import DEFAULT, MOODS, Mood, key_for, mood_of
from wenfang.media.audio import Sound
from wenfang.media.four_parts import BEAT
from wenfang.media.score import Score
from wenfang.scenarios.piece import Studio
from wenfang.scenarios.rights import require_commercial
from wenfang.store import Link, Manifest

COMPOSER = "chorale"
MUSIC_BEATS, CANDIDATES = 4, 4
BEFORE_S, AFTER_S = 3.4, 4.6  # of music alone
MUSIC_DB, DUCKED_DB, AMBIENT_DB = -5.0, 9.0, -13.0
# A watermark and a lossy code add up to half a decibel to what is mixed.
PEAK_DBTP = -1.6
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


def with_sound(report: Report, heard: Heard, composer: Composer | None, studio: Studio) -> Report:
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


def voice_for(engine: str, studio: Studio) -> tuple[Speaker, tuple[Link, ...]]:
    """Who reads, and the link to what that is; none for a program of the system."""
    speaker = open_speaker(engine)
    adopted = studio.store.adopt(speaker.made_from)[-1:]
    if studio.commercial and adopted:
        require_commercial(studio.store.lineage(adopted[0].id), speaker.name)
    return speaker, tuple(Link(role="voice", id=one.id) for one in adopted)


def voice_spent(speaker: Speaker) -> dict[str, Any]:
    """What a voice that costs has cost, for the facts of a piece."""
    spent = spent_by(speaker)
    return {"voice_spent": spent} if spent else {}


def composer_for(music: str, studio: Studio) -> tuple[Composer | None, tuple[Link, ...]]:
    """Who composes, and the link to its bundle; nobody where no music is asked for."""
    if not music:
        return None, ()
    loaded = load_named(music)
    adopted: Manifest = studio.store.adopt([*loaded.ancestors, loaded.manifest])[-1]
    if studio.commercial:
        require_commercial(studio.store.lineage(adopted.id), loaded.name)
    return Composer(loaded), (Link(role="composer", id=adopted.id),)


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


@dataclass(frozen=True, kw_only=True)
class Music:
    """Music that ends with a piece of so many seconds.

    slowing  of its last bars, as its arrangement has it
    name     whose chance it is, beside the seed
    """

    mood: Mood
    seconds: float
    slowing: float
    seed: int
    name: str = "recital"


def composed(composer: Composer, asked: Music) -> Score:
    """A piece of whole bars whose tempo lets its last chord end with what it is for."""
    seconds = asked.seconds - 1.5
    bars = max(2, min(MOST_BARS, round(seconds * asked.mood.bpm / 60 / MUSIC_BEATS)))
    choice = int(noise(asked.seed, "key").integers(60))
    wanted = Asked(
        key=key_for(asked.mood, choice),
        beats=MUSIC_BEATS,
        upbeat=0,
        bars=bars,
        density=asked.mood.density,
    )
    streams = [(asked.seed, asked.name, number) for number in range(CANDIDATES)]
    drawn = composer.compose([wanted] * CANDIDATES, streams, PartSampling())
    known = composer.melodies
    # The one that says least after others; of equals the first.
    piece = min(drawn, key=lambda one: known.longest_copy([*one.score().notes()]).intervals
                if known else 0)  # fmt: skip
    # The last two bars last longer by a third of what they are slowed by.
    beats = len(piece) / BEAT + asked.slowing / 3 * 2 * MUSIC_BEATS
    return piece.articulated().score(beats * 60 / seconds)


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
