"""Convolutions by Winograd's way are those of the direct one, and so are their gradients."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models import convolve
from wenfang.models.convolve import winograd
from wenfang.models.convolve.known import Known
from wenfang.models.products import fast_products


@pytest.fixture(autouse=True, params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def direct(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return functional.conv2d(x, weight, bias, padding=1)


SHAPES = [
    (2, 5, 8, 8, 7),
    (1, 3, 4, 4, 2),
    (3, 4, 7, 9, 6),
    (2, 33, 14, 5, 40),
    (9, 40, 17, 18, 36),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("biased", [True, False])
def test_sums_are_those_of_the_direct_way(shape: tuple[int, ...], biased: bool) -> None:
    count, ins, height, width, outs = shape
    x, weight = normal(count, ins, height, width), normal(outs, ins, 3, 3, seed=1)
    bias = normal(outs, seed=2) if biased else None
    with torch.no_grad():
        found = winograd.convolve(x, weight, bias)
        expected = direct(x.double(), weight.double(), None if bias is None else bias.double())
    size = float(expected.abs().max())
    assert (found - expected).abs().max() < 3e-5 * size
    assert found.is_contiguous(memory_format=torch.channels_last) or ins == 1


@pytest.mark.parametrize("shape", [*SHAPES, (5, 64, 16, 16, 48)])
@pytest.mark.parametrize("by_one_dnn", [True, False])
def test_sums_by_either_library_are_the_same(
    shape: tuple[int, ...], by_one_dnn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "wastes_vector_units", lambda: by_one_dnn)
    monkeypatch.setattr(winograd, "TILES_AN_OUT", 0)
    count, ins, height, width, outs = shape
    x, weight, bias = normal(count, ins, height, width), normal(outs, ins, 3, 3), normal(outs)
    expected = direct(x.double(), weight.double(), bias.double())
    known = Known()
    with torch.no_grad():
        rested = [winograd.convolve(x, weight, bias, known) for _ in range(2)]
    learning = winograd.convolve(x, weight.requires_grad_(), bias)
    for found in (*rested, learning.detach()):
        assert (found - expected).abs().max() < 3e-5 * float(expected.abs().max())


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_the_direct_way(shape: tuple[int, ...]) -> None:
    count, ins, height, width, outs = shape
    tensors = normal(count, ins, height, width), normal(outs, ins, 3, 3, seed=1), normal(outs)
    slope = normal(count, outs, height, width, seed=3)
    found, expected = (
        torch.autograd.grad(way(*leaves), leaves, slope.to(leaves[0].dtype))
        for way, leaves in (
            (winograd.convolve, [t.clone().requires_grad_() for t in tensors]),
            (direct, [t.double().requires_grad_() for t in tensors]),
        )
    )
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() < 3e-5 * float(other.abs().max())


def test_only_what_is_asked_for_has_a_gradient() -> None:
    x, weight = normal(1, 4, 8, 8), normal(4, 4, 3, 3).requires_grad_()
    winograd.convolve(x, weight, None).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is None
    assert weight.grad is not None


def test_a_gradient_has_a_gradient() -> None:
    x, weight = normal(2, 4, 8, 8).requires_grad_(), normal(3, 4, 3, 3, seed=1).requires_grad_()

    def slope_of_slope(way: object) -> Tensor:
        out = way(x, weight, None).square().sum()  # type: ignore[operator]
        (slope,) = torch.autograd.grad(out, x, create_graph=True)
        (found,) = torch.autograd.grad(slope.square().sum(), weight)
        return found

    found, expected = slope_of_slope(winograd.convolve), slope_of_slope(direct)
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("fused", [True, False])
def test_weights_that_an_optimizer_moved_are_seen(fused: bool) -> None:
    layer = nn.Conv2d(64, 64, 3, padding=1)
    x = normal(32, 64, 16, 16)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=fused)
    with fast_products():
        for _ in range(2):
            with torch.no_grad():
                found = layer(x)
            assert torch.allclose(found, direct(x, layer.weight, layer.bias), atol=1e-4)
            layer(x).square().mean().backward()
            optimizer.step()


def test_weights_at_rest_are_transformed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    plain = winograd._filters

    def counted(weight: Tensor) -> Tensor:
        calls.append(1)
        return plain(weight)

    monkeypatch.setattr(winograd, "_filters", counted)
    layer = nn.Conv2d(64, 64, 3, padding=1)
    with torch.no_grad(), fast_products(at_rest=True):
        one, other = (layer(normal(32, 64, 16, 16)) for _ in range(2))
    assert len(calls) == 1
    assert torch.equal(one, other)


def test_large_and_small_batches_keep_forms_of_their_own() -> None:
    layer = nn.Conv2d(64, 64, 3, padding=1)
    with torch.no_grad(), fast_products(at_rest=True):
        for count in (32, 2, 32):  # by tiles, with the weight laid out, and by tiles again
            x = normal(count, 64, 16, 16)
            assert torch.allclose(layer(x), direct(x, layer.weight, layer.bias), atol=1e-4)


def test_a_map_is_convolved_the_same_alone_and_among_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, weight = normal(6, 8, 12, 12), normal(8, 8, 3, 3)
    with torch.no_grad():
        whole = winograd.convolve(x, weight, None)
        monkeypatch.setattr(winograd, "BYTES_AT_ONCE", 1)  # one map at a time
        parts = winograd.convolve(x, weight, None)
    assert torch.allclose(whole, parts, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups", "channels", "side", "fitting"),
    [
        (3, 1, 1, 1, 64, 16, True),
        (3, 2, 1, 1, 64, 16, False),
        (3, 1, 0, 1, 64, 16, False),
        (1, 1, 0, 1, 64, 16, False),
        (3, 1, 1, 2, 64, 16, False),
        (3, 1, 1, 1, 16, 16, False),
        (3, 1, 1, 1, 64, 3, False),
    ],
)
def test_a_net_inside_goes_the_faster_way_where_it_fits(
    kernel: int, stride: int, padding: int, groups: int, channels: int, side: int,
    fitting: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    calls: list[int] = []
    monkeypatch.setattr(
        convolve,
        "convolve",
        lambda *given: calls.append(1) or winograd.convolve(*given),  # type: ignore[func-returns-value]
    )
    layer = nn.Conv2d(channels, channels, kernel, stride, padding, groups=groups)
    x = normal(32, channels, side, side)
    with fast_products():
        found = layer(x)
    assert bool(calls) is fitting
    assert torch.allclose(found, layer(x), atol=1e-4)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(1, 1, 0), (3, 2, 1), (3, 1, 1), (5, 1, 2), (4, 2, 1)]
)
def test_a_net_at_rest_sums_the_same_with_weights_laid_out_once(
    kernel: int, stride: int, padding: int
) -> None:
    layer = nn.Conv2d(6, 10, kernel, stride, padding)
    with torch.no_grad(), fast_products(at_rest=True):
        for count, side in ((1, 8), (3, 12), (1, 8)):
            x = normal(count, 6, side, side)
            found = layer(x)
            assert torch.allclose(found, layer.double()(x.double()).float(), atol=1e-5)
            layer.float()


def test_doubles_and_halves_keep_the_plain_way() -> None:
    assert not convolve.fits(
        normal(32, 64, 16, 16).double(), normal(64, 64, 3, 3).double(), padding=1
    )
    assert convolve.fits(normal(32, 64, 16, 16), normal(64, 64, 3, 3), padding=1)


def test_without_numba_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolve, "_has_numba", lambda: False)
    assert not convolve.fits(normal(32, 64, 16, 16), normal(64, 64, 3, 3), padding=1)


def test_torch_keeps_its_number_of_threads() -> None:
    """numba, at its first call, sets the number that OpenMP shares with torch."""
    program = (
        "import torch\n"
        "from wenfang.models.convolve import winograd\n"
        "torch.set_num_threads(1)\n"
        "with torch.no_grad():\n"
        "    winograd.convolve(torch.zeros(2, 8, 8, 8), torch.zeros(8, 8, 3, 3), None)\n"
        "print(torch.get_num_threads())\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.split() == ["1"], told.stderr
