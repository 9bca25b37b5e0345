"""Decoder-only Transformer of GPT-2 (Radford et al. 2019, "Language Models are Unsupervised
Multitask Learners").

Unlike the family gpt: learned positions, LayerNorm before each part, GELU, biases everywhere, one
projection for queries, keys and values. Weights have the names of `transformers`' GPT2LMHeadModel;
its four projections of a block are stored transposed there, here they are ordinary linear maps.
Unlike in the paper nothing is dropped in training, and output projections may start at zero.

B batch, T time, D width, H heads, K = D / H width of a head, V vocabulary
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.sizes import require_counts


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a GPT-2. vocabulary_size 0 is filled in from the tokenizer.

    activation  GELU (Hendrycks & Gimpel 2016, arXiv:1606.08415) itself, or by way of tanh, as the
                published models
    """

    vocabulary_size: int = 0
    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden_width: int = 512
    context: int = 64
    activation: Literal["gelu-tanh", "gelu"] = "gelu-tanh"
    norm_epsilon: float = 1e-5
    tied_head: bool = True
    zero_init_outputs: bool = True

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "width", "layers", "heads", "hidden_width", "context")
        if self.width % self.heads:
            raise ConfigError(
                "model.width {width} must be a multiple of model.heads {heads}",
                width=self.width,
                heads=self.heads,
            )


class Cache:
    """Keys and values of the tokens seen so far, for one batch.

    keys, values  (layers, B, H, capacity, K) float32; the first `length` of capacity are filled
    """

    def __init__(self, config: Config, batch: int, capacity: int, device: torch.device) -> None:
        width = config.width // config.heads
        shape = (config.layers, batch, config.heads, capacity, width)
        self.keys = torch.zeros(shape, device=device)
        self.values = torch.zeros(shape, device=device)
        self.length = 0

    def select(self, rows: Tensor) -> None:
        """Keep only `rows` of the batch, in that order; a row may be taken more than once."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.c_attn = nn.Linear(config.width, 3 * config.width)
        self.c_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, cache: Cache | None, layer: int) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        batch, time, width = x.shape
        start = cache.length if cache else 0
        parts = self.c_attn(x).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
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
            query, key, value, attn_mask=mask, is_causal=mask is None and time > 1
        )
        out: Tensor = self.c_proj(y.transpose(1, 2).reshape(batch, time, width))
        return out


class FeedForward(nn.Module):
    """Each position for itself."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.width, config.hidden_width)
        self.c_proj = nn.Linear(config.hidden_width, config.width)
        self.approximate = "tanh" if config.activation == "gelu-tanh" else "none"

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        out: Tensor = self.c_proj(functional.gelu(self.c_fc(x), approximate=self.approximate))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each on a normalised copy, added to the stream."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.ln_1 = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, cache: Cache | None) -> Tensor:
        """x (B, T, D) -> (B, T, D)."""
        x = x + self.attn(self.ln_1(x), cache, self.layer)
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class Decoder(nn.Module):
    """Token and position vectors through all blocks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.wte = nn.Embedding(config.vocabulary_size, config.width)
        self.wpe = nn.Embedding(config.context, config.width)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.ln_f = nn.LayerNorm(config.width, eps=config.norm_epsilon)

    def forward(
        self, tokens: Tensor, cache: Cache | None = None, prompt: Tensor | None = None
    ) -> Tensor:
        """tokens (B, T), prompt (P, D) vectors before them -> (B, T, D)."""
        start = cache.length if cache else 0
        x = self.wte(tokens)
        if prompt is not None:
            x = torch.cat((prompt.expand(len(x), -1, -1), x), dim=1)
        x = x + self.wpe.weight[start : start + x.shape[1]]
        for block in self.h:
            x = block(x, cache)
        if cache:
            cache.length += x.shape[1]
        out: Tensor = self.ln_f(x[:, -tokens.shape[1] :])
        return out


class GPT2(nn.Module):
    """Language model over tokens."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.prompt: nn.Parameter | None
        self.transformer = Decoder(config)
        self.lm_head = nn.Linear(config.width, config.vocabulary_size, bias=False)
        if config.tied_head:
            self.lm_head.weight = self.transformer.wte.weight
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
        hidden: Tensor = self.transformer(tokens, cache, None if seen else self.prompt)
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
        for name, weight in self.named_parameters():
            if name.endswith(".bias"):
                nn.init.zeros_(weight)
            elif weight.ndim < 2:
                nn.init.ones_(weight)
            elif name.endswith("c_proj.weight") and self.config.zero_init_outputs:
                nn.init.zeros_(weight)
            elif name == "lm_head.weight":
                # A zero head makes the first loss exactly ln V.
                nn.init.zeros_(weight)
            elif name in ("transformer.wte.weight", "transformer.wpe.weight"):
                nn.init.normal_(weight, std=0.02, generator=generator)
            else:
                std = 1 / math.sqrt(weight.shape[1])
                nn.init.normal_(weight, std=std, generator=generator)


PRESETS = {
    "tiny": Config(width=32, layers=2, heads=4, hidden_width=64, context=32),
}
