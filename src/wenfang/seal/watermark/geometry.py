"""How a picture was scaled and turned, from the repetition of its tile.

The mark repeats, so the picture's autocorrelation has peaks on a square lattice whose step and
angle are the tile's. No key is used here: what is looked at with the key later is not chosen with
it (Kutter 1998; Deguillaume, Voloshynovskiy and Pun 2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wenfang.seal.watermark.pattern import TILE_PX

SMALLEST, LARGEST = 0.45, 1.15  # scales looked for in one level; the next level is half as fine
ANGLE = math.pi / 4  # a square lattice says nothing about quarter turns
_STEP = 0.004  # relative step of scale, and of angle in radians: 1 px at the outer lattice points
_REACH = 2  # lattice points looked at first, to each side
_CLEAR = (
    4.0  # a lattice's score; noise alone reaches 2 to 5, marks that could be read had 5.8 or more
)
_LEAST_SHARE = 0.05  # of the picture that must overlap with itself for a lattice point to count
_JPEG_PX = 8

Plane = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Pose:
    """A scale and an angle of the tile in the picture, and how clearly its lattice shows."""

    scale: float
    angle: float
    score: float = 0.0


def poses(plane: NDArray[np.float32], most: int) -> list[Pose]:
    """The clearest lattices in `plane` (rows, columns), its detail with the coarse parts taken off.

    Best first, at most `most`.
    """
    peaks, overlap = _autocorrelation(plane)
    scales = np.exp(np.arange(math.log(SMALLEST), math.log(LARGEST), _STEP))
    angles = np.arange(-ANGLE, ANGLE, _STEP)
    score = _lattice_score(peaks, overlap, scales, angles, _REACH)
    found = []
    for _ in range(most):
        row, column = divmod(int(np.argmax(score)), len(angles))
        if score[row, column] <= 0:
            break
        found.append(_refined(peaks, overlap, scales[row], angles[column]))
        score[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4] = 0
    clear = [pose for pose in found if pose.score > _CLEAR]
    return sorted(clear, key=lambda pose: -pose.score)


def _autocorrelation(plane: NDArray[np.float32]) -> tuple[Plane, tuple[int, int]]:
    """Its peaks by (down, across) from the middle, in standard deviations; the plane's size."""
    height, width = plane.shape
    reach = math.ceil(TILE_PX * LARGEST * _REACH * 1.5)
    size = (_fast_size(height + min(height, reach)), _fast_size(width + min(width, reach)))
    spectrum = np.fft.rfft2(plane, s=size)
    power = spectrum.real**2 + spectrum.imag**2
    found = np.fft.irfft2(power, s=size)
    sharp: Plane = found - _around(found, 9)
    # A JPEG's blocks repeat too: where they do, a peak must stand above its likes.
    blocks = sharp[::_JPEG_PX, ::_JPEG_PX]
    sharp[::_JPEG_PX, ::_JPEG_PX] = blocks - _around(blocks, 5)
    sharp = _blurred(sharp)
    sharp *= math.sqrt(height * width) / (float(found[0, 0]) + 1e-12)
    return np.fft.fftshift(sharp).astype(np.float32), (height, width)


def _around(plane: Plane, width: int) -> Plane:
    """The mean over a square around each point, the ends joined."""
    mean = plane
    for axis in (0, 1):
        steps = range(-(width // 2), width // 2 + 1)
        mean = sum((np.roll(mean, step, axis) for step in steps), np.zeros_like(mean)) / width
    return mean


def _blurred(plane: Plane) -> Plane:
    """Wide enough for lattice points that are rounded to whole pixels."""
    for axis in (0, 1):
        plane = 0.5 * plane + 0.25 * (np.roll(plane, 1, axis) + np.roll(plane, -1, axis))
    return plane


def _fast_size(size: int) -> int:
    """The next size whose transform is fast."""
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and size % 2 == 0:
            return size
        size += 1


def _lattice_score(
    peaks: Plane, overlap: tuple[int, int], scales: Plane, angles: Plane, reach: int
) -> Plane:
    """(scales, angles): sum over half of the lattice's points, in standard deviations."""
    along = (TILE_PX * scales[:, None] * np.cos(angles)).astype(np.float32)
    aside = (TILE_PX * scales[:, None] * np.sin(angles)).astype(np.float32)
    total, shared = np.zeros((2, *along.shape), np.float32)
    middle = np.array(peaks.shape, np.int32) // 2
    for i in range(reach + 1):
        for j in range(-reach if i else 1, reach + 1):
            across, down = i * along - j * aside, i * aside + j * along
            share = 1 - np.minimum(1, np.abs(down) / overlap[0])
            share *= 1 - np.minimum(1, np.abs(across) / overlap[1])
            rows, columns = np.rint(down).astype(np.int32), np.rint(across).astype(np.int32)
            flat = (rows + middle[0]) * peaks.shape[1] + columns + middle[1]
            inside = share > _LEAST_SHARE
            total += np.where(inside, peaks.take(flat, mode="clip"), 0)
            shared += np.where(inside, share, 0)
    score: Plane = total / np.sqrt(np.maximum(shared, _LEAST_SHARE))
    return score


def _refined(peaks: Plane, overlap: tuple[int, int], scale: float, angle: float) -> Pose:
    """The same lattice looked at farther out, where a small error shows."""
    for reach, step in ((3, _STEP / 3), (5, _STEP / 8)):
        grid = np.arange(-5, 6) * step
        score = _lattice_score(peaks, overlap, scale * (1 + grid), angle + grid, reach)
        row, column = divmod(int(np.argmax(score)), len(grid))
        scale, angle = scale * (1 + grid[row]), angle + grid[column]
    return Pose(scale=float(scale), angle=float(angle), score=float(score[row, column]))


def straightened(detail: Image.Image, pose: Pose, most_px: int) -> Image.Image:
    """`detail` (mode F) scaled and turned back, so that the tile is TILE_PX wide and upright.

    The middle of it, at most `most_px` wide and high.
    """
    width, height = detail.size
    cos, sin = math.cos(pose.angle), math.sin(pose.angle)
    wide = (width * abs(cos) + height * abs(sin)) / pose.scale
    high = (width * abs(sin) + height * abs(cos)) / pose.scale
    size = (min(most_px, math.ceil(wide)), min(most_px, math.ceil(high)))
    a, b = pose.scale * cos, -pose.scale * sin
    d, e = pose.scale * sin, pose.scale * cos
    c = width / 2 - a * size[0] / 2 - b * size[1] / 2
    f = height / 2 - d * size[0] / 2 - e * size[1] / 2
    return detail.transform(
        size, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )
