"""What every voice is asked and gives: a text with its language, and sound with its times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Literal, Protocol

import numpy as np

from wenfang.errors import BriefError, ConfigError
from wenfang.knowledge.reading import HAN, Language
from wenfang.media.audio import Sound
from wenfang.store import Manifest

MOST_CHARACTERS, UNREAD_TOLD = 20_000, 20
# Silence after a phrase in seconds, by the mark that ends it.
PAUSES_S = {
    "、": 0.16, "，": 0.26, ",": 0.26, "：": 0.34, ":": 0.34, "；": 0.36, ";": 0.36, "—": 0.34,
    "…": 0.45, "。": 0.5, ".": 0.5, "！": 0.5, "!": 0.5, "？": 0.55, "?": 0.55, "\n": 0.7,
}  # fmt: skip
# A mark ends a phrase in Chinese always, and in Latin where a space or the end follows it.
PHRASE_END = re.compile(r"[、，：；。！？…—\n]+|[,.:;!?](?=\s|$)")
# A point behind these is none; LONGEST_SHORT is the longest and the character before it.
ABBREVIATION = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|Jr|Sr|vs|e\.g|i\.e|approx)$")
LONGEST_SHORT = 7
SPEAKABLE = re.compile(rf"[{HAN}A-Za-z0-9À-ɏ]")
Voice = Literal["woman", "man", "child"]


@dataclass(frozen=True, kw_only=True)
class SpeechOptions:
    """How a text is read.

    voice    of those that a voice engine has; what else it knows is named by `variant`
    variant  a name of the engine's own; "": by the voice
    speed    1 is the engine's calm reading, 0.5 half as fast
    pitch    semitones higher
    pauses   what pauses are multiplied by
    language "zh" or "en"; "": as the text is
    engine   who reads: "" is the voice of this machine, see `open_speaker`
    """

    voice: Voice = "woman"
    variant: str = ""
    speed: float = 1.0
    pitch: float = 0.0
    pauses: float = 1.0
    language: Language | Literal[""] = ""
    engine: str = field(default="", metadata={"later": True})

    def __post_init__(self) -> None:
        """Refuse what cannot be read so."""
        for name, low, high in (("speed", 0.4, 3.0), ("pitch", -12.0, 12.0), ("pauses", 0.0, 5.0)):
            value = getattr(self, name)
            if not isfinite(value) or not low <= value <= high:
                raise ConfigError(
                    "settings.{name} is {value}; it must be {low} to {high}",
                    name=name,
                    value=value,
                    low=low,
                    high=high,
                )


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A word, a sound or a phrase, and when it is heard."""

    text: str
    start_s: float
    end_s: float

    def later(self, seconds: float) -> Timed:
        """The same, `seconds` later."""
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spoken:
    """A text that was read.

    sound     one channel
    phrases   what lies between two marks, as it was written
    words     as they were said: syllables of Chinese, words of English
    phonemes  the engine's own signs; none where it tells none
    estimated  whether the voice told no times of words, and they share their phrase's time
    """

    sound: Sound
    phrases: tuple[Timed, ...]
    words: tuple[Timed, ...]
    phonemes: tuple[Timed, ...] = ()
    estimated: bool = False


class Speaker(Protocol):
    """A voice.

    name       as it is chosen; never holds a key
    made_from  manifests of what it is, sources first; none for a program of the system
    """

    name: str
    made_from: tuple[Manifest, ...]

    def speak(self, text: str, options: SpeechOptions) -> Spoken:
        """The text, read; BriefError for one that cannot be."""
        ...


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """What lies between two marks, the mark, and how long a silence follows it."""

    text: str
    mark: str
    pause_s: float


def unread(text: str) -> str:
    """Letters of a text that are of neither Chinese nor English, each once; at most UNREAD_TOLD."""
    letters = (one for one in text if one.isalpha() and not SPEAKABLE.match(one))
    return "".join(dict.fromkeys(letters))[:UNREAD_TOLD]


def phrases_of(text: str, pauses: float = 1.0) -> list[Phrase]:
    """A text as phrases that have something to say; an empty line is a longer pause.

    raises BriefError for a text without anything to read, or too long a one
    """
    if len(text) > MOST_CHARACTERS:
        raise BriefError(
            "the text has {count} characters; at most {most} are read in one piece",
            count=len(text),
            most=MOST_CHARACTERS,
        )
    found: list[Phrase] = []
    at = 0
    for end in [*PHRASE_END.finditer(text), None]:
        before = text[max(0, end.start() - LONGEST_SHORT) : end.start()] if end else ""
        if end and end[0] == "." and ABBREVIATION.search(before):
            continue
        said = text[at : end.start() if end else len(text)].strip()
        marks = end[0] if end else ""
        at = end.end() if end else len(text)
        pause = max((PAUSES_S.get(mark, 0.0) for mark in marks), default=0.0)
        pause += 0.3 * max(0, marks.count("\n") - 1)
        if SPEAKABLE.search(said):
            found.append(Phrase(text=said, mark=marks[:1], pause_s=pause * pauses))
        elif found and pause * pauses > found[-1].pause_s:
            found[-1] = replace(found[-1], pause_s=pause * pauses)
    if not found:
        raise BriefError("there is nothing to read in the text; give words in Chinese or English")
    return found


def joined_speech(parts: Sequence[tuple[Phrase, Spoken]]) -> Spoken:
    """Phrases that were read one by one, with the silence after each."""
    rate_hz = parts[0][1].sound.sample_rate_hz
    samples: list[np.ndarray] = []
    phrases: list[Timed] = []
    words: list[Timed] = []
    phonemes: list[Timed] = []
    at = 0
    for number, (phrase, spoken) in enumerate(parts):
        start_s = at / rate_hz
        sound = spoken.sound.samples
        samples.append(sound)
        end_s = start_s + len(sound) / rate_hz
        phrases.append(Timed(text=phrase.text + phrase.mark.strip(), start_s=start_s, end_s=end_s))
        words += [one.later(start_s) for one in spoken.words]
        phonemes += [one.later(start_s) for one in spoken.phonemes]
        silent = round(phrase.pause_s * rate_hz) if number < len(parts) - 1 else 0
        samples.append(np.zeros((silent, 1), np.float32))
        at += len(sound) + silent
    return Spoken(
        sound=Sound(samples=np.concatenate(samples), sample_rate_hz=rate_hz),
        phrases=tuple(phrases),
        words=tuple(words),
        phonemes=tuple(phonemes),
        estimated=any(spoken.estimated for _, spoken in parts),
    )
