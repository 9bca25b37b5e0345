"""The shapes of a poster: a field of squares with a large sign of the venue, and small signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wenfang.compose.paper import Colour, stream
from wenfang.compose.shapes import (
    KAPPA,
    Sheet,
    Type,
    box,
    disc,
    moved,
    polygon,
    regular,
    rounded,
    sector,
    width_of,
)
from wenfang.media.outlines import Command
from wenfang.media.paths import Paths

TILE = 310.0
DRAWN_SHARE = 0.76  # of a square, that a drawing takes


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours of a poster.

    paper, ink  ground and main words
    deep        signs, small capitals; as legible on paper as paper is on it
    bright      the accent; soft  the pale ground of shapes; quiet  lesser words
    """

    paper: Colour
    ink: Colour
    deep: Colour
    bright: Colour
    soft: Colour
    quiet: Colour

    @property
    def by_day(self) -> Palette:
        """The same; where paper is dark, what stands for it in pictures of things is light."""
        if sum(self.paper) > sum(self.ink):
            return self
        return replace(self, paper=self.ink, ink=self.paper, deep=self.paper, bright=self.deep)


@dataclass(frozen=True, kw_only=True)
class Square:
    """A place in the field."""

    left: float
    top: float
    side: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return self.left + self.side / 2, self.top + self.side / 2


def draw_motif(
    sheet: Sheet, colours: Palette, sign: str | Paths, told: Sequence[str], seed: int, rows: int
) -> None:
    """A field of `rows` rows of four squares; the sign takes four of them, or one.

    sign  the kind of venue, whose sign is drawn, or a drawing that stands for it
    told  the facts as "slot:value", some of which have a square of their own
    """
    chance = stream(seed, 61)
    big = 2 if rows > 1 else 1
    right = bool(chance.integers(2))
    hero_left = (4 - big) * TILE if right else 0.0
    hero = Square(left=hero_left, top=0.0, side=big * TILE)
    places = [
        Square(left=column * TILE, top=row * TILE, side=TILE)
        for row in range(rows)
        for column in range(4)
        if not (row < big and hero_left <= column * TILE < hero_left + big * TILE)
    ]
    _hero(sheet, colours, sign, hero)
    grounds = _grounds(colours, chance, len(places))
    drawers = _drawers(told, chance, len(places))
    for square, pair, drawer in zip(places, grounds, drawers, strict=True):
        sheet.fill(box(square.left, square.top, TILE, TILE), pair[0])
        drawer(sheet, square, pair, chance)


Pair = tuple[Colour, Colour, Colour]  # ground, figure, detail
Drawer = Callable[[Sheet, Square, Pair, np.random.Generator], None]


def _grounds(colours: Palette, chance: np.random.Generator, count: int) -> list[Pair]:
    """Grounds and figures of squares; neighbours in the list never have the same ground."""
    pairs: list[Pair] = [
        (colours.soft, colours.deep, colours.bright),
        (colours.bright, colours.paper, colours.deep),
        (colours.deep, colours.soft, colours.bright),
        (colours.soft, colours.bright, colours.paper),
        (colours.deep, colours.bright, colours.paper),
        (colours.bright, colours.deep, colours.soft),
    ]
    found: list[Pair] = []
    while len(found) < count:
        pair = pairs[int(chance.integers(len(pairs)))]
        near = [one[0] for place, one in enumerate(found) if place in (len(found) - 1,)]
        if pair[0] not in near:
            found.append(pair)
    return found


def _drawers(told: Sequence[str], chance: np.random.Generator, count: int) -> list[Drawer]:
    """What is in each square: what the facts bring along, and by chance for the rest."""
    meant: dict[str, Drawer] = {"area:Riverside": _waves, "area:City centre": _skyline}
    first = [meant[one] for one in told if one in meant][: max(0, count - 1)]
    others: list[Drawer] = [_quarter, _arcs, _halves, _leaf, _fans, _quarter, _dots]
    bag: list[Drawer] = []
    while len(first) < count:
        bag = bag or list(others)
        first.append(bag.pop(int(chance.integers(len(bag)))))
    order = [int(place) for place in chance.permutation(count)]
    return [first[place] for place in order]


def _corner(square: Square, quarter: int) -> tuple[float, float]:
    """The corner from which the pie that begins at `quarter` fills the square."""
    across, down = ((0, 0), (1, 0), (1, 1), (0, 1))[quarter]
    return square.left + across * square.side, square.top + down * square.side


def _quarter(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    turn = int(chance.integers(4))
    sheet.fill(sector(*_corner(square, turn), square.side, turn, 1), pair[1])


def _arcs(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    turn = int(chance.integers(4))
    for share, colour in ((1.0, pair[1]), (0.76, pair[0]), (0.52, pair[2]), (0.28, pair[0])):
        sheet.fill(sector(*_corner(square, turn), square.side * share, turn, 1), colour)


def _halves(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    half = square.side / 2
    x, y = square.middle
    if chance.integers(2):
        sheet.fill(sector(x, square.top + half, half, 2, 2), pair[1])
        sheet.fill(sector(x, square.top + square.side, half, 2, 2), pair[2])
    else:
        sheet.fill(sector(square.left, y, half, 3, 2), pair[1])
        sheet.fill(sector(square.left + half, y, half, 3, 2), pair[2])


def _leaf(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    """What two quarters from opposite corners have in common, and a berry."""
    left, top, side = square.left, square.top, square.side
    bend = side * KAPPA
    turned = bool(chance.integers(2))
    if turned:
        left, side = left + side, -side
    down = abs(side)
    reach = bend if side > 0 else -bend
    leaf = (
        Command(verb="moveTo", points=((left, top),)),
        Command(verb="curveTo", points=((left + reach, top), (left + side, top + down - bend),
                                        (left + side, top + down))),
        Command(verb="curveTo", points=((left + side - reach, top + down), (left, top + bend),
                                        (left, top))),
        Command(verb="closePath"),
    )  # fmt: skip
    sheet.fill(leaf, pair[1])
    sheet.fill(disc(left + side * 0.8, top + down * 0.2, down * 0.11), pair[2])


def _fans(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    """Four small quarters, each turned by chance."""
    half = square.side / 2
    for place in range(4):
        part = Square(left=square.left + half * (place % 2), top=square.top + half * (place // 2),
                      side=half)  # fmt: skip
        turn = int(chance.integers(4))
        sheet.fill(sector(*_corner(part, turn), half, turn, 1), pair[1 + (place in (0, 3))])


def _dots(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    chosen = int(chance.integers(9))
    for place in range(9):
        x = square.left + square.side * (0.2 + 0.3 * (place % 3))
        y = square.top + square.side * (0.2 + 0.3 * (place // 3))
        sheet.fill(disc(x, y, square.side * 0.1), pair[2] if place == chosen else pair[1])


def _waves(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    """Water: rows of half discs."""
    step = square.side / 4
    for row in range(4):
        for column in range(4):
            x = square.left + (column + 0.5) * step
            y = square.top + (row + 1) * step
            sheet.fill(sector(x, y, step / 2, 2, 2), pair[1] if (row + column) % 2 else pair[2])


def _skyline(sheet: Sheet, square: Square, pair: Pair, chance: np.random.Generator) -> None:
    """Houses side by side."""
    side, wide = square.side, square.side / 5
    for number, share in enumerate((0.42, 0.68, 0.54, 0.82, 0.36)):
        left, tall = square.left + number * wide, side * share
        top = square.top + side - tall
        sheet.fill(box(left, top, wide, tall), pair[1] if number % 2 else pair[2])
        for floor in range(int(tall // 56)):
            sheet.fill(box(left + wide / 2 - 7, top + 26 + floor * 52, 14, 20), pair[0])


def _hero(sheet: Sheet, colours: Palette, sign: str | Paths, square: Square) -> None:
    """The sign of the kind of venue, designed on 620 units, or another drawing."""
    sheet.fill(box(square.left, square.top, square.side, square.side), colours.soft)
    if isinstance(sign, Paths):
        _placed(sheet, sign, square)
        return
    unit = square.side / 620
    inner = Sheet(width_px=620, height_px=620)
    {"coffee shop": _cup, "pub": _pint, "restaurant": _plate}.get(sign, _cloche)(
        inner, colours.by_day
    )
    for path, colour in inner.shapes:
        sheet.fill(moved(path, square.left, square.top, unit), colour)


def _placed(sheet: Sheet, drawing: Paths, square: Square) -> None:
    """A drawing in the middle of a square, with room about it."""
    scale = DRAWN_SHARE * square.side / max(drawing.width_px, drawing.height_px)
    middle = square.middle
    left = middle[0] - scale * drawing.width_px / 2
    top = middle[1] - scale * drawing.height_px / 2
    for path, colour in drawing.shapes:
        sheet.fill(moved(path, left, top, scale), colour)


def _cup(sheet: Sheet, colours: Palette) -> None:
    """A cup seen from above."""
    sheet.fill(disc(310, 310, 250), colours.bright)
    sheet.fill(disc(310, 310, 206), colours.soft)
    sheet.fill(moved(rounded(-30, -28, 170, 56, 28), 440, 310), colours.paper)
    sheet.fill(disc(310, 310, 160), colours.paper)
    sheet.fill(disc(310, 310, 126), colours.deep)
    # The light of a window on the coffee.
    sheet.fill(sector(310, 310, 96, 2, 1), colours.bright)
    sheet.fill(disc(310, 310, 62), colours.deep)


def _pint(sheet: Sheet, colours: Palette) -> None:
    """A pint before a full moon."""
    sheet.fill(disc(310, 310, 250), colours.deep)
    sheet.fill(polygon((214, 190), (406, 190), (380, 500), (240, 500)), colours.bright)
    sheet.fill(polygon((236, 452), (384, 452), (380, 500), (240, 500)), colours.paper)
    for x, y, radius in ((232, 184, 36), (286, 168, 46), (346, 166, 44), (394, 186, 34)):
        sheet.fill(disc(x, y, radius), colours.paper)
    sheet.fill(box(218, 184, 186, 40), colours.paper)
    for x in (262, 303, 344):
        sheet.fill(rounded(x, 262, 14, 150, 7), colours.soft)


def _plate(sheet: Sheet, colours: Palette) -> None:
    """A plate between fork and knife."""
    sheet.fill(disc(310, 310, 172), colours.paper)
    sheet.fill(disc(310, 310, 122), colours.bright)
    sheet.fill(sector(310, 310, 122, 1, 2), colours.deep)
    fork = 84.0
    for x in (fork - 34, fork - 7, fork + 20):
        sheet.fill(rounded(x, 130, 14, 120, 7), colours.deep)
    sheet.fill(sector(fork, 236, 34, 0, 2), colours.deep)
    sheet.fill(rounded(fork - 10, 240, 20, 250, 10), colours.deep)
    blade = (
        Command(verb="moveTo", points=((542, 130),)),
        Command(verb="curveTo", points=((508, 150), (500, 220), (500, 322))),
        Command(verb="lineTo", points=((542, 322),)),
        Command(verb="closePath"),
    )
    sheet.fill(blade, colours.deep)
    sheet.fill(rounded(520, 300, 22, 190, 11), colours.deep)


def _cloche(sheet: Sheet, colours: Palette) -> None:
    """A dish under its cover, for a venue of no known kind."""
    sheet.fill(disc(310, 310, 250), colours.paper)
    sheet.fill(disc(310, 176, 26), colours.bright)
    sheet.fill(sector(310, 396, 196, 2, 2), colours.deep)
    sheet.fill(sector(310, 396, 150, 2, 1), colours.bright)
    sheet.fill(sector(310, 396, 118, 2, 2), colours.deep)
    sheet.fill(rounded(86, 414, 448, 30, 15), colours.ink)


def draw_sign(
    sheet: Sheet, colours: Palette, slot: str, value: str, middle: tuple[float, float]
) -> None:
    """A fact's sign, drawn in paper colour within about 36 px about `middle`."""
    inner = Sheet(width_px=36, height_px=36)
    SIGNS[slot](inner, colours, value)
    for path, colour in inner.shapes:
        sheet.fill(moved(path, middle[0] - 18, middle[1] - 18), colour)


def _food_sign(sheet: Sheet, colours: Palette, value: str) -> None:
    for x in (7.0, 11.5, 16.0):
        sheet.fill(rounded(x, 3, 2.4, 11, 1.2), colours.paper)
    sheet.fill(sector(12.7, 12.5, 5.7, 0, 2), colours.paper)
    sheet.fill(rounded(11.2, 13, 3, 20, 1.5), colours.paper)
    blade = (
        Command(verb="moveTo", points=((29, 3),)),
        Command(verb="curveTo", points=((24.5, 5), (23, 11), (23, 19))),
        Command(verb="lineTo", points=((29, 19),)),
        Command(verb="closePath"),
    )
    sheet.fill(blade, colours.paper)
    sheet.fill(rounded(26, 17, 3, 16, 1.5), colours.paper)


def _price_sign(sheet: Sheet, colours: Palette, value: str) -> None:
    how = Type(size_px=33, weight="bold")
    sheet.words("£", (18 - width_of("£", how) / 2, 30), how, colours.paper)


def _rating_sign(sheet: Sheet, colours: Palette, value: str) -> None:
    sheet.fill(regular(18, 19, 17, 5, inner=7.2), colours.paper)


def _area_sign(sheet: Sheet, colours: Palette, value: str) -> None:
    if "river" in value.lower():
        for row in range(3):
            for column in range(3):
                sheet.fill(sector(7 + 11 * column, 12 + 10 * row, 5.5, 2, 2), colours.paper)
        return
    for left, top, wide in ((3, 16, 8), (13, 5, 10), (25, 12, 8)):
        sheet.fill(box(left, top, wide, 30 - top), colours.paper)
    sheet.fill(rounded(1, 31, 34, 2.6, 1.3), colours.paper)


def _near_sign(sheet: Sheet, colours: Palette, value: str) -> None:
    sheet.fill(disc(18, 13, 11), colours.paper)
    sheet.fill(polygon((8.2, 18), (27.8, 18), (18, 35)), colours.paper)
    sheet.fill(disc(18, 13, 4.6), colours.deep)


def _family_sign(sheet: Sheet, colours: Palette, value: str) -> None:
    for x, head, top, wide in ((12, 5.4, 9, 8), (26, 4.2, 17, 6)):
        sheet.fill(disc(x, top, head), colours.paper)
        sheet.fill(sector(x, top + head + 2 + wide, wide, 2, 2), colours.paper)
        sheet.fill(box(x - wide, top + head + 1.9 + wide, 2 * wide, 33 - top - head - 2 - wide),
                   colours.paper)  # fmt: skip
    if value.lower().startswith("not"):
        sheet.fill(polygon((2, 31), (31, 2), (34, 5), (5, 34)), colours.deep)
        sheet.fill(polygon((4, 33), (33, 4), (35.4, 6.4), (6.4, 35.4)), colours.bright)


SIGNS: dict[str, Callable[[Sheet, Palette, str], None]] = {
    "food": _food_sign,
    "priceRange": _price_sign,
    "customer rating": _rating_sign,
    "area": _area_sign,
    "near": _near_sign,
    "familyFriendly": _family_sign,
}
