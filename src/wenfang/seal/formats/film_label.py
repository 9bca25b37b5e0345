"""The visible label on the opening pictures of a film, drawn into the planes that are encoded.

Reported rule (GB 45438-2025): on the opening picture for at least 2 s, at least 5 % of the
shortest side high. It stands for 3 s in one corner, the freest over all of them, and on a plate,
since the ground moves. Films too small for it get a footer, films under 4 s have it throughout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wenfang.errors import MediaError
from wenfang.media.video import Film, Shot, blank, planes, shots
from wenfang.seal.picture import (
    CORNERS,
    INK,
    LEGIBLE_PX,
    PAPER,
    Box,
    Colour,
    Lettered,
    letter,
)

if TYPE_CHECKING:
    import av

Levels = NDArray[np.uint8]

LABEL_S, SHORT_FILM_S, LOOK_EVERY_S = 3.0, 4.0, 0.25
# A tenth above the 5 % that are asked, and two rows: coding blurs the edges of glyphs.
DRAWN_SHARE, DRAWN_PX = 0.055, LEGIBLE_PX + 2
MAX_SHARE_OF_WIDTH, MAX_SHARE_OF_HEIGHT = 0.8, 0.25
LIGHT_GROUND = 118  # of 255: the middle between black and white as seen, 18 % of the light
# Plate and words; 9:1 before coding, of which thin strokes keep more than 4.5:1.
PLATES: dict[bool, tuple[Colour, Colour]] = {
    True: (PAPER, (66, 60, 52)),
    False: (INK, (206, 199, 187)),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """Plate and words as planes: what is laid over frames, and how strongly (0..1).

    box     left, top, right, bottom in px, all even; the patch covers it
    size    of the frames that come out
    shift   where the film's own frames stand in them; (0, 0) unless there is a footer
    until_s the label ends there
    """

    levels: tuple[NDArray[np.float32], ...]
    strength: tuple[NDArray[np.float32], ...]
    box: Box
    size: tuple[int, int]
    shift: tuple[int, int]
    until_s: float

    def lay(self, shot: Shot) -> av.VideoFrame:
        """The frame with the label, while it lasts."""
        frame = shot.frame
        if self.size != (frame.width, frame.height):
            frame = self._footed(frame)
        elif shot.time_s >= self.until_s:
            return frame
        else:
            frame.make_writable()
        for number, plane in enumerate(planes(frame)):
            step = 1 if number == 0 else 2
            left, top, right, bottom = (edge // step for edge in self.box)
            under = plane[top:bottom, left:right]
            alpha = self.strength[number]
            mixed = under + (self.levels[number] - under) * alpha
            under[:] = np.rint(mixed)
        return frame

    def _footed(self, frame: av.VideoFrame) -> av.VideoFrame:
        canvas = blank(*self.size, like=frame)
        paper = _to_planes(np.array(PAPER, np.float32)[None, None])
        for number, (target, source) in enumerate(zip(planes(canvas), planes(frame), strict=True)):
            target[:] = round(float(paper[number][0, 0]))
            step = 1 if number == 0 else 2
            left, top = (place // step for place in self.shift)
            target[top : top + source.shape[0], left : left + source.shape[1]] = source
        return canvas


@dataclass(frozen=True, kw_only=True)
class _Opening:
    """What the first seconds show: size, length (as far as it matters), and lightness."""

    size: tuple[int, int]
    duration_s: float
    looks: tuple[Levels, ...]  # luma of the frames looked at, reduced to about 480 px


def film_label(content: bytes | Film, lines: Sequence[str]) -> tuple[Patch, dict[str, object]]:
    """The label for a film, and the JSON facts for measuring it; MediaError for what is no film."""
    return _patch(_look(content), lines)


def _look(content: bytes | Film) -> _Opening:
    looks: list[Levels] = []
    size, last, before, due = (0, 0), 0.0, 0.0, 0.0
    for shot in shots(content):
        size = (shot.frame.width, shot.frame.height)
        before, last = last, shot.time_s
        if last >= SHORT_FILM_S:
            break
        if due - 1e-6 <= last < LABEL_S:
            looks.append(_small(planes(shot.frame)[0]))
            due = last + LOOK_EVERY_S
    if not looks:
        raise MediaError("a film without a frame cannot be labelled; give it one")
    return _Opening(size=size, duration_s=last + (last - before), looks=tuple(looks))


def _small(luma: Levels) -> Levels:
    step = max(1, round(max(luma.shape) / 480))
    return np.asarray(Image.fromarray(luma).reduce(step))


def _patch(opening: _Opening, lines: Sequence[str]) -> tuple[Patch, dict[str, object]]:
    """Where the label stands and how it looks, and the facts for measuring it again."""
    size = opening.size
    height_px = max(DRAWN_PX, math.ceil(DRAWN_SHARE * min(size)))
    words = _fitting(size, lines, height_px)
    form, shift, light = "corner", (0, 0), True
    if words is None:
        form = "footer"
        words, size, shift = _footer(size, lines)
        box = _plate_box(words, size)
        box = _moved(box, (size[0] - box[2] + box[0]) // 2, opening.size[1])
    else:
        box, light = _freest(opening, _plate_box(words, size))
    duration_s = math.inf if opening.duration_s < SHORT_FILM_S or form == "footer" else LABEL_S
    plate, ink = PLATES[light]
    levels, strength, corner = _painted(words, box, plate, ink)
    glyphs = [list(_moved(glyph, *corner)) for glyph in words.glyphs]
    visible: dict[str, object] = {
        "form": form,
        "words": " ".join(lines),
        "box": list(box),
        "glyphs": glyphs,
        "colour": list(ink),
        "plate": True,
        "short_side_px": min(size),
        "glyph_height_px": min(bottom - top for _, top, _, bottom in words.glyphs),
        "seconds": None if duration_s == math.inf else duration_s,
    }
    patch = Patch(levels=levels, strength=strength, box=box, size=size, shift=shift,
                  until_s=duration_s)  # fmt: skip
    return patch, visible


def _fitting(size: tuple[int, int], lines: Sequence[str], height_px: int) -> Lettered | None:
    """The words side by side, else under each other; None if frames of `size` have no room."""
    for arranged in (("   ".join(lines),), tuple(lines)):
        words = letter(arranged, height_px)
        left, top, right, bottom = _plate_box(words, size)
        if right - left <= MAX_SHARE_OF_WIDTH * size[0] and (
            bottom - top <= MAX_SHARE_OF_HEIGHT * size[1]
        ):
            return words
    return None


def _plate_box(words: Lettered, size: tuple[int, int]) -> Box:
    """An even box for the words with room around them, at the origin."""
    pad = max(6, min(size) // 50)
    width, height = (2 * math.ceil((edge + 2 * pad) / 2) for edge in words.coverage.size)
    return (0, 0, width, height)


def _footer(
    size: tuple[int, int], lines: Sequence[str]
) -> tuple[Lettered, tuple[int, int], tuple[int, int]]:
    """Words, size of the frames with a footer for them, and where the picture stands in these."""
    height_px = DRAWN_PX
    while True:
        words = letter(lines, height_px, indent=0.5)
        _, _, width, height = _plate_box(words, size)
        canvas = (max(size[0], width), size[1] + height)
        needed = math.ceil(DRAWN_SHARE * min(canvas))
        if height_px >= needed:
            break
        height_px = needed
    left = (canvas[0] - size[0]) // 2
    return words, canvas, (left - left % 2, 0)


def _moved(box: Sequence[int], right: int, down: int) -> Box:
    """The box moved; a box that is drawn into planes is moved by even steps."""
    return (box[0] + right, box[1] + down, box[2] + right, box[3] + down)


def _freest(opening: _Opening, box: Box) -> tuple[Box, bool]:
    """The corner with about the least detail over all looks, and whether its ground is light."""
    width, height = opening.size
    margin = 2 * (max(4, min(width, height) // 25) // 2)
    boxes = {}
    for name in CORNERS:
        left = margin if name.endswith("left") else width - box[2] - margin
        top = margin if name.startswith("top") else height - box[3] - margin
        boxes[name] = _moved(box, left - left % 2, top - top % 2)
    scale = opening.looks[0].shape[1] / width
    crops = {name: [_crop(one, area, scale) for one in opening.looks]
             for name, area in boxes.items()}  # fmt: skip
    detail = {
        name: float(np.mean([_detail(one) for one in parts])) for name, parts in crops.items()
    }
    enough = 1.5 * min(detail.values()) + 1.5
    chosen = next(name for name in CORNERS if detail[name] <= enough)
    lightness = np.median([one.mean() for one in crops[chosen]])
    return boxes[chosen], bool(lightness > LIGHT_GROUND)


def _crop(levels: Levels, box: Box, scale: float) -> NDArray[np.float64]:
    left, top, right, bottom = (round(edge * scale) for edge in box)
    part: NDArray[np.float64] = levels[top : bottom + 1, left : right + 1].astype(np.float64)
    return part


def _detail(part: NDArray[np.float64]) -> float:
    """Edges: root mean square step of lightness in levels."""
    across, down = np.diff(part, axis=1), np.diff(part, axis=0)
    steps = (across**2).sum() / max(1, across.size) + (down**2).sum() / max(1, down.size)
    return float(np.sqrt(steps))


def _painted(
    words: Lettered, box: Box, plate: Colour, ink: Colour
) -> tuple[tuple[NDArray[np.float32], ...], tuple[NDArray[np.float32], ...], tuple[int, int]]:
    """Planes of plate and words, their strength, and where the words' corner is in the frame."""
    width, height = box[2] - box[0], box[3] - box[1]
    inked = words.coverage.getbbox() or (0, 0, *words.coverage.size)
    left = (width - inked[2] + inked[0]) // 2 - inked[0]
    top = (height - inked[3] + inked[1]) // 2 - inked[1]
    sheet = Image.new("RGB", (width, height), plate)
    sheet.paste(ink, (left, top), words.coverage)
    mask = Image.new("L", (width, height), 0)
    rounded = max(2, height // 6)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), rounded, fill=255)
    strong = np.asarray(mask, np.float32) / np.float32(255)
    halved = _halved(strong)
    levels = _to_planes(np.asarray(sheet, np.float32))
    return levels, (strong, halved, halved), (box[0] + left, box[1] + top)


def _to_planes(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """(H, W, 3) sRGB levels as BT.709 luma and colour differences in 16..235, colour halved.

    The label is nearly grey, so films of another colour matrix show it in nearly the same colours.
    """
    luma = pixels @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    blue = (pixels[..., 2] - luma) / 1.8556
    red = (pixels[..., 0] - luma) / 1.5748
    return (
        16 + luma * np.float32(219 / 255),
        128 + _halved(blue) * np.float32(224 / 255),
        128 + _halved(red) * np.float32(224 / 255),
    )


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    if not rows or not columns:
        return plane
    blocks: NDArray[np.float32] = plane.reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    return blocks
