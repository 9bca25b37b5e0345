"""A film in another shape or size: cropped around what matters, or whole with the rest filled.

Sizes are in px, always even.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from wenfang.compose.reel import Changed, count_of, size_of
from wenfang.errors import ConfigError
from wenfang.media.video import LIMIT_PIXELS, Film, Frame

Fill = Literal["bars", "blur", "crop"]
FILLS: tuple[Fill, ...] = ("bars", "blur", "crop")
SHAPES = ("16:9", "9:16", "1:1", "4:5")
MOST_APART = 8.0  # times as wide as high, or as high as wide
LEAST_PX = 16
BLURRED_PX = 64  # the longer side at which the ground is blurred, since nobody sees it finer
BLUR_PX, DIMMED = 2.5, 0.6
Size = tuple[int, int]


def ratio_of(shape: str) -> float:
    """Width by height of a shape such as "9:16"; ConfigError for what is none."""
    width, _, height = shape.partition(":")
    try:
        ratio = float(width) / float(height)
    except (ValueError, ZeroDivisionError):
        ratio = 0.0
    if not isfinite(ratio) or not 1 / MOST_APART <= ratio <= MOST_APART:
        raise ConfigError("{shape} is no shape of a film; give width:height, such as {shapes}",
                          shape=shape, shapes=", ".join(SHAPES))  # fmt: skip
    return ratio


def cropped(film: Film, shape: str, focus: tuple[float, float] = (0.5, 0.5)) -> Film:
    """The largest part of every frame in another shape, such as "9:16".

    focus  what stands in its middle, 0..1 across and down, as far as the frame allows
    raises ConfigError for a shape or a focus without a meaning, or where little would be left
    """
    _require_focus(focus)
    width, height = size_of(film)
    ratio = ratio_of(shape)
    kept = _even(min(width, height * ratio)), _even(min(height, width / ratio))
    if min(kept) < LEAST_PX:
        raise ConfigError("of {width} x {height} pixels too little is left at {shape}; "
                          "choose another shape",
                          width=width, height=height, shape=shape)  # fmt: skip
    left, top = _corner((width, height), kept, focus)
    inside = (slice(top, top + kept[1]), slice(left, left + kept[0]))
    changed = Changed(frames=film.frames, count=count_of(film), change=lambda _, one: one[inside])
    return replace(film, frames=changed)


def fitted(film: Film, shape: str, fill: Fill = "blur") -> Film:
    """Every frame whole on a ground of another shape; its longer side stays as long.

    fill  "blur": the ground is the frame itself, large and blurred; "bars": black; "crop": as
          `cropped`, but as large as the others
    """
    width, height = size_of(film)
    ratio, longer = ratio_of(shape), max(width, height)
    size = (longer, longer / ratio) if ratio >= 1 else (longer * ratio, longer)
    return placed(film, (_even(size[0]), _even(size[1])), fill)


def placed(
    film: Film, size: Size, fill: Fill = "bars", focus: tuple[float, float] = (0.5, 0.5)
) -> Film:
    """The film on frames of another size, as `fill` says; see `fitted`."""
    _require_focus(focus)
    if fill not in FILLS:
        raise ConfigError("{fill} is no way to fill a frame; choose one of {fills}",
                          fill=fill, fills=", ".join(FILLS))  # fmt: skip
    if min(size) < LEAST_PX or size[0] % 2 or size[1] % 2 or size[0] * size[1] > LIMIT_PIXELS:
        raise ConfigError("a film of {width} x {height} pixels cannot be made; give even sides "
                          "from {least} on, and at most {limit} pixels",
                          width=size[0], height=size[1], least=LEAST_PX,
                          limit=LIMIT_PIXELS)  # fmt: skip
    given = size_of(film)
    if given == size:
        return film
    change = _Placed(given=given, size=size, fill=fill, focus=focus)
    return replace(film, frames=Changed(frames=film.frames, count=count_of(film), change=change))


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """How a frame is laid on a ground of another size."""

    given: Size
    size: Size
    fill: Fill
    focus: tuple[float, float]

    def __call__(self, number: int, frame: Frame) -> Frame:
        image = Image.fromarray(frame)
        if self.fill == "crop":
            return np.asarray(self._covering(image, self.size, Image.Resampling.LANCZOS))
        scale = min(one / other for one, other in zip(self.size, self.given, strict=True))
        width, height = (max(1, round(side * scale)) for side in self.given)
        whole = image.resize((width, height), Image.Resampling.LANCZOS)
        ground = self._ground(image) if self.fill == "blur" else Image.new("RGB", self.size)
        ground.paste(whole, ((self.size[0] - width) // 2, (self.size[1] - height) // 2))
        return np.asarray(ground)

    def _covering(
        self, image: Image.Image, size: Size, by: Image.Resampling = Image.Resampling.BOX
    ) -> Image.Image:
        """The part of a picture around the focus that has the shape of `size`, in that size."""
        scale = max(one / other for one, other in zip(size, image.size, strict=True))
        kept = size[0] / scale, size[1] / scale
        left = min(max(0.0, self.focus[0] * image.width - kept[0] / 2), image.width - kept[0])
        top = min(max(0.0, self.focus[1] * image.height - kept[1] / 2), image.height - kept[1])
        box = (left, top, left + kept[0], top + kept[1])
        return image.resize(size, by, box=box)

    def _ground(self, image: Image.Image) -> Image.Image:
        share = min(1.0, BLURRED_PX / max(self.size))
        small = self._covering(image, tuple(max(1, round(side * share)) for side in self.size))  # type: ignore[arg-type]
        soft = small.filter(ImageFilter.GaussianBlur(BLUR_PX)).point(lambda value: value * DIMMED)
        return soft.resize(self.size, Image.Resampling.BICUBIC)


def _require_focus(focus: tuple[float, float]) -> None:
    if not all(isfinite(one) and 0 <= one <= 1 for one in focus):
        raise ConfigError("a focus of {focus} is nowhere in the frame; give two numbers, "
                          "each 0 to 1",
                          focus=", ".join(f"{one:g}" for one in focus))  # fmt: skip


def _even(side: float) -> int:
    return 2 * int(side / 2 + 1e-6)


def _corner(size: Size, kept: Size, focus: tuple[float, float]) -> Size:
    left, top = (
        min(max(0, round(place * side - part / 2)), side - part)
        for place, side, part in zip(focus, size, kept, strict=True)
    )
    return left, top
