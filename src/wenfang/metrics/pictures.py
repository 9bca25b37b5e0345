"""How near a picture is to the one that it should be: PSNR, and SSIM of Wang et al. 2004.

Pictures (..., H, W) with values of 0..`most`; the last two axes are the picture's, others are
averaged over.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import ConfigError

Picture = NDArray[np.float64]
WINDOW_PX, WINDOW_STD_PX = 11, 1.5
K1, K2 = 0.01, 0.03


def psnr_db(one: Picture, other: Picture, most: float = 1.0) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for equal pictures."""
    _require_like(one, other)
    error = float(np.square(one - other).mean())
    return math.inf if error == 0 else 10 * math.log10(most * most / error)


def ssim(one: Picture, other: Picture, most: float = 1.0) -> float:
    """Structural similarity, at most 1: a Gaussian window of 11 pixels that lies whole within.

    raises ConfigError for pictures of other shapes, or smaller than the window
    """
    _require_like(one, other)
    if min(one.shape[-2:]) < WINDOW_PX:
        raise ConfigError(
            "SSIM needs pictures of {least} pixels or more each way, not {shape}",
            least=WINDOW_PX,
            shape="x".join(map(str, one.shape[-2:])),
        )
    mean_one, mean_other = _blurred(one), _blurred(other)
    var_one = _blurred(one * one) - mean_one * mean_one
    var_other = _blurred(other * other) - mean_other * mean_other
    both = _blurred(one * other) - mean_one * mean_other
    c1, c2 = (K1 * most) ** 2, (K2 * most) ** 2
    light = (2 * mean_one * mean_other + c1) / (mean_one**2 + mean_other**2 + c1)
    structure = (2 * both + c2) / (var_one + var_other + c2)
    return float((light * structure).mean())


def _blurred(picture: Picture) -> Picture:
    """Where the window lies whole within the picture: (..., H - 10, W - 10)."""
    places = np.arange(WINDOW_PX) - WINDOW_PX // 2
    window = np.exp(-np.square(places / WINDOW_STD_PX) / 2)
    window /= window.sum()
    rows = np.lib.stride_tricks.sliding_window_view(picture, WINDOW_PX, axis=-2) @ window
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, WINDOW_PX, axis=-1) @ window)


def _require_like(one: Picture, other: Picture) -> None:
    if one.shape != other.shape or one.ndim < 2:
        raise ConfigError(
            "pictures of {one} and {other} cannot be compared; bring them to one size",
            one="x".join(map(str, one.shape)),
            other="x".join(map(str, other.shape)),
        )
