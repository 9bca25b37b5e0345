"""Schedules, orthogonal updates, and the moving average."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wenfang import optim
from wenfang.models import gpt
from wenfang.optim import Average, Muon, OptimConfig, orthogonalise, rate


def schedule(name: Any, **settings: Any) -> OptimConfig:
    return OptimConfig(schedule=name, **{"warmup_steps": 10, **settings})


@pytest.mark.parametrize(
    ("config", "step", "expected"),
    [
        (schedule("linear"), 0, 0.1),
        (schedule("linear"), 9, 1.0),
        (schedule("linear"), 10, 1.0),
        (schedule("linear"), 60, 0.5),
        (schedule("linear"), 109, 0.01),
        (schedule("linear", final_fraction=0.2), 60, 0.6),
        (schedule("cosine"), 10, 1.0),
        (schedule("cosine"), 60, 0.5),
        (schedule("cosine"), 85, 0.5 - 0.5 * math.cos(math.pi / 4)),
        (schedule("cosine", final_fraction=0.1), 60, 0.55),
        (schedule("constant"), 4, 0.5),
        (schedule("constant"), 109, 1.0),
        (schedule("stable-decay", decay_share=0.4), 69, 1.0),
        (schedule("stable-decay", decay_share=0.4), 90, 0.5),
        (schedule("stable-decay", decay_share=0.4), 109, 0.025),
        (schedule("linear", warmup_steps=0), 0, 1.0),
    ],
)
def test_a_schedule_has_its_known_values(config: OptimConfig, step: int, expected: float) -> None:
    steps = 110 if config.warmup_steps else 100
    assert rate(config, step, steps) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["linear", "cosine", "constant", "stable-decay"])
def test_a_rate_stays_between_nothing_and_its_base(name: str) -> None:
    rates = [rate(schedule(name), step, 110) for step in range(110)]
    assert min(rates) > 0
    assert max(rates) == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 40), (2, 40, 8)])
def test_orthogonalising_brings_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    # Every direction must be seen: the quintic lifts what is at least 1/100 of the largest.
    u, s, v = torch.linalg.svd(matrices, full_matrices=False)
    matrices = u @ torch.diag_embed(s.clamp_min(0.05 * s[:, :1])) @ v
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert values.shape[1] == min(shape[1:])
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_orthogonalising_keeps_the_singular_vectors() -> None:
    matrix = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix)
    inner = (u.mT @ orthogonalise(matrix) @ v.mT)[0]
    assert float((inner - torch.diag(torch.diagonal(inner))).abs().max()) < 1e-4
    assert float(orthogonalise(torch.zeros(1, 4, 4)).abs().max()) == 0


def test_matrices_stacked_by_shape_move_as_they_do_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(6, 4, generator=generator) for _ in range(3)]
    slopes = [torch.randn(6, 4, generator=generator) for _ in range(3)]

    def moved(chosen: list[int]) -> list[Tensor]:
        weights = [nn.Parameter(start[index].clone()) for index in chosen]
        muon = Muon(weights, lr=0.1, momentum=0.9)
        for _ in range(3):
            for weight, index in zip(weights, chosen, strict=True):
                weight.grad = slopes[index].clone()
            muon.step()
        return [weight.detach() for weight in weights]

    together = moved([0, 1, 2])
    for index in range(3):
        assert torch.allclose(together[index], moved([index])[0], atol=1e-6)
        assert float((together[index] - start[index]).abs().max()) > 0.01


def test_the_first_step_of_muon_follows_its_formula() -> None:
    slope = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    weight = nn.Parameter(torch.zeros(6, 4))
    weight.grad = slope.clone()
    Muon([weight], lr=0.1, momentum=0.9).step()
    momentum = 0.1 * slope
    ahead = 0.1 * slope + 0.9 * momentum
    expected = -0.1 * math.sqrt(6 / 4) * orthogonalise(ahead[None])[0]
    assert torch.allclose(weight.detach(), expected, atol=1e-6)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_every_parameter_is_updated_by_one_optimizer(kind: Any, tied: bool) -> None:
    model = gpt.GPT(replace(gpt.PRESETS["tiny"], vocabulary_size=11, tied_head=tied))
    optimizers = optim.build(model.named_parameters(), OptimConfig(kind=kind, weight_decay=0.1))
    owned = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    if kind == "muon":
        matrices = {names[id(p)] for p in optimizers[0].param_groups[0]["params"]}
        assert matrices == {n for n in names.values() if "proj" in n}
    decay = {
        names[id(p)]: g.get("weight_decay")
        for g in optimizers[-1].param_groups
        for p in g["params"]
    }
    assert decay["model.norm.weight"] == 0
    assert decay["model.embed_tokens.weight"] == 0.1


def test_the_rate_is_set_relative_to_each_base() -> None:
    model = gpt.GPT(replace(gpt.PRESETS["tiny"], vocabulary_size=11))
    optimizers = optim.build(model.named_parameters(), OptimConfig(lr=0.004, matrix_lr=0.02))
    for factor in (0.5, 0.25):
        optim.set_rate(optimizers, factor)
    assert optimizers[0].param_groups[0]["lr"] == pytest.approx(0.005)
    assert [g["lr"] for g in optimizers[1].param_groups] == pytest.approx([0.001, 0.001])


def test_the_average_warms_up_and_then_decays() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, decay=0.25)
    nn.init.ones_(model.weight)
    values = []
    for _ in range(4):
        average.update(model)
        values.append(float(average.weights["weight"]))
    # decays 1/10, 2/11, 3/12, then 0.25 instead of 4/13
    left = [0.1, 0.1 * 2 / 11, 0.1 * 2 / 11 * 0.25, 0.1 * 2 / 11 * 0.25**2]
    assert values == pytest.approx([1 - share for share in left])


def test_swapping_twice_changes_nothing() -> None:
    model = nn.Linear(2, 2)
    average = Average(model, decay=0.9)
    averaged = average.weights["weight"].clone()
    nn.init.constant_(model.weight, 7.0)
    average.swap(model)
    assert torch.equal(model.weight, averaged)
    average.swap(model)
    assert float(model.weight.detach().mean()) == 7.0
    assert torch.equal(average.weights["weight"], averaged)
