"""Distances between sets of vectors and between pictures, against values that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from skimage.metrics import structural_similarity

from wenfang.errors import ConfigError
from wenfang.metrics.fidelity import (
    frechet_distance,
    kernel_distance,
    nearest_distances,
    neighbourhoods,
    spread_of_samples,
    standardised,
)
from wenfang.metrics.pictures import psnr_db, ssim


def normal(count: int, width: int = 6, seed: int = 0, move: float = 0.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((count, width)) + move


def test_the_frechet_distance_is_that_of_the_papers_formula() -> None:
    mixed = np.random.default_rng(3).standard_normal((6, 6))
    real, made = normal(400) @ mixed, normal(300, seed=1) * 1.5 + 0.3
    one, other = np.cov(real, rowvar=False), np.cov(made, rowvar=False)
    move = real.mean(0) - made.mean(0)
    expected = move @ move + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet_distance(real, made) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)


def test_the_frechet_distance_is_biased_and_the_kernel_distance_is_not() -> None:
    frechet, kernel = [], []
    for seed in range(40):
        real, made = normal(60, seed=2 * seed), normal(60, seed=2 * seed + 1)
        frechet.append(frechet_distance(real, made))
        kernel.append(kernel_distance(real, made))
    assert np.mean(frechet) > 0.3
    error = np.std(kernel) / math.sqrt(len(kernel))
    assert abs(np.mean(kernel)) < 3 * error


def test_the_kernel_distance_is_that_of_every_pair() -> None:
    real, made = normal(9), normal(7, seed=1, move=0.5)
    a, b = standardised(real, real), standardised(made, real)

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((x @ y / 6 + 1) ** 3)

    own = [kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j]
    theirs = [kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j]
    across = [kernel(x, y) for x in a for y in b]
    expected = np.mean(own) + np.mean(theirs) - 2 * np.mean(across)
    assert kernel_distance(real, made) == pytest.approx(expected, rel=1e-9)


def test_an_axis_without_spread_stays_finite() -> None:
    real = normal(20)
    real[:, 2] = 4.0
    assert np.isfinite(kernel_distance(real, normal(20, seed=1)))


def test_one_distribution_covers_itself_and_one_point_covers_little() -> None:
    same = spread_of_samples(normal(1500), normal(1500, seed=1))
    assert same["precision_share"] > 0.9
    assert same["coverage_share"] > 0.9
    assert same["density_ratio"] == pytest.approx(1, abs=0.1)
    collapsed = spread_of_samples(normal(1500), normal(1500, seed=1) * 0.01)
    assert collapsed["precision_share"] > 0.99  # every made one is real enough
    assert collapsed["coverage_share"] < 0.1
    assert collapsed["recall_share"] < 0.01
    far = spread_of_samples(normal(1500), normal(1500, seed=1, move=50))
    assert far == dict.fromkeys(same, 0.0)


def test_neighbourhoods_are_those_of_sorted_distances() -> None:
    points = normal(50, width=3)
    every = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)
    assert np.allclose(neighbourhoods(points, 4), every[:, 4], atol=1e-7)
    queries = normal(11, width=3, seed=2)
    nearest = np.linalg.norm(queries[:, None] - points[None], axis=2).min(1)
    assert np.allclose(nearest_distances(queries, points), nearest, atol=1e-7)


def test_psnr_of_a_known_error_and_of_none() -> None:
    black = np.zeros((3, 12, 12))
    assert psnr_db(black, black + 0.1) == pytest.approx(20)
    assert psnr_db(black * 255, black * 255 + 25.5, most=255) == pytest.approx(20)
    assert psnr_db(black, black) == math.inf


def test_ssim_is_one_for_equal_pictures_and_that_of_flat_ones_by_the_formula() -> None:
    picture = np.random.default_rng(0).random((2, 20, 24))
    assert ssim(picture, picture) == pytest.approx(1)
    flat = np.full((16, 16), 0.2), np.full((16, 16), 0.6)
    c1 = 0.01**2  # without structure only the comparison of light is left
    assert ssim(*flat) == pytest.approx((2 * 0.12 + c1) / (0.04 + 0.36 + c1))
    assert ssim(picture, 1 - picture) < 0


def test_ssim_is_that_of_scikit_image() -> None:
    draw = np.random.default_rng(1)
    one = draw.random((32, 40))
    other = np.clip(one + draw.normal(0, 0.2, one.shape), 0, 1)
    _, whole = structural_similarity(
        one, other, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    assert ssim(one, other) == pytest.approx(whole[5:-5, 5:-5].mean(), rel=1e-6)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ConfigError, match="ask for fewer"):
        neighbourhoods(normal(5), 5)
    with pytest.raises(ConfigError, match="two rows or more"):
        frechet_distance(normal(5), normal(5, width=7))
    with pytest.raises(ConfigError, match="one size"):
        psnr_db(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ConfigError, match="11 pixels"):
        ssim(np.zeros((8, 8)), np.zeros((8, 8)))
