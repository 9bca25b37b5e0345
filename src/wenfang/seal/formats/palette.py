"""Pictures of at most 256 colours, the label's colours among them.

A frame whose colours fit keeps every one of them; a label that makes them too many takes the place
of the rarest. Only a picture of more colours is dithered, and the label on it never.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FULL, LABEL_COLOURS = 256, 12


def indexed(frame: Image.Image, before: Image.Image) -> Image.Image:
    """A frame with a palette of its own; what is half transparent or more becomes transparent.

    before: the frame without its label, which tells where the label is
    """
    pixels = np.array(frame.convert("RGB"))
    holes = np.asarray(frame.getchannel("A")) < 128 if frame.mode == "RGBA" else None
    if holes is not None and not holes.any():
        holes = None
    room = FULL if holes is None else FULL - 1
    if holes is not None:
        pixels[holes] = pixels[~holes][0] if (~holes).any() else 0
    indices, palette = _reduced(pixels, _drawn_on(frame, before), room)
    if holes is not None:
        indices[holes] = len(palette)
        palette = np.concatenate([palette, np.zeros((1, 3), np.uint8)])
    result = Image.fromarray(indices)
    result.putpalette(palette.tobytes())
    if holes is not None:
        result.info["transparency"] = len(palette) - 1
    return result


def _drawn_on(frame: Image.Image, before: Image.Image) -> NDArray[np.bool_]:
    """(H, W) whether a pixel is the label's: changed, or outside what was there before."""
    drawn = np.ones((frame.height, frame.width), np.bool_)
    left = (frame.width - before.width) // 2
    inner = np.asarray(frame)[: before.height, left : left + before.width]
    drawn[: before.height, left : left + before.width] = (inner != np.asarray(before)).any(axis=2)
    return drawn


def _reduced(
    pixels: NDArray[np.uint8], drawn: NDArray[np.bool_], room: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(H, W) indices into a palette (N, 3) of at most `room` colours."""
    codes = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    values, inverse = np.unique(codes, return_inverse=True)
    inverse = inverse.reshape(codes.shape)
    if len(values) <= room:
        return inverse.astype(np.uint8), _colours(values)
    own = np.unique(inverse[~drawn]) if not drawn.all() else np.empty(0, np.int64)
    if len(own) <= room:
        kept = _kept(inverse, drawn, own, room)
        nearest = _nearest(_colours(values), _colours(values[kept]))
        return nearest[inverse].astype(np.uint8), _colours(values[kept])
    return _dithered(pixels, drawn, room)


def _colours(codes: NDArray[Any]) -> NDArray[np.uint8]:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def _kept(
    inverse: NDArray[Any], drawn: NDArray[np.bool_], own: NDArray[Any], room: int
) -> NDArray[Any]:
    """Numbers of the colours that stay: the picture's own, the rarest giving way to the label's."""
    label = np.bincount(inverse[drawn], minlength=int(inverse.max()) + 1)
    label[own] = 0
    shades = np.argsort(-label, kind="stable")[: min(LABEL_COLOURS, np.count_nonzero(label))]
    count = np.bincount(inverse[~drawn], minlength=len(label))
    often = own[np.argsort(-count[own], kind="stable")][: room - len(shades)]
    return np.concatenate([shades, often])


def _nearest(colours: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each of (N, 3) colours the number of the nearest in (M, 3)."""
    found = []
    for part in np.array_split(colours.astype(np.int32), max(1, len(colours) // 4096)):
        distance = ((part[:, None] - palette.astype(np.int32)[None]) ** 2).sum(axis=2)
        found.append(distance.argmin(axis=1))
    return np.concatenate(found)


def _dithered(
    pixels: NDArray[np.uint8], drawn: NDArray[np.bool_], room: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The best palette for many colours, spread over the picture but not over the label."""
    picture = Image.fromarray(pixels)
    label = pixels[drawn]
    shades = np.empty((0, 3), np.uint8)
    if len(label):
        few = Image.fromarray(label[None]).quantize(LABEL_COLOURS, Image.Quantize.MEDIANCUT)
        shades = _palette(few)[:LABEL_COLOURS]
    best = picture.quantize(room - len(shades), Image.Quantize.MEDIANCUT, kmeans=1)
    palette = np.concatenate([_palette(best)[: room - len(shades)], shades])
    carrier = Image.new("P", (1, 1))
    carrier.putpalette(np.pad(palette, ((0, FULL - len(palette)), (0, 0)), mode="edge").tobytes())
    spread = np.array(picture.quantize(palette=carrier, dither=Image.Dither.FLOYDSTEINBERG))
    if len(label):
        values, inverse = np.unique(label, axis=0, return_inverse=True)
        spread[drawn] = _nearest(values, palette)[inverse.reshape(-1)]
    return np.minimum(spread, len(palette) - 1).astype(np.uint8), palette


def _palette(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)
