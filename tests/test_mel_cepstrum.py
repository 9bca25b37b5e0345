"""Mel-cepstral distance: known answers, and what must not count."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wenfang.errors import ConfigError
from wenfang.metrics.mel_cepstrum import (
    mel_cepstra,
    mel_cepstral_distance_db,
    mel_cepstral_distances_db,
)

BANDS = 40


def waves(turns: float, decibels: float, frames: int = 5) -> NDArray[np.float64]:
    """Levels of frames whose spectrum goes up and down so many half turns."""
    place = (np.arange(BANDS) + 0.5) / BANDS
    return np.tile(decibels * np.cos(np.pi * turns * place) - 20, (frames, 1))


def speech(seed: int, frames: int) -> NDArray[np.float64]:
    steps = np.random.default_rng(seed).normal(size=(frames, BANDS))
    return np.asarray(steps.cumsum(0) - 30)


@pytest.mark.parametrize("turns", [1, 3, 13])
def test_an_outline_so_many_decibels_off_is_told_as_their_mean_square(turns: int) -> None:
    flat, wavy = mel_cepstra(waves(0, 0)), mel_cepstra(waves(turns, 10))
    assert mel_cepstral_distance_db(flat, wavy) == pytest.approx(10 / np.sqrt(2))


def test_loudness_and_fine_structure_do_not_count() -> None:
    flat = mel_cepstra(waves(0, 0))
    assert mel_cepstral_distance_db(flat, mel_cepstra(waves(0, 0) + 12)) == pytest.approx(0)
    assert mel_cepstral_distance_db(flat, mel_cepstra(waves(20, 10))) == pytest.approx(0, abs=1e-9)


def test_speed_does_not_count_but_order_does() -> None:
    own = mel_cepstra(speech(1, 12))
    slower = own.repeat(3, axis=0)
    assert mel_cepstral_distance_db(own, slower) == pytest.approx(0, abs=1e-6)
    assert mel_cepstral_distance_db(own, own[::-1]) > 0.5
    assert mel_cepstral_distance_db(slower, own) == mel_cepstral_distance_db(own, slower)


def one_by_one(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The same by the plain recursion."""
    apart = np.sqrt(np.square(one[:, None] - other[None]).sum(2))
    cost = np.full((len(one) + 1, len(other) + 1), np.inf)
    length = np.zeros_like(cost)
    cost[0, 0] = 0
    for row in range(len(one)):
        for column in range(len(other)):
            before = ((row, column), (row, column + 1), (row + 1, column))
            best = min(before, key=lambda place: float(cost[place]))
            cost[row + 1, column + 1] = cost[best] + apart[row, column]
            length[row + 1, column + 1] = length[best] + 1
    return float(cost[-1, -1] / length[-1, -1])


def test_many_pairs_at_once_are_as_each_alone() -> None:
    sizes = np.random.default_rng(3).integers(1, 20, size=(30, 2))
    ones = [mel_cepstra(speech(number, size)) for number, size in enumerate(sizes[:, 0])]
    others = [mel_cepstra(speech(100 + number, size)) for number, size in enumerate(sizes[:, 1])]
    found = mel_cepstral_distances_db(ones, others)
    alone = [one_by_one(one, other) for one, other in zip(ones, others, strict=True)]
    assert found == pytest.approx(alone)
    assert mel_cepstral_distances_db([], []).shape == (0,)


def test_what_cannot_be_compared_is_refused() -> None:
    own = mel_cepstra(speech(1, 4))
    with pytest.raises(ConfigError, match="take more bands"):
        mel_cepstra(np.zeros((4, 13)))
    with pytest.raises(ConfigError, match="in pairs"):
        mel_cepstral_distances_db([own, own], [own])
    with pytest.raises(ConfigError, match="a frame or more"):
        mel_cepstral_distance_db(own, own[:0])
