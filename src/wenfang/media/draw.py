"""All drawing of text: choosing fonts, measuring, horizontal and vertical setting.

Sizes are pixels; one em is the font's size. A character that the preferred font lacks is drawn
from the next font that has it; one that no font has is a MediaError, never an empty box.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont

from wenfang.errors import MediaError
from wenfang.media.fonts import Style, Weight, covers, installed, missing_glyphs, needs_ink

__all__ = [
    "Lettering",
    "column_height",
    "draw_horizontal",
    "draw_vertical",
    "fills_cell",
    "font",
    "glyph_box",
    "ink_box",
    "line_width",
    "missing_glyphs",
    "wrap",
]

FontType = ImageFont.FreeTypeFont
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

# Brackets have upright forms for vertical lines; dashes and dots are turned instead.
VERTICAL_FORMS = str.maketrans("（）〔〕【】《》〈〉「」『』", "︵︶︹︺︻︼︽︾︿﹀﹁﹂﹃﹄")
DASHES = frozenset("—…‥")
TURNED = frozenset("—–…‥～〜－（）〔〕【】《》〈〉「」『』")
STOPS = frozenset("，。、；：！？．,")


@dataclass(frozen=True, kw_only=True)
class Lettering:
    """How letters look: size in px, style, weight, extra space between characters in em.

    repertoire: characters that the Chinese font must have besides the text's own, so that one face
    serves several lines and a rare character does not stand in another face among its fellows
    """

    size_px: float
    style: Style = "kai"
    weight: Weight = "regular"
    tracking: float = 0.0
    repertoire: str = ""


@lru_cache(maxsize=256)
def _load(path: str, index: int, size_px: float) -> FontType:
    # The basic layout engine is deterministic across machines with and without Raqm.
    return ImageFont.truetype(path, size_px, index=index, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1024)
def _choose(characters: str, style: Style, weight: Weight) -> tuple[str, int] | None:
    for path, face in installed(style, weight):
        if covers(path, face.index, characters):
            return str(path), face.index
    return None


def font(
    size_px: float,
    text: str | None = None,
    style: Style = "kai",
    weight: Weight = "regular",
) -> FontType:
    """The best installed font that has every character of `text`.

    raises DependencyError if no font is installed; MediaError if no single font has them all
    """
    chosen = _choose("".join(sorted(set(text or ""))), style, weight)
    if chosen is None:
        lacking = missing_glyphs(text or "", style)
        raise MediaError(
            "no installed font can draw {characters}; install a wider one "
            "(Debian: fonts-cns11643-kai) or change the text",
            characters=lacking or text,
        )
    return _load(*chosen, size_px)


def runs(text: str, lettering: Lettering) -> list[tuple[FontType, str]]:
    """`text` cut where the font must change: one run if a single font has everything.

    Brush faces have makeshift Latin letters, so beside "kai" those are set in the serif.
    """
    found: list[tuple[FontType, str]] = []
    for latin, group in groupby(text, lambda character: not fills_cell(character)):
        style: Style = "serif" if latin and lettering.style == "kai" else lettering.style
        found += _runs_of_style("".join(group), style, "" if latin else None, lettering)
    return found


def _runs_of_style(
    text: str, style: Style, repertoire: str | None, lettering: Lettering
) -> list[tuple[FontType, str]]:
    weight, size_px = lettering.weight, lettering.size_px
    asked = lettering.repertoire if repertoire is None else repertoire
    for characters in (text + asked, text):
        whole = _choose("".join(sorted(set(characters))), style, weight)
        if whole is not None:
            return [(_load(*whole, size_px), text)]
    parts = groupby(text, lambda character: font(size_px, character, style, weight))
    return [(face, "".join(part)) for face, part in parts]


@lru_cache(maxsize=4096)
def line_width(text: str, lettering: Lettering) -> float:
    """Advance width in px of one horizontal line, tracking between characters included."""
    width = sum(face.getlength(part) for face, part in runs(text, lettering))
    return width + max(0, len(text) - 1) * lettering.tracking * lettering.size_px


def glyph_box(face: FontType, text: str, stroke_px: float = 0) -> Box:
    """Left, top, right, bottom of the ink of `text` in px from the baseline's start.

    Pillow's own getbbox counts the origin and the advance as inked; this does not.
    """
    mask, (x, y) = face.getmask2(text, "L", anchor="ls", stroke_width=stroke_px)
    left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
    return (x + left, y + top, x + right, y + bottom)


def ink_box(text: str, lettering: Lettering) -> Box:
    """Left, top, right, bottom of the ink in px, with the origin at the baseline's start."""
    boxes: list[Box] = []
    x = 0.0
    for face, part in _pieces(text, lettering):
        if part.strip():
            left, top, right, bottom = glyph_box(face, part)
            boxes.append((x + left, top, x + right, bottom))
        x += face.getlength(part) + lettering.tracking * lettering.size_px
    if not boxes:
        return (0.0, 0.0, 0.0, 0.0)
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return (min(lefts), min(tops), max(rights), max(bottoms))


def _pieces(text: str, lettering: Lettering) -> list[tuple[FontType, str]]:
    """Runs, or single characters where tracking must come between them."""
    found = runs(text, lettering)
    if not lettering.tracking:
        return found
    return [(face, character) for face, part in found for character in part]


def draw_horizontal(
    draw: ImageDraw.ImageDraw,
    origin: tuple[float, float],
    text: str,
    lettering: Lettering,
    fill: object = 255,
) -> float:
    """Draw one line from `origin` (baseline, left end); the x where the line ends."""
    x, y = origin
    for face, part in _pieces(text, lettering):
        draw.text((x, y), part, font=face, fill=fill, anchor="ls")  # type: ignore[arg-type]
        x += face.getlength(part) + lettering.tracking * lettering.size_px
    return x - (lettering.tracking * lettering.size_px if text else 0.0)


def wrap(text: str, lettering: Lettering, width_px: float) -> list[str]:
    """Lines no wider than `width_px`, broken at spaces (Latin) or between characters (Chinese).

    The lines are balanced: the narrowest measure that needs no more lines is used.
    raises MediaError if one word is wider than the measure
    """
    gap = lettering.tracking * lettering.size_px
    words = [
        (word, line_width(word, lettering) + gap, line_width(word.rstrip(), lettering))
        for word in _words(text)
    ]
    widest, _full, low = max(words, key=lambda word: word[2])
    high = width_px
    if low > high:
        raise MediaError(
            "{word} is wider than {width_px} px at {size_px} px; shorten it or set it smaller",
            word=widest.strip(),
            width_px=round(width_px),
            size_px=round(lettering.size_px),
        )
    fewest = len(_greedy(words, high))
    while high - low > 1.0:
        middle = (low + high) / 2
        low, high = (low, middle) if len(_greedy(words, middle)) <= fewest else (middle, high)
    return _greedy(words, high)


def _words(text: str) -> list[str]:
    """Pieces that may not be broken, each with the space that follows it."""
    pieces: list[str] = []
    for character in " ".join(text.split()):
        joins = pieces and not (
            pieces[-1].endswith(" ") or is_wide(character) or is_wide(pieces[-1][-1])
        )
        closing = pieces and (character in STOPS or character == " ")
        if joins or closing:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces or [""]


def _greedy(words: list[tuple[str, float, float]], width_px: float) -> list[str]:
    """Lines filled in turn; a word is (text, width with the space after it, width without)."""
    lines, filled = [""], 0.0
    for word, full, bare in words:
        if lines[-1] and filled + bare > width_px:
            lines.append("")
            filled = 0.0
        lines[-1] += word
        filled += full
    return [line.rstrip() for line in lines]


def is_wide(character: str) -> bool:
    """Whether a character fills a whole em, as Chinese ones do."""
    return unicodedata.east_asian_width(character) in {"W", "F"}


def fills_cell(character: str) -> bool:
    """Whether a character takes a whole cell of a vertical line."""
    return is_wide(character) or character in DASHES or character == "·"


@lru_cache(maxsize=256)
def _middle_px(face: FontType) -> float:
    """Height of the optical centre of Chinese characters above the baseline.

    Fonts disagree about ascent and descent, so it is measured on a character that fills its box.
    """
    _left, top, _right, bottom = glyph_box(face, "國")
    return -(top + bottom) / 2


def draw_cell(
    image: Image.Image, centre: tuple[float, float], character: str, lettering: Lettering
) -> None:
    """Draw one character of a vertical line on a mode "L" image, centred optically on `centre`."""
    if not needs_ink(character):
        return
    upright = character.translate(VERTICAL_FORMS)
    if upright != character and not missing_glyphs(upright):
        character = upright
    if character in TURNED or not fills_cell(character):
        _draw_turned(image, centre, character, lettering)
        return
    face = runs(character, lettering)[0][0]
    x, y = centre
    if character in STOPS or character == "·":
        # In vertical lines a stop hangs in the upper right of its cell; a dot stays in the middle.
        left, top, right, bottom = glyph_box(face, character)
        aside = 0.0 if character == "·" else 0.28 * lettering.size_px
        place = (x + aside - (left + right) / 2, y - aside - (top + bottom) / 2)
        ImageDraw.Draw(image).text(place, character, font=face, fill=255, anchor="ls")
        return
    ImageDraw.Draw(image).text(
        (x, y + _middle_px(face)), character, font=face, fill=255, anchor="ms"
    )


def _draw_turned(
    image: Image.Image, centre: tuple[float, float], text: str, lettering: Lettering
) -> None:
    """Draw `text` turned a quarter clockwise, centred on `centre`."""
    width = int(line_width(text, lettering) + 2)
    height = int(lettering.size_px * 1.6)
    strip = Image.new("L", (width, height), 0)
    face = runs(text, lettering)[0][0]
    if text[0] in DASHES:
        _left, top, _right, bottom = glyph_box(face, text[0])
        baseline = height / 2 - (top + bottom) / 2
    else:
        middle = _middle_px(face) if is_wide(text[0]) else 0.34 * lettering.size_px
        baseline = height / 2 + middle
    draw_horizontal(ImageDraw.Draw(strip), (1, baseline), text, lettering)
    turned = strip.transpose(Image.Transpose.ROTATE_270)
    corner = (round(centre[0] - turned.width / 2), round(centre[1] - turned.height / 2))
    image.paste(255, (*corner, corner[0] + turned.width, corner[1] + turned.height), turned)


def vertical_units(text: str) -> list[str]:
    """`text` cut into what takes one place: a character, a Latin word, a dash of several parts."""
    units: list[str] = []
    for cell, group in groupby(text, fills_cell):
        part = "".join(group)
        if not cell:
            units += part.split()
            continue
        for character in part:
            if character in DASHES and units and units[-1][0] == character:
                units[-1] += character
            else:
                units.append(character)
    return units


def unit_height(unit: str, lettering: Lettering) -> float:
    """Height in px of one unit in a vertical line, tracking not included."""
    if fills_cell(unit[0]):
        return lettering.size_px * len(unit)
    return line_width(unit, lettering) + 0.25 * lettering.size_px


def column_height(text: str, lettering: Lettering) -> float:
    """Height in px of one vertical line."""
    units = vertical_units(text)
    gaps = max(0, len(units) - 1) * lettering.tracking * lettering.size_px
    return sum(unit_height(unit, lettering) for unit in units) + gaps


def draw_vertical(
    image: Image.Image, top_centre: tuple[float, float], text: str, lettering: Lettering
) -> float:
    """Draw one vertical line downwards on a mode "L" image; the y where it ends.

    top_centre: x of the line's axis and y of its upper end
    """
    x, y = top_centre
    gap = lettering.tracking * lettering.size_px
    for unit in vertical_units(text):
        height = unit_height(unit, lettering)
        if len(unit) == 1 and fills_cell(unit):
            draw_cell(image, (x, y + height / 2), unit, lettering)
        else:
            _draw_turned(image, (x, y + height / 2), unit, lettering)
        y += height + gap
    return y - gap if text else y
