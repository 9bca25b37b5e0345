"""The invisible watermark of pictures: a keyed tile, repeated, that points to a manifest.

It is a pointer, never proof: with the public key anyone can write one. The tile is added to the
lightness, stronger where the picture has texture that hides it. A reader folds the picture
over the tile's period, so that the mark adds up and the picture does not, and correlates
(pattern.py); a scaled or turned picture is straightened first (geometry.py). The strength is worked
out in whole numbers, so that the same picture gives the same pixels.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from wenfang.language import keyed
from wenfang.seal.watermark.geometry import Pose, poses, straightened
from wenfang.seal.watermark.pattern import TILE_PX, Match, chance, offset, read, tile

KIND = "picture-tile-1"
PUBLIC_KEY = b"wenfang public picture watermark 1"
SMALLEST_PX = 192  # short side below which too few tiles fit to be found again
GROWTH = 1.3  # times a lossless file may grow
CHANCE = 1e-6  # that anything is reported for an unmarked picture
# Levels of 255 by which lightness changes (standard deviation): in flat parts, per level of
# texture beyond, and at most.
FLAT, SLOPE, STRONGEST = 0.8, 0.45, 3.0
_UNIT = 32  # both the strength and the pattern are whole multiples of 1/32
_BAND_PX = 8 * TILE_PX  # rows marked at once, to bound memory
_ALIGNED_PX, _SEARCHED_PX = 1024, 1024
_LEVELS, _POSES = (1, 2), 6  # how coarsely the picture is searched; lattices tried at each


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found in a picture.

    pointer           12 hexadecimal digits, or None
    score             correlation in standard deviations of what an unmarked picture gives: of the
                      whole codeword, or where nothing was found of the known chips alone
    p_value           bound on the chance of this for an unmarked picture, all places, sizes
                      and angles that were tried taken into account
    scale             of the picture against what was marked; None where nothing was found
    rotation_degrees  counter-clockwise, quarter turns left out of it
    offset_px         (left, top) of a tile's corner in the straightened picture
    turn              0..7: quarter turns, and from 4 mirrored
    others            pointers of weaker marks beside it
    """

    pointer: str | None
    score: float
    p_value: float
    scale: float | None = None
    rotation_degrees: float | None = None
    offset_px: tuple[int, int] | None = None
    turn: int = 0
    others: tuple[str, ...] = ()

    def facts(self) -> dict[str, object]:
        """JSON facts for a report."""
        if self.pointer is None:
            return {"score": round(self.score, 2)}
        return {
            "score": round(self.score, 2),
            "scale": self.scale,
            "rotation_degrees": self.rotation_degrees,
            "offset_px": self.offset_px,
            "turn": self.turn,
            "others": list(self.others),
        }


def embed(image: Image.Image, pointer: str, key: bytes = PUBLIC_KEY) -> Image.Image:
    """`image` (RGB or RGBA) with the mark; ValueError if `pointer` is not 12 hexadecimal digits.

    Alpha and fully transparent pixels stay as they are.
    """
    colours = image.convert("RGB")
    marked, levels = colours.copy(), _levels(pointer, key)
    strength = _strength(colours.convert("L"))
    for top in range(0, image.height, _BAND_PX):
        box = (0, top, image.width, min(top + _BAND_PX, image.height))
        marked.paste(_with_pattern(colours.crop(box), strength.crop(box), levels), box)
    if image.mode != "RGBA":
        return marked
    alpha = image.getchannel("A")
    marked.paste(colours, mask=alpha.point([255] + [0] * 255))
    marked.putalpha(alpha)
    return marked


@lru_cache(maxsize=16)
def _levels(pointer: str, key: bytes) -> NDArray[np.int16]:
    """The tile in units of 1/32 standard deviation, at most 3.5 of them."""
    pattern = np.roll(tile(key).pattern(pointer), offset(pointer), (0, 1))
    levels = np.rint(pattern * _UNIT)
    return np.clip(levels, -3.5 * _UNIT, 3.5 * _UNIT).astype(np.int16)


def _with_pattern(
    band: Image.Image, strength: Image.Image, levels: NDArray[np.int16]
) -> Image.Image:
    """The same whole number added to red, green and blue, so that only lightness changes."""
    times = (-(-band.height // TILE_PX), -(-band.width // TILE_PX))
    pattern = np.tile(levels, times)[: band.height, : band.width]
    change = (pattern * np.asarray(strength, np.int16) + _UNIT * _UNIT // 2) >> 10
    pixels = np.asarray(band, np.int16) + change[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _strength(lightness: Image.Image) -> Image.Image:
    """How much lightness may change, in 1/32 level: texture hides a mark, a lone edge does not.

    Texture is the mean step between neighbours, in cells of 8 px, at its least among 3 x 3 cells.
    """
    half = np.asarray(lightness.reduce(2), np.int16)
    high, wide = (min(4, size) for size in half.shape)
    rows, columns = half.shape[0] // high, half.shape[1] // wide
    half = np.pad(half, ((0, 1), (0, 1)), mode="edge")[: rows * high + 1, : columns * wide + 1]
    steps = np.abs(half[1:, :-1] - half[:-1, :-1]) + np.abs(half[:-1, 1:] - half[:-1, :-1])
    cells = steps.reshape(rows, high, columns, wide).sum(axis=(1, 3), dtype=np.int32)
    texture = cells * _UNIT // (high * wide)
    texture = texture * round(SLOPE * 64) // 128  # two steps, so half of their sum
    levels = np.clip(round(FLAT * _UNIT) + texture, 0, round(STRONGEST * _UNIT)).astype(np.uint8)
    small = Image.fromarray(levels).filter(ImageFilter.MinFilter(3))
    return small.resize(lightness.size, Image.Resampling.BILINEAR)


def detect(image: Image.Image, key: bytes = PUBLIC_KEY, search: bool = True) -> Found:
    """The mark in a picture (RGB or RGBA), cropped or not; `search`: also scaled, turned, mirrored.

    Of a large picture the middle is looked at: 1024 px, and with `search` 2048 px at half size.
    """
    keyed, best = tile(key), 0.0
    for pose, detail, turns in _views(image, search):
        reading = read(_folded(detail), keyed, turns)
        best = max(best, reading.known_score)
        chances = {one: chance(one.score, _hypotheses(turns)) for one in reading.matches}
        sure = [one for one in reading.matches if chances[one] < CHANCE]
        if sure:
            others = tuple(one.pointer for one in sure[1:])
            return _found(sure[0], pose, chances[sure[0]], others)
    return Found(pointer=None, score=best, p_value=1.0)


def _hypotheses(turns: int) -> int:
    """Offsets, turns and poses tried; twice, as the upright view and the search share a chance."""
    poses_tried = 1 if turns == 1 else _POSES * len(_LEVELS)
    return 2 * TILE_PX * TILE_PX * turns * poses_tried


def _found(match: Match, pose: Pose, p_value: float, others: tuple[str, ...]) -> Found:
    top, left = offset(match.pointer)
    return Found(
        pointer=match.pointer,
        score=match.score,
        p_value=p_value,
        scale=round(pose.scale, 4),
        rotation_degrees=round(-math.degrees(pose.angle), 2) + 0.0,
        offset_px=((match.left - left) % TILE_PX, (match.top - top) % TILE_PX),
        turn=match.turn,
        others=others,
    )


def _views(image: Image.Image, search: bool) -> Iterator[tuple[Pose, NDArray[np.float32], int]]:
    """The picture as it stands, then straightened in every likely way; turns to try of each."""
    yield Pose(scale=1.0, angle=0.0), _detail(_middle(image, _ALIGNED_PX)), 1
    for level in _LEVELS if search else ():
        detail = _detail(_middle(image, _SEARCHED_PX * level).reduce(level))
        plane = Image.fromarray(detail)
        for pose in poses(detail, _POSES):
            straight = np.asarray(straightened(plane, pose, _SEARCHED_PX))
            yield Pose(scale=pose.scale * level, angle=pose.angle), straight, 8


def _middle(image: Image.Image, most_px: int) -> Image.Image:
    """The lightness of the middle of a picture."""
    width, height = min(image.width, most_px), min(image.height, most_px)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height)).convert("RGB").convert("L")


def _detail(lightness: Image.Image) -> NDArray[np.float32]:
    """Lightness without its coarse parts, as a multiple of its usual size nearby, at most 3."""
    smooth = lightness.filter(ImageFilter.BoxBlur(3))
    fine = np.asarray(lightness, np.float32) - np.asarray(smooth, np.float32)
    usual = Image.fromarray(np.abs(fine)).reduce(16)
    nearby = np.asarray(usual.resize(lightness.size, Image.Resampling.BILINEAR))
    detail: NDArray[np.float32] = np.clip(fine / (nearby + 0.7), -3, 3)
    return detail


def _folded(detail: NDArray[np.float32]) -> NDArray[np.float64]:
    """The sum over all tiles, (TILE_PX, TILE_PX)."""
    rows, columns = (-(-size // TILE_PX) for size in detail.shape)
    padded = np.zeros((rows * TILE_PX, columns * TILE_PX), np.float32)
    padded[: detail.shape[0], : detail.shape[1]] = detail
    folded: NDArray[np.float64] = padded.reshape(rows, TILE_PX, columns, TILE_PX).sum(
        axis=(0, 2), dtype=np.float64
    )
    return folded


def worth_marking(image: Image.Image) -> str | None:
    """None for a picture worth marking, else why not, as a message template.

    A sample of its pixels is compressed as PNG with and without a mark: a photograph's noise
    hides one for little, the plain areas of a poster or an icon do not.
    """
    if min(image.size) < SMALLEST_PX:
        return keyed("the picture is too small for a watermark")
    sample = _sample(image.convert("RGB"))
    if _png_bytes(embed(sample, "0" * 12)) > GROWTH * _png_bytes(sample):
        return keyed("a watermark would make these flat graphics a much larger file")
    if image.mode == "RGBA" and not _holds_a_mark(image):
        return keyed("too little of the picture is seen to hold a watermark")
    return None


def _holds_a_mark(image: Image.Image) -> bool:
    """Whether a mark is read from what is seen of a picture, by a margin that any pointer keeps."""
    found = detect(embed(image, "0" * 12), search=False)
    return found.pointer is not None and found.p_value < CHANCE**2


def _sample(image: Image.Image, patches: int = 4, patch_px: int = 64) -> Image.Image:
    """Patches from all over the picture, side by side."""
    sheet = Image.new("RGB", (patches * patch_px, patches * patch_px))
    for row in range(patches):
        for column in range(patches):
            left = (image.width - patch_px) * column // (patches - 1)
            top = (image.height - patch_px) * row // (patches - 1)
            patch = image.crop((left, top, left + patch_px, top + patch_px))
            sheet.paste(patch, (column * patch_px, row * patch_px))
    return sheet


def _png_bytes(image: Image.Image) -> int:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=4)
    return file.tell()
