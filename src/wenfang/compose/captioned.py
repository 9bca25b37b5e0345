"""Captions drawn into the picture: at most two lines, legible on any ground, clear of the edges.

H, W are the sides of the part of a frame that a caption covers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wenfang.compose.reel import Changed, count_of, duration_of, size_of
from wenfang.compose.subtitles import apart
from wenfang.errors import ConfigError, MediaError
from wenfang.media.contrast import LEGIBLE, contrast
from wenfang.media.draw import Lettering, draw_horizontal, ink_box, line_width, wrap
from wenfang.media.fonts import Style, Weight
from wenfang.media.recolour import Colour
from wenfang.media.video import Caption, Film, Frame

Cover = NDArray[np.floating]  # (H, W) in 0..1

LEAST_PX, SMALLEST = 12.0, 0.6  # of letters: whatever the frame is, and beside the size asked for
MOST_LINES = 2
LEADING, BASELINE = 1.28, 1.02  # in em, from line to line and from a line's top
OUTLINE, OPACITY, PADDING = 0.085, 0.75, 0.4  # the outline and the plate's padding in em
LEAST_OUTLINE_PX = 2


@dataclass(frozen=True, kw_only=True)
class CaptionLook:
    """How captions look.

    size      of the letters, as a share of the frame's shorter side; smaller where a caption would
              not fit into two lines
    ground    "outline": around every letter; "plate": behind the lines, through which the picture
              is seen a little
    colour, ground_colour  contrast at least 4.5:1, through a plate on any picture
    place     "bottom" or "top"
    margin    that stays free left and right, as a share of the width
    edge      how far from the bottom or the top, as a share of the height; upright films are often
              shown with buttons over the lowest fifth
    """

    size: float = 0.055
    style: Style = "sans"
    weight: Weight = "bold"
    ground: Literal["outline", "plate"] = "outline"
    colour: Colour = (255, 255, 255)
    ground_colour: Colour = (0, 0, 0)
    place: Literal["bottom", "top"] = "bottom"
    margin: float = 0.05
    edge: float = 0.06

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("size", self.size, 0.02, 0.2), ("margin", self.margin, 0.0, 0.25),
            ("edge", self.edge, 0.0, 0.5),
        ):  # fmt: skip
            if not isfinite(value) or not least <= value <= most:
                raise ConfigError("{name} of captions is {value}; give {least} to {most}",
                                  name=name, value=value, least=least, most=most)  # fmt: skip
        if self.ground not in ("outline", "plate") or self.place not in ("bottom", "top"):
            raise ConfigError("captions stand on an outline or a plate, at the bottom or the top; "
                              "{ground} and {place} are neither",
                              ground=self.ground, place=self.place)  # fmt: skip
        if (found := self.contrast()) < LEGIBLE:
            raise ConfigError("letters of {colour} on {ground} have a contrast of {found}, at "
                              "least {least} can be read; choose other colours",
                              colour=self.colour, ground=self.ground_colour,
                              found=round(found, 2), least=LEGIBLE)  # fmt: skip

    def contrast(self) -> float:
        """The least contrast of the letters with what is beside them, whatever the picture."""
        opacity = OPACITY if self.ground == "plate" else 1.0
        beside = [
            [opacity * one + (1 - opacity) * light for one in self.ground_colour]
            for light in (0, 255)
        ]
        return min(contrast(self.colour, one) for one in beside)


def captioned(film: Film, captions: Sequence[Caption], look: CaptionLook | None = None) -> Film:
    """The film with captions in its picture, and as the track that players show.

    Where two overlap, the first ends as the next begins; the last ends with the film.
    raises MediaError for a caption after the film's end, or too long for two lines
    """
    look = look or CaptionLook()
    length_s = duration_of(film)
    shown = []
    for one in apart(captions):
        if one.start_s >= length_s:
            raise MediaError("the caption {text} begins at {start} s, after the film's end at "
                             "{length} s; give earlier times",
                             text=one.text[:40], start=round(one.start_s, 3),
                             length=round(length_s, 3))  # fmt: skip
        shown.append(replace(one, end_s=min(one.end_s, length_s)))
    size = size_of(film)
    blocks = [_block(one.text, size, look) for one in shown]
    change = _Captioned(shown, blocks, size, look, float(film.fps))
    frames = Changed(frames=film.frames, count=count_of(film), change=change)
    return replace(film, frames=frames, captions=tuple(shown))


class _Block(NamedTuple):
    """The lines of a caption and the size of their letters."""

    lines: tuple[str, ...]
    lettering: Lettering


def _block(text: str, size: tuple[int, int], look: CaptionLook) -> _Block:
    """The largest lettering, up to what is asked, in which a caption takes two lines at most."""
    width = size[0] * (1 - 2 * look.margin)
    height = size[1] * (1 - look.edge)
    largest = max(LEAST_PX, look.size * min(size))
    given = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    size_px = float(round(largest))
    while size_px >= max(LEAST_PX, SMALLEST * largest):
        lettering = Lettering(size_px=size_px, style=look.style, weight=look.weight)
        beside = 2 * _padding_px(lettering, look)
        for parts in (given, [" ".join(given)]):
            lines = _wrapped(parts, lettering, width - beside)
            if lines and len(lines) * LEADING * size_px + beside <= height:
                return _Block(tuple(lines), lettering)
        size_px -= 1
    raise MediaError("the caption {text} does not fit into two lines of this film; shorten it or "
                     "divide it", text=text[:40])  # fmt: skip


def _wrapped(parts: Sequence[str], lettering: Lettering, width_px: float) -> list[str]:
    """The lines of the parts; none where they are too many or too wide."""
    lines: list[str] = []
    for part in parts:
        if line_width(part, lettering) <= width_px:
            lines.append(part)
            continue
        try:
            lines += wrap(part, lettering, width_px)
        except MediaError:  # one word is too wide
            return []
    return lines if len(lines) <= MOST_LINES else []


def _padding_px(lettering: Lettering, look: CaptionLook) -> int:
    if look.ground == "plate":
        return round(PADDING * lettering.size_px)
    return max(LEAST_OUTLINE_PX, round(OUTLINE * lettering.size_px))


class _Patch(NamedTuple):
    """What a caption puts over a part of a frame: `colours` + frame * `through`, divided by 255."""

    box: tuple[slice, slice]
    colours: NDArray[np.uint16]  # (H, W, 3), times 255
    through: NDArray[np.uint16]  # (H, W, 1) in 0..255


class _Captioned:
    """Frames with the caption of their time."""

    def __init__(
        self, captions: Sequence[Caption], blocks: Sequence[_Block], size: tuple[int, int],
        look: CaptionLook, fps: float,
    ) -> None:  # fmt: skip
        self.captions, self.fps = captions, fps
        self.starts = [one.start_s for one in captions]
        # One caption is on the screen at a time; two films may be gone through at once.
        self.patch = lru_cache(maxsize=4)(lambda place: _patch(blocks[place], size, look))

    def __call__(self, number: int, frame: Frame) -> Frame:
        time_s = (number + 0.5) / self.fps
        place = bisect_right(self.starts, time_s) - 1
        if place < 0 or time_s >= self.captions[place].end_s:
            return frame
        patch = self.patch(place)
        made = frame.copy()
        under = made[patch.box] * patch.through
        made[patch.box] = ((under + patch.colours + 127) // 255).astype(np.uint8)
        return made


def _patch(block: _Block, size: tuple[int, int], look: CaptionLook) -> _Patch:
    lettering, size_px = block.lettering, block.lettering.size_px
    padding = _padding_px(lettering, look)
    widths = [line_width(line, lettering) for line in block.lines]
    width = min(size[0], round(max(widths)) + 2 * padding)
    height = min(size[1], round(len(block.lines) * LEADING * size_px) + 2 * padding)
    letters = Image.new("L", (width, height))
    draw = ImageDraw.Draw(letters)
    for place, line in enumerate(block.lines):
        left, _, right, _ = ink_box(line, lettering)  # a Chinese stop has room of its own
        baseline = padding + (place * LEADING + BASELINE) * size_px
        draw_horizontal(draw, ((width - left - right) / 2, round(baseline)), line, lettering)
    inked = np.asarray(letters, np.float32) / 255
    behind = _plate(width, height, padding) if look.ground == "plate" else _grown(inked, padding)
    through = (1 - inked) * (1 - behind)
    colours = inked[..., None] * np.array(look.colour, np.float32)
    colours += ((1 - inked) * behind)[..., None] * np.array(look.ground_colour, np.float32)
    free = min(round(look.edge * size[1]), size[1] - height)
    top = free if look.place == "top" else size[1] - free - height
    beside = (size[0] - width) // 2
    return _Patch(
        box=(slice(top, top + height), slice(beside, beside + width)),
        colours=np.rint(colours * 255).astype(np.uint16),
        through=np.rint(through * 255).astype(np.uint16)[..., None],
    )


def _plate(width: int, height: int, padding: int) -> Cover:
    """(H, W) how opaque a plate with round corners is."""
    plate = Image.new("L", (width, height))
    box = (0, 0, width - 1, height - 1)
    ImageDraw.Draw(plate).rounded_rectangle(box, radius=padding / 2, fill=round(255 * OPACITY))
    return np.asarray(plate, np.float32) / 255


def _grown(inked: Cover, reach: int) -> Cover:
    """(H, W) everything within `reach` px of ink."""
    padded = np.pad(inked, reach)
    grown = inked.copy()
    height, width = inked.shape
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down * down + right * right <= (reach + 0.5) ** 2:
                top, left = reach + down, reach + right
                np.maximum(grown, padded[top : top + height, left : left + width], out=grown)
    return grown
