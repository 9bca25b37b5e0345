"""Latents: truncation and the way between two."""

from __future__ import annotations

import math

import pytest
import torch

from wenfang.errors import ConfigError
from wenfang.samplers.latent import between, truncated


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_truncated_numbers_follow_the_cut_off_distribution() -> None:
    drawn = normal(200_000)
    cut = truncated(drawn, 1.0)
    assert cut.abs().max() <= 1.0
    density = math.exp(-0.5) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * density / math.erf(1 / math.sqrt(2))
    assert cut.std() == pytest.approx(math.sqrt(variance), rel=0.01)
    assert (cut[drawn.argsort()].diff() >= 0).all()  # order is kept


def test_truncation_far_out_changes_nothing() -> None:
    drawn = normal(1000)
    assert torch.allclose(truncated(drawn, 8.0), drawn, atol=1e-5)


def test_the_way_between_two_keeps_their_ends_and_their_length() -> None:
    one, other = normal(2, 3, 4), normal(5, 3, 4)[3:]
    way = between(one, other, 5)
    assert way.shape == (5, 2, 3, 4)
    assert torch.allclose(way[0], one, atol=1e-6)
    assert torch.allclose(way[-1], other, atol=1e-6)
    scaled = other * one.norm() / other.norm()
    lengths = between(one, scaled, 7).flatten(1).norm(dim=1)
    assert torch.allclose(lengths, one.norm().expand(7), rtol=1e-5)


def test_the_way_to_itself_stays() -> None:
    one = normal(6)
    assert torch.allclose(between(one, one, 3), one.expand(3, -1))


@pytest.mark.parametrize("most", [0.0, -1.0, math.nan])
def test_a_truncation_without_room_is_refused(most: float) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        truncated(normal(3), most)


def test_a_way_needs_two_ends() -> None:
    with pytest.raises(ConfigError, match="two ends"):
        between(normal(3), normal(3), 1)
