"""Rhyme classes and tones of characters, from the table that was learned (`rhyme.json`).

The table is made by `build_rhyme` from the rhyme positions and tonal patterns of real quatrains;
its header tells from which. A level class is named by the rhyme of the Pingshui system (平水韻)
that it turned out to be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeAlias

Tone: TypeAlias = Literal["level", "oblique"]
TONES: tuple[Tone, Tone] = ("level", "oblique")
BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class RhymeTable:
    """The learned table, ready to be asked.

    members  tone -> class -> characters at home in it, the most used first
    classes  character -> names of its classes, such as "level:東"; one or two, seldom more
    tones    character -> "level", "oblique" or "both"
    """

    facts: dict[str, Any]
    members: dict[Tone, dict[str, str]]
    classes: dict[str, frozenset[str]] = field(repr=False)
    tones: dict[str, str] = field(repr=False)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RhymeTable:
        """The table of a parsed `rhyme.json`."""
        classes: dict[str, set[str]] = {}
        members: dict[Tone, dict[str, str]] = {}
        for tone in TONES:
            members[tone] = {name: entry["home"] for name, entry in value[tone].items()}
            for name, entry in value[tone].items():
                for character in entry["home"] + entry["also"]:
                    classes.setdefault(character, set()).add(f"{tone}:{name}")
        return cls(
            facts=value["facts"],
            members=members,
            classes={character: frozenset(names) for character, names in classes.items()},
            tones={c: tone for tone, characters in value["tones"].items() for c in characters},
        )

    def rhyme_class(self, character: str) -> frozenset[str]:
        """Names of the classes of `character`; empty where it is unknown."""
        return self.classes.get(character, frozenset())

    def rhymes(self, first: str, second: str) -> bool:
        """Whether both stand in one class; a known character rhymes with itself."""
        return not self.rhyme_class(first).isdisjoint(self.rhyme_class(second))

    def tone(self, character: str) -> Tone | None:
        """Its tone; None where it is unknown or was read in both."""
        for tone in TONES:
            if self.tones.get(character) == tone:
                return tone
        return None


@cache
def rhyme_table() -> RhymeTable:
    """The table that ships with the package."""
    text = resources.files("wenfang.knowledge").joinpath("rhyme.json").read_text("utf-8")
    return RhymeTable.from_json(json.loads(text))
