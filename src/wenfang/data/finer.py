"""Small pictures with what they were before, as batches: drawings of 72 pixels, icons of 256.

An icon is black upon nothing; it is given colours, and stands at times on a disc or a square, so
that edges of many colours meet. Small ones are made in more than one way, and at times softened,
since what a model draws is soft as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from wenfang.data.batches import Share
from wenfang.data.drawings import drawing
from wenfang.device import noise
from wenfang.errors import DataError

ICON = ".svg"
WAYS = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
ICONS, GROUNDED, SOFTENED, MIRRORED = 0.5, 0.5, 0.5, 0.5  # shares
SOFT = (0.3, 0.8)  # pixels of blur of the small picture

Seen = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Fine:
    """Drawings of one part of a data set: RGBA, and icons of which only the opacity counts."""

    drawings: tuple[Image.Image, ...]
    icons: tuple[Image.Image, ...]

    @classmethod
    def read(cls, records: Iterable[Mapping[str, Any]]) -> Fine:
        """Decode records of `data.drawings`; DataError where one kind is missing."""
        found: dict[bool, list[Image.Image]] = {True: [], False: []}
        for record in records:
            image = drawing(dict(record)).convert("RGBA")
            icon = str(record["name"]).endswith(ICON)
            found[icon].append(image.getchannel("A") if icon else image)
        if not all(found.values()):
            raise DataError("the data set has no drawings, or no icons; prepare fine_drawings")
        return cls(drawings=tuple(found[False]), icons=tuple(found[True]))


@dataclass(frozen=True, kw_only=True)
class FineBatches:
    """Squares of `side_px` large pixels, `times` of which become one.

    `one` of them is the same whatever stands in its batch.
    """

    fine: Fine
    batch_size: int
    seed: int
    side_px: int = 72
    times: int = 4

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """small (b, 4, S / T, S / T) and large (b, 4, S, S), float32 of 0..1, colours times their
        opacity.
        """
        first = index * self.batch_size
        rows = range(first, first + self.batch_size)[share.of(self.batch_size)]
        pairs = [self.one(noise(self.seed, "fine", row)) for row in rows]
        small, large = (np.stack(every) for every in zip(*pairs, strict=True))
        return {"small": as_values(small), "large": as_values(large)}

    def one(self, stream: np.random.Generator) -> tuple[Seen, Seen]:
        """A small and a large square: (S / T, S / T, 4), (S, S, 4) uint8."""
        if stream.random() < ICONS:
            large = coloured(self.fine.icons[stream.integers(len(self.fine.icons))], stream)
        else:
            large = self.fine.drawings[stream.integers(len(self.fine.drawings))].convert("RGBa")
        large = _square(large, self.side_px, stream)
        if stream.random() < MIRRORED:
            large = large.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        side = self.side_px // self.times
        small = large.resize((side, side), WAYS[stream.integers(len(WAYS))])
        if stream.random() < SOFTENED:
            small = small.filter(ImageFilter.GaussianBlur(float(stream.uniform(*SOFT))))
        return np.asarray(small), np.asarray(large)


def coloured(icon: Image.Image, stream: np.random.Generator) -> Image.Image:
    """An icon (L) in one colour, at times upon a shape of another: RGBa."""
    ink, ground = (tuple(int(v) for v in stream.integers(0, 256, 3)) for _ in range(2))
    made = Image.new("RGBA", icon.size)
    if stream.random() < GROUNDED:
        made = _ground(icon.size, (*ground, 255), stream)
    over = Image.new("RGBA", icon.size, (*ink, 0))
    over.putalpha(icon)
    return Image.alpha_composite(made, over).convert("RGBa")


def _ground(
    size: tuple[int, int], colour: tuple[int, ...], stream: np.random.Generator
) -> Image.Image:
    """A disc or a square with round corners, its edge drawn at twice the size and shrunk."""
    wide, high = (2 * side for side in size)
    left, top, right, bottom = stream.uniform((0, 0, 0.6, 0.6), (0.4, 0.4, 1, 1))
    box = (left * wide, top * high, right * wide, bottom * high)
    mask = Image.new("L", (wide, high))
    draw = ImageDraw.Draw(mask)
    if stream.random() < 0.5:
        draw.ellipse(box, 255)
    else:
        draw.rounded_rectangle(box, float(stream.uniform(0, 0.2)) * wide, 255)
    ground = Image.new("RGBA", size, colour)
    ground.putalpha(mask.resize(size, Image.Resampling.BOX))
    return ground


def _square(image: Image.Image, side: int, stream: np.random.Generator) -> Image.Image:
    """A square of `side` pixels out of a larger picture, where there is something to see."""
    if image.size == (side, side):
        return image
    box = image.getbbox() or (0, 0, *image.size)
    x, y = (
        int(np.clip(stream.integers(low, high) - side // 2, 0, whole - side))
        for low, high, whole in ((box[0], box[2], image.width), (box[1], box[3], image.height))
    )
    return image.crop((x, y, x + side, y + side))


def as_values(pixels: Seen) -> Tensor:
    """(B, S, S, 4) uint8 -> (B, 4, S, S) float32 of 0..1, stored with channels last."""
    return torch.tensor(pixels).permute(0, 3, 1, 2).float().div_(255)
