"""espeak-ng as a voice: Chinese by its syllables, English as it stands, and what comes between.

The library (GPL-3) is a package of the system, and pypinyin, which knows how a character is read
where, is the extra `speech`. Debian's voice `cmn` reads characters wrongly; it is given syllables.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

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

PACKAGE = "libespeak-ng1 espeak-ng-data"
VOICES: dict[Language, str] = {"zh": "cmn-latn-pinyin", "en": "en-us"}
# Variants of the engine's own, which change the throat and not the language.
VARIANTS = {"woman": "f3", "man": "Michael", "child": "Alicia"}
CALM_WPM: dict[Language, int] = {"zh": 155, "en": 158}
# Mandarin needs its tones wide (a fourth tone falls from 206 to 125 Hz so), English less so.
RANGE: dict[Language, int] = {"zh": 85, "en": 60}
RATE_PARAMETER, PITCH_PARAMETER, RANGE_PARAMETER = 1, 3, 4
SYNCHRONOUS, PHONEME_EVENTS, UTF8 = 2, 1, 1
WORD, SENTENCE, END, PHONEME = 1, 2, 5, 7
BY_CHARACTER = 1
QUIET = 0.004  # of full scale: what counts as silence at the ends of a phrase
BETWEEN_RUNS_S = 0.04


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Heard = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """An event: its kind, the place in the text (from 0), the time, and a phoneme's sign."""

    kind: int
    place: int
    at_s: float
    sign: str


class _Engine:
    """The library, which speaks one text at a time for the whole process."""

    def __init__(self, library: Any) -> None:
        self.library, self.lock = library, threading.Lock()
        self.rate_hz = int(library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS))
        if self.rate_hz <= 0:
            raise DependencyError(
                "espeak-ng does not start; run apt-get install --reinstall {package}",
                package=PACKAGE,
            )
        self._samples: list[np.ndarray] = []
        self._marks: list[_Mark] = []
        self._callback = _Heard(self._hear)
        library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        number = 0
        while events[number].type:
            one = events[number]
            sign = bytes(one.id.string).split(b"\0")[0] if one.type == PHONEME else b""
            self._marks.append(
                _Mark(
                    kind=one.type,
                    place=one.text_position - 1,
                    at_s=one.audio_position / 1000,
                    sign=sign.decode("utf-8", "replace"),
                )
            )
            number += 1
        return 0

    def say(
        self, text: str, voice: str, parameters: dict[int, int]
    ) -> tuple[np.ndarray, list[_Mark]]:
        """(N,) float32 samples and the events; ConfigError for a voice that is not there."""
        with self.lock:
            if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ConfigError(
                    "espeak-ng has no voice {voice}; settings.variant is one of its own, such as "
                    "Annie, f3 or m2",
                    voice=voice,
                )
            for parameter, value in parameters.items():
                self.library.espeak_SetParameter(parameter, value, 0)
            self._samples, self._marks = [], []
            data = text.encode() + b"\0"
            self.library.espeak_Synth(data, len(data), 0, BY_CHARACTER, 0, UTF8, None, None)
            heard = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
            return (heard / 32768).astype(np.float32), self._marks


@cache
def _engine() -> _Engine:
    for name in ("libespeak-ng.so.1", ctypes.util.find_library("espeak-ng")):
        try:
            return _Engine(ctypes.CDLL(name)) if name else _missing()
        except OSError:
            continue
    return _missing()


def _missing() -> _Engine:
    raise DependencyError(
        "espeak-ng is not installed, so nothing can be read aloud; run apt-get install {package}",
        package=PACKAGE,
    )


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

    def speak(self, text: str, options: SpeechOptions) -> Spoken:
        """The text, read phrase by phrase.

        raises BriefError for a text without anything that can be read, DependencyError for what is
        not installed, ConfigError for a variant that the engine does not have
        """
        parts = []
        for phrase in phrases_of(text, options.pauses):
            spoken = self._phrase(phrase, text, options)
            if spoken is not None:
                parts.append((phrase, spoken))
        if not parts:
            raise BriefError(
                "there is nothing to read in the text; give words in Chinese or English"
            )
        return joined_speech(parts)

    def _phrase(self, phrase: Phrase, text: str, options: SpeechOptions) -> Spoken | None:
        main = options.language or language_of(text)
        said = spoken_chinese(phrase.text) if main == "zh" else spoken_english(phrase.text)
        pieces = [
            piece
            for language, run in (runs(said) or [(main, said)])
            if (piece := self._run(language, run, phrase.mark, options)) is not None
        ]
        if not pieces:
            return None
        between = Phrase(text="", mark="", pause_s=BETWEEN_RUNS_S)
        return joined_speech([(between, piece) for piece in pieces])

    @staticmethod
    def _run(language: Language, run: str, mark: str, options: SpeechOptions) -> Spoken | None:
        engine = _engine()
        words = (
            syllables(run) if language == "zh" else [(word, word) for word in run.split() if word]
        )
        if not words:
            return None
        text, places = "", []
        for _, read in words:
            places.append(len(text))
            text += read + " "
        text = text.rstrip() + _closing(mark)
        variant = options.variant or VARIANTS[options.voice]
        samples, marks = engine.say(
            text,
            f"{VOICES[language]}+{variant}",
            {
                RATE_PARAMETER: round(CALM_WPM[language] * options.speed),
                # The engine's pitch goes about two octaves from 0 to 100.
                PITCH_PARAMETER: int(np.clip(50 + options.pitch * 4, 0, 100)),
                RANGE_PARAMETER: RANGE[language],
            },
        )
        first, after = _sounding(samples)
        if first == after:
            return None
        offset_s, end_s = first / engine.rate_hz, (after - first) / engine.rate_hz
        begun = list(_words_begun(marks, places, offset_s))
        ends = [*(at for _, at in begun[1:]), end_s]
        signs = [one for one in marks if one.kind == PHONEME and not one.sign.startswith("_")]
        sign_ends = [*(one.at_s - offset_s for one in signs[1:]), end_s]
        return Spoken(
            sound=Sound(samples=samples[first:after, None], sample_rate_hz=engine.rate_hz),
            phrases=(),
            words=tuple(
                Timed(text=words[number][0], start_s=at, end_s=max(at, end))
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
    marks: list[_Mark], places: list[int], offset_s: float
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
