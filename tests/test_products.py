"""Linear maps by oneDNN, and memory that stays with a training process."""

from __future__ import annotations

import resource

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.device import kept_memory
from wenfang.models import products
from wenfang.models.linears import linears
from wenfang.models.normed import normed_silu
from wenfang.models.products import fast_products

SIZES = [(40, 512, 64), (512, 40, 300), (64, 300, 512), (7, 4096, 64)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "ins", "outs"), SIZES)
@pytest.mark.parametrize("biased", [True, False])
def test_gradients_are_those_of_a_linear_map(
    rows: int, ins: int, outs: int, biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "LEAST_MULTIPLICATIONS", 0)
    given = [normal(2, rows, ins), normal(outs, ins, seed=1)] + [normal(outs, seed=2)] * biased
    slope = normal(2, rows, outs, seed=3)

    def gradients(way: object, kind: torch.dtype) -> list[Tensor]:
        leaves = [one.to(kind).requires_grad_() for one in given]
        out = way(*leaves)  # type: ignore[operator]
        return [out, *torch.autograd.grad(out, leaves, slope.to(kind))]

    found = gradients(products.linear, torch.float32)
    expected = gradients(functional.linear, torch.float64)
    for one, other in zip(found, expected, strict=True):
        size = float(other.detach().abs().max())
        assert torch.allclose(one.double(), other, atol=1e-5 * size)


def test_a_gradients_own_gradient_is_that_of_a_linear_map(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a penalty on slopes asks for it: of a discriminator, by two layers."""
    monkeypatch.setattr(products, "LEAST_MULTIPLICATIONS", 0)
    x = normal(64, 300)
    weights = [normal(80, 300, seed=1) / 17, normal(70, 80, seed=2) / 9]
    found = []
    for apply in (products.linear, functional.linear):
        given = x.clone().requires_grad_()
        learnt = [weight.clone().requires_grad_() for weight in weights]
        score = apply(apply(given, learnt[0]).tanh(), learnt[1]).tanh()
        (slope,) = torch.autograd.grad(score.sum(), given, create_graph=True)
        penalty = (slope.square().sum(1).sqrt() - 1).square().mean()
        found.append(torch.autograd.grad(penalty, [given, *learnt]))
    for ours, plain in zip(*found, strict=True):
        assert torch.allclose(ours, plain, rtol=1e-3, atol=1e-6)
        assert float(plain.abs().max()) > 0


def test_memory_that_is_kept_is_not_fetched_again() -> None:
    def faults(times: int = 4) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(times):
            # 80 MB, which glibc gives back at once, and something smaller that outlives it.
            large, small = torch.ones(20_000_000), torch.ones(2_000_000)
            del large, small
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with kept_memory() as possible:
        if not possible:
            pytest.skip("this C library has no mallopt")
        faults(12)  # until its small remainders have found their places
        kept = faults()
    assert 4 * kept < faults()


def test_memory_goes_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), kept_memory():
        raise ZeroDivisionError
    with kept_memory():
        pass


@pytest.mark.parametrize(
    "shape", [(2, 64, 32, 32), (17, 64, 32, 32), (3, 32, 40, 41), (1, 8, 4, 4)]
)
@pytest.mark.parametrize("told", ["", "added", "scaled", "both"])
def test_norm_and_silu_in_one_go_are_what_they_are_apart(shape: tuple[int, ...], told: str) -> None:
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    norm = nn.GroupNorm(8, shape[1])
    nn.init.normal_(norm.weight, generator=generator)
    nn.init.normal_(norm.bias, generator=generator)
    x = (normal(*shape) * 3 + 50).contiguous(memory_format=torch.channels_last)
    per = (shape[0], shape[1], 1, 1)
    added = normal(*per) if told in ("added", "both") else None
    scale, shift = (normal(*per), normal(*per)) if told in ("scaled", "both") else (None, None)
    with torch.no_grad():
        apart = normed_silu(x, norm, added, scale, shift)
        with fast_products(at_rest=True):
            found = normed_silu(x, norm, added, scale, shift)
        with fast_products():
            plain = normed_silu(x, norm, added, scale, shift)
        exact = normed_silu(
            x.double(),
            norm.double(),
            *(None if one is None else one.double() for one in (added, scale, shift)),
        )
    assert torch.equal(plain, apart)
    # With so large a mean torch's own sums lose some digits.
    assert float((found - exact).abs().max()) < 3e-4
    assert found.is_contiguous(memory_format=torch.channels_last) or shape[1] < 16


def test_norm_and_silu_keep_their_gradients() -> None:
    norm = nn.GroupNorm(8, 64)
    x = torch.randn(2, 64, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with fast_products(at_rest=True):
        normed_silu(x, norm).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None


class Added(nn.Linear):
    """A map that adds something of its own, as one that is being tuned does."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x) + 1
        return out


def test_maps_of_one_input_are_one_product_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = [nn.Linear(96, width) for width in (32, 64, 16)]
    x = normal(3, 50, 96)
    expected = [each(x) for each in maps]
    calls: list[int] = []
    plain = functional.linear

    def counted(*given: Tensor) -> Tensor:
        calls.append(1)
        return plain(*given)

    monkeypatch.setattr(functional, "linear", counted)
    with torch.no_grad(), fast_products(at_rest=True):
        for _ in range(2):
            found = linears(x, maps)
    assert len(calls) == 2
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(("at_rest", "learning"), [(True, True), (False, False), (True, False)])
def test_maps_that_move_or_are_no_plain_ones_are_asked_each(at_rest: bool, learning: bool) -> None:
    maps = [nn.Linear(96, 32), Added(96, 32) if at_rest and not learning else nn.Linear(96, 32)]
    x = normal(3, 96)
    with torch.set_grad_enabled(learning), fast_products(at_rest=at_rest):
        found = linears(x, maps)
    for one, each in zip(found, maps, strict=True):
        assert torch.allclose(one, each(x), atol=1e-6)
        assert one.requires_grad == learning
