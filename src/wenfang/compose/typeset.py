"""A card: verse set on paper, signed and stamped, the same for the same words, style and seed.

Chinese stands in columns from right to left; other languages in centred lines. The foot of the
sheet (`quiet_box`) stays free of ink, because a visible label is put there later.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from wenfang.compose import layout, paper
from wenfang.compose.layout import Box, Frame, Layout, Matter, Run
from wenfang.compose.paper import Plane, Sheet
from wenfang.compose.stamp import Carving, stamp_mask
from wenfang.errors import MediaError
from wenfang.media.draw import Lettering, draw_horizontal, draw_vertical, fills_cell
from wenfang.media.fonts import Style, missing_glyphs

PRINT_WIDTH_PX = 1240
WIDTH_RANGE_PX = (310, 4960)

Ink = tuple[int, int, int]
PaperName = Literal["plain", "ruled", "dusk"]
StopsName = Literal["none", "small", "full"]


@dataclass(frozen=True, kw_only=True)
class CardText:
    """The words of a card. `seal` has 0 to 4 characters; a `language` of zh or ja is vertical."""

    lines: tuple[str, ...]
    title: str = ""
    signature: str = ""
    date: str = ""
    seal: str = "文房"
    language: str = "zh"


@dataclass(frozen=True, kw_only=True)
class CardStyle:
    """How a card looks. The height follows from the width: sheets are 1 to the root of 2."""

    paper: PaperName = "plain"
    seed: int = 0
    stops: StopsName = "none"
    carving: Carving = "white"
    width_px: int = PRINT_WIDTH_PX


@dataclass(frozen=True, kw_only=True)
class Look:
    """What belongs to one paper: its ground, its inks and where text may stand on it."""

    ground: Callable[[Sheet], Plane]
    frame: Frame
    ink: Ink = (30, 27, 25)
    red: Ink = (176, 40, 30)
    rule: Ink | None = None


LOOKS: dict[str, Look] = {
    "plain": Look(ground=paper.xuan, frame=Frame()),
    "ruled": Look(
        ground=paper.letter,
        frame=Frame(left=118, top=208, right=1122, bottom=1508, reach=1090, fewest_columns=6),
        rule=(186, 74, 58),
    ),
    "dusk": Look(ground=paper.dusk, frame=Frame(), ink=(34, 34, 38)),
}
PAPERS: tuple[str, ...] = tuple(LOOKS)


def card_size_px(width_px: int = PRINT_WIDTH_PX) -> tuple[int, int]:
    """Width and height of a card in px."""
    return width_px, round(width_px * layout.HEIGHT / layout.WIDTH)


def quiet_box(width_px: int = PRINT_WIDTH_PX) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in px of the band at the foot that holds no ink."""
    width, height = card_size_px(width_px)
    return 0, height - int(layout.QUIET * width / layout.WIDTH), width, height


def typeset_card(
    text: CardText, style: CardStyle | None = None, picture: Image.Image | None = None
) -> Image.Image:
    """The card as an RGB image.

    picture  stands under the columns of a vertical card, its transparent parts left free
    raises MediaError if the text does not fit or no font has one of its characters;
    DependencyError if no font is installed
    """
    style = style or CardStyle()
    look = _look(style)
    matter = _matter(text)
    vertical = is_vertical(text.language)
    placed = _placed(matter, look, style, vertical)
    width, height = card_size_px(style.width_px)
    sheet = Sheet(width_px=width, height_px=height, seed=style.seed)
    ground = look.ground(sheet)
    if look.rule is not None:
        _lay(ground, _rules_mask(sheet, placed), look.rule, 0.78 + 0.05 * sheet.cloud(50, 90, 127))
    ink = _ink_mask(sheet, placed.runs)
    _lay(ground, ink, look.ink, 0.93 + 0.035 * sheet.cloud(51, 30, 42))
    _lay(ground, _stops_mask(sheet, placed), look.red, 0.85)
    if picture is not None:
        _lay_picture(ground, sheet, picture, _picture_box(placed, look, vertical))
    if placed.seal is not None:
        _lay(ground, _seal_mask(sheet, placed.seal, matter.seal, style), look.red, 0.95)
    return paper.finished(ground + paper.grain(sheet)[..., None])


def is_vertical(language: str) -> bool:
    """Whether cards in this language are set in columns."""
    return language.lower().replace("_", "-").split("-")[0] in {"zh", "ja", "lzh"}


def _look(style: CardStyle) -> Look:
    low, high = WIDTH_RANGE_PX
    if not low <= style.width_px <= high:
        raise MediaError(
            "a card is {low} to {high} px wide, not {width}",
            low=low, high=high, width=style.width_px,
        )  # fmt: skip
    if style.paper not in LOOKS:
        raise MediaError(
            "no paper is called {name}; there are {papers}",
            name=style.paper, papers=", ".join(PAPERS),
        )  # fmt: skip
    return LOOKS[style.paper]


def _matter(text: CardText) -> Matter:
    """The words normalised, and every character known to have a glyph."""

    def clean(part: str) -> str:
        return " ".join(unicodedata.normalize("NFC", part).split())

    lines = tuple(line for line in map(clean, text.lines) if line)
    matter = Matter(
        title=clean(text.title),
        lines=lines,
        signature=clean(text.signature),
        date=clean(text.date),
        seal=clean(text.seal),
    )
    words = "".join((matter.title, *lines, matter.signature, matter.date, matter.seal))
    lacking = missing_glyphs(words)
    if lacking:
        raise MediaError(
            "no installed font can draw {characters}; install a wider one "
            "(Debian: fonts-cns11643-kai) or change the text",
            characters=lacking,
        )
    return matter


def _placed(matter: Matter, look: Look, style: CardStyle, vertical: bool) -> Layout:
    face: Style = "kai" if vertical else "serif"
    words = "".join((matter.title, *matter.lines, matter.signature, matter.date))
    body = Lettering(size_px=1, style=face, repertoire="".join(filter(fills_cell, words)))
    if vertical:
        return layout.vertical_layout(matter, look.frame, style.stops, body)
    return layout.horizontal_layout(matter, replace(look.frame, fewest_columns=0), body)


def _lay(ground: Plane, mask: Plane, ink: Ink, density: Plane | float) -> None:
    """Cover `ground` with ink where `mask` (H, W) in 0..1 says, as thick as `density`."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    window = (slice(top, bottom), slice(left, right))
    cover = mask[window] * (density if isinstance(density, float) else density[window])
    cover = np.clip(cover, 0, 1)[..., None]
    under = ground[window]
    # A thin ink lets the tone of the paper through, so it is multiplied, not painted over.
    pigment = np.asarray(ink, np.float32) * (0.75 + 0.25 * under / 255)
    ground[window] = under + (pigment - under) * cover


def _picture_box(placed: Layout, look: Look, vertical: bool) -> Box:
    if not vertical or look.rule is not None:
        raise MediaError(
            "a picture stands on plain or dusk paper under columns; choose these, or leave it out"
        )
    return layout.picture_box(placed)


def _lay_picture(ground: Plane, sheet: Sheet, picture: Image.Image, box: Box) -> None:
    """Paint a picture as ink is laid: the tone of the paper comes through."""
    side = round(box.width * sheet.scale)
    top, left = round(box.top * sheet.scale), round(box.left * sheet.scale)
    seen = picture.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    values = np.asarray(seen, np.float32)
    under = ground[top : top + side, left : left + side]
    pigment = values[..., :3] * (0.75 + 0.25 * under / 255)
    cover = values[..., 3:] / 255 * 0.95
    ground[top : top + side, left : left + side] = under + (pigment - under) * cover


def inks(paper_name: str) -> tuple[Ink, Ink]:
    """The ink of a paper, and a tone of it that is thinned almost to the paper."""
    ink = LOOKS[paper_name].ink
    red, green, blue = (round(one + (236 - one) * 0.82) for one in ink)
    return ink, (red, green, blue)


def _as_mask(image: Image.Image) -> Plane:
    return np.asarray(image, np.float32) / np.float32(255)


def _ink_mask(sheet: Sheet, runs: tuple[Run, ...]) -> Plane:
    image = Image.new("L", (sheet.width_px, sheet.height_px), 0)
    for run in runs:
        lettering = replace(run.lettering, size_px=run.lettering.size_px * sheet.scale)
        place = (run.x * sheet.scale, run.y * sheet.scale)
        if run.vertical:
            draw_vertical(image, place, run.text, lettering)
        else:
            draw_horizontal(ImageDraw.Draw(image), place, run.text, lettering)
    return _as_mask(image)


def _stops_mask(sheet: Sheet, placed: Layout) -> Plane:
    image = Image.new("L", (sheet.width_px, sheet.height_px), 0)
    fine = 4
    for stop in placed.stops:
        radius = stop.radius * sheet.scale * fine
        side = int(2 * radius + 4 * fine)
        mark = Image.new("L", (side, side), 0)
        box = (side / 2 - radius, side / 2 - radius, side / 2 + radius, side / 2 + radius)
        draw = ImageDraw.Draw(mark)
        if stop.hollow:
            draw.ellipse(box, outline=255, width=max(fine, round(radius * 0.26)))
        else:
            draw.ellipse(box, fill=255)
        small = mark.resize((side // fine, side // fine), Image.Resampling.BOX)
        at = (
            round(stop.x * sheet.scale - small.width / 2),
            round(stop.y * sheet.scale - small.height / 2),
        )
        image.paste(small, at)
    return _as_mask(image)


def _rules_mask(sheet: Sheet, placed: Layout) -> Plane:
    """A heavy and a fine border, and fine lines between columns, drawn sharp at any size."""
    plane = np.zeros((sheet.height_px, sheet.width_px), np.float32)
    left, top, right, bottom = 96.0, 104.0, 1144.0, float(layout.HEIGHT - layout.QUIET - 8)
    for inset, weight in ((0.0, 5.0), (13.0, 1.6)):
        box = (left + inset, top + inset, right - inset, bottom - inset)
        for x in (box[0], box[2]):
            _bar(plane, (x - weight / 2, box[1], x + weight / 2, box[3]), sheet.scale)
        for y in (box[1], box[3]):
            span = (box[0] - weight / 2, y - weight / 2, box[2] + weight / 2, y + weight / 2)
            _bar(plane, span, sheet.scale)
    for x in placed.rules_x:
        _bar(plane, (x - 0.8, top + 13, x + 0.8, bottom - 13), sheet.scale)
    return plane


def _bar(plane: Plane, box: tuple[float, float, float, float], scale: float) -> None:
    """Fill a rectangle, its edges covering parts of pixels exactly."""
    left, top, right, bottom = (edge * scale for edge in box)
    columns = np.arange(plane.shape[1], dtype=np.float32)
    rows = np.arange(plane.shape[0], dtype=np.float32)
    across = np.clip(np.minimum(columns + 1, right) - np.maximum(columns, left), 0, 1)
    down = np.clip(np.minimum(rows + 1, bottom) - np.maximum(rows, top), 0, 1)
    held = (slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1))
    bar = down[held[0], None] * across[None, held[1]]
    plane[held] = np.maximum(plane[held], bar)


def _seal_mask(sheet: Sheet, box: Box, characters: str, style: CardStyle) -> Plane:
    left, top, width, height = (
        round(length * sheet.scale) for length in (box.left, box.top, box.width, box.height)
    )
    mask = np.zeros((sheet.height_px, sheet.width_px), np.float32)
    mask[top : top + height, left : left + width] = stamp_mask(
        characters, (width, height), style.seed, style.carving
    )
    return mask
