"""Attention of one new token to all before it, with keys and values kept in the order of reading.

One token's attention is bound by reading them. `scaled_dot_product_attention` reads against their
order as soon as there are several rows, and takes ten times what it takes to add all of them up.
Where there are few rows it is the fastest nevertheless, since it is one call.

L layers, B batch, H heads, G key/value heads, K width of a head, C capacity, T tokens, S SPAN
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from wenfang.models.gpt import Cache

# From so many numbers of keys a position on, bags are faster.
LEAST_IN_BAGS = 512
SPAN = 32  # positions that are added up at once


class Kept(Protocol):
    """Keys and values of a cache in an order of their own."""

    def give(self, cache: Cache) -> None:
        """Put what was kept into the cache, for whoever reads it as a whole."""
        ...

    def take(self, cache: Cache) -> None:
        """Keep what the cache holds."""
        ...

    def keep(self, layer: int, place: int, key: Tensor, value: Tensor) -> None:
        """Keep a token's key and value (B, G, K) at its place."""
        ...

    def read(self, layer: int, length: int, query: Tensor) -> Tensor:
        """What the first `length` positions answer to query (B, H, K), scaled: (B, H * K)."""
        ...


def keep(cache: Cache, heads: int) -> Kept:
    """The faster way for a cache of this shape, holding what it holds."""
    _, batch, groups, _, width = cache.keys.shape
    few = batch * groups * width < LEAST_IN_BAGS
    kept: Kept = PositionsFirst(cache) if few else InBags(cache, heads)
    kept.take(cache)
    return kept


class PositionsFirst:
    """A few rows: one call of torch. A position's numbers lie in one piece, of which the cache is
    another view.
    """

    def __init__(self, cache: Cache) -> None:
        layers, batch, groups, capacity, width = cache.keys.shape
        shape = (layers, capacity, batch, groups, width)
        keys, values = torch.empty(shape), torch.empty(shape)
        self._keys, self._values = keys.unbind(), values.unbind()
        length = slice(cache.length)
        mine = keys.permute(0, 2, 3, 1, 4), values.permute(0, 2, 3, 1, 4)
        mine[0][:, :, :, length] = cache.keys[:, :, :, length]
        mine[1][:, :, :, length] = cache.values[:, :, :, length]
        cache.keys, cache.values = mine

    def give(self, cache: Cache) -> None:
        """Nothing is to be done."""

    def take(self, cache: Cache) -> None:
        """Nothing is to be done."""

    def keep(self, layer: int, place: int, key: Tensor, value: Tensor) -> None:
        """Keep a token's key and value (B, G, K) at its place."""
        self._keys[layer][place] = key
        self._values[layer][place] = value

    def read(self, layer: int, length: int, query: Tensor) -> Tensor:
        """What the first `length` positions answer to query (B, H, K), scaled: (B, H * K)."""
        keys, values = self._keys[layer][:length], self._values[layer][:length]
        y = functional.scaled_dot_product_attention(
            query[:, :, None],
            keys.permute(1, 2, 0, 3),
            values.permute(1, 2, 0, 3),
            scale=1.0,
            enable_gqa=query.shape[1] != keys.shape[2],
        )
        return y.flatten(1)


class InBags:
    """Many rows: both products are sums of weighted rows, which `embedding_bag` adds up in
    registers while it reads memory once, from its beginning to its end.

    Positions come in spans. A head's keys of a span lie as (K, S): weighted by the query they are a
    bag of K rows. Its values lie as (S, K): weighted by attention they are a bag of S rows.
    """

    def __init__(self, cache: Cache, heads: int) -> None:
        layers, batch, groups, capacity, width = cache.keys.shape
        spans = -(-capacity // SPAN)
        # Room that is not asked for yet costs nothing, until it is written.
        keys = torch.empty(layers, spans, batch, groups, width, SPAN)
        values = torch.empty(layers, spans, batch, groups, SPAN, width)
        self._keys, self._values = keys.unbind(), values.unbind()
        self._key_rows = keys.view(layers, -1, SPAN).unbind()
        self._value_rows = values.view(layers, -1, width).unbind()
        self._spans = 0  # of which all is written
        # Which of the B * G tables of a span each of its B * H heads reads.
        head = torch.arange(heads) // (heads // groups)
        self._tables = (torch.arange(batch)[:, None] * groups + head).flatten()
        self._last: list[tuple[Tensor, Tensor]] = []  # the span that is being written
        self._bags = self._index()

    def give(self, cache: Cache) -> None:
        """Put what was kept into the cache."""
        for start in range(0, cache.length, SPAN):
            count, span = min(SPAN, cache.length - start), start // SPAN
            for layer, (keys, values) in enumerate(zip(self._keys, self._values, strict=True)):
                there = slice(start, start + count)
                cache.keys[layer][:, :, there] = keys[span][..., :count].transpose(2, 3)
                cache.values[layer][:, :, there] = values[span][:, :, :count]

    def take(self, cache: Cache) -> None:
        """Keep what the cache holds."""
        self._prepare(cache.length)
        for start in range(0, cache.length, SPAN):
            count, span = min(SPAN, cache.length - start), start // SPAN
            for layer, (keys, values) in enumerate(zip(self._keys, self._values, strict=True)):
                there = slice(start, start + count)
                keys[span][..., :count] = cache.keys[layer][:, :, there].transpose(2, 3)
                values[span][:, :, :count] = cache.values[layer][:, :, there]

    def keep(self, layer: int, place: int, key: Tensor, value: Tensor) -> None:
        """Keep a token's key and value (B, G, K) at its place."""
        if place // SPAN == self._spans:
            self._prepare(place + 1)
        keys, values = self._last[layer]
        keys.select(-1, place % SPAN).copy_(key)
        values.select(-2, place % SPAN).copy_(value)

    def read(self, layer: int, length: int, query: Tensor) -> Tensor:
        """What the first `length` positions answer to query (B, H, K), scaled: (B, H * K)."""
        key_rows, key_bags, value_rows, value_bags = self._bags
        spans, heads, rest = self._spans, len(self._tables), self._spans * SPAN - length
        asked = query.reshape(-1)
        if spans > 1:
            asked = asked.repeat(spans)
        scores = _sums(self._key_rows[layer], key_rows, key_bags, asked).view(spans, heads, SPAN)
        if rest:
            scores[-1].narrow(1, SPAN - rest, rest).fill_(-torch.inf)
        if spans > 1:
            weight = scores.transpose(0, 1).reshape(heads, -1).softmax(1)
            weight = weight.view(heads, spans, SPAN).transpose(0, 1).reshape(-1)
        else:
            weight = scores.softmax(2).view(-1)
        found = _sums(self._value_rows[layer], value_rows, value_bags, weight)
        return (found.view(spans, -1).sum(0) if spans > 1 else found).view(len(query), -1)

    def _prepare(self, length: int) -> None:
        """Make spans ready for `length` positions; what weighs 0 must be a number all the same."""
        while self._spans * SPAN < length:
            self._last = [
                (keys[self._spans].zero_(), values[self._spans].zero_())
                for keys, values in zip(self._keys, self._values, strict=True)
            ]
            self._spans += 1
            self._bags = self._index()

    def _index(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows of the bags of the spans so far, and where bags begin: of keys, then of values."""
        keys, values = self._keys[0], self._values[0]
        tables = torch.arange(self._spans)[:, None] * keys.shape[1] * keys.shape[2] + self._tables
        found: list[Tensor] = []
        for rows in (keys.shape[3], values.shape[3]):
            index = tables.view(-1, 1) * rows + torch.arange(rows)
            found += [index.flatten().int(), torch.arange(0, index.numel() + 1, rows).int()]
        return found[0], found[1], found[2], found[3]


def _sums(table: Tensor, index: Tensor, bags: Tensor, weight: Tensor) -> Tensor:
    """Sums of weighted rows of a table (rows, N): (bags, N)."""
    return torch.embedding_bag(table, index, bags, False, 0, False, weight, True)[0]
