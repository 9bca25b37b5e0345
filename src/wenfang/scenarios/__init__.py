"""How a brief becomes a piece: one function each, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wenfang.config import from_dict, json_schema, nearest
from wenfang.errors import BriefError, NotFoundError
from wenfang.scenarios.jingle import jingle
from wenfang.scenarios.jingle_brief import JingleBrief
from wenfang.scenarios.piece import Event, Piece, Studio
from wenfang.scenarios.translate import translate
from wenfang.scenarios.translate_brief import TranslateBrief
from wenfang.scenarios.venue_ad import venue_ad
from wenfang.scenarios.venue_brief import VenueAdBrief
from wenfang.scenarios.venue_film import VenueFilmBrief, venue_film
from wenfang.scenarios.verse_brief import VerseCardBrief
from wenfang.scenarios.verse_card import verse_card
from wenfang.scenarios.verse_film import VerseFilmBrief, verse_film
from wenfang.scenarios.verse_recital import VerseRecitalBrief, verse_recital


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One kind of piece: its brief's dataclass, its function, and a brief to start from."""

    name: str
    summary: str
    brief: type
    run: Callable[[Any, Studio], Piece]
    example: Mapping[str, Any]

    def schema(self) -> dict[str, Any]:
        """JSON Schema of its brief."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:wenfang:brief:{self.name}",
            "title": self.summary,
            **json_schema(self.brief),
        }


SCENARIOS = {
    "verse_card": Scenario(
        name="verse_card",
        summary="a Chinese quatrain on a card",
        brief=VerseCardBrief,
        run=verse_card,
        example={
            "scenario": "verse_card",
            "subject": "春江花月夜",
            "form": "七言絕句",
            "language": "zh-Hant",
            "style": {"paper": "plain"},
            "signature": "文房",
            "seed": 2,
        },
    ),
    "verse_film": Scenario(
        name="verse_film",
        summary="a Chinese quatrain as a film: read aloud over music, written on scenery",
        brief=VerseFilmBrief,
        run=verse_film,
        example={
            "scenario": "verse_film",
            "subject": "春江花月夜",
            "form": "七言絕句",
            "recital": {"voice": "woman", "arrangement": "zither"},
            "film": {"shapes": ["16:9"]},
            "signature": "文房",
            "seed": 2,
        },
    ),
    "verse_recital": Scenario(
        name="verse_recital",
        summary="a Chinese quatrain, read aloud over music",
        brief=VerseRecitalBrief,
        run=verse_recital,
        example={
            "scenario": "verse_recital",
            "subject": "春江花月夜",
            "form": "七言絕句",
            "recital": {"voice": "woman", "arrangement": "zither"},
            "seed": 2,
        },
    ),
    "jingle": Scenario(
        name="jingle",
        summary="a brand name said over music that loops, in variants",
        brief=JingleBrief,
        run=jingle,
        example={
            "scenario": "jingle",
            "brand": "晨光茶馆",
            "slogan": "一杯春天",
            "seconds": 8,
            "variants": 3,
            "seed": 2,
        },
    ),
    "translate": Scenario(
        name="translate",
        summary="a text in the other language, English or Chinese",
        brief=TranslateBrief,
        run=translate,
        example={
            "scenario": "translate",
            "text": "# Opening hours\n\nWe open at **9:30**. The coffee shop is by the park.\n",
            "into": "zh",
            "glossary": {"coffee shop": "咖啡馆"},
            "seed": 2,
        },
    ),
    "venue_film": Scenario(
        name="venue_film",
        summary="a venue's advertisement as a film of fifteen seconds, from its facts",
        brief=VenueFilmBrief,
        run=venue_film,
        example={
            "scenario": "venue_film",
            "facts": {
                "name": "The Copper Kettle",
                "type": "coffee shop",
                "food": "Italian",
                "price": "less than £20",
                "rating": "5 out of 5",
                "area": "riverside",
                "near": "Holloway Books",
                "family_friendly": True,
            },
            "film": {"shapes": ["16:9", "9:16"]},
            "seed": 3,
        },
    ),
    "venue_ad": Scenario(
        name="venue_ad",
        summary="copy and a poster for a venue, from its facts",
        brief=VenueAdBrief,
        run=venue_ad,
        example={
            "scenario": "venue_ad",
            "facts": {
                "name": "The Copper Kettle",
                "type": "coffee shop",
                "food": "Italian",
                "price": "less than £20",
                "rating": "5 out of 5",
                "area": "riverside",
                "near": "Holloway Books",
                "family_friendly": True,
            },
            "seed": 3,
        },
    ),
}


def find_scenario(name: str) -> Scenario:
    """A scenario by its name; raises NotFoundError that names the nearest."""
    if name not in SCENARIOS:
        raise NotFoundError(
            "there is no scenario {name}; did you mean {close}? There are: {names}",
            name=name,
            close=nearest(name, SCENARIOS) or next(iter(SCENARIOS)),
            names=", ".join(SCENARIOS),
        )
    return SCENARIOS[name]


def read_brief(content: object, where: str) -> tuple[Scenario, Any]:
    """A brief's JSON value as its scenario and its dataclass; raises BriefError at `where`."""
    if not isinstance(content, Mapping):
        raise BriefError("{where} is not a JSON object with the fields of a brief", where=where)
    name = content.get("scenario")
    if not isinstance(name, str):
        raise BriefError(
            "{where}: the field scenario is missing; there are: {names}",
            where=where,
            names=", ".join(SCENARIOS),
        )
    scenario = find_scenario(name)
    return scenario, from_dict(scenario.brief, content, where=where, error=BriefError)


__all__ = ["SCENARIOS", "Event", "Piece", "Scenario", "Studio", "find_scenario", "read_brief"]
