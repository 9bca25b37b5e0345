"""The brief of `jingle`: who is named, how it sounds, how long it is, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from wenfang.backends.speech.speaker import Voice, phrases_of
from wenfang.compose.perform import ARRANGEMENTS
from wenfang.errors import BriefError
from wenfang.knowledge.moods import MOODS, Mood, mood_of
from wenfang.scenarios.performers import COMPOSER
from wenfang.scenarios.piece import require_known

PLAIN_MOOD = "bright"  # where no word names one
BRAND_CHARACTERS, SLOGAN_CHARACTERS = 40, 80
SECONDS = (3.0, 30.0)
VARIANTS = (1, 6)


@dataclass(frozen=True, kw_only=True)
class JingleBrief:
    """The brief of `jingle`."""

    scenario: Literal["jingle"] = field(
        default="jingle", metadata={"doc": "which scenario this brief is for"}
    )
    brand: str = field(metadata={"doc": "the name that is said, Chinese or English"})
    slogan: str = field(default="", metadata={"doc": "a few words more; empty: the name alone"})
    mood: str = field(
        default="",
        metadata={
            "doc": f"{', '.join(MOODS)}; empty: as the words of brand and slogan have it, or "
            f"else {PLAIN_MOOD}"
        },
    )
    seconds: float = field(
        default=8.0, metadata={"doc": "how long it is, exactly, before its label; 3 to 30"}
    )
    engine: str = field(
        default="",
        metadata={"doc": "whose voice: espeak, openai:URL#model, or command:NAME of voices.json"},
    )
    voice: Voice = field(default="woman", metadata={"doc": "who says the name"})
    variant: str = field(
        default="", metadata={"doc": "a voice by the engine's own name for it; empty: by voice"}
    )
    language: Literal["", "zh", "en"] = field(
        default="", metadata={"doc": "language of what is said; empty: as it is written"}
    )
    arrangement: str = field(
        default="",
        metadata={
            "doc": f"who plays: {', '.join(ARRANGEMENTS)}; empty: as the mood has it, each "
            "variant another"
        },
    )
    variants: int = field(default=3, metadata={"doc": "how many to choose from, 1 to 6"})
    loop: bool = field(
        default=True,
        metadata={"doc": "its end leads into its beginning; false: it ends and dies away"},
    )
    signature: Literal["chime", "bell", "none"] = field(
        default="chime", metadata={"doc": "a small sound after the name, in the music's key"}
    )
    music: str = field(default=COMPOSER, metadata={"doc": "a bundle that composes for four voices"})
    seed: int = field(default=0, metadata={"doc": "the same seed gives the same piece"})

    @property
    def subject(self) -> str:
        """What the piece is called."""
        return self.brand

    @property
    def felt(self) -> str:
        """The name of the mood."""
        return self.mood or mood_of(f"{self.brand} {self.slogan}") or PLAIN_MOOD

    @property
    def feeling(self) -> Mood:
        """What the mood asks."""
        return MOODS[self.felt]

    def __post_init__(self) -> None:
        """Refuse what no jingle can be made of; whether the words fit is known once they are said.

        raises BriefError
        """
        _require_words("brand", self.brand, BRAND_CHARACTERS)
        phrases_of(self.brand)
        if self.slogan:
            _require_words("slogan", self.slogan, SLOGAN_CHARACTERS)
            phrases_of(self.slogan)
        require_known("mood", self.mood, MOODS)
        require_known("arrangement", self.arrangement, ARRANGEMENTS)
        if not isfinite(self.seconds) or not SECONDS[0] <= self.seconds <= SECONDS[1]:
            _refuse_number("seconds", self.seconds, SECONDS)
        if not VARIANTS[0] <= self.variants <= VARIANTS[1]:
            _refuse_number("variants", self.variants, VARIANTS)


def _require_words(name: str, words: str, most: int) -> None:
    if not words.strip() or len(words) > most or not words.isprintable():
        raise BriefError(
            "{name} is empty, longer than {most} characters or holds a line break; give a few "
            "words",
            name=name,
            most=most,
        )


def _refuse_number(name: str, value: float, bounds: tuple[float, float]) -> None:
    raise BriefError(
        "{name} is {value}; give {least} to {most}",
        name=name,
        value=value,
        least=f"{bounds[0]:g}",
        most=f"{bounds[1]:g}",
    )
