"""A drawn picture as filled paths: sharp at any size, for posters, print and SVG.

Colours are brought to a few and edges of opacity made hard; then the borders between them are
followed by smooth curves (vtracer, which does the tracing).
"""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

from wenfang.errors import MediaError
from wenfang.media.outlines import LETTERS, Command, Point, Verb
from wenfang.media.paths import Path_, Paths

TRACED_PX = 512  # longer side of what is traced; smaller pictures are made so large
COLOURS = 16
SAMPLED = 8  # one pixel of so many chooses the colours
SPECKLE_PX = 12  # what is smaller is left out
HALF = 128
SHAPE = re.compile(r'<path d="([^"]*)" fill="#([0-9A-Fa-f]{6})" transform="translate\(([^)]*)\)"')
STEP = re.compile(r"([MLCZ])([^MLCZ]*)")
VERBS: dict[str, Verb] = {letter: verb for verb, letter in LETTERS.items()}


def traced(image: Image.Image, colours: int = COLOURS) -> Paths:
    """`image` as paths in at most so many colours, TRACED_PX long; what is transparent stays free.

    raises MediaError for a picture in which nothing is seen
    """
    import vtracer  # only where something is traced

    flat = _flattened(image, colours)
    buffer = io.BytesIO()
    flat.save(buffer, "PNG")
    told = vtracer.convert_raw_image_to_svg(
        buffer.getvalue(),
        img_format="png",
        hierarchical="stacked",
        filter_speckle=SPECKLE_PX,
        color_precision=8,
        layer_difference=0,
        path_precision=2,
    )
    sheet = Paths(width_px=flat.width, height_px=flat.height)
    for steps, colour, place in SHAPE.findall(told):
        x, y = (float(one) for one in place.split(","))
        red, green, blue = bytes.fromhex(colour)
        sheet.fill(_path(steps, x, y), (red, green, blue))
    if not sheet.shapes:
        raise MediaError("there is nothing to trace in the picture; draw another one")
    return sheet


def _flattened(image: Image.Image, colours: int) -> Image.Image:
    """RGBA of TRACED_PX in a few colours, each pixel seen or not."""
    scale = TRACED_PX / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    large = image.convert("RGBA").resize((size[0], size[1]), Image.Resampling.LANCZOS)
    values = np.array(large)
    seen = values[..., 3] >= HALF
    if not seen.any():
        raise MediaError("there is nothing to trace in the picture; draw another one")
    # Colours are chosen from what is seen alone, and from some of it: the rest is much the same.
    strip = Image.fromarray(values[seen][None, :, :3])
    some = Image.fromarray(values[seen][None, ::SAMPLED, :3])
    chosen = some.quantize(
        colours, method=Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE
    )
    few = strip.quantize(palette=chosen, dither=Image.Dither.NONE)
    values[seen, :3] = np.asarray(few.convert("RGB"))[0]
    values[..., 3] = np.where(seen, 255, 0)
    values[~seen] = 0
    return Image.fromarray(values)


def _path(steps: str, x: float, y: float) -> Path_:
    """Steps of SVG in absolute places, moved by (x, y)."""
    found = []
    for letter, numbers in STEP.findall(steps):
        places = [float(one) for one in numbers.replace(",", " ").split()]
        points: list[Point] = [
            (places[at] + x, places[at + 1] + y) for at in range(0, len(places), 2)
        ]
        per = {"C": 3, "Z": 0}.get(letter, 1)
        for at in range(0, max(len(points), 1), per or 1):
            found.append(Command(verb=VERBS[letter], points=tuple(points[at : at + per])))
    return tuple(found)
