"""Latents of autoencoders and of games: nearer to what is usual, and on the way between two.

B batch, Z numbers of a latent
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wenfang.errors import ConfigError


def truncated(latent: Tensor, most: float) -> Tensor:
    """Standard normal numbers as those of a normal distribution cut off at `most` deviations.

    The truncation of Brock et al. (2019, arXiv:1809.11096), by quantiles in place of drawing
    again: order is kept, so a seed's picture changes little by little as `most` sinks.

    raises ConfigError unless most is above 0
    """
    if not most > 0:
        raise ConfigError("truncation is {value}; it must be above 0", value=most)
    inside = math.erf(most / math.sqrt(2))
    # In double precision, since the tails of float32 end at 5 deviations.
    share = torch.erf(latent.double() / math.sqrt(2)) * inside
    return (torch.erfinv(share) * math.sqrt(2)).to(latent.dtype)


def between(one: Tensor, other: Tensor, count: int) -> Tensor:
    """`count` latents from one to the other along the arc between them: (Z,), (Z,) -> (count, Z).

    A straight line would pass through lengths that a normal distribution never has (White 2016,
    arXiv:1609.04468). raises ConfigError for fewer than two
    """
    if count < 2:
        raise ConfigError("count is {value}; a way has two ends or more", value=count)
    return arc(one, other, torch.linspace(0, 1, count, dtype=one.dtype))


def arc(one: Tensor, other: Tensor, shares: Tensor) -> Tensor:
    """Latents so far from one to the other: (Z,), (Z,), shares (N,) of 0..1 -> (N, Z)."""
    shares = shares.to(one.dtype)[:, None]
    cosine = torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0)
    angle = torch.arccos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    flat_one, flat_other = one.flatten(), other.flatten()
    if sine < 1e-4:  # along one line there is no arc
        way = torch.lerp(flat_one[None], flat_other[None], shares)
    else:
        way = (
            torch.sin((1 - shares) * angle) * flat_one + torch.sin(shares * angle) * flat_other
        ) / sine
    return way.view(len(shares), *one.shape)
