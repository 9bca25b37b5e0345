"""Tokens of a small GPT one after another, with the plain model's own operations and nothing else.

In a model of a million weights most of a token's time goes to modules that call modules. Here the
same operations of torch are called one after another on the same numbers, so that logits equal
those of the plain model bit for bit, in half of the time, with nothing to compile and to load.

B batch, T tokens, D width, H heads, G key/value heads, K width of a head, V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.gpt import GPT, Cache


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """The weights of a block, and what it remembers: keys and values are (B, G, capacity, K)."""

    before_attention: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor
    before_forward: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor
    keys: Tensor
    values: Tensor


def direct_decoder(model: nn.Module, batch: int, capacity: int) -> DirectPredict | None:
    """A predictor for `batch` samples of at most `capacity` tokens; None where the plain model must
    do: for another family, for biases and norms of heads, and where a projection was replaced.
    """
    if type(model) is not GPT or model.training:
        return None
    config = model.config
    if config.attention_bias or config.query_key_norm:
        return None
    blocks: list[Any] = list(model.model.layers)
    if not all(type(part) is nn.Linear for block in blocks for part in _projections(block)):
        return None
    return DirectPredict(model, batch, capacity)


def _projections(block: Any) -> list[Any]:
    attention, forward = block.self_attn, block.mlp
    return [
        *(attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj),
        *(forward.gate_proj, forward.up_proj, forward.down_proj),
    ]


class DirectPredict:
    """Logits of the next token; what is longer than one token goes through the plain model."""

    def __init__(self, model: GPT, batch: int, capacity: int) -> None:
        self._model = model
        self._cache = model.new_cache(batch, capacity)
        # The upper half of a head is turned by its sine, the lower one by the sine's negative.
        half = model.config.key_width // 2
        sine = model.model.rotary.sine
        self._sine = torch.cat((-sine[:, :half], sine[:, half:]), dim=-1)
        self._layers = self._lay_out()

    @property
    def cache(self) -> Cache:
        """Keys and values of the tokens seen so far."""
        return self._cache

    def select(self, rows: Tensor) -> None:
        """Keep only `rows` of the batch."""
        self._cache.select(rows)
        self._layers = self._lay_out()

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of tokens (B, T) -> (B, V)."""
        if tokens.shape[1] > 1 or not self._cache.length:
            hidden = self._model.hidden(tokens, self._cache)
            return self._model.logits(hidden[:, -1])
        return self._model.logits(self._hidden(tokens[:, 0]))

    def _hidden(self, tokens: Tensor) -> Tensor:
        """tokens (B,) at the place behind the cache's end -> (B, D)."""
        model, config, place = self._model, self._model.config, self._cache.length
        model.check_room(place + 1)
        batch, width, heads, groups = len(tokens), config.key_width, config.heads, config.kv_heads
        half, normal, epsilon = width // 2, (config.width,), config.norm_epsilon
        cosine, sine = model.model.rotary.cosine[place], self._sine[place]
        linear, norm = functional.linear, torch.rms_norm
        x = functional.embedding(tokens, model.model.embed_tokens.weight)
        for one in self._layers:
            y = norm(x, normal, one.before_attention, epsilon)
            mixed = torch.cat((linear(y, one.query), linear(y, one.key)), dim=1)
            mixed = mixed.view(batch, heads + groups, 1, width)
            mixed = mixed * cosine + mixed.roll(half, -1) * sine
            one.keys[:, :, place] = mixed[:, heads:, 0]
            one.values[:, :, place] = linear(y, one.value).view(batch, groups, width)
            past = slice(0, place + 1)
            y = functional.scaled_dot_product_attention(
                mixed[:, :heads],
                one.keys[:, :, past],
                one.values[:, :, past],
                enable_gqa=heads != groups,
            )
            x = x + linear(y.flatten(1), one.output)
            y = norm(x, normal, one.before_forward, epsilon)
            gated = functional.silu(linear(y, one.gate)) * linear(y, one.up)
            x = x + linear(gated, one.down)
        self._cache.length += 1
        out: Tensor = norm(x, normal, model.model.norm.weight, epsilon)
        return out

    def _lay_out(self) -> list[_Layer]:
        blocks: list[Any] = list(self._model.model.layers)
        found = []
        for block, keys, values in zip(
            blocks, self._cache.keys.unbind(), self._cache.values.unbind(), strict=True
        ):
            query, key, value, output, gate, up, down = (
                part.weight for part in _projections(block)
            )
            found.append(
                _Layer(
                    before_attention=block.input_layernorm.weight,
                    query=query,
                    key=key,
                    value=value,
                    output=output,
                    before_forward=block.post_attention_layernorm.weight,
                    gate=gate,
                    up=up,
                    down=down,
                    keys=keys,
                    values=values,
                )
            )
        return found
