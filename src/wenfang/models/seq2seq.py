"""Encoder-decoder Transformer with cross-attention (Vaswani et al. 2017, arXiv:1706.03762), as T5.

The arithmetic of T5 (Raffel et al. 2020, arXiv:1910.10683): RMSNorm before each part, and positions
as a learned bias on attention, shared by all layers of a stack. `gated-gelu` is version 1.1
(Shazeer 2020, arXiv:2002.05202). Weights have the names and the layout of `transformers`'
T5ForConditionalGeneration, so they map one to one, but for this: attention is divided by the root
of its width, as in the first paper, while T5 has that root in the weights of its queries; ours are
T5's times the root. Then all matrices are of one scale, which the even steps of Muon want. Unlike
in T5, attention weights, the feed-forward's hidden values and a stack's output are not dropped in
training, and output projections may start at zero.

B batch, S source time, T target time, D width, H heads, K width of a head, V vocabulary
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.dropout import Dropout
from wenfang.models.sizes import require_counts

SIZES = (
    "width",
    "encoder_layers",
    "decoder_layers",
    "heads",
    "head_width",
    "hidden_width",
    "context",
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of an encoder-decoder. vocabulary_size 0 is filled in from the tokenizer.

    position_buckets   how many classes of distance the bias on attention knows
    position_distance  from here on all distances are one class
    context            longest source or target, in tokens
    dropout            share of values left out in training
    """

    vocabulary_size: int = 0
    width: int = 128
    encoder_layers: int = 4
    decoder_layers: int = 4
    heads: int = 4
    head_width: int = 32
    hidden_width: int = 256
    feed_forward: Literal["relu", "gated-gelu"] = "relu"
    position_buckets: int = 32
    position_distance: int = 128
    context: int = 128
    norm_epsilon: float = 1e-6
    tied_head: bool = True
    zero_init_outputs: bool = True
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, *SIZES)
        if self.position_buckets < 4 or self.position_distance <= self.position_buckets // 2:
            raise ConfigError(
                "model.position_buckets {buckets} must be 4 or more, and less than twice "
                "model.position_distance {distance}",
                buckets=self.position_buckets,
                distance=self.position_distance,
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                "model.dropout is {value}; it must be from 0 to below 1", value=self.dropout
            )


class Cache:
    """What the decoder has seen: keys and values of the source and of the tokens so far.

    source_keys, source_values  (layers, B, H, S, K) float32
    source_bias                 (B, 1, 1, S) added to the attention on the source, or None
    keys, values                (layers, B, H, capacity, K); the first `length` are filled
    """

    def __init__(self, source: tuple[Tensor, Tensor], bias: Tensor | None, capacity: int) -> None:
        self.source_keys, self.source_values = source
        self.source_bias = bias
        layers, batch, heads, _, width = self.source_keys.shape
        shape = (layers, batch, heads, capacity, width)
        self.keys = self.source_keys.new_zeros(shape)
        self.values = self.source_keys.new_zeros(shape)
        self.length = 0

    def select(self, rows: Tensor) -> None:
        """Keep only `rows` of the batch, in that order; a row may be taken more than once."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
        self.source_keys = self.source_keys[:, rows]
        self.source_values = self.source_values[:, rows]
        if self.source_bias is not None:
            self.source_bias = self.source_bias[rows]


def position_bucket(distance: Tensor, config: Config, *, both_ways: bool) -> Tensor:
    """Class of each distance key - query: exact when near, logarithmic when far (T5, section 2.1).

    distance  any shape, int64; the result has the same
    """
    buckets = config.position_buckets
    result = torch.zeros_like(distance)
    if both_ways:
        buckets //= 2
        result = (distance > 0).long() * buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp_min(0)
    exact = buckets // 2
    # float32 throughout, as the original: a rounding at a border decides the class.
    share = torch.log(distance.clamp_min(1).float() / exact)
    share = share / math.log(config.position_distance / exact)
    far = exact + (share * (buckets - exact)).long()
    return result + torch.where(distance < exact, distance, far.clamp_max(buckets - 1))


class Attention(nn.Module):
    """Attention of queries on keys and values, which may come from elsewhere."""

    def __init__(self, config: Config, *, positions: bool, both_ways: bool = True) -> None:
        super().__init__()
        self.config, self.both_ways = config, both_ways
        inner = config.heads * config.head_width
        self.q = nn.Linear(config.width, inner, bias=False)
        self.k = nn.Linear(config.width, inner, bias=False)
        self.v = nn.Linear(config.width, inner, bias=False)
        self.o = nn.Linear(inner, config.width, bias=False)
        if positions:
            self.relative_attention_bias = nn.Embedding(config.position_buckets, config.heads)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """x (B, T, D), key and value (B, H, S, K), bias to (B, H, T, S) or None -> (B, T, D)."""
        query = self.split(self.q(x))
        # A bias that learns rules the fused kernels out; on a CPU they win nothing so short.
        y = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out: Tensor = self.o(y.transpose(1, 2).flatten(2))
        return out

    def split(self, x: Tensor) -> Tensor:
        """(B, T, H K) -> (B, H, T, K)."""
        heads, width = self.config.heads, self.config.head_width
        return x.view(x.shape[0], x.shape[1], heads, width).transpose(1, 2)

    def key_value(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of x (B, S, D): (B, H, S, K) each."""
        return self.split(self.k(x)), self.split(self.v(x))

    def position_bias(self, start: int, time: int, keys: int) -> Tensor:
        """(1, H, time, keys) for queries at `start` and after, and keys from 0."""
        device = self.q.weight.device
        query = torch.arange(start, start + time, device=device)[:, None]
        distance = torch.arange(keys, device=device)[None, :] - query
        bucket = position_bucket(distance, self.config, both_ways=self.both_ways)
        bias: Tensor = self.relative_attention_bias(bucket).permute(2, 0, 1)[None]
        if not self.both_ways:
            bias = bias.masked_fill(distance > 0, torch.finfo(bias.dtype).min)
        return bias


class SelfAttention(nn.Module):
    """Attention on the own stream, added to it."""

    def __init__(self, config: Config, *, positions: bool, both_ways: bool) -> None:
        super().__init__()
        self.SelfAttention = Attention(config, positions=positions, both_ways=both_ways)
        self.layer_norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor, cache: Cache | None, layer: int) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        normed = self.layer_norm(x)
        key, value = self.SelfAttention.key_value(normed)
        if cache:
            end = cache.length + x.shape[1]
            cache.keys[layer, :, :, cache.length : end] = key
            cache.values[layer, :, :, cache.length : end] = value
            key, value = cache.keys[layer, :, :, :end], cache.values[layer, :, :, :end]
        out: Tensor = x + self.dropout(self.SelfAttention(normed, key, value, bias))
        return out


class CrossAttention(nn.Module):
    """Attention on what the encoder made of the source, added to the stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.EncDecAttention = Attention(config, positions=False)
        self.layer_norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, source: tuple[Tensor, Tensor], bias: Tensor | None) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        out: Tensor = x + self.dropout(self.EncDecAttention(self.layer_norm(x), *source, bias))
        return out


class Relu(nn.Module):
    """The feed-forward of T5 1.0."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.wi = nn.Linear(config.width, config.hidden_width, bias=False)
        self.wo = nn.Linear(config.hidden_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        out: Tensor = self.wo(functional.relu(self.wi(x)))
        return out


class GatedGelu(nn.Module):
    """The feed-forward of T5 1.1."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.wi_0 = nn.Linear(config.width, config.hidden_width, bias=False)
        self.wi_1 = nn.Linear(config.width, config.hidden_width, bias=False)
        self.wo = nn.Linear(config.hidden_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        gate = functional.gelu(self.wi_0(x), approximate="tanh")
        out: Tensor = self.wo(gate * self.wi_1(x))
        return out


class FeedForward(nn.Module):
    """Each position for itself, added to the stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        kind = GatedGelu if config.feed_forward == "gated-gelu" else Relu
        self.DenseReluDense = kind(config)
        self.layer_norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        out: Tensor = x + self.dropout(self.DenseReluDense(self.layer_norm(x)))
        return out


Source = tuple[Tensor, Tensor]


class Block(nn.Module):
    """Self-attention, in the decoder cross-attention, and the feed-forward."""

    def __init__(self, config: Config, layer: int, *, decoder: bool) -> None:
        super().__init__()
        own = SelfAttention(config, positions=not layer, both_ways=not decoder)
        across = [CrossAttention(config)] if decoder else []
        self.index = layer
        self.layer = nn.ModuleList([own, *across, FeedForward(config)])

    @property
    def own(self) -> SelfAttention:
        """The attention on the own stream."""
        part = self.layer[0]
        assert isinstance(part, SelfAttention)
        return part

    @property
    def across(self) -> CrossAttention:
        """A decoder's attention on the source."""
        part = self.layer[1]
        assert isinstance(part, CrossAttention)
        return part

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        source: Source | None = None,
        hidden: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        x = self.own(x, bias, cache, self.index)
        if source is not None:
            x = self.across(x, (source[0][self.index], source[1][self.index]), hidden)
        out: Tensor = self.layer[-1](x)
        return out


class Stack(nn.Module):
    """Encoder or decoder: blocks whose attention shares one bias of positions."""

    def __init__(self, config: Config, *, decoder: bool) -> None:
        super().__init__()
        count = config.decoder_layers if decoder else config.encoder_layers
        self.block = nn.ModuleList(Block(config, layer, decoder=decoder) for layer in range(count))
        self.final_layer_norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.dropout = Dropout(config.dropout)

    def blocks(self) -> Iterator[Block]:
        """All blocks, from the first to the last."""
        for block in self.block:
            assert isinstance(block, Block)
            yield block

    def position_bias(self, start: int, time: int) -> Tensor:
        """(1, H, time, start + time), of the first block, which alone has it."""
        first = next(self.blocks())
        return first.own.SelfAttention.position_bias(start, time, start + time)

    def source(self, memory: Tensor) -> Source:
        """Keys and values of the source for every block: (layers, B, H, S, K) each."""
        pairs = [block.across.EncDecAttention.key_value(memory) for block in self.blocks()]
        keys, values = zip(*pairs, strict=True)
        return torch.stack(keys), torch.stack(values)

    def encode(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """x (B, S, D); hidden (B, 1, 1, S) added to the attention -> (B, S, D)."""
        bias = self.position_bias(0, x.shape[1])
        bias = bias if hidden is None else bias + hidden
        x = self.dropout(x)
        for block in self.block:
            x = block(x, bias)
        out: Tensor = self.final_layer_norm(x)
        return out

    def decode(
        self, x: Tensor, source: Source, hidden: Tensor | None, cache: Cache | None = None
    ) -> Tensor:
        """x (B, T, D); source as `source` gives it -> (B, T, D)."""
        bias = self.position_bias(cache.length if cache else 0, x.shape[1])
        x = self.dropout(x)
        for block in self.block:
            x = block(x, bias, source, hidden, cache)
        if cache:
            cache.length += x.shape[1]
        out: Tensor = self.final_layer_norm(x)
        return out


class Seq2Seq(nn.Module):
    """From a sequence of tokens to another."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.prompt: nn.Parameter | None
        self.shared = nn.Embedding(config.vocabulary_size, config.width)
        self.encoder = Stack(config, decoder=False)
        self.decoder = Stack(config, decoder=True)
        self.lm_head = nn.Linear(config.width, config.vocabulary_size, bias=False)
        if config.tied_head:
            self.lm_head.weight = self.shared.weight
        # (P, D) vectors read before every source, where some were learnt (wenfang.adapt.prompt)
        self.register_parameter("prompt", None)

    def forward(self, source: Tensor, mask: Tensor | None, tokens: Tensor) -> Tensor:
        """Logits of the next token: source (B, S) int64, mask (B, S) bool, tokens (B, T) int64
        -> (B, T, V) float32.

        mask  True where the source is no padding; None for a source without any
        raises ConfigError where a sequence passes the context
        """
        return self.logits(self.decode(self.encode(source, mask), mask, tokens))

    def encode(self, source: Tensor, mask: Tensor | None) -> Tensor:
        """What the decoder reads: source (B, S), mask (B, S) -> (B, S, D).

        With P learned vectors before the source it is (B, P + S, D).
        """
        x = self.shared(source)
        if self.prompt is not None:
            x = torch.cat((self.prompt.expand(len(x), -1, -1), x), dim=1)
        self._require_room(x.shape[1])
        memory: Tensor = self.encoder.encode(x, self._unseen(mask))
        return memory

    def _unseen(self, mask: Tensor | None) -> Tensor | None:
        """What attention on the source leaves out; learned vectors before it are always seen."""
        if mask is not None and self.prompt is not None:
            mask = functional.pad(mask, (len(self.prompt), 0), value=True)
        return _hidden(mask)

    def decode(self, memory: Tensor, mask: Tensor | None, tokens: Tensor) -> Tensor:
        """The stream before the head, for all tokens at once: tokens (B, T) -> (B, T, D)."""
        self._require_room(tokens.shape[1])
        source = self.decoder.source(memory)
        x: Tensor = self.decoder.decode(self.shared(tokens), source, self._unseen(mask))
        return x

    def new_cache(self, memory: Tensor, mask: Tensor | None, capacity: int) -> Cache:
        """A cache that has seen the source and no token yet, with room for `capacity` tokens."""
        return Cache(self.decoder.source(memory), self._unseen(mask), capacity)

    def hidden(self, tokens: Tensor, cache: Cache) -> Tensor:
        """The stream before the head for `tokens` after those that the cache holds.

        tokens (B, T) -> (B, T, D); the cache grows by T
        """
        self._require_room(cache.length + tokens.shape[1])
        source = (cache.source_keys, cache.source_values)
        x: Tensor = self.decoder.decode(self.shared(tokens), source, cache.source_bias, cache)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """The head alone: (..., D) -> (..., V)."""
        if self.config.tied_head:  # the shared vectors are that much longer than a head's
            hidden = hidden * self.config.width**-0.5
        logits: Tensor = self.lm_head(hidden)
        return logits

    def _require_room(self, length: int) -> None:
        if length > self.config.context:
            raise ConfigError(
                "{length} tokens do not fit the model's context of {context}",
                length=length,
                context=self.config.context,
            )

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; with zeroed output projections every block starts as the identity."""
        config = self.config
        for name, weight in self.named_parameters():
            if weight.ndim < 2:
                nn.init.ones_(weight)
            elif config.zero_init_outputs and name.endswith(("Attention.o.weight", "wo.weight")):
                nn.init.zeros_(weight)
            elif name == "lm_head.weight":
                # A zero head makes the first loss exactly ln V.
                nn.init.zeros_(weight)
            elif name == "shared.weight":
                # T5 draws these five times as long; shorter ones learn from fewer examples.
                nn.init.normal_(weight, std=0.2, generator=generator)
            else:
                std = 1 / math.sqrt(weight.shape[1])
                if name.endswith("relative_attention_bias.weight"):
                    std = 1 / math.sqrt(config.width)
                nn.init.normal_(weight, std=std, generator=generator)


def _hidden(mask: Tensor | None) -> Tensor | None:
    """(B, S) bool, True to see -> (B, 1, 1, S) to add to attention."""
    if mask is None:
        return None
    dtype = torch.get_default_dtype()
    bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return bias.masked_fill(~mask, torch.finfo(dtype).min)[:, None, None, :]


PRESETS = {
    "tiny": Config(
        width=32,
        encoder_layers=2,
        decoder_layers=2,
        heads=4,
        head_width=8,
        hidden_width=64,
        context=32,
        dropout=0.0,
    ),
}
