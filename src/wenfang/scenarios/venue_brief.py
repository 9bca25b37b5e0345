"""The brief of `venue_ad`: a venue's facts, who writes, and what is refused before anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wenfang.data.venue import KNOWN, require_facts
from wenfang.errors import BriefError

DRAFTS = (1, 12)
TONE_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class VenueFacts:
    """What is to be told of a venue; what is left out is not told.

    Name, near, food and area are free; the bundle `copywriter` copies what it has never met.
    """

    name: str = field(metadata={"doc": "the venue's name, any"})
    type: Literal["", "restaurant", "pub", "coffee shop"] = field(
        default="", metadata={"doc": "what kind of venue"}
    )
    food: str = field(default="", metadata={"doc": "kind of food, any: Italian, Szechuan, vegan"})
    price: Literal["", "cheap", "moderate", "high", "less than £20", "£20-25", "more than £30"] = (
        field(default="", metadata={"doc": "price range"})
    )
    rating: Literal["", "low", "average", "high", "1 out of 5", "3 out of 5", "5 out of 5"] = field(
        default="", metadata={"doc": "rating by customers"}
    )
    area: str = field(
        default="", metadata={"doc": "part of town, any; riverside and city centre are known"}
    )
    near: str = field(default="", metadata={"doc": "a place nearby, any"})
    family_friendly: bool | None = field(
        default=None, metadata={"doc": "true, false, or null to say nothing of families"}
    )

    @property
    def notation(self) -> dict[str, str]:
        """The facts by the slots of the E2E set; raises BriefError as `require_facts`."""
        said = {
            "name": self.name,
            "eatType": self.type,
            "food": _known("food", self.food),
            "priceRange": self.price,
            "customer rating": self.rating,
            "area": _known("area", self.area),
            "near": self.near,
            "familyFriendly": {True: "yes", False: "no", None: ""}[self.family_friendly],
        }
        given = {slot: value for slot, value in said.items() if value or slot == "name"}
        return require_facts(given)


def _known(slot: str, value: str) -> str:
    """A value as the model knows it, whatever its case; any other as it is."""
    bare = " ".join(value.split())
    return next((one for one in KNOWN[slot] if one.lower() == bare.lower()), bare)


@dataclass(frozen=True, kw_only=True)
class VenueAdBrief:
    """The brief of `venue_ad`."""

    scenario: Literal["venue_ad"] = field(
        default="venue_ad", metadata={"doc": "which scenario this brief is for"}
    )
    facts: VenueFacts = field(metadata={"doc": "what is told, all of it and nothing else"})
    language: Literal["en"] = field(default="en", metadata={"doc": "language of the copy"})
    writer: str = field(
        default="copywriter",
        metadata={"doc": "who writes: a bundle, hub:FOLDER or openai:URL#model"},
    )
    tone: str = field(
        default="",
        metadata={
            "doc": "how to write, for writers that follow instructions; a bundle has its own"
        },
    )
    drafts: int = field(default=4, metadata={"doc": "how many different drafts are kept, 1 to 12"})
    palette: Literal["auto", "clay", "harbour", "moss", "plum", "night"] = field(
        default="auto", metadata={"doc": "colours of the poster; auto: by the seed"}
    )
    seed: int = field(default=0, metadata={"doc": "the same seed gives the same piece"})
    picture: str = field(
        default="",
        metadata={
            "doc": "a bundle that draws a picture for the poster from words, such as emblem; "
            "empty: a sign of the kind of venue",
            "later": True,
        },
    )
    picture_of: str = field(
        default="",
        metadata={"doc": "what the picture shows; empty: chosen by the facts", "later": True},
    )
    picture_ink: Literal["palette", "own"] = field(
        default="palette",
        metadata={"doc": "the picture in the poster's colours, or in its own", "later": True},
    )

    def __post_init__(self) -> None:
        """Refuse what no ad can be made of."""
        if not DRAFTS[0] <= self.drafts <= DRAFTS[1]:
            raise BriefError(
                "drafts is {value}; give {least} to {most}",
                value=self.drafts,
                least=DRAFTS[0],
                most=DRAFTS[1],
            )
        if len(self.tone) > TONE_CHARACTERS or not self.tone.isprintable():
            raise BriefError(
                "tone is longer than {most} characters or holds a line break; shorten it",
                most=TONE_CHARACTERS,
            )
        if len(self.slots) < 2:
            raise BriefError("the facts hold a name alone; give at least one more to tell")

    @property
    def slots(self) -> Mapping[str, str]:
        """The facts by the slots of the E2E set."""
        return self.facts.notation

    @property
    def subject(self) -> str:
        """What it is about: the venue's name."""
        return self.facts.name
