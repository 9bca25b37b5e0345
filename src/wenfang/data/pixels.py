"""Pictures of one size in memory, with their classes, as batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from wenfang.data.batches import Share, keep_newest, require_batch
from wenfang.data.drawings import drawing
from wenfang.data.picture_views import upon_white
from wenfang.device import noise
from wenfang.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Pictures of one part of a data set.

    values   (N, C, S, S) uint8; C is 1 for grey, 3 for colours, 4 for colours times their opacity
             and the opacity, so that what is not seen teaches nothing
    classes  (N,) int64, places in `names`; of pictures without labels all 0, and no names
    """

    values: NDArray[np.uint8]
    classes: NDArray[np.int64]
    names: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        records: Iterable[Mapping[str, Any]],
        channels: int,
        side_px: int = 0,
        known: tuple[str, ...] = (),
    ) -> Pixels:
        """Decode records with a picture in "png" and, or not, a "label"; labels are sorted.

        channels  1, 3 or 4: pictures become grey or coloured upon white, or keep what is seen
                  through
        side_px   larger pictures are made so small, with antialiasing; 0: none is
        known     labels of another part, whose classes these are as well
        raises    DataError where pictures differ in size, there is none, or one has a label that
                  is not known
        """
        values: list[NDArray[np.uint8]] = []
        labels: list[str] = []
        for record in records:
            one = _as_bytes(drawing(dict(record)), channels, side_px)
            if values and one.shape != values[0].shape:
                raise DataError(
                    "{name} is {shape}, the pictures before it {first}; prepare them to one size",
                    name=record["name"],
                    shape="x".join(map(str, one.shape)),
                    first="x".join(map(str, values[0].shape)),
                )
            values.append(one)
            labels.append(str(record.get("label", "")))
        if not values:
            raise DataError("the data set has no pictures in a part that is needed")
        names = known or tuple(sorted({*labels} - {""}))
        strange = {*labels} - {"", *names}
        if strange:
            raise DataError(
                "the label {label} is of no picture in the training part; prepare the set anew, "
                "or leave it out",
                label=min(strange),
            )
        place = {name: number for number, name in enumerate(names)}
        return cls(
            values=np.stack(values).transpose(0, 3, 1, 2),
            classes=np.array([place.get(label, 0) for label in labels], np.int64),
            names=names,
        )

    @classmethod
    def of(cls, images: Sequence[Image.Image], channels: int) -> Pixels:
        """Images of one size, without classes."""
        values = np.stack([_as_bytes(image, channels, 0) for image in images])
        return cls(values=values.transpose(0, 3, 1, 2), classes=np.zeros(len(images), np.int64))

    def __len__(self) -> int:
        return len(self.values)

    def tensor(self, chosen: NDArray[np.int64] | slice, least: float = -1.0) -> Tensor:
        """(b, C, S, S) float32 of `least`..1, stored with channels last."""
        rows = torch.from_numpy(np.ascontiguousarray(self.values[chosen]))
        scaled = rows.float().mul_((1 - least) / 255).add_(least)
        return scaled.contiguous(memory_format=torch.channels_last)


def _as_bytes(image: Image.Image, channels: int, side_px: int) -> NDArray[np.uint8]:
    """(S, S, C)."""
    seen = image.convert("RGBA").convert("RGBa") if channels == 4 else upon_white(image)
    if 0 < side_px < max(seen.size):
        seen = seen.resize((side_px, side_px), Image.Resampling.LANCZOS)
    if channels == 4:
        return np.asarray(seen)
    found = np.asarray(seen.convert("L" if channels == 1 else "RGB"))
    return found[:, :, None] if channels == 1 else found


def as_image(values: NDArray[np.uint8]) -> Image.Image:
    """(S, S, C) as `Pixels` holds it: grey, RGB, or RGBA with its colours at full strength."""
    if values.shape[2] == 1:
        return Image.fromarray(values[:, :, 0])
    if values.shape[2] == 3:
        return Image.fromarray(values)
    seen = np.minimum(values, values[:, :, 3:])  # no colour is stronger than it is opaque
    side_y, side_x = seen.shape[:2]
    return Image.frombytes("RGBa", (side_x, side_y), seen.tobytes()).convert("RGBA")


def as_seen(values: NDArray[np.uint8]) -> Image.Image:
    """The same as RGB, upon white."""
    return upon_white(as_image(np.ascontiguousarray(values)))


@dataclass(frozen=True, kw_only=True)
class PixelBatches:
    """Batches of pictures; an epoch shows each once.

    least     what black becomes; white becomes 1
    shift_px  each picture is moved by up to so much along both axes; what comes in is `least`
    mirrored  half of the pictures are shown from behind
    """

    pixels: Pixels
    batch_size: int
    seed: int
    least: float = -1.0
    shift_px: int = 0
    mirrored: bool = False
    epochs: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False)

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        """pictures (b, C, S, S) float32 of least..1, classes (b,) int64 where there are any."""
        chosen = self._chosen(index)[share.of(self.batch_size)]
        pictures = self.pixels.tensor(chosen, self.least)
        if self.mirrored:
            turned = noise(self.seed, "mirror", index).random(self.batch_size) < 0.5
            rows = torch.from_numpy(turned[share.of(self.batch_size)])[:, None, None, None]
            pictures = torch.where(rows, pictures.flip(3), pictures)
        if self.shift_px:
            pictures = self._shifted(pictures, index, share)
        batch = {"pictures": pictures}
        if self.pixels.names:
            batch["classes"] = torch.from_numpy(self.pixels.classes[chosen])
        return batch

    def _shifted(self, pictures: Tensor, index: int, share: Share) -> Tensor:
        most, side = self.shift_px, pictures.shape[-1]
        moves = noise(self.seed, "shift", index).integers(2 * most + 1, size=(self.batch_size, 2))
        wide = functional.pad(pictures, (most,) * 4, value=self.least)
        rows = zip(wide, moves[share.of(self.batch_size)], strict=True)
        return torch.stack([one[:, y : y + side, x : x + side] for one, (y, x) in rows])

    def _chosen(self, index: int) -> NDArray[np.int64]:
        require_batch(len(self.pixels), self.batch_size)
        epoch, place = divmod(index, len(self.pixels) // self.batch_size)
        if epoch not in self.epochs:
            keep_newest(self.epochs)
            self.epochs[epoch] = noise(self.seed, "order", epoch).permutation(len(self.pixels))
        return self.epochs[epoch][place * self.batch_size :][: self.batch_size]
