"""Who reads and who composes in a piece, and music as long as the piece is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wenfang.backends.choosing import spent_by
from wenfang.backends.composer import Composer, PartSampling
from wenfang.backends.loading import load_named
from wenfang.backends.speech.choosing import open_speaker
from wenfang.backends.speech.speaker import Speaker
from wenfang.data.part_tokens import MOST_BARS, Asked
from wenfang.device import noise
from wenfang.knowledge.moods import Mood, key_for
from wenfang.media.four_parts import BEAT
from wenfang.media.score import Score
from wenfang.scenarios.piece import Studio
from wenfang.scenarios.rights import require_commercial
from wenfang.store import Link, Manifest

COMPOSER = "chorale"
MUSIC_BEATS, CANDIDATES = 4, 4
# A watermark and a lossy code add up to half a decibel to what is mixed.
PEAK_DBTP = -1.6


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
