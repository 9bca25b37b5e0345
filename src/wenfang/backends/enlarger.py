"""Pictures made larger by an upscaler, in tiles, so that their size does not matter."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wenfang.data.finer import as_values
from wenfang.data.pixels import as_image
from wenfang.errors import BundleError
from wenfang.models.load import Loaded
from wenfang.models.products import fast_products
from wenfang.models.upscaler import Upscaler

TILE_PX = 128  # of the small picture


class Enlarger:
    """Makes pictures `times` as wide and high."""

    def __init__(self, loaded: Loaded) -> None:
        if not isinstance(loaded.model, Upscaler):
            raise BundleError(
                "{name} makes no pictures larger; choose another model", name=loaded.name
            )
        self.loaded, self.model = loaded, loaded.model

    @property
    def times(self) -> int:
        """How many times wider and higher."""
        return self.model.config.times

    @torch.no_grad()
    def enlarge(self, image: Image.Image) -> Image.Image:
        """`image` in RGB or, where it has transparency, RGBA, larger."""
        clear = image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info
        seen = image.convert("RGBA").convert("RGBa")
        with fast_products(at_rest=True):
            made = self._tiled(as_values(np.asarray(seen)[None]))
        values = made.clamp(0, 1).mul(255).round().to(torch.uint8)[0].permute(1, 2, 0).numpy()
        if not clear:
            return as_image(np.ascontiguousarray(values[:, :, :3]))
        return as_image(values)

    def _tiled(self, pictures: Tensor) -> Tensor:
        """(1, 4, H, W) -> (1, 4, T H, T W): each tile with all around it that counts for it."""
        times, reach = self.times, self.model.reach
        height, width = pictures.shape[-2:]
        made = pictures.new_empty(1, pictures.shape[1], times * height, times * width)
        for top in range(0, height, TILE_PX):
            for left in range(0, width, TILE_PX):
                y, x = max(0, top - reach), max(0, left - reach)
                bottom, right = min(height, top + TILE_PX), min(width, left + TILE_PX)
                part = pictures[:, :, y : bottom + reach, x : right + reach]
                found = self.model(part)
                made[:, :, times * top : times * bottom, times * left : times * right] = found[
                    :,
                    :,
                    times * (top - y) : times * (bottom - y),
                    times * (left - x) : times * (right - x),
                ]
        return made
