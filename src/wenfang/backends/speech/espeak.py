"""espeak-ng as a voice: Chinese by its syllables, English as it stands, and what comes between.

The library (GPL-3) is a package of the system, and pypinyin, which knows how a character is read
where, is the extra `speech`. Debian's voice `cmn` reads characters wrongly; it is given syllables.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wenfang.backends.speech.speaker import (
    Phrase,
    SpeechOptions,
    Spoken,
    Timed,
    joined_speech,
    phrases_of,
)
from wenfang.errors import BriefError, ConfigError, DependencyError
from wenfang.knowledge.reading import (
    Language,
    language_of,
    runs,
    spoken_chinese,
    spoken_english,
)
from wenfang.media.audio import Sound
from wenfang.store import Manifest

PACKAGE = "libespeak-ng1 espeak-ng-data"
VOICES: dict[Language, str] = {"zh": "cmn-latn-pinyin", "en": "en-us"}
# Variants of the engine's own, which change the throat and not the language.
VARIANTS = {"woman": "f3", "man": "Michael", "child": "Alicia"}
CALM_WPM: dict[Language, int] = {"zh": 155, "en": 158}
# Mandarin needs its tones wide (a fourth tone falls from 206 to 125 Hz so), English less so.
RANGE: dict[Language, int] = {"zh": 85, "en": 60}
RATE_PARAMETER, PITCH_PARAMETER, RANGE_PARAMETER = 1, 3, 4
WORD, PHONEME = 1, 7
CHILD = Path(__file__).with_name("espeak_child.py")
LONGEST_S = 120.0  # that reading may take
QUIET = 0.004  # of full scale: what counts as silence at the ends of a phrase
BETWEEN_RUNS_S = 0.04


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What is said in one language without a pause.

    words   as they are written; places: where each begins in the text that is said
    phrase  the number of the phrase that it belongs to
    """

    words: tuple[str, ...]
    places: tuple[int, ...]
    text: str
    voice: str
    parameters: dict[int, int]
    phrase: int


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """An event: its kind, the place in the text (from 0), the time, and a phoneme's sign."""

    kind: int
    place: int
    at_s: float
    sign: str


def _said(asked: Sequence[_Run]) -> tuple[int, list[tuple[np.ndarray, list[_Mark]]]]:
    """The sample rate, and (N,) float32 samples with the events of each run."""
    requests = [
        {"text": one.text, "voice": one.voice, "parameters": one.parameters} for one in asked
    ]
    try:
        done = subprocess.run(  # a file of ours, by the interpreter that runs this
            [sys.executable, "-I", str(CHILD)],
            input=json.dumps(requests).encode(),
            capture_output=True,
            timeout=LONGEST_S,
            check=True,
        )
        head, _, body = done.stdout.partition(b"\n")
        told = json.loads(head)
    except (subprocess.SubprocessError, OSError, ValueError) as reason:
        raise BriefError(
            "espeak-ng could not read the text ({reason}); leave out what is unusual in it",
            reason=str(reason)[:200],
        ) from None
    if told.get("missing"):
        raise DependencyError(
            "espeak-ng is not installed, so nothing can be read aloud; run apt-get install "
            "{package}",
            package=PACKAGE,
        )
    if "voice" in told:
        raise ConfigError(
            "espeak-ng has no voice {voice}; settings.variant is one of its own, such as Annie, f3 "
            "or m2",
            voice=told["voice"],
        )
    found, at = [], 0
    for one in told["spoken"]:
        heard = np.frombuffer(body, np.int16, one["frames"], 2 * at)
        at += one["frames"]
        marks = [
            _Mark(kind=kind, place=place, at_s=ms / 1000, sign=sign)
            for kind, place, ms, sign in one["marks"]
        ]
        found.append(((heard / 32768).astype(np.float32), marks))
    return int(told["rate_hz"]), found


def syllables(text: str) -> list[tuple[str, str]]:
    """(character, how it is read here) of each Chinese character: ("重", "chong2").

    Readings follow the words that characters stand in, and tones what follows them.
    """
    try:
        from pypinyin import Style, lazy_pinyin
    except ImportError:
        raise DependencyError(
            "Chinese is read by pypinyin, which is not installed; run pip install wenfang[speech]"
        ) from None
    characters = [one for one in text if "\u3400" <= one <= "\u9fff"]
    read = lazy_pinyin(
        "".join(characters), style=Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True
    )
    # A character without a known reading comes back as it is.
    return [(one, said) for one, said in zip(characters, read, strict=True) if said.isascii()]


class Espeak:
    """The voices of espeak-ng."""

    name = "espeak"
    made_from: tuple[Manifest, ...] = ()

    def speak(self, text: str, options: SpeechOptions) -> Spoken:
        """The text, read phrase by phrase.

        raises BriefError for a text without anything that can be read, DependencyError for what is
        not installed, ConfigError for a variant that the engine does not have
        """
        phrases = phrases_of(text, options.pauses)
        main = options.language or language_of(text)
        asked = [
            run
            for number, phrase in enumerate(phrases)
            for run in _runs_of(phrase, number, main, options)
        ]
        rate_hz, said = _said(asked) if asked else (0, [])
        parts: dict[int, list[Spoken]] = {}
        for run, (samples, marks) in zip(asked, said, strict=True):
            spoken = _heard(run, samples, marks, rate_hz)
            if spoken is not None:
                parts.setdefault(run.phrase, []).append(spoken)
        if not parts:
            raise BriefError(
                "there is nothing to read in the text; give words in Chinese or English"
            )
        between = Phrase(text="", mark="", pause_s=BETWEEN_RUNS_S)
        return joined_speech(
            [
                (phrases[number], joined_speech([(between, piece) for piece in pieces]))
                for number, pieces in parts.items()
            ]
        )


def _runs_of(phrase: Phrase, number: int, main: Language, options: SpeechOptions) -> Iterator[_Run]:
    """What a phrase says, in one language after the other."""
    said = spoken_chinese(phrase.text) if main == "zh" else spoken_english(phrase.text)
    for language, run in runs(said) or [(main, said)]:
        words = (
            syllables(run)
            if language == "zh"
            else [(word, word) for word in run.split() if word.isprintable()]
        )
        text, places = "", []
        for _, read in words:
            places.append(len(text))
            text += read + " "
        if not words:
            continue
        yield _Run(
            words=tuple(word for word, _ in words),
            places=tuple(places),
            text=text.rstrip() + _closing(phrase.mark),
            voice=f"{VOICES[language]}+{options.variant or VARIANTS[options.voice]}",
            parameters={
                RATE_PARAMETER: round(CALM_WPM[language] * options.speed),
                # The engine's pitch goes about two octaves from 0 to 100.
                PITCH_PARAMETER: int(np.clip(50 + options.pitch * 4, 0, 100)),
                RANGE_PARAMETER: RANGE[language],
            },
            phrase=number,
        )


def _heard(run: _Run, samples: np.ndarray, marks: list[_Mark], rate_hz: int) -> Spoken | None:
    """What was said without the silence around it; None where nothing was."""
    first, after = _sounding(samples)
    if first == after:
        return None
    offset_s, end_s = first / rate_hz, (after - first) / rate_hz
    begun = list(_words_begun(marks, run.places, offset_s))
    ends = [*(at for _, at in begun[1:]), end_s]
    signs = [one for one in marks if one.kind == PHONEME and not one.sign.startswith("_")]
    sign_ends = [*(one.at_s - offset_s for one in signs[1:]), end_s]
    return Spoken(
        sound=Sound(samples=samples[first:after, None], sample_rate_hz=rate_hz),
        phrases=(),
        words=tuple(
            Timed(text=run.words[number], start_s=at, end_s=max(at, end))
            for (number, at), end in zip(begun, ends, strict=True)
        ),
        phonemes=tuple(
            Timed(text=one.sign, start_s=max(0.0, one.at_s - offset_s), end_s=max(0.0, end))
            for one, end in zip(signs, sign_ends, strict=True)
        ),
    )


def _closing(mark: str) -> str:
    """The mark that shapes the melody of a phrase."""
    if mark in ("？", "?"):
        return "?"
    if mark in ("！", "!"):
        return "!"
    return "," if mark in ("、", "，", ",", "：", ":", "；", ";", "—") else "."


def _words_begun(
    marks: list[_Mark], places: Sequence[int], offset_s: float
) -> Iterator[tuple[int, float]]:
    """(number of the word, its start) of each word once, in their order."""
    told = -1
    for mark in marks:
        if mark.kind != WORD or mark.place < 0:
            continue
        number = int(np.searchsorted(places, mark.place, side="right")) - 1
        if number > told:
            told = number
            yield number, max(0.0, mark.at_s - offset_s)


def _sounding(samples: np.ndarray) -> tuple[int, int]:
    """Where a phrase begins and ends to be heard; equal where it never does."""
    heard = np.flatnonzero(np.abs(samples) > QUIET)
    return (int(heard[0]), int(heard[-1]) + 1) if heard.size else (0, 0)
