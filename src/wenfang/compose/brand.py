"""A brand's own colours as a palette: two of them are given, the rest follows legibly."""

from __future__ import annotations

from wenfang.compose.motif import Palette
from wenfang.errors import BriefError
from wenfang.media.contrast import LEGIBLE, contrast
from wenfang.media.recolour import Colour, read_palette

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def brand_palette(text: str) -> Palette:
    """The palette of "deep, bright", each a colour of CSS; bright may be left out.

    The deep colour is darkened until paper-coloured words can be read on it.
    raises BriefError for what is no colour, or more than two of them
    """
    given = read_palette(text)
    if not 1 <= len(given) <= 2:
        raise BriefError(
            "brand has {count} colours; give one or two, such as #8e3a2a, #e2a454",
            count=len(given),
        )
    paper = mixed(given[0], WHITE, 0.93)
    deep = _darkened(given[0], paper)
    bright = given[1] if len(given) == 2 else mixed(deep, WHITE, 0.45)
    ink = mixed(deep, BLACK, 0.7)
    return Palette(paper=paper, ink=ink, deep=deep, bright=bright,
                   soft=mixed(given[0], WHITE, 0.78), quiet=_darkened(mixed(ink, paper, 0.35),
                                                                     paper))  # fmt: skip


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour on the way from one to another, 0..1."""
    red, green, blue = (
        round(a + (b - a) * share) for a, b in zip(one, other, strict=True)
    )  # fmt: skip
    return red, green, blue


def _darkened(colour: Colour, ground: Colour) -> Colour:
    for step in range(21):
        found = mixed(colour, BLACK, step / 20)
        if contrast(found, ground) >= LEGIBLE:
            break
    return found
