"""The brief of `verse_card`: what may be asked, and what is refused before anything is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wenfang.errors import BriefError
from wenfang.knowledge import verse
from wenfang.samplers.verse import VerseSampling

SUBJECT_CHARACTERS = 20
SIGNATURE_CHARACTERS = 12
WRITER = "verse"  # the bundle that writes unless another is named
FORMS = {"五言絕句": 5, "七言絕句": 7}


@dataclass(frozen=True, kw_only=True)
class VerseConstraints:
    """What the poem must keep to, beyond its form.

    avoid       characters that must not appear
    candidates  quatrains drawn at once; the best that passes every check is taken
    rounds      how often to draw again before giving up
    """

    rhyme_first: bool = False
    regular_tones: bool = True
    avoid: str = ""
    candidates: int = 16
    rounds: int = 4

    def __post_init__(self) -> None:
        for name, value, most in (
            ("candidates", self.candidates, 256),
            ("rounds", self.rounds, 20),
        ):
            if not 1 <= value <= most:
                raise BriefError(
                    "constraints.{name} is {value}; give 1 to {most}",
                    name=name,
                    value=value,
                    most=most,
                )


@dataclass(frozen=True, kw_only=True)
class CardLook:
    """How the card is made: its paper, its stops, and the language of the label drawn on it.

    picture      a bundle that draws the subject from words, such as emblem; empty: no picture
    picture_ink  whether the picture is drawn in the ink of the card, or in colours of its own
    """

    paper: Literal["plain", "ruled", "dusk"] = "plain"
    stops: Literal["none", "small", "full"] = "none"
    label: Literal["zh", "en", "both"] = "zh"
    picture: str = field(default="", metadata={"later": True})
    picture_ink: Literal["ink", "own"] = field(default="ink", metadata={"later": True})


@dataclass(frozen=True, kw_only=True)
class VerseCardBrief:
    """The brief of `verse_card`."""

    scenario: Literal["verse_card"] = field(
        default="verse_card", metadata={"doc": "which scenario this brief is for"}
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
    style: CardLook = CardLook()
    signature: str = field(default="", metadata={"doc": "name at the foot of the card"})
    date: str = field(default="", metadata={"doc": "date line of the card, as it shall stand"})
    seal: str = field(default="文房", metadata={"doc": "up to four characters of the red seal"})
    seed: int = field(default=0, metadata={"doc": "the same seed gives the same piece"})
    writer: str = field(
        default=WRITER,
        metadata={"doc": "who writes: a bundle, hub:FOLDER or openai:URL#model", "later": True},
    )
    constraints: VerseConstraints = VerseConstraints()
    sampling: VerseSampling = VerseSampling()

    @property
    def rules(self) -> verse.Form:
        """The form of verse that is asked for."""
        return verse.FORMS[FORMS[self.form]]

    def __post_init__(self) -> None:
        """Refuse what no card can hold."""
        for name, text, most in (
            ("subject", self.subject, SUBJECT_CHARACTERS),
            ("signature", self.signature, SIGNATURE_CHARACTERS),
            ("date", self.date, SIGNATURE_CHARACTERS),
            ("seal", self.seal, 4),
        ):
            if len(text) > most:
                raise BriefError(
                    "{name} has {count} characters; at most {most} fit",
                    name=name,
                    count=len(text),
                    most=most,
                )
            if not text.replace("\u3000", "").isprintable():  # the wide space of Chinese text
                raise BriefError(
                    "{name} holds a line break or a character that cannot be printed; remove it",
                    name=name,
                )
        if not words_of(self.subject):
            raise BriefError("subject is empty; give a title or a few words in Chinese")


@dataclass(frozen=True, kw_only=True)
class VersePieceBrief:
    """What every brief asks of a quatrain that becomes something else than a card alone."""

    scenario: str = ""
    subject: str = field(
        metadata={"doc": "title or subject words, in traditional or simplified characters"}
    )
    form: Literal["五言絕句", "七言絕句"] = field(
        default="七言絕句", metadata={"doc": "five or seven characters a line"}
    )
    language: Literal["zh-Hant", "zh-Hans"] = field(
        default="zh-Hant", metadata={"doc": "script of everything that is written"}
    )
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


def words_of(subject: str) -> str:
    """The subject's characters without spaces and punctuation; BriefError for any but Han."""
    kept = [c for c in subject if not c.isspace() and c not in "，。、：；！？·《》「」—-,.:;!?"]
    strange = "".join(dict.fromkeys(c for c in kept if not verse.is_han(c)))
    if strange:
        raise BriefError(
            "subject holds {strange}, which no quatrain of the training set has; "
            "use Chinese characters",
            strange=strange[:20],
        )
    return "".join(kept)
