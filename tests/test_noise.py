"""Paths from data to noise, and the solvers back, against Gaussians whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor

from wenfang.errors import ConfigError
from wenfang.noise import PATHS, Flow, Path, Prediction, VarianceExploding, VariancePreserving
from wenfang.samplers.denoise import Denoiser, Denoising, Solver, denoise, guided

EVERY = [
    VariancePreserving(),
    VariancePreserving(schedule="linear"),
    VarianceExploding(),
    Flow(),
    Flow(shift=3.0),
]
MEAN, STD = 0.7, 0.4
paths = pytest.mark.parametrize("path", EVERY, ids=lambda one: type(one).__name__)
predictions = pytest.mark.parametrize("prediction", get_args(Prediction))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def of_gaussian(path: Path, mean: float = MEAN, std: float = STD) -> Denoiser:
    """The best answer where all data is drawn from one normal distribution."""

    def predict(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = path.alpha(t), path.sigma(t)
        gain = alpha * std**2 / ((alpha * std) ** 2 + sigma**2)
        return mean + gain * (x - alpha * mean)

    return predict


def exact(path: Path, noise: Tensor, begin: float = 1.0) -> Tensor:
    """Where the probability-flow equation leads: quantiles stay what they are."""
    t = path.times(1)[0] * begin
    x = path.sigma(t) * noise
    spread = ((path.alpha(t) * STD) ** 2 + path.sigma(t) ** 2).sqrt()
    return MEAN + STD * (x - path.alpha(t) * MEAN) / spread


@paths
@predictions
def test_the_data_is_found_again_in_a_perfect_answer(path: Path, prediction: Prediction) -> None:
    path = replace(path, prediction=prediction)
    x, noise = normal(64, 3, 4, 4), normal(64, 3, 4, 4, seed=1)
    t = torch.linspace(0.05, 0.95, 64)
    noisy = path.add_noise(x, noise, t)
    found = path.denoised(path.target(x, noise, t), noisy, t)
    size = 1 + (path.sigma(t) / path.alpha(t)).max()
    assert torch.allclose(found, x, atol=2e-5 * float(size))


@paths
@predictions
def test_an_answers_error_is_weighed_as_the_datas(path: Path, prediction: Prediction) -> None:
    path = replace(path, prediction=prediction)
    x, noise, t = normal(9, 2), normal(9, 2, seed=1), torch.linspace(0.1, 0.9, 9)
    noisy, off = path.add_noise(x, noise, t), 0.01 * normal(9, 2, seed=2)
    found = path.denoised(path.target(x, noise, t) + off, noisy, t) - x
    expected = path.data_weight(t)[:, None] * off.square()
    assert torch.allclose(found.square(), expected, rtol=0.05, atol=1e-6)


@paths
def test_noise_only_grows_with_time(path: Path) -> None:
    snr = path.snr(torch.linspace(path.first, path.last, 200))
    assert bool((snr.diff() < 0).all())
    clue = path.clue(torch.linspace(path.first, path.last, 200))
    assert bool(clue.isfinite().all())
    assert float(clue.abs().max()) < 3


@paths
def test_what_a_network_reads_has_unit_variance(path: Path) -> None:
    x = path.data_std * normal(20_000)
    for time in (path.first, 0.3, 0.7, path.last):
        t = torch.full((len(x),), time)
        read = path.scaled(path.add_noise(x, normal(20_000, seed=1), t), t)
        assert float(read.std()) == pytest.approx(1, abs=0.02)


def test_velocity_is_what_the_papers_say() -> None:
    x, noise, t = normal(5, 3), normal(5, 3, seed=1), torch.linspace(0.1, 0.9, 5)
    path = VariancePreserving(prediction="velocity")
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    assert torch.allclose(path.target(x, noise, t), alpha * noise - sigma * x, atol=1e-6)
    edm = VarianceExploding(prediction="velocity")
    sigma = edm.sigma(t)[:, None]
    whole = sigma**2 + edm.data_std**2
    noisy = edm.add_noise(x, noise, t)
    skip, out = edm.data_std**2 / whole, sigma * edm.data_std / whole.sqrt()  # table 1
    asked = (x - skip * noisy) / out
    assert torch.allclose(edm.target(x, noise, t), -asked, rtol=1e-3, atol=1e-4)


def test_edms_steps_are_those_of_table_1() -> None:
    path, steps = VarianceExploding(), 18
    ends = path.sigma_max ** (1 / 7), path.sigma_min ** (1 / 7)
    expected = [(ends[0] + i / steps * (ends[1] - ends[0])) ** 7 for i in range(steps)]
    found = path.levels(path.times(steps))[1]
    assert found[:-1].tolist() == pytest.approx(expected, rel=1e-4)
    assert found[-1] == 0


@paths
@pytest.mark.parametrize("solver", ["ddim", "euler", "heun", "dpm++2m"])
def test_solvers_reach_the_exact_answer(path: Path, solver: Solver) -> None:
    noise = normal(256)
    found = denoise(of_gaussian(path), noise, path, Denoising(solver=solver, steps=400))
    assert float((found - exact(path, noise)).abs().max()) < 0.03


@paths
def test_twice_the_steps_halve_eulers_error_and_the_others_are_nearer(path: Path) -> None:
    noise = normal(256)

    def off(solver: Solver, steps: int) -> float:
        asked = Denoising(solver=solver, steps=steps)
        found = denoise(of_gaussian(path), noise, path, asked)
        return float((found - exact(path, noise)).square().mean().sqrt())

    assert 1.7 < off("euler", 40) / off("euler", 80) < 2.4
    assert off("heun", 40) < off("euler", 40) / 3
    assert off("dpm++2m", 40) < off("euler", 40) / 3


@paths
def test_a_second_look_helps_at_few_steps_as_well(path: Path) -> None:
    noise = normal(256)
    off = [
        float((denoise(of_gaussian(path), noise, path, Denoising(solver=solver, steps=10))
               - exact(path, noise)).square().mean().sqrt())
        for solver in ("euler", "heun")
    ]  # fmt: skip
    assert off[1] < 0.8 * off[0]
    assert path != Flow() or off[1] < off[0] / 3


@paths
def test_ddpm_draws_the_data_s_distribution(path: Path) -> None:
    streams = iter(range(1, 10_000))
    found = denoise(
        of_gaussian(path),
        normal(10_000),
        path,
        Denoising(solver="ddpm", steps=400),
        fresh=lambda: normal(10_000, seed=next(streams)),
    )
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(found.std()) == pytest.approx(STD, rel=0.03)


def test_ddpms_step_is_the_posterior_of_the_paper() -> None:
    path = VariancePreserving(schedule="linear")
    heard: list[Tensor] = []
    fresh = normal(1000, seed=5)
    asked = Denoising(solver="ddpm", steps=3)
    times = path.times(3)
    alpha, _ = path.levels(times)
    data = torch.full((1000,), 0.3)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        heard.append(x)
        return data

    denoise(predict, normal(1000), path, asked, fresh=lambda: fresh)
    bar, bar_next = alpha[0] ** 2, alpha[1] ** 2
    ratio = bar / bar_next
    mean = bar_next.sqrt() * (1 - ratio) / (1 - bar) * data
    mean += ratio.sqrt() * (1 - bar_next) / (1 - bar) * heard[0]
    variance = (1 - bar_next) / (1 - bar) * (1 - ratio)
    assert torch.allclose(heard[1], mean + variance.sqrt() * fresh, atol=1e-4)


@pytest.mark.parametrize("solver", get_args(Solver))
def test_a_sample_is_the_same_alone_and_in_a_batch(solver: Solver) -> None:
    path, noise = Flow(), normal(8, 3)
    asked = Denoising(solver=solver, steps=5)
    whole = denoise(of_gaussian(path), noise, path, asked, fresh=lambda: noise)
    alone = denoise(of_gaussian(path), noise[2:3], path, asked, fresh=lambda: noise[2:3])
    assert torch.equal(whole[2:3], alone)


def test_a_picture_is_made_again_from_a_part_of_the_way() -> None:
    path, start = Flow(), normal(4000, seed=3)
    far, near = (
        denoise(
            of_gaussian(path), normal(4000), path, Denoising(steps=40), begin=share, start=start
        )
        for share in (0.95, 0.1)
    )

    def likeness(found: Tensor) -> float:
        return float(torch.corrcoef(torch.stack((found, start)))[0, 1])

    assert likeness(near) > 0.9
    assert abs(likeness(far)) < 0.2


def test_every_step_is_heard_and_paid_once() -> None:
    path, calls = Flow(), []
    truth = of_gaussian(path)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        calls.append(float(t))
        return truth(x, t)

    def heard(step: int, data: Tensor) -> None:
        steps.append(step)

    steps: list[int] = []
    for solver, count in (("euler", 7), ("heun", 13), ("dpm++2m", 7)):
        calls.clear()
        steps.clear()
        asked = Denoising(solver=solver, steps=7)  # type: ignore[arg-type]
        denoise(predict, normal(2), path, asked, on_step=heard)
        assert len(calls) == count
        assert steps == list(range(1, 8))


def test_guidance_moves_away_from_the_plain_answer() -> None:
    path, noise = Flow(), normal(64)
    one, other = of_gaussian(path, 1.0, 0.1), of_gaussian(path, 0.0, 0.1)
    means = [
        float(denoise(guided(one, other, scale), noise, path, Denoising()).mean())
        for scale in (0.0, 1.0, 2.0)
    ]
    assert means == pytest.approx([0.0, 1.0, 2.0], abs=0.1)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Denoising(steps=0), "steps"),
        (lambda: Denoising(solver="ddim", eta=2.0), "eta"),
        (lambda: Denoising(solver="heun", eta=0.5), "ddim"),
        (lambda: Flow(shift=0.0), "shift"),
        (lambda: Flow(data_std=0.0), "data_std"),
        (lambda: VarianceExploding(sigma_min=2, sigma_max=1), "sigma_min"),
        (lambda: VarianceExploding(rho=0), "rho"),
        (lambda: Flow().times(0), "steps"),
        (lambda: denoise(of_gaussian(Flow()), normal(2), Flow(), Denoising(), begin=0.0), "begin"),
        (
            lambda: denoise(of_gaussian(Flow()), normal(2), Flow(), Denoising(solver="ddpm")),
            "draws noise",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(made: object, words: str) -> None:
    assert callable(made)
    with pytest.raises(ConfigError, match=words):
        made()


def test_the_table_holds_every_path() -> None:
    assert {type(one) for one in EVERY} == set(PATHS.values())
