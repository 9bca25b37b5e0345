"""For a voice that gives sound and no times: what it is asked to say, and when each word is heard.

It is asked for one phrase after another, so that phrases and pauses are exact; within a phrase
words share its time by how long they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wenfang.backends.speech.speaker import (
    Phrase,
    SpeechOptions,
    Spoken,
    Timed,
    joined_speech,
    phrases_of,
)
from wenfang.errors import BriefError, MediaError
from wenfang.knowledge.reading import HAN, Language, language_of, spoken_chinese, spoken_english
from wenfang.media.audio import Sound, resample
from wenfang.media.stretch import stretched

MOST_AT_ONCE = 2000  # characters; OpenAI's endpoints take 4096, and some 2000 tokens
MOST_S = 3600.0
# Between these, at the speed of 1, no reading of a text lies: for any, and for each syllable.
SLACK_S, SLOWEST_S, FASTEST_S = 6.0, 1.5, 0.04
FEW_SYLLABLES = 6.0  # of fewer it cannot be told that something is missing
LETTERS = 3  # of an English syllable
WORD = re.compile(rf"[{HAN}]|[^\s{HAN}]+")
VOWELS = re.compile(r"[aeiouyà-öø-ɏ]+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One phrase as it is asked for.

    text   with numbers and signs as words, and a mark at its end
    words  with their length in syllables
    """

    phrase: Phrase
    text: str
    words: tuple[tuple[str, float], ...]

    @property
    def syllables(self) -> float:
        """Of all words."""
        return sum(length for _, length in self.words)

    def longest_s(self, speed: float) -> float:
        """What no reading of it lasts longer than."""
        return (SLACK_S + SLOWEST_S * self.syllables) / speed


def pieces_of(text: str, options: SpeechOptions) -> list[Piece]:
    """A text as what is asked for; BriefError for nothing to read, or too long a phrase."""
    main = options.language or language_of(text)
    found = []
    for phrase in phrases_of(text, options.pauses):
        said = spoken_chinese(phrase.text) if main == "zh" else spoken_english(phrase.text)
        said = " ".join("".join(one if one.isprintable() else " " for one in said).split())
        words = _words(said)
        if words:
            found.append(Piece(phrase=phrase, text=said + _closing(phrase.mark, main), words=words))
    if not found:
        raise BriefError("there is nothing to read in the text; give words in Chinese or English")
    longest = max(len(piece.text) for piece in found)
    if longest > MOST_AT_ONCE:
        raise BriefError(
            "a phrase has {count} characters; this voice reads {most} at once: put stops into it",
            count=longest,
            most=MOST_AT_ONCE,
        )
    return found


def _closing(mark: str, language: Language) -> str:
    """The mark by which a voice knows whether to rise or to fall; a full stop where none stands."""
    return mark.strip() or ("。" if language == "zh" else ".")


def _words(said: str) -> tuple[tuple[str, float], ...]:
    """(word, length) of what is said: a Chinese character is one syllable."""
    bare = (word[0].strip("'’\"“”()[]<>-–—_*#") for word in WORD.finditer(said))
    return tuple((word, _length(word)) for word in bare if any(map(str.isalnum, word)))


def _length(word: str) -> float:
    """In syllables of three letters: those that are written long are said longer."""
    digits = sum(map(str.isdigit, word))
    letters = re.sub(r"[\d\W_]", "", word)
    if not letters:
        return float(digits)
    if re.match(f"[{HAN}]", letters):
        return 1.0
    if len(letters) > 1 and letters.isupper() and len(letters) < 5:  # spelt
        return float(digits + len(letters))
    vowels = len(VOWELS.findall(letters))
    silent = vowels > 1 and re.search(r"[^aeiouyl]e$", letters, re.IGNORECASE) is not None
    return digits + (max(1, vowels - silent) + len(letters) / LETTERS) / 2


def spoken(
    pieces: Sequence[Piece], sounds: Iterable[Sound], options: SpeechOptions, *, paced: bool
) -> Spoken:
    """The sounds of all pieces as one reading; the next sound is taken when the last one is done.

    paced   whether the voice kept `options.speed` itself; otherwise, and for the pitch, the sound
            is stretched
    raises  MediaError for a sound that cannot be the piece's, or more than an hour of them
    """
    parts: list[tuple[Phrase, Spoken]] = []
    rate_hz, total_s = 0, 0.0
    for piece, sound in zip(pieces, sounds, strict=True):
        _require_whole(piece, sound, options.speed if paced else 1.0)
        changed = stretched(sound, 1.0 if paced else options.speed, options.pitch)
        rate_hz = rate_hz or changed.sample_rate_hz
        changed = resample(changed, rate_hz)
        total_s += changed.duration_s
        if total_s > MOST_S:
            raise MediaError("the reading lasts more than {seconds} s; read it in parts",
                             seconds=f"{MOST_S:g}")  # fmt: skip
        words = tuple(_timed(piece, changed.duration_s))
        parts.append((piece.phrase, Spoken(sound=changed, phrases=(), words=words, estimated=True)))
    return joined_speech(parts)


def _require_whole(piece: Piece, sound: Sound, speed: float) -> None:
    least_s = FASTEST_S * piece.syllables / speed
    if piece.syllables >= FEW_SYLLABLES and sound.duration_s < least_s:
        raise MediaError(
            "the sound lasts {seconds} s, too short for {count} characters; does the voice know "
            "the language?",
            seconds=f"{sound.duration_s:.2f}",
            count=len(piece.text),
        )


def _timed(piece: Piece, seconds: float) -> Iterable[Timed]:
    at = 0.0
    for word, length in piece.words:
        end = at + length
        share = seconds / piece.syllables
        yield Timed(text=word, start_s=at * share, end_s=end * share)
        at = end
