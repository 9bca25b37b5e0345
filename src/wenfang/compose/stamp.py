"""The red seal under a signature: carved characters, rough edges, worn and uneven paste."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from wenfang.compose.paper import Plane, stream
from wenfang.errors import MediaError
from wenfang.media.draw import FontType, font, glyph_box

Carving = Literal["white", "red"]
"""White characters in a red field (白文), or red characters in a red frame (朱文)."""

MOST_CHARACTERS = 4
OVERSAMPLING = 3
HEAVINESS = 0.006
"""How far strokes are thickened, in em: a knife is blunter than a brush."""

Place = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def stamp_mask(
    characters: str, size_px: tuple[int, int], seed: int, carving: Carving = "white"
) -> Plane:
    """Coverage (height, width) in 0..1 of the red paste of a seal.

    characters: one to four, read from top to bottom and from right to left
    size_px: width and height
    raises MediaError for any other number of characters
    """
    if not 1 <= len(characters) <= MOST_CHARACTERS:
        raise MediaError(
            "a seal holds 1 to {most} characters, not {count}: {characters}",
            most=MOST_CHARACTERS, count=len(characters), characters=characters,
        )  # fmt: skip
    width, height = size_px
    relief = _carved(characters, (width * OVERSAMPLING, height * OVERSAMPLING), carving)
    return _printed(relief, size_px, seed)


def _cells(count: int, area: Place) -> list[Place]:
    """The place of each character in `area`, in reading order."""
    low_x, low_y, high_x, high_y = area
    gap = 0.025 * (high_x - low_x)
    middle_x, middle_y = (low_x + high_x) / 2, (low_y + high_y) / 2
    top, bottom, tall = (low_y, middle_y - gap), (middle_y + gap, high_y), (low_y, high_y)
    left, right, wide = (low_x, middle_x - gap), (middle_x + gap, high_x), (low_x, high_x)
    places = {
        1: [(wide, tall)],
        2: [(wide, top), (wide, bottom)],
        3: [(right, tall), (left, top), (left, bottom)],
        4: [(right, top), (right, bottom), (left, top), (left, bottom)],
    }[count]
    return [(across[0], down[0], across[1], down[1]) for across, down in places]


def _carved(characters: str, size: tuple[int, int], carving: Carving) -> Image.Image:
    """The face of the seal, mode "L": 255 where it takes paste."""
    white = carving == "white"
    width, height = size
    side = min(width, height)
    face = Image.new("L", size, 0)
    draw = ImageDraw.Draw(face)

    def inner(share: float) -> Place:
        return (share * side, share * side, width - share * side, height - share * side)

    draw.rounded_rectangle(inner(0.025), side * 0.07, fill=255)
    if not white:
        draw.rounded_rectangle(inner(0.085), side * 0.03, fill=0)
    # Letters of even weight come nearest to the lines of Han seals.
    lettering = font(side * 0.6, characters, "sans", "bold" if white else "regular")
    area = inner(0.125 if white else 0.15)
    for character, place in zip(characters, _cells(len(characters), area), strict=True):
        glyph = _filling(character, lettering, place)
        face.paste(0 if white else 255, (round(place[0]), round(place[1])), glyph)
    return face


def _filling(character: str, lettering: FontType, box: Place) -> Image.Image:
    """The character stretched to fill its place, as carvers draw it."""
    heavy = lettering.size * HEAVINESS
    left, top, right, bottom = glyph_box(lettering, character, heavy)
    size = (max(1, round(right - left)), max(1, round(bottom - top)))
    glyph = Image.new("L", size, 0)
    ImageDraw.Draw(glyph).text(
        (-left, -top), character, font=lettering, fill=255, anchor="ls", stroke_width=heavy
    )
    width, height = round(box[2] - box[0]), round(box[3] - box[1])
    # A flat character such as 一 keeps some of its flatness instead of becoming a block.
    tall = round(height * min(1.0, max(0.12, 1.7 * size[1] / lettering.size)))
    wide = round(width * min(1.0, max(0.12, 1.7 * size[0] / lettering.size)))
    place = Image.new("L", (width, height), 0)
    place.paste(
        glyph.resize((wide, tall), Image.Resampling.LANCZOS),
        ((width - wide) // 2, (height - tall) // 2),
    )
    return place


def _printed(relief: Image.Image, size_px: tuple[int, int], seed: int) -> Plane:
    """The relief as it prints: edges eaten by noise, paste thin in places, small chips."""
    rng = stream(seed, 40)
    side = min(relief.size)

    def cloud(knots: int) -> Plane:
        """Smooth noise with `knots` along the shorter side."""
        across, down = (max(2, round(knots * length / side)) for length in relief.size)
        small = rng.standard_normal((down, across), np.float32)
        grown = Image.fromarray(small).resize(relief.size, Image.Resampling.BICUBIC)
        return np.asarray(grown, np.float32)

    soft = relief.filter(ImageFilter.GaussianBlur(side * 0.007))
    height = np.asarray(soft, np.float32) / 255
    height += 0.10 * cloud(60) + 0.07 * cloud(22)
    edge = np.clip((height - 0.5) * 5 + 0.5, 0, 1)
    paste = 0.93 + 0.05 * cloud(5) + 0.05 * cloud(50)
    worn = np.clip((cloud(28) + 0.9 * cloud(7) - 2.0) * 2.2, 0, 1)
    coverage = np.clip(edge * paste * (1 - 0.8 * worn), 0, 1).astype(np.float32)
    small = Image.fromarray(coverage).resize(size_px, Image.Resampling.BOX)
    return np.asarray(small, np.float32)
