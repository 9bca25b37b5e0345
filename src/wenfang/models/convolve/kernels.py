"""The transforms of Winograd's minimal filtering F(4 x 4, 3 x 3), and their adjoints.

Lavin & Gray (2016, arXiv:1509.09308): a 3 x 3 convolution of a tile of 6 x 6 values to 4 x 4 takes
36 multiplications a pair of channels in place of 144. With Y = A'[(G w G') * (B' d B)]A the sums
over channels are 36 matrix products, which is what is left to a library; here is all around them.
Points 0, 1, -1, 2, -2 and infinity, as in the paper.

B batch, H, W sides of a map, C channels in, O channels out, T tiles of all maps; every array is
float32 and contiguous. Loops over channels are innermost and without a branch, so that they run in
vector units; rows of tiles are shared by threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from wenfang.models.kernel import kernel, shared_kernel

Array = np.ndarray
Four = tuple[float, float, float, float]
Six = tuple[float, float, float, float, float, float]
INNER = 4


@kernel
def _tile(d0: float, d1: float, d2: float, d3: float, d4: float, d5: float) -> Six:
    """B' d."""
    p, q = d4 - 4 * d2, d3 - 4 * d1
    r, s = d4 - d2, 2 * (d3 - d1)
    return 4 * d0 - 5 * d2 + d4, p + q, p - q, r + s, r - s, 4 * d1 - 5 * d3 + d5


@kernel
def _tile_adjoint(v0: float, v1: float, v2: float, v3: float, v4: float, v5: float) -> Six:
    """B v."""
    p, q, r, s = v1 + v2, v1 - v2, v3 + v4, 2 * (v3 - v4)
    return (
        4 * v0, 4 * (v5 - q) - s, -5 * v0 - 4 * p - r, q + s - 5 * v5, v0 + p + r, v5
    )  # fmt: skip


@kernel
def _map(m0: float, m1: float, m2: float, m3: float, m4: float, m5: float) -> Four:
    """A' m."""
    p, q, r, s = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + p + r, q + 2 * s, p + 4 * r, q + 8 * s + m5


@kernel
def _map_adjoint(y0: float, y1: float, y2: float, y3: float) -> Six:
    """A y."""
    p, q, r, s = y0 + y2, y1 + y3, y0 + 4 * y2, 2 * y1 + 8 * y3
    return y0, p + q, p - q, r + s, r - s, y3


@kernel
def _filter(w0: float, w1: float, w2: float) -> Six:
    """G w."""
    p, r = w0 + w2, w0 + 4 * w2
    return (
        w0 / 4, -(p + w1) / 6, -(p - w1) / 6, (r + 2 * w1) / 24, (r - 2 * w1) / 24, w2
    )  # fmt: skip


@shared_kernel
def tiles_of(x: Array, out: Array) -> None:
    """x (B, H, W, C), zero around it -> B' d B of every tile: out (T, 36, C)."""
    count, height, width, channels = x.shape
    down, across = (height + 3) // 4, (width + 3) // 4
    for row in prange(count * down):
        half = np.empty((6, 6, channels), np.float32)
        column = np.zeros((6, channels), np.float32)
        b, top = row // down, row % down * 4 - 1
        # The rows between are inside; of the first and the last nothing counts where they are not.
        inside = top + 5 <= height
        above, first = max(top, 0), np.float32(top >= 0)
        below, last = min(top + 5, height - 1), np.float32(top + 6 <= height)
        for place in range(across):
            t = row * across + place
            for j in range(6):
                left = place * 4 - 1 + j
                if not 0 <= left < width:
                    half[:, j] = 0
                elif inside:
                    for c in range(channels):
                        (
                            half[0, j, c], half[1, j, c], half[2, j, c],
                            half[3, j, c], half[4, j, c], half[5, j, c],
                        ) = _tile(
                            first * x[b, above, left, c], x[b, top + 1, left, c],
                            x[b, top + 2, left, c], x[b, top + 3, left, c],
                            x[b, top + 4, left, c], last * x[b, below, left, c],
                        )  # fmt: skip
                else:
                    for i in range(max(0, -top), min(6, height - top)):
                        column[i] = x[b, top + i, left]
                    for c in range(channels):
                        (
                            half[0, j, c], half[1, j, c], half[2, j, c],
                            half[3, j, c], half[4, j, c], half[5, j, c],
                        ) = _tile(
                            column[0, c], column[1, c], column[2, c],
                            column[3, c], column[4, c], column[5, c],
                        )  # fmt: skip
            for i in range(6):
                k = 6 * i
                for c in range(channels):
                    (
                        out[t, k, c], out[t, k + 1, c], out[t, k + 2, c],
                        out[t, k + 3, c], out[t, k + 4, c], out[t, k + 5, c],
                    ) = _tile(
                        half[i, 0, c], half[i, 1, c], half[i, 2, c],
                        half[i, 3, c], half[i, 4, c], half[i, 5, c],
                    )  # fmt: skip


@shared_kernel
def maps_of(products: Array, bias: Array, out: Array) -> None:
    """A' m A of every tile, products (T, 36, O), plus bias (O,) -> out (B, H, W, O)."""
    count, height, width, channels = out.shape
    down, across = (height + 3) // 4, (width + 3) // 4
    for row in prange(count * down):
        half = np.empty((4, 6, channels), np.float32)
        b, top = row // down, row % down * 4
        for place in range(across):
            t, left = row * across + place, place * 4
            for j in range(6):
                for c in range(channels):
                    half[0, j, c], half[1, j, c], half[2, j, c], half[3, j, c] = _map(
                        products[t, j, c], products[t, 6 + j, c], products[t, 12 + j, c],
                        products[t, 18 + j, c], products[t, 24 + j, c], products[t, 30 + j, c],
                    )  # fmt: skip
            for i in range(min(4, height - top)):
                for c in range(channels):
                    y0, y1, y2, y3 = _map(
                        half[i, 0, c], half[i, 1, c], half[i, 2, c],
                        half[i, 3, c], half[i, 4, c], half[i, 5, c],
                    )  # fmt: skip
                    out[b, top + i, left, c] = y0 + bias[c]
                    if left + 1 < width:
                        out[b, top + i, left + 1, c] = y1 + bias[c]
                    if left + 2 < width:
                        out[b, top + i, left + 2, c] = y2 + bias[c]
                    if left + 3 < width:
                        out[b, top + i, left + 3, c] = y3 + bias[c]


@shared_kernel
def slopes_of_products(slope: Array, out: Array) -> None:
    """The adjoint of `maps_of`: slope (B, H, W, O) -> A y A' of every tile, out (T, 36, O)."""
    count, height, width, channels = slope.shape
    down, across = (height + 3) // 4, (width + 3) // 4
    for row in prange(count * down):
        half = np.empty((6, 4, channels), np.float32)
        column = np.zeros((4, channels), np.float32)
        b, top = row // down, row % down * 4
        for place in range(across):
            t = row * across + place
            for j in range(4):
                left = place * 4 + j
                if left >= width:
                    half[:, j] = 0
                    continue
                for i in range(min(4, height - top)):
                    column[i] = slope[b, top + i, left]
                for c in range(channels):
                    (
                        half[0, j, c], half[1, j, c], half[2, j, c],
                        half[3, j, c], half[4, j, c], half[5, j, c],
                    ) = _map_adjoint(
                        column[0, c], column[1, c], column[2, c], column[3, c]
                    )  # fmt: skip
            for i in range(6):
                k = 6 * i
                for c in range(channels):
                    (
                        out[t, k, c], out[t, k + 1, c], out[t, k + 2, c],
                        out[t, k + 3, c], out[t, k + 4, c], out[t, k + 5, c],
                    ) = _map_adjoint(
                        half[i, 0, c], half[i, 1, c], half[i, 2, c], half[i, 3, c]
                    )  # fmt: skip


@shared_kernel
def slopes_of_maps(slopes: Array, out: Array) -> None:
    """The adjoint of `tiles_of`: B d B' of every tile, slopes (T, 36, C), summed where tiles lie
    upon each other into out (B, H, W, C), which is zero before.
    """
    count, height, width, channels = out.shape
    down, across = (height + 3) // 4, (width + 3) // 4
    for b in prange(count):
        half = np.empty((6, 6, channels), np.float32)
        line = np.empty((6, channels), np.float32)
        for tile in range(down * across):
            t = b * down * across + tile
            top, left = tile // across * 4 - 1, tile % across * 4 - 1
            for j in range(6):
                for c in range(channels):
                    (
                        half[0, j, c], half[1, j, c], half[2, j, c],
                        half[3, j, c], half[4, j, c], half[5, j, c],
                    ) = _tile_adjoint(
                        slopes[t, j, c], slopes[t, 6 + j, c], slopes[t, 12 + j, c],
                        slopes[t, 18 + j, c], slopes[t, 24 + j, c], slopes[t, 30 + j, c],
                    )  # fmt: skip
            for i in range(max(0, -top), min(6, height - top)):
                for c in range(channels):
                    (
                        line[0, c], line[1, c], line[2, c], line[3, c], line[4, c], line[5, c]
                    ) = _tile_adjoint(
                        half[i, 0, c], half[i, 1, c], half[i, 2, c],
                        half[i, 3, c], half[i, 4, c], half[i, 5, c],
                    )  # fmt: skip
                for j in range(max(0, -left), min(6, width - left)):
                    for c in range(channels):
                        out[b, top + i, left + j, c] += line[j, c]


@shared_kernel
def filters_of(weight: Array, out: Array) -> None:
    """weight (O, C, 3, 3) -> G w G': out (36, O, C)."""
    for o in prange(weight.shape[0]):
        half = np.empty((6, 3), np.float32)
        for c in range(weight.shape[1]):
            for j in range(3):
                half[0, j], half[1, j], half[2, j], half[3, j], half[4, j], half[5, j] = _filter(
                    weight[o, c, 0, j], weight[o, c, 1, j], weight[o, c, 2, j]
                )
            for i in range(6):
                k = 6 * i
                (
                    out[k, o, c], out[k + 1, o, c], out[k + 2, o, c],
                    out[k + 3, o, c], out[k + 4, o, c], out[k + 5, o, c],
                ) = _filter(half[i, 0], half[i, 1], half[i, 2])  # fmt: skip


@shared_kernel
def slopes_of_weights(slopes: Array, out: Array) -> None:
    """The adjoint of `filters_of`: slopes (36, O, C) -> G' u G, out (O, C, 3, 3)."""
    for o in prange(out.shape[0]):
        half = np.empty((3, 6), np.float32)
        for c in range(out.shape[1]):
            for j in range(6):
                u0, u1, u2 = slopes[j, o, c], slopes[6 + j, o, c], slopes[12 + j, o, c]
                u3, u4 = slopes[18 + j, o, c], slopes[24 + j, o, c]
                p, r = u1 + u2, u3 + u4
                half[0, j] = u0 / 4 - p / 6 + r / 24
                half[1, j] = (u2 - u1) / 6 + (u3 - u4) / 12
                half[2, j] = (r - p) / 6 + slopes[30 + j, o, c]
            for i in range(3):
                p, r = half[i, 1] + half[i, 2], half[i, 3] + half[i, 4]
                out[o, c, i, 0] = half[i, 0] / 4 - p / 6 + r / 24
                out[o, c, i, 1] = (half[i, 2] - half[i, 1]) / 6 + (half[i, 3] - half[i, 4]) / 12
                out[o, c, i, 2] = (r - p) / 6 + half[i, 5]
