"""The visible label on a picture: large enough, legible, and where it covers least.

Reported rule (GB 45438-2025): on an edge or corner, glyphs at least 5 % of the short side high.
Height and contrast (WCAG 2.2, at least 4.5:1) are measured on the pixels, when the label is drawn
and again when a file is verified. Every glyph reaches the height, the Latin capitals too, so
the runs of one line have each their own font size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wenfang.media.draw import font

Pixels = NDArray[np.float64]
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom exclusive
Shown = Callable[[list[Image.Image]], list[Image.Image]]  # frames as they come back from the file

GLYPH_SHARE = 0.05
CONTRAST = 4.5
# Contrast of the colour chosen, quietest first: thin strokes of small glyphs come out paler.
AIMS = (4.6, 5.2, 6.5, 9.0, 21.0)
LEGIBLE_PX = 12
PLAIN_LEVELS = 40  # a ground that varies more than this, in levels of 255, gets a plate
PAD, MARGIN = 0.45, 0.75  # rim of a plate and distance from the edge, in glyph heights
MAX_SHARE_OF_WIDTH, MAX_SHARE_OF_HEIGHT = 0.8, 0.25
PAPER: Colour = (250, 247, 240)
INK: Colour = (30, 27, 24)
CORNERS = ("bottom-right", "bottom-left", "top-right", "top-left")
_RUN = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]+")


@dataclass(frozen=True, kw_only=True)
class Lettered:
    """The label's words as coverage 0..255, (H, W), and the box of each glyph in it."""

    coverage: Image.Image
    glyphs: tuple[Box, ...]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the pixels show: lowest glyph in px, and contrast of the ink against its ground."""

    glyph_height_px: int
    contrast: float


@dataclass(frozen=True, kw_only=True)
class _Room:
    """Where the words go: a corner's name or "footer", their box, and the pictures to paint."""

    form: str
    words: Lettered
    box: Box
    canvases: list[Image.Image]

    @property
    def glyphs(self) -> list[Box]:
        """The box of each glyph on the canvases."""
        return [_shift(glyph, self.box) for glyph in self.words.glyphs]

    @property
    def pad(self) -> int:
        """Width of a plate's rim in px: less than the margin that the corner leaves."""
        lowest = min(bottom - top for _, top, _, bottom in self.words.glyphs)
        return max(3, round(PAD * lowest))


@dataclass(frozen=True, kw_only=True)
class _Painted:
    """The ink's colour, whether a plate lies under it, and what the pixels then showed."""

    colour: Colour
    plate: bool
    found: Measured


def label_picture(
    image: Image.Image,
    lines: Sequence[str],
    glyph_share: float = GLYPH_SHARE,
    shown: Callable[[Image.Image], Image.Image] | None = None,
) -> tuple[Image.Image, dict[str, object]]:
    """`image` (RGB or RGBA) with the words in a corner or, if it is too small, in a footer.

    Also the JSON facts that `measure_picture` needs: form, words, boxes, colour and measures.

    shown: the picture as it comes back from the file, for encodings that change pixels; called
        last with the picture that is returned
    """
    back: Shown | None = None if shown is None else lambda frames: [shown(frames[0])]
    frames, facts = label_frames([image], lines, glyph_share, back)
    return frames[0], facts


def label_frames(
    frames: Sequence[Image.Image],
    lines: Sequence[str],
    glyph_share: float = GLYPH_SHARE,
    shown: Shown | None = None,
) -> tuple[list[Image.Image], dict[str, object]]:
    """The frames of one animation (equal in size and mode) with the same label on every one.

    As `label_picture`; it is measured on the first, the middle and the last frame.
    """
    for extra_px in range(4):  # an encoding may pale the outer row of a glyph
        room = _room(frames, lines, extra_px, glyph_share)
        painted = _legible(room, shown)
        canvas = room.canvases[0]
        needed_px = math.ceil(glyph_share * min(canvas.size))
        if painted.found.glyph_height_px >= max(LEGIBLE_PX, needed_px):
            break
    facts: dict[str, object] = {
        "form": room.form,
        "words": " ".join(lines),
        "box": list(room.box),
        "glyphs": [list(glyph) for glyph in room.glyphs],
        "colour": list(painted.colour),
        "plate": painted.plate,
        "short_side_px": min(canvas.size),
        "glyph_height_px": painted.found.glyph_height_px,
        "contrast": round(painted.found.contrast, 2),
    }
    return room.canvases, facts


def _room(
    frames: Sequence[Image.Image], lines: Sequence[str], extra_px: int, glyph_share: float
) -> _Room:
    """Copies of the frames and where the words go in them."""
    size = frames[0].size
    height_px = max(LEGIBLE_PX, math.ceil(glyph_share * min(size))) + extra_px
    words = _fitting(size, lines, height_px)
    if words is not None:
        form, box = freest_corner(frames, words.coverage.size, round(height_px * MARGIN))
        return _Room(form=form, words=words, box=box, canvases=[one.copy() for one in frames])
    footers = [_with_footer(one, lines, glyph_share, LEGIBLE_PX + extra_px) for one in frames]
    _, words, box = footers[0]
    canvases = [canvas for canvas, _, _ in footers]
    return _Room(form="footer", words=words, box=box, canvases=canvases)


def _legible(room: _Room, shown: Shown | None) -> _Painted:
    """Paint the words on the canvases, as quietly as legible."""
    plate_box = _grow(room.box, room.pad)
    before = [canvas.crop(plate_box) for canvas in room.canvases]
    # A plain ground may still be blotted by an encoding; then words need a plate on it, too.
    for asked, aim in ((asked, aim) for asked in (False, True) for aim in AIMS):
        for canvas, region in zip(room.canvases, before, strict=True):
            canvas.paste(region, plate_box[:2])
        colour, plate = _paint(room, aim, asked)
        seen = room.canvases if shown is None else shown(room.canvases)
        found = measure_frames(seen, room.glyphs, colour)
        if found.contrast >= AIMS[0]:
            break
    return _Painted(colour=colour, plate=plate, found=found)


def _fitting(size: tuple[int, int], lines: Sequence[str], height_px: int) -> Lettered | None:
    """The words side by side, else under each other; None if a picture of `size` has no room."""
    for arranged in (("   ".join(lines),), tuple(lines)):
        words = letter(arranged, height_px)
        wide = words.coverage.width > MAX_SHARE_OF_WIDTH * size[0]
        if not wide and words.coverage.height <= MAX_SHARE_OF_HEIGHT * size[1]:
            return words
    return None


def letter(lines: Sequence[str], height_px: int, indent: float = 1.0) -> Lettered:
    """The lines set under each other, every glyph at least `height_px` high in its pixels.

    indent: share of the free width that stands left of a shorter line; 1 is flush right
    """
    rows = [_letter_line(line, height_px) for line in lines]
    gap = round(height_px * 0.45)
    width = max(row.coverage.width for row in rows)
    height = sum(row.coverage.height for row in rows) + gap * (len(rows) - 1)
    sheet, glyphs, top = Image.new("L", (width, height)), list[Box](), 0
    for row in rows:
        left = round((width - row.coverage.width) * indent)
        sheet.paste(row.coverage, (left, top))
        glyphs += [(a + left, b + top, c + left, d + top) for a, b, c, d in row.glyphs]
        top += row.coverage.height + gap
    return Lettered(coverage=sheet, glyphs=tuple(glyphs))


def _letter_line(line: str, height_px: int) -> Lettered:
    """One line; each glyph is placed by its own ink and centred on the line's height."""
    cells = [cell for run in _RUN.findall(line) for cell in _cells(run, height_px)]
    height = max(image.height for image, _ in cells if image is not None)
    width = math.ceil(sum(advance for _, advance in cells))
    sheet, glyphs, x = Image.new("L", (width + 2, height)), list[Box](), 0.0
    for image, advance in cells:
        if image is not None:
            left = round(x + (advance - image.width) / 2)
            top = (height - image.height) // 2
            sheet.paste(image, (max(0, left), top))
            glyphs.append((max(0, left), top, max(0, left) + image.width, top + image.height))
        x += advance
    start, end = min(box[0] for box in glyphs), max(box[2] for box in glyphs)
    placed = tuple((a - start, b, c - start, d) for a, b, c, d in glyphs)
    return Lettered(coverage=sheet.crop((start, 0, end, height)), glyphs=placed)


def _cells(run: str, height_px: int) -> list[tuple[Image.Image | None, float]]:
    """(ink, advance in px) of each character, at the smallest size that reaches the height."""
    size_px, lowest_px = float(height_px), 0
    while lowest_px < height_px:
        face = font(size_px, run, style="sans")
        lowest_px = min(_ink_height(face, one) for one in run if one.strip())
        # Near the goal in one step, then by half pixels, since glyphs grow by whole rows.
        size_px = max(size_px + 0.5, 0.98 * size_px * height_px / max(1, lowest_px))
    spacing = 0.06 * face.size
    return [(_ink(face, one), face.getlength(one) + spacing) for one in run]


def _ink(face: ImageFont.FreeTypeFont, character: str) -> Image.Image | None:
    """A character's coverage cut to its box; None for a space."""
    if not character.strip():
        return None
    left, top, right, bottom = (round(edge) for edge in face.getbbox(character))
    cell = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(cell).text((-left, -top), character, fill=255, font=face)
    return cell


def _ink_height(face: ImageFont.FreeTypeFont, character: str) -> int:
    cell = _ink(face, character)
    return 0 if cell is None else _extent(np.asarray(cell) >= 128)


def _extent(ink: NDArray[np.bool_]) -> int:
    """Rows from the first to the last that hold ink."""
    rows = np.flatnonzero(ink.any(axis=1))
    return int(rows[-1] - rows[0] + 1) if rows.size else 0


def freest_corner(
    frames: Sequence[Image.Image], size: tuple[int, int], margin: int
) -> tuple[str, Box]:
    """The first of CORNERS with about as little detail as the emptiest, in up to 8 frames."""
    boxes = {name: _corner(name, frames[0].size, size, margin) for name in CORNERS}
    looked_at = frames[:: max(1, math.ceil(len(frames) / 8))]
    detail = {
        name: max(_detail(one, _grow(box, margin // 2)) for one in looked_at)
        for name, box in boxes.items()
    }
    enough = 1.5 * min(detail.values()) + 1.5
    chosen = next(name for name in CORNERS if detail[name] <= enough)
    return chosen, boxes[chosen]


def _corner(name: str, outer: tuple[int, int], inner: tuple[int, int], margin: int) -> Box:
    left = margin if name.endswith("left") else outer[0] - inner[0] - margin
    top = margin if name.startswith("top") else outer[1] - inner[1] - margin
    return (left, top, left + inner[0], top + inner[1])


def _grow(box: Box, by: int) -> Box:
    return (box[0] - by, box[1] - by, box[2] + by, box[3] + by)


def _detail(image: Image.Image, box: Box) -> float:
    """Edges: root mean square step of lightness in levels, paper grain averaged away."""
    lightness = _flat(image.crop(box)).convert("L")
    small = np.asarray(lightness.reduce(min(4, *lightness.size)), np.float64)
    across, down = np.diff(small, axis=1), np.diff(small, axis=0)
    return float(
        np.sqrt((across**2).sum() / max(1, across.size) + (down**2).sum() / max(1, down.size))
    )


def _flat(image: Image.Image) -> Image.Image:
    """Without transparency, as seen on white."""
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _with_footer(
    image: Image.Image, lines: Sequence[str], glyph_share: float, height_px: int
) -> tuple[Image.Image, Lettered, Box]:
    """A canvas with room for the words below the picture; it may grow in width too."""
    while True:
        words = letter(lines, height_px, indent=0.5)
        width, height = words.coverage.size
        margin = round(height_px * MARGIN)
        size = (max(image.width, width + 2 * margin), image.height + height + 2 * margin)
        needed = math.ceil(glyph_share * min(size))
        if height_px >= needed:
            break
        height_px = needed
    canvas = Image.new(image.mode, size, PAPER)
    canvas.paste(image, ((size[0] - image.width) // 2, 0))
    left, top = (size[0] - width) // 2, image.height + margin
    return canvas, words, (left, top, left + width, top + height)


def _paint(room: _Room, aim: float, plated: bool) -> tuple[Colour, bool]:
    """Put the words into every canvas; the ink's colour, and whether a plate was laid."""
    colour, plate = choose_colours([one.crop(room.box) for one in room.canvases], aim, plated)
    for canvas in room.canvases:
        if plate is not None:
            _lay_plate(canvas, room.box, room.pad, plate)
        canvas.paste(colour, room.box[:2], room.words.coverage)
    return colour, plate is not None


def choose_colours(
    regions: Sequence[Image.Image], aim: float, plate: bool = False
) -> tuple[Colour, Colour | None]:
    """The ink for words on these grounds, and the plate that they need under them, if any.

    A ground that is uneven, see-through or of middling lightness gets a plate; so does any if
    `plate` says so.
    """
    opaque = all(
        one.mode != "RGBA" or one.getchannel("A").getextrema() == (255, 255) for one in regions
    )
    step = max(1, len(regions) // 8)  # in a long animation fewer rows of each say as much
    pixels = [np.asarray(_flat(one))[::step].reshape(-1, 3) for one in regions]
    ground = _ground(np.concatenate(pixels).astype(np.float64))
    colour = _quiet_ink(ground, aim)
    if (
        not plate
        and opaque
        and _spread(ground) <= PLAIN_LEVELS
        and (contrast(colour, ground) >= AIMS[0])
    ):
        return colour, None
    base = PAPER if float(_luminance(ground).mean()) > 0.18 else INK
    return _quiet_ink(np.array([base], np.float64), aim), base


def _lay_plate(canvas: Image.Image, box: Box, pad: int, colour: Colour) -> None:
    left, top, right, bottom = _grow(box, pad)
    rounded = max(2, pad // 2)
    draw = ImageDraw.Draw(canvas)
    draw.rounded_rectangle((left, top, right - 1, bottom - 1), rounded, fill=colour)


def _ground(pixels: Pixels) -> Pixels:
    """The darkest, the middle and the lightest colour of (N, 3), without the outer percent."""
    order = np.argsort(_luminance(pixels), kind="stable")
    last = len(order) - 1
    return pixels[order[[round(last * share) for share in (0.01, 0.5, 0.99)]]]


def _spread(ground: Pixels) -> float:
    return float(np.abs(ground[-1] - ground[0]).max())


def _quiet_ink(ground: Pixels, aim: float) -> Colour:
    """The colour nearest to the ground's middle that stands out enough from all of it."""
    middle = ground[len(ground) // 2]
    ends = sorted((INK, PAPER), key=lambda end: -contrast(end, ground))
    steps = (middle + (np.array(ends[0]) - middle) * share for share in np.linspace(0.3, 1, 36))
    colours = [(round(step[0]), round(step[1]), round(step[2])) for step in steps]
    return next((one for one in colours if contrast(one, ground) >= aim), colours[-1])


def _luminance(pixels: Pixels) -> NDArray[np.float64]:
    """Relative luminance (WCAG 2.2) of (N, 3) sRGB levels, 0..1."""
    share = pixels / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    shares = np.array([0.2126, 0.7152, 0.0722])
    luminance: NDArray[np.float64] = linear @ shares
    return luminance


def contrast(colour: Iterable[float], ground: Pixels) -> float:
    """The lowest contrast ratio, 1..21, of `colour` against the rows of `ground`."""
    ink = float(_luminance(np.array([tuple(colour)], np.float64))[0])
    under = _luminance(ground)
    ratios = (np.maximum(ink, under) + 0.05) / (np.minimum(ink, under) + 0.05)
    return float(ratios.min())


def _shift(glyph: Box, box: Box) -> Box:
    return (glyph[0] + box[0], glyph[1] + box[1], glyph[2] + box[0], glyph[3] + box[1])


def measure_frames(
    frames: Sequence[Image.Image], glyphs: Sequence[Box], colour: Colour
) -> Measured:
    """The worst of the first, the middle and the last frame; nothing where there is none."""
    places = sorted({0, len(frames) // 2, len(frames) - 1}) if frames else []
    found = [measure_picture(frames[place], glyphs, colour) for place in places]
    return Measured(
        glyph_height_px=min((one.glyph_height_px for one in found), default=0),
        contrast=min((one.contrast for one in found), default=1.0),
    )


def measure_picture(image: Image.Image, glyphs: Sequence[Box], colour: Colour) -> Measured:
    """Height and contrast of the glyphs as the pixels of `image` show them now."""
    heights, worst = [], 21.0
    for box in glyphs:
        height, ratio = _measure_glyph(image, box, colour)
        heights.append(height)
        worst = min(worst, ratio)
    return Measured(glyph_height_px=min(heights, default=0), contrast=worst if heights else 1.0)


def _measure_glyph(image: Image.Image, box: Box, colour: Colour) -> tuple[int, float]:
    """Ink is what lies nearer to `colour` than to the ground above and below the glyph.

    Beside it may stand the next glyph. The drawn colour is that of the fullest quarter of the ink.
    """
    window = _flat(image.crop((box[0], box[1] - 3, box[2], box[3] + 3)))
    pixels = np.asarray(window, np.float64)
    ground = _ground(np.concatenate([*pixels[:2], *pixels[-2:]]))
    axis = np.array(colour, np.float64) - ground[1]
    length = float(axis @ axis)
    if length < 1:
        return 0, 1.0
    share = (pixels - ground[1]) @ axis / length
    ink = share >= 0.5
    if not ink.any():
        return 0, 1.0
    full = share >= np.quantile(share[ink], 0.75)
    return _extent(ink), contrast(np.median(pixels[full], axis=0), ground)


def recorded_glyphs(facts: Mapping[str, Any], size: tuple[int, int]) -> list[Box]:
    """The glyph boxes of a record if they lie inside a picture of `size`; ValueError if not."""
    boxes = [(int(a), int(b), int(c), int(d)) for a, b, c, d in facts["glyphs"]]
    if not boxes:
        raise ValueError("glyphs")
    for left, top, right, bottom in boxes:
        if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
            raise ValueError("glyphs")
    return boxes
