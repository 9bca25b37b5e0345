"""Tokens of a small GPT one after another, by a few operations of torch and nothing else.

In a model of a million weights most of a token's time goes to modules that call modules, and the
rest to memory that is read against its order. Here matrices that read the same vector are one, the
norms' gains and the scale of attention are part of them, and they and the keys and values of many
rows lie in the order in which they are read. Sums are taken in another order than by the plain
model; logits equal its own within 1e-4. Nothing is compiled or loaded for it.

B batch, T tokens, D width, H heads, G key/value heads, K width of a head, V vocabulary,
C capacity, F hidden width
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.decode.attending import keep
from wenfang.models.gpt import GPT, Cache

# A matrix of more numbers is laid out by oneDNN where several rows are multiplied at once: 16 rows
# by 224 x 8,419 take 0.6 ms so, and 1.1 ms by MKL. Smaller ones lose more by the call.
LEAST_PACKED = 100_000
ROWS_FORESEEN = 16  # to lay matrices out for; other numbers of rows are as fast


class _Product:
    """x (B, K) by a weight (N, K), whose layout is MKL's transposed one or oneDNN's own."""

    def __init__(self, weight: Tensor, many: bool) -> None:
        self._packed = many and weight.numel() >= LEAST_PACKED and _has_one_dnn()
        if self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(
                weight.contiguous(), ROWS_FORESEEN
            )
        else:
            self._weight = weight.t().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """The product: (B, K) -> (B, N)."""
        if self._packed:
            found = torch.ops.mkldnn._linear_pointwise(x, self._weight, None, "none", [], "")
            return cast(Tensor, found)
        return torch.mm(x, self._weight)

    def onto(self, x: Tensor, more: Tensor) -> Tensor:
        """x (B, N) and the product of `more` (B, K)."""
        return x + self(more) if self._packed else torch.addmm(x, more, self._weight)


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """A block's products."""

    mix: _Product  # D -> query, key and value
    output: _Product
    gate_up: _Product  # D -> 2F
    down: _Product


@dataclass(frozen=True, kw_only=True)
class _LaidOut:
    """A model's weights in the order in which they are read."""

    layers: list[_Layer]
    head: _Product
    cosine: Tensor  # (positions, K)
    sine: Tensor  # of which the lower half is negative
    epsilon: Tensor  # (1,) of the norms


# By model: what its weights were, and their layouts for one row (False) and for many.
_LAID_OUT: weakref.WeakKeyDictionary[GPT, tuple[object, dict[bool, _LaidOut]]] = (
    weakref.WeakKeyDictionary()
)


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
    parts = [model.lm_head, *(part for block in blocks for part in _projections(block))]
    if not all(type(part) is nn.Linear for part in parts):
        return None
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in model.parameters()):
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
        self._weights = _laid_out(model, many=batch > 1)
        self._cache = model.new_cache(batch, 0)
        layers, _, groups, taken, width = self._cache.keys.shape
        # Nothing is read that was not written; to write all of a long context takes a third of a
        # second for 16 rows.
        shape = (layers, batch, groups, taken + capacity, width)
        self._cache.keys, self._cache.values = torch.empty(shape), torch.empty(shape)
        self._kept = keep(self._cache, model.config.heads)

    @property
    def cache(self) -> Cache:
        """Keys and values of the tokens seen so far."""
        self._kept.give(self._cache)
        return self._cache

    def select(self, rows: Tensor) -> None:
        """Keep only `rows` of the batch."""
        self._kept.give(self._cache)
        self._cache.select(rows)
        self._kept = keep(self._cache, self._model.config.heads)

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of tokens (B, T) -> (B, V)."""
        if tokens.shape[1] > 1 or not self._cache.length:
            self._kept.give(self._cache)
            hidden = self._model.hidden(tokens, self._cache)
            self._kept.take(self._cache)
            return self._model.logits(hidden[:, -1])
        return self._weights.head(self._stream(tokens[:, 0]))

    def _stream(self, tokens: Tensor) -> Tensor:
        """tokens (B,) at the place behind the cache's end -> (B, D), before the head."""
        model, config, place = self._model, self._model.config, self._cache.length
        model.check_room(place + 1)
        batch, width, heads, groups = len(tokens), config.key_width, config.heads, config.kv_heads
        x = functional.embedding(tokens, model.model.embed_tokens.weight)
        both, half = heads + groups, width // 2
        epsilon = self._weights.epsilon
        cosine, sine = self._weights.cosine[place], self._weights.sine[place]
        for number, layer in enumerate(self._weights.layers):
            mixed = layer.mix(_normalised(x, epsilon)).view(batch, both + groups, width)
            turned = mixed[:, :both]
            turned = torch.addcmul(turned * cosine, turned.roll(half, -1), sine)
            self._kept.keep(number, place, turned[:, heads:], mixed[:, both:])
            x = layer.output.onto(x, self._kept.read(number, place + 1, turned[:, :heads]))
            gate, up = layer.gate_up(_normalised(x, epsilon)).chunk(2, dim=1)
            x = layer.down.onto(x, functional.silu(gate) * up)
        self._cache.length += 1
        return _normalised(x, epsilon)


def _normalised(x: Tensor, epsilon: Tensor) -> Tensor:
    """RMSNorm without its gain, which is part of the matrix that follows: (B, D) -> (B, D)."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x * torch.addcmul(epsilon, length, length, value=1 / x.shape[1]).rsqrt_()


def _laid_out(model: GPT, *, many: bool) -> _LaidOut:
    """A model's weights for one row or for many; laid out again only after they have changed."""
    # A version counter would not tell: torch's fused optimizers move weights without counting.
    state = tuple((id(weight), float(weight.detach().sum())) for weight in model.parameters())
    kept = _LAID_OUT.get(model)
    if kept is None or kept[0] != state:
        kept = _LAID_OUT[model] = state, {}
    if many not in kept[1]:
        kept[1][many] = _lay_out(model, many)
    return kept[1][many]


@torch.no_grad()
def _lay_out(model: GPT, many: bool) -> _LaidOut:
    config, rotary = model.config, model.model.rotary
    layers = []
    for block in list[Any](model.model.layers):
        query, key, value, output, gate, up, down = (part.weight for part in _projections(block))
        mix = torch.cat((query * config.key_width**-0.5, key, value))
        layers.append(
            _Layer(
                mix=_Product(mix * block.input_layernorm.weight, many),
                output=_Product(output, many),
                gate_up=_Product(
                    torch.cat((gate, up)) * block.post_attention_layernorm.weight, many
                ),
                down=_Product(down, many),
            )
        )
    half = config.key_width // 2
    return _LaidOut(
        layers=layers,
        head=_Product(model.lm_head.weight * model.model.norm.weight, many),
        cosine=rotary.cosine,
        sine=torch.cat((-rotary.sine[:, :half], rotary.sine[:, half:]), dim=-1),
        epsilon=torch.tensor([config.norm_epsilon]),
    )


def _has_one_dnn() -> bool:
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
