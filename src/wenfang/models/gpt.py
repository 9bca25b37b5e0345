"""Decoder-only Transformer (Vaswani et al. 2017, arXiv:1706.03762; Radford et al. 2018).

As in Llama (Touvron et al. 2023, arXiv:2302.13971) and unlike GPT-2: RMSNorm before each part,
rotary positions, SwiGLU, no biases, grouped-query attention (Ainslie et al. 2023,
arXiv:2305.13245). With `attention_bias` it is Qwen2 (Yang et al. 2024, arXiv:2407.10671), with
`query_key_norm` Qwen3 (Yang et al. 2025, arXiv:2505.09388). Weights have the names and the layout
of `transformers`' LlamaForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM, so they map one to one.

B batch, T time, D width, H heads, G key/value heads, K width of a head, V vocabulary
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.dropout import Dropout
from wenfang.models.sizes import require_counts


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a GPT. vocabulary_size 0 is filled in from the tokenizer.

    head_width      of queries, keys and values; 0 for width / heads
    attention_bias  of queries, keys and values
    query_key_norm  RMSNorm of every head's queries and keys before they are rotated
    dropout         share of each branch's values left out in training, where data is little
    """

    vocabulary_size: int = 0
    width: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 4
    hidden_width: int = 352
    context: int = 64
    rotary_base: float = 10000.0
    norm_epsilon: float = 1e-6
    tied_head: bool = True
    zero_init_outputs: bool = True
    head_width: int = 0
    attention_bias: bool = False
    query_key_norm: bool = False
    dropout: float = field(default=0.0, metadata={"later": True})

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "width", "layers", "heads", "kv_heads", "hidden_width", "context")
        if not self.head_width and self.width % (2 * self.heads):
            raise ConfigError(
                "model.width {width} must be a multiple of twice model.heads {heads}",
                width=self.width,
                heads=self.heads,
            )
        if self.head_width < 0 or self.head_width % 2:
            raise ConfigError(
                "model.head_width is {value}; it must be even, or 0 for model.width / model.heads",
                value=self.head_width,
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                "model.dropout is {value}; it must be from 0 to below 1", value=self.dropout
            )
        if self.heads % self.kv_heads:
            raise ConfigError(
                "model.heads {heads} must be a multiple of model.kv_heads {kv_heads}",
                heads=self.heads,
                kv_heads=self.kv_heads,
            )

    @property
    def key_width(self) -> int:
        """Width of a head."""
        return self.head_width or self.width // self.heads


class Cache:
    """Keys and values of the tokens seen so far, for one batch.

    keys, values  (layers, B, G, capacity, K) float32; the first `length` of capacity are filled
    """

    def __init__(self, config: Config, batch: int, capacity: int, device: torch.device) -> None:
        shape = (config.layers, batch, config.kv_heads, capacity, config.key_width)
        self.keys = torch.zeros(shape, device=device)
        self.values = torch.zeros(shape, device=device)
        self.length = 0

    def select(self, rows: Tensor) -> None:
        """Keep only `rows` of the batch, for samples that are not finished."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021, arXiv:2104.09864), halves paired as in Llama."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.key_width
        frequency = config.rotary_base ** (-torch.arange(0, width, 2) / width)
        angle = torch.arange(config.context)[:, None] * frequency
        angle = torch.cat((angle, angle), dim=-1)
        self.register_buffer("cosine", angle.cos(), persistent=False)
        self.register_buffer("sine", angle.sin(), persistent=False)

    def forward(self, x: Tensor, start: int) -> Tensor:
        """Rotate x (B, H, T, K) whose first position is `start`."""
        time = slice(start, start + x.shape[2])
        low, high = x.chunk(2, dim=-1)
        turned = torch.cat((-high, low), dim=-1)
        return x * self.cosine[time] + turned * self.sine[time]


class Attention(nn.Module):
    """Causal self-attention with grouped keys and values."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.heads, config.kv_heads
        self.head_width, biased = config.key_width, config.attention_bias
        width, kv_width = self.head_width * config.heads, self.head_width * config.kv_heads
        self.q_proj = nn.Linear(config.width, width, bias=biased)
        self.k_proj = nn.Linear(config.width, kv_width, bias=biased)
        self.v_proj = nn.Linear(config.width, kv_width, bias=biased)
        self.o_proj = nn.Linear(width, config.width, bias=False)
        self.q_norm = self.k_norm = None
        if config.query_key_norm:
            self.q_norm = nn.RMSNorm(self.head_width, eps=config.norm_epsilon)
            self.k_norm = nn.RMSNorm(self.head_width, eps=config.norm_epsilon)

    def forward(self, x: Tensor, rotary: Rotary, cache: Cache | None, layer: int) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        batch, time, _ = x.shape
        start = cache.length if cache else 0
        query = self._split(self.q_proj(x), self.heads)
        key = self._split(self.k_proj(x), self.kv_heads)
        if self.q_norm and self.k_norm:
            query, key = self.q_norm(query), self.k_norm(key)
        query, key = rotary(query, start), rotary(key, start)
        value = self._split(self.v_proj(x), self.kv_heads)
        mask = None
        if cache:
            cache.keys[layer, :, :, start : start + time] = key
            cache.values[layer, :, :, start : start + time] = value
            key = cache.keys[layer, :, :, : start + time]
            value = cache.values[layer, :, :, : start + time]
            if start and time > 1:
                # A block after a prefix: torch's is_causal would align it to the wrong corner.
                mask = torch.ones(time, start + time, dtype=torch.bool, device=x.device)
                mask = mask.tril(start)
        y = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            is_causal=mask is None and time > 1,
            enable_gqa=self.heads != self.kv_heads,
        )
        out: Tensor = self.o_proj(y.transpose(1, 2).reshape(batch, time, -1))
        return out

    def _split(self, x: Tensor, heads: int) -> Tensor:
        return x.view(x.shape[0], x.shape[1], heads, self.head_width).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv:2002.05202)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.hidden_width, bias=False)
        self.up_proj = nn.Linear(config.width, config.hidden_width, bias=False)
        self.down_proj = nn.Linear(config.hidden_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each on a normalised copy, added to the stream."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.input_layernorm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.mlp = FeedForward(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, rotary: Rotary, cache: Cache | None) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        x = x + self.dropout(self.self_attn(self.input_layernorm(x), rotary, cache, self.layer))
        out: Tensor = x + self.dropout(self.mlp(self.post_attention_layernorm(x)))
        return out


class Decoder(nn.Module):
    """Token vectors through all blocks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocabulary_size, config.width)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=config.norm_epsilon)
        self.rotary = Rotary(config)

    def forward(
        self, tokens: Tensor, cache: Cache | None = None, prompt: Tensor | None = None
    ) -> Tensor:
        """tokens (B, T), prompt (P, D) vectors before them -> (B, T, D)."""
        x = self.embed_tokens(tokens)
        if prompt is not None:
            x = torch.cat((prompt.expand(len(x), -1, -1), x), dim=1)
        for layer in self.layers:
            x = layer(x, self.rotary, cache)
        if cache:
            cache.length += x.shape[1]
        out: Tensor = self.norm(x[:, -tokens.shape[1] :])
        return out


class GPT(nn.Module):
    """Language model over tokens."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.prompt: nn.Parameter | None
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.width, config.vocabulary_size, bias=False)
        if config.tied_head:
            self.lm_head.weight = self.model.embed_tokens.weight
        # (P, D) vectors read before every text, where some were learnt (wenfang.adapt.prompt)
        self.register_parameter("prompt", None)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits of the next token: tokens (B, T) int64 -> (B, T, V) float32.

        With a cache, `tokens` continue what it holds, and it grows by T.
        raises ConfigError if positions would pass the context
        """
        return self.logits(self.hidden(tokens, cache))

    def hidden(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """The stream before the head: tokens (B, T) -> (B, T, D)."""
        seen = cache.length if cache else 0
        self.check_room(tokens.shape[1] + (seen or self.taken))
        hidden: Tensor = self.model(tokens, cache, None if seen else self.prompt)
        return hidden

    @property
    def taken(self) -> int:
        """Positions that learned vectors take before any token."""
        return 0 if self.prompt is None else len(self.prompt)

    def check_room(self, length: int) -> None:
        """Raise ConfigError if `length` positions would pass the context."""
        if length > self.config.context + self.taken:  # which a prompt has made that much smaller
            raise ConfigError(
                "{length} tokens do not fit the model's context of {context}",
                length=length - self.taken,
                context=self.config.context,
            )

    def logits(self, hidden: Tensor) -> Tensor:
        """The head alone: (..., D) -> (..., V)."""
        logits: Tensor = self.lm_head(hidden)
        return logits

    def new_cache(self, batch: int, capacity: int) -> Cache:
        """An empty cache for `batch` samples of at most `capacity` tokens."""
        return Cache(self.config, batch, capacity + self.taken, self.lm_head.weight.device)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; zeroed output projections make every block start as the identity."""
        outputs = ("o_proj.weight", "down_proj.weight")
        for name, weight in self.named_parameters():
            if name.endswith(".bias"):
                nn.init.zeros_(weight)
            elif weight.ndim < 2:
                nn.init.ones_(weight)
            elif name.endswith(outputs) and self.config.zero_init_outputs:
                nn.init.zeros_(weight)
            elif name == "lm_head.weight":
                # A zero head makes the first loss exactly ln V.
                nn.init.zeros_(weight)
            elif name == "model.embed_tokens.weight":
                nn.init.normal_(weight, std=0.02, generator=generator)
            else:
                std = 1 / math.sqrt(weight.shape[1])
                nn.init.normal_(weight, std=std, generator=generator)


PRESETS = {
    "tiny": Config(width=32, layers=2, heads=4, kv_heads=2, hidden_width=64, context=32),
    "nano": Config(width=128, layers=4, heads=4, kv_heads=4, hidden_width=336, context=64),
}
