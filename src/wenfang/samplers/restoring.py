"""What is known of a picture holds while the rest is drawn: its light, or its look from afar.

At each step the data that a denoiser sees are moved to the nearest that agree with what is known
(the null-space of Wang et al. 2022, arXiv:2212.00490). Noise that a picture has already is taken
for the noise of the path.

B batch, C channels, H height and W width in pixels; values of -1..1 (any affine scale will do)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from wenfang.noise import Path
from wenfang.samplers.denoise import Denoiser

Agree = Callable[[Tensor], Tensor]  # (B, C, H, W) -> the nearest that agree with what is known

LIGHT = (0.299, 0.587, 0.114)  # of red, green and blue (BT.601)
# Of the estimate of noise: the kernel that flat and sloping parts vanish under, and its factor.
CROSS = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
TO_DEVIATION = math.sqrt(math.pi / 2) / 6


def agreeing(predict: Denoiser, agree: Agree) -> Denoiser:
    """What `predict` sees, moved to agree."""
    return lambda x, t: agree(predict(x, t))


def light_of(picture: Tensor) -> Tensor:
    """(B, C, H, W), of which the first three channels are colours -> (B, 1, H, W)."""
    weights = torch.tensor(LIGHT)[None, :, None, None]
    return (picture[:, :3] * weights).sum(1, keepdim=True)


def same_light(picture: Tensor) -> Agree:
    """Colours are free, their light is that of `picture`; so is opacity, where there is any."""
    weights = torch.tensor(LIGHT)[None, :, None, None]
    wanted = light_of(picture)

    def agree(data: Tensor) -> Tensor:
        off = wanted - light_of(data)
        colours = data[:, :3] + off * weights / weights.square().sum()
        opacity = picture[:, 3:].expand(len(data), -1, -1, -1)
        return torch.cat((colours, opacity), dim=1)

    return agree


def same_from_afar(picture: Tensor, square: int) -> Agree:
    """The mean of each square of `square` x `square` pixels is that of `picture`."""
    wanted = functional.avg_pool2d(picture, square)

    def agree(data: Tensor) -> Tensor:
        off = wanted - functional.avg_pool2d(data, square)
        return data + functional.interpolate(off, scale_factor=square, mode="nearest")

    return agree


def noise_of(picture: Tensor) -> float:
    """Standard deviation of the grain of a picture (C, H, W) (Immerkaer 1996, "Fast Noise Variance
    Estimation"): of details that are no edges, so what is all edges seems noisier than it is.
    """
    kernel = torch.tensor(CROSS)[None, None]
    found = functional.conv2d(picture[:, None], kernel).abs().mean()
    return float(found * TO_DEVIATION)


def time_of_noise(path: Path, deviation: float) -> float:
    """The share of the way from data to noise at which data have noise of that deviation."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        t = torch.tensor([path.last * middle])
        if float(path.sigma(t) / path.alpha(t)) < deviation:
            low = middle
        else:
            high = middle
    return max(high, 1e-3)
