"""Views of a picture: cropped, turned, recoloured, written upon, as copies of it go about.

Every view is a function of the picture and of a stream of randomness, so training repeats itself.
Place and size are drawn first and applied in one step; then colours; then what a copy picks up on
its way. About 0.4 ms a view of 64 x 64 pixels on one core.
"""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Pixels = NDArray[np.uint8]
Colours = NDArray[np.float32]

# How often each change is made.
MIRRORED, TURNED, FRAMED, SHRUNK, BLURRED = 0.5, 0.5, 0.2, 0.2, 0.2
RECOLOURED, TINTED, GREY, NOISY, LABELLED, ENCODED = 0.8, 0.35, 0.12, 0.25, 0.25, 0.4
LEAST_AREA, MOST_TURN_DEGREES, MOST_FRAME = 0.35, 20.0, 0.15
LABELS = ("AI", "AI made", "AI-generated", "AI · 2026", "made with AI", "#AI draft")

# Luma and two axes of colour (YIQ, of NTSC); turning the last two turns the hue.
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
RGB = np.linalg.inv(YIQ)


def upon_white(image: Image.Image) -> Image.Image:
    """`image` as RGB, what is transparent shown white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        drawn = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn)
    return image.convert("RGB")


def view(image: Image.Image, stream: np.random.Generator, side_px: int = 64) -> Pixels:
    """One view of an RGB picture: (side, side, 3) uint8."""
    seen = _placed(image, stream, side_px)
    if stream.random() < SHRUNK:
        small = int(side_px * stream.uniform(0.4, 0.8))
        seen = seen.resize((small, small), Image.Resampling.BILINEAR)
        seen = seen.resize((side_px, side_px), Image.Resampling.BILINEAR)
    if stream.random() < BLURRED:
        seen = seen.filter(ImageFilter.GaussianBlur(float(stream.uniform(0.3, 1.3))))
    if stream.random() < RECOLOURED:
        seen = Image.fromarray(_recoloured(np.asarray(seen, np.float32), stream))
    if stream.random() < LABELLED:
        _label(seen, stream)
    if stream.random() < NOISY:
        size = (side_px, side_px, 1 if stream.random() < 0.5 else 3)
        noise = stream.standard_normal(size, np.float32) * stream.uniform(2, 16)
        seen = Image.fromarray(_levels(np.asarray(seen, np.float32) + noise))
    if stream.random() < ENCODED:
        seen = encoded(seen, int(stream.integers(40, 91)))
    return np.asarray(seen)


# How a drawing may be drawn another time: of the side, in degrees, in pixels of blur, in levels.
ZOOMED, MOVED, LEANT, SOFT, GRAINED = (0.85, 1.12), 0.06, 8.0, (0.2, 1.3), 10.0
SOFTENED, COARSE, ON_COLOUR = 0.5, 0.3, 0.2


def light_view(image: Image.Image, stream: np.random.Generator, side_px: int = 64) -> Pixels:
    """A drawing (RGBA) as a model might draw it: (side, side, 3) uint8.

    Moved, sized and leant a little, softer or coarser than it is, on white or a light colour; what
    is said of it still holds, so it is neither mirrored nor given other colours.
    """
    white = (255, 255, 255)
    pale = tuple(int(level) for level in stream.integers(200, 256, 3))
    ground = pale if stream.random() < ON_COLOUR else white
    seen = Image.alpha_composite(Image.new("RGBA", image.size, (*ground, 255)), image)
    scale = image.width / side_px / stream.uniform(*ZOOMED)
    angle = math.radians(stream.uniform(-LEANT, LEANT))
    a, b = scale * math.cos(angle), -scale * math.sin(angle)
    half = side_px / 2
    x, y = image.width * (0.5 + stream.uniform(-MOVED, MOVED, 2))
    seen = seen.convert("RGB").transform(
        (side_px, side_px),
        Image.Transform.AFFINE,
        (a, b, x - (a + b) * half, -b, a, y - (a - b) * half),
        Image.Resampling.BILINEAR,
        fillcolor=ground,
    )
    if stream.random() < COARSE:
        small = int(side_px * stream.uniform(0.4, 0.8))
        seen = seen.resize((small, small), Image.Resampling.BILINEAR)
        seen = seen.resize((side_px, side_px), Image.Resampling.BICUBIC)
    if stream.random() < SOFTENED:
        seen = seen.filter(ImageFilter.GaussianBlur(float(stream.uniform(*SOFT))))
    grain = stream.standard_normal((side_px, side_px, 3), np.float32)
    values = np.asarray(seen, np.float32)
    return _levels(values + grain * np.float32(stream.uniform(0, GRAINED)))


# Of the side: what a crop of 5, 11 or 19 % at each edge took away, and frames of so much.
PADDED, CUT, LEANED_DEGREES = (0.06, 0.14, 0.3), (0.05, 0.1), (10.0, -10.0)
LOOKED_AT_PX = 144  # longer side of what is looked at


def looks(image: Image.Image) -> list[Image.Image]:
    """`image` as it is, and with what a copyist may have done undone: eight RGB pictures.

    Wider by a margin of the colour of its edge, without its edges, turned a little to both sides.
    A copy is near if any of them is.
    """
    seen = upon_white(halved(image, LOOKED_AT_PX))
    seen.thumbnail((LOOKED_AT_PX, LOOKED_AT_PX), Image.Resampling.BILINEAR)
    ground = _edge_colour(seen)
    wide, high = seen.size
    made = [seen]
    for share in PADDED:
        margin = (max(1, round(wide * share)), max(1, round(high * share)))
        made.append(ImageOps.expand(seen, margin, ground))
    for share in CUT:
        x, y = int(wide * share), int(high * share)
        made.append(seen.crop((x, y, wide - x, high - y)))
    for degrees in LEANED_DEGREES:
        made.append(seen.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=ground))
    return made


def halved(image: Image.Image, least_px: int) -> Image.Image:
    """`image` divided by a whole number so that its short side keeps `least_px` or more."""
    times = min(image.size) // least_px
    return image.reduce(times) if times > 1 and image.mode != "P" else image


def _edge_colour(image: Image.Image) -> tuple[int, int, int]:
    values = np.asarray(image)
    edge = np.concatenate((values[0], values[-1], values[:, 0], values[:, -1]))
    red, green, blue = (int(level) for level in np.median(edge, axis=0))
    return red, green, blue


def encoded(image: Image.Image, quality: int) -> Image.Image:
    """`image` after JPEG at `quality`."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _placed(image: Image.Image, stream: np.random.Generator, side_px: int) -> Image.Image:
    """Cropped or framed, mirrored, turned: one affine map from the view into the picture."""
    aspect = math.exp(stream.uniform(-0.2, 0.2))
    if stream.random() < FRAMED:
        share = 1 + 2 * stream.uniform(0.02, MOST_FRAME)
        centre = (0.5, 0.5)
    else:
        # Half of the crops are slight ones, which are the most common copies.
        least = LEAST_AREA if stream.random() < 0.5 else 0.75
        share = math.sqrt(stream.uniform(least, 1))
        centre = tuple(0.5 + stream.uniform(-0.5, 0.5, 2) * (1 - share))
    wide = image.width * min(share * aspect, max(share, 1)) / side_px
    high = image.height * min(share / aspect, max(share, 1)) / side_px
    angle = 0.0
    if stream.random() < TURNED:
        angle = math.radians(stream.uniform(-MOST_TURN_DEGREES, MOST_TURN_DEGREES))
    across = -1.0 if stream.random() < MIRRORED else 1.0
    cosine, sine, half = math.cos(angle), math.sin(angle), side_px / 2
    a, b = wide * cosine * across, -wide * sine
    d, e = high * sine * across, high * cosine
    x, y = centre[0] * image.width, centre[1] * image.height
    around = "white" if stream.random() < 0.6 else tuple(int(v) for v in stream.integers(0, 256, 3))
    return image.transform(
        (side_px, side_px),
        Image.Transform.AFFINE,
        (a, b, x - (a + b) * half, d, e, y - (d + e) * half),
        Image.Resampling.BILINEAR,
        fillcolor=around,
    )


def _recoloured(colours: Colours, stream: np.random.Generator) -> Pixels:
    """Another hue, strength of colour, contrast and brightness, at times grey: one matrix."""
    kind = stream.random()
    most = math.pi if kind < TINTED else 0.3
    strength = 0.0 if kind > 1 - GREY else stream.uniform(0.4, 1.6)
    matrix = hue_matrix(float(stream.uniform(-most, most)), float(strength))
    contrast, light = stream.uniform(0.6, 1.35), stream.uniform(-40, 40)
    moved = (colours @ matrix.T.astype(np.float32) - 128) * contrast + 128 + light
    return _levels(moved)


def hue_matrix(turn: float, strength: float = 1.0) -> NDArray[np.float64]:
    """(3, 3) that turns the hue of RGB by `turn` radians and scales the strength of colour."""
    cosine, sine = strength * math.cos(turn), strength * math.sin(turn)
    turned = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    found: NDArray[np.float64] = RGB @ turned @ YIQ
    return found


def _levels(values: Colours) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


@cache
def _words(text: str, size_px: int) -> Image.Image:
    """The mask of a short text, in the font that Pillow carries."""
    face = ImageFont.load_default(size_px)
    left, top, right, bottom = (int(v) for v in face.getbbox(text))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, face)
    return mask


def _label(seen: Image.Image, stream: np.random.Generator) -> None:
    """Small words in a corner, as labels have them, with a ground of their own or without."""
    text = LABELS[stream.integers(len(LABELS))]
    mask = _words(text, int(stream.integers(6, 11)))
    dark = stream.random() < 0.5
    corner = stream.integers(0, 2, 2)
    x = 1 if corner[0] else max(seen.width - mask.width - 1, 0)
    y = 1 if corner[1] else max(seen.height - mask.height - 1, 0)
    if stream.random() < 0.5:
        ground = "white" if dark else "black"
        seen.paste(ground, (x - 1, y - 1, x + mask.width + 1, y + mask.height + 1))
    seen.paste("black" if dark else "white", (x, y), mask)
