"""A picture in the colours of a brand: its light keeps its order, its hues are given up.

Light is told in CIE L*, in which equal steps look equal, so that shading stays smooth.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from wenfang.errors import BriefError

MOST_COLOURS = 8
WHITE = (255, 255, 255)
LINEAR = np.array([0.2126, 0.7152, 0.0722])  # luminance of linear red, green, blue

Colour = tuple[int, int, int]
Floats = NDArray[np.float64]


def read_palette(text: str) -> tuple[Colour, ...]:
    """Colours as "#1d3557, gold": names of CSS or hexadecimal, with commas between them.

    raises BriefError for what is no colour, or too many of them
    """
    named = [one.strip() for one in text.split(",") if one.strip()]
    if len(named) > MOST_COLOURS:
        raise BriefError(
            "a palette has at most {most} colours, not {count}; choose the main ones",
            most=MOST_COLOURS,
            count=len(named),
        )
    found = []
    for name in named:
        try:
            red, green, blue, *_ = ImageColor.getrgb(name)
        except ValueError:
            raise BriefError(
                "{name} is no colour; write it as #1d3557 or by its CSS name", name=name
            ) from None
        found.append((red, green, blue))
    return tuple(found)


def in_hexadecimal(colour: Colour) -> str:
    """As `read_palette` reads it: "#1d3557"."""
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def recoloured(image: Image.Image, palette: tuple[Colour, ...]) -> Image.Image:
    """`image` with each pixel's light between that of two neighbours of the palette, mixed of both.

    The darkest part of the picture gets the darkest colour, the lightest the lightest. Of one
    colour alone it becomes shades between it and white. Opacity stays.
    """
    if not palette:
        return image
    clear = image.mode == "RGBA"
    values = np.asarray(image.convert("RGBA"))
    ends = palette if len(palette) > 1 else (*palette, WHITE)
    colours = np.array(sorted(ends, key=lambda one: float(lightness(np.array(one, float)))), float)
    light = lightness(values[..., :3].astype(np.float64))
    seen = values[..., 3] > 0
    if not seen.any():
        return image
    low, high = np.percentile(light[seen], (1, 99))
    share = np.clip((light - low) / max(high - low, 1e-6), 0, 1)
    stops = np.linspace(0, 1, len(colours))
    mixed = np.zeros((*share.shape, 3))
    for (first, last), (one, other) in zip(pairwise(stops), pairwise(colours), strict=True):
        inside = (share >= first) & (share <= last)
        part = ((share - first) / (last - first))[..., None]
        mixed = np.where(inside[..., None], one + part * (other - one), mixed)
    levels = np.concatenate((mixed.round().astype(np.uint8), values[..., 3:]), axis=2)
    made = Image.fromarray(levels)
    return made if clear else made.convert("RGB")


def lightness(colours: Floats) -> Floats:
    """CIE L* of sRGB colours (..., 3) of 0..255: 0 black to 100 white."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    y = linear @ LINEAR
    found: Floats = np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)
    return found
