"""Pairs of views of pictures, as batches; a picture is a drawing, or a scene made of several.

Drawings stand on white and are all of one manner; scenes (drawings strewn over gradients, colours
and noise) teach an encoder to read pictures that fill their frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wenfang.data.batches import Share, keep_newest, require_batch
from wenfang.data.drawings import drawing
from wenfang.data.picture_views import Colours, Pixels, upon_white, view
from wenfang.device import noise

SCENE_PX = 72
SCENES = 0.35  # share of a batch's rows
MOST_DRAWINGS = 4


@dataclass(frozen=True, kw_only=True)
class Drawings:
    """Drawings of one part of a data set, those of one glyph together.

    images  RGBA, as many as names
    glyphs  numbers of the images of each glyph, one array a glyph
    """

    images: tuple[Image.Image, ...]
    names: tuple[str, ...]
    glyphs: tuple[NDArray[np.int64], ...]

    @classmethod
    def read(cls, records: Iterable[dict[str, Any]]) -> Drawings:
        """Decode records of `data.drawings`."""
        images: list[Image.Image] = []
        names: list[str] = []
        places: dict[str, list[int]] = {}
        for record in records:
            places.setdefault(str(record["glyph"]), []).append(len(images))
            images.append(drawing(record).convert("RGBA"))
            names.append(str(record["name"]))
        return cls(
            images=tuple(images),
            names=tuple(names),
            glyphs=tuple(np.array(numbers) for numbers in places.values()),
        )

    def firsts(self) -> list[tuple[str, Image.Image]]:
        """Name and picture of the first drawing of every glyph."""
        return [(self.names[one[0]], self.images[one[0]]) for one in self.glyphs]


@cache
def _falling() -> NDArray[np.float32]:
    """(S, S / 2 + 1) amplitudes of noise with the spectrum of natural pictures."""
    down, across = np.fft.fftfreq(SCENE_PX), np.fft.rfftfreq(SCENE_PX)
    size = np.hypot(down[:, None], across[None, :])
    size[0, 0] = np.inf
    found: NDArray[np.float32] = (1 / size).astype(np.float32)
    return found


def _ground(stream: np.random.Generator) -> Pixels:
    """(S, S, 3): a gradient between two colours, or clouds of noise between them."""
    ends: Colours = stream.uniform(0, 255, (2, 3)).astype(np.float32)
    if stream.random() < 0.5:
        angle = stream.uniform(0, 2 * np.pi)
        steps = np.linspace(-0.7, 0.7, SCENE_PX, dtype=np.float32)
        level = steps[:, None] * np.sin(angle) + steps[None, :] * np.cos(angle) + 0.5
    else:
        waves = stream.standard_normal((2, *_falling().shape), np.float32) * _falling()
        clouds = np.fft.irfft2(waves[0] + 1j * waves[1], s=(SCENE_PX, SCENE_PX))
        level = clouds / (clouds.std() * 4) + 0.5
    share = np.clip(level, 0, 1).astype(np.float32)[:, :, None]
    mixed: Colours = ends[0] * (1 - share) + ends[1] * share
    return mixed.astype(np.uint8)


def scene(drawings: Drawings, stream: np.random.Generator) -> Image.Image:
    """An RGB picture of 72 x 72: up to four drawings, turned and sized, upon a ground."""
    made = Image.fromarray(_ground(stream))
    for _ in range(int(stream.integers(1, MOST_DRAWINGS + 1))):
        image = drawings.images[stream.integers(len(drawings.images))]
        side = int(SCENE_PX * stream.uniform(0.3, 0.9))
        shown = image.resize((side, side), Image.Resampling.BILINEAR)
        shown = shown.rotate(float(stream.uniform(-40, 40)), Image.Resampling.BILINEAR)
        x, y = stream.integers(-side // 4, SCENE_PX - 3 * side // 4, 2)
        made.paste(shown, (int(x), int(y)), shown)
    return made


@dataclass(frozen=True, kw_only=True)
class PictureBatches:
    """Two views each of different glyphs and of scenes.

    An epoch shows every glyph once, by one of its drawings: its variants are never contrasted.
    """

    drawings: Drawings
    batch_size: int
    seed: int
    side_px: int = 64
    epochs: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False)

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """one, other: (b, 3, side, side) float32 of -1..1."""
        first = index * self.batch_size
        rows = range(first, first + self.batch_size)[share.of(self.batch_size)]
        pairs = [self._pair(row) for row in rows]
        one, other = (np.stack(views) for views in zip(*pairs, strict=True))
        return {"one": to_tensor(one), "other": to_tensor(other)}

    def _pair(self, row: int) -> tuple[Pixels, Pixels]:
        stream = noise(self.seed, "views", row)
        if stream.random() < SCENES:
            image = scene(self.drawings, stream)
        else:
            image = upon_white(self.drawings.images[self._chosen(row, stream)])
        return view(image, stream, self.side_px), view(image, stream, self.side_px)

    def _chosen(self, row: int, stream: np.random.Generator) -> int:
        count = len(self.drawings.glyphs)
        require_batch(count, self.batch_size)
        epoch, place = divmod(row, count // self.batch_size * self.batch_size)
        if epoch not in self.epochs:
            keep_newest(self.epochs)
            self.epochs[epoch] = noise(self.seed, "order", epoch).permutation(count)
        variants = self.drawings.glyphs[self.epochs[epoch][place]]
        return int(stream.choice(variants))


def to_tensor(pixels: Pixels) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) float32 of -1..1, stored with channels last."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
