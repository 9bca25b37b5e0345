"""3 x 3 convolutions by Winograd's F(4 x 4, 3 x 3), with gradients (see `kernels`).

Sums are those of a direct convolution but for rounding, some 1e-5 of the output's size. Maps are
worked on a few at a time, so that their tiles stay in the cache.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from wenfang.device import wastes_vector_units
from wenfang.models.convolve import kernels
from wenfang.models.convolve.known import Known

BYTES_AT_ONCE = 16 * 2**20
PLACES = 36  # of a tile
# Of a net that learns, filters are laid out at every call: that pays with so many tiles.
TILES_AN_OUT = 2
# Padding, stride, dilation and groups of a convolution that keeps them apart.
BY_PLACES = ([0, 0], [1, 1], [1, 1], PLACES)
_ROOMS = threading.local()


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, known: Known | None = None) -> Tensor:
    """x (B, C, H, W), weight (O, C, 3, 3), bias (O,) -> (B, O, H, W), one of zeros around x.

    float32 on the CPU; the result is stored with channels last
    known  where transformed weights are kept, if they will not change
    """
    if torch.is_grad_enabled():
        out: Tensor = _Convolution.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    if known is None:
        return _forward(x, _filters(weight), bias)
    return _forward(x, known.form("filters", weight, lambda: _laid_out(_filters(weight))), bias)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        filters = _filters(weight)
        ctx.save_for_backward(x, weight, filters)
        ctx.has_bias = bias is not None
        many = _count(x.permute(0, 2, 3, 1)) >= TILES_AN_OUT * len(weight)
        return _forward(x, _laid_out(filters) if many else filters, bias)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight, filters = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        if torch.is_grad_enabled():  # somebody wants the gradient's own gradient
            asked = [of_x, of_weight, of_bias]
            size = [len(weight)] if ctx.has_bias else None
            one, nothing = [1, 1], [0, 0]
            found: tuple[Tensor | None, Tensor | None, Tensor | None] = (
                torch.ops.aten.convolution_backward(
                    slope, x, weight, size, one, one, one, False, nothing, 1, asked
                )
            )
            return found
        slope_x, slope_weight = _backward(x, filters, slope, of_x, of_weight)
        return slope_x, slope_weight, slope.sum((0, 2, 3)) if of_bias else None


def _forward(x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
    count, _, height, width = x.shape
    outs = _outs(filters)
    maps = _last(x)
    out = x.new_empty(count, height, width, outs)
    added = x.new_zeros(outs) if bias is None else bias.detach()
    for part in _parts(maps, outs):
        products = _products("products", _tiles(maps[part]), filters)
        _run(kernels.maps_of, products, added, out[part])
    return out.permute(0, 3, 1, 2)


def _backward(
    x: Tensor, filters: Tensor, slope: Tensor, of_x: bool, of_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    maps, slopes = _last(x), _last(slope)
    slope_x = torch.zeros_like(maps) if of_x else None
    slope_filters = torch.zeros_like(filters) if of_weight else None
    for part in _parts(maps, filters.shape[1]):
        tiles = _count(slopes[part])
        products = _room("products", tiles, 36, filters.shape[1])
        _run(kernels.slopes_of_products, slopes[part], products)
        if slope_filters is not None:
            slope_filters.baddbmm_(products.permute(1, 2, 0), _tiles(maps[part]).transpose(0, 1))
        if slope_x is not None:
            values = _products("tiles", products, filters.mT)
            there = slope_x[part]
            _run(kernels.slopes_of_maps, values, there)
    slope_weight = None
    if slope_filters is not None:
        outs, ins = filters.shape[1:]
        slope_weight = x.new_empty(outs, ins, 3, 3)
        _run(kernels.slopes_of_weights, slope_filters, slope_weight)
    return None if slope_x is None else slope_x.permute(0, 3, 1, 2), slope_weight


def _products(name: str, tiles: Tensor, filters: Tensor) -> Tensor:
    """tiles (T, 36, C), filters (36, O, C) or laid out -> (T, 36, O), sums over C of each place."""
    count, places, channels = tiles.shape
    outs = _outs(filters)
    if not filters.is_mkldnn:
        found = _room(name, count, places, outs)
        torch.bmm(tiles.transpose(0, 1), filters.mT, out=found.transpose(0, 1))
        return found
    maps = tiles.view(1, count, 1, places * channels).permute(0, 3, 1, 2)
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(
        maps, filters, None, *BY_PLACES, "none", [], ""
    )
    return out.permute(0, 2, 3, 1).view(count, places, outs)


def _laid_out(filters: Tensor) -> Tensor:
    """Filters (36, O, C), or (36 O, C, 1, 1) as oneDNN reads them where that is faster.

    To it places are groups of a convolution without breadth: of a batch of products it has none in
    float32, and MKL's leave half of some processors unused.
    """
    if not wastes_vector_units():
        return filters
    places, outs, channels = filters.shape
    found: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        filters.view(places * outs, channels, 1, 1), *BY_PLACES, [1, places * channels, 64, 1]
    )
    return found


def _outs(filters: Tensor) -> int:
    return len(filters) // PLACES if filters.ndim == 4 else filters.shape[1]


def _filters(weight: Tensor) -> Tensor:
    """(O, C, 3, 3) -> (36, O, C)."""
    found = weight.new_empty(36, *weight.shape[:2])
    plain = weight.detach().contiguous()
    _run(kernels.filters_of, plain, found)
    return found


def _tiles(maps: Tensor) -> Tensor:
    """(b, H, W, C) -> (T, 36, C)."""
    found = _room("tiles", _count(maps), 36, maps.shape[3])
    _run(kernels.tiles_of, maps, found)
    return found


def _room(name: str, *shape: int) -> Tensor:
    """Memory of this thread for a while: fetched anew, it would cost more than the arithmetic."""
    rooms: dict[str, Tensor] = _ROOMS.__dict__
    size = math.prod(shape)
    if name not in rooms or rooms[name].numel() < size:
        with torch.inference_mode(False):
            rooms[name] = torch.empty(size, dtype=torch.float32)
    return rooms[name][:size].view(shape)


def _last(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, C), contiguous."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def _rows(maps: Tensor) -> int:
    return len(maps) * -(-maps.shape[1] // kernels.INNER)


def _count(maps: Tensor) -> int:
    """Tiles of maps (b, H, W, C)."""
    return _rows(maps) * -(-maps.shape[2] // kernels.INNER)


def _parts(maps: Tensor, outs: int) -> Iterator[slice]:
    """So many maps at a time that their tiles, in and out, fit the cache."""
    bytes_a_map = 4 * PLACES * _count(maps[:1]) * (maps.shape[3] + outs)
    size = max(1, BYTES_AT_ONCE // bytes_a_map)
    for start in range(0, len(maps), size):
        yield slice(start, start + size)


def _run(work: Callable[..., None], *tensors: Tensor) -> None:
    work(*(tensor.numpy() for tensor in tensors))
