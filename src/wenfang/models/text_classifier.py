"""Wide and deep classifier of short texts, read character by character.

Wide: one weight a class for every hashed n-gram of tokens, as in fastText (Joulin et al. 2016,
arXiv:1607.01759) but without vectors: it learns by heart which words matter. Deep: convolutions
over token vectors and the maximum over time (Kim 2014, arXiv:1408.5882): it generalises. Their
logits are added, as in Cheng et al. 2016 (arXiv:1606.07792). Small enough to run in plain numpy,
which `checks.detector` does; the two must agree.

B batch, T time, D width, C channels of one kernel size, N classes
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.sizes import require_counts

PADDING_ID, UNKNOWN_ID = 0, 1  # the tokenizer's first two specials
# Hash of an n-gram: 40 bits, so that a product by FACTOR stays below 2**61.
HASH_MASK, HASH_FACTOR, TOKEN_FACTOR, PLACE_STEP = 2**40 - 1, 1_000_003, 7919, 104_729


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a classifier. vocabulary_size 0 is filled in from the tokenizer.

    gram_sizes     n-grams of 1 to so many tokens have weights of their own
    buckets        a power of 2; n-grams share them by hash
    token_dropout  share of tokens that training replaces by the unknown one
    """

    vocabulary_size: int = 0
    classes: int = 2
    width: int = 96
    channels: int = 96
    kernel_sizes: tuple[int, ...] = (1, 2, 3, 4)
    gram_sizes: int = 3
    buckets: int = 2**18
    token_dropout: float = 0.1
    width_dropout: float = 0.3
    channel_dropout: float = 0.5
    gram_dropout: float = 0.2

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "classes", "width", "channels", "gram_sizes", "buckets")
        if self.buckets & (self.buckets - 1):
            raise ConfigError(
                "model.buckets is {value}; it must be a power of 2", value=self.buckets
            )
        if not self.kernel_sizes or min(self.kernel_sizes) < 1:
            raise ConfigError("model.kernel_sizes must be one or more numbers above 0")


class Wide(nn.Module):
    """A weight for each n-gram and class, summed and divided by the root of their number."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.buckets, config.classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) -> (B, N)."""
        present = tokens != PADDING_ID
        length = present.sum(1, keepdim=True).clamp_min(1)
        total = torch.zeros(len(tokens), self.config.classes, device=tokens.device)
        hashes = torch.zeros_like(tokens)
        for place in range(self.config.gram_sizes):
            following = functional.pad(tokens, (0, place), value=PADDING_ID)[:, place:]
            hashes = hashes * HASH_FACTOR + following * TOKEN_FACTOR + place * PLACE_STEP
            hashes = hashes & HASH_MASK
            rows = (hashes ^ (hashes >> 20)) & (self.config.buckets - 1)
            kept = (following != PADDING_ID)[..., None].to(total.dtype)
            kept = functional.dropout(kept, self.config.gram_dropout, self.training)
            total = total + (self.weight[rows] * kept).sum(1)
        return total / (length * self.config.gram_sizes).sqrt()


class Deep(nn.Module):
    """Convolutions of several sizes over token vectors, the maximum over time, one layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary_size, config.width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.width, config.channels, size) for size in config.kernel_sizes
        )
        self.head = nn.Linear(config.channels * len(config.kernel_sizes), config.classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) -> (B, N)."""
        present = tokens != PADDING_ID
        if self.training and self.config.token_dropout:
            hidden = torch.rand(tokens.shape, device=tokens.device) < self.config.token_dropout
            tokens = tokens.masked_fill(hidden & present, UNKNOWN_ID)
        x = functional.dropout(self.embed_tokens(tokens), self.config.width_dropout, self.training)
        x = (x * present[..., None]).transpose(1, 2)
        highest = []
        for convolution, size in zip(self.convolutions, self.config.kernel_sizes, strict=True):
            y = functional.relu(convolution(functional.pad(x, (0, size - 1))))
            highest.append((y * present[:, None]).amax(2))
        y = functional.dropout(torch.cat(highest, 1), self.config.channel_dropout, self.training)
        logits: Tensor = self.head(y)
        return logits


class TextClassifier(nn.Module):
    """Classes of whole texts."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.wide = Wide(config)
        self.deep = Deep(config)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the classes: tokens (B, T) int64, padded with 0 -> (B, N) float32."""
        logits: Tensor = self.wide(tokens) + self.deep(tokens)
        return logits

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; the wide part begins at nothing and only learns what it sees."""
        for name, weight in self.named_parameters():
            if weight.ndim < 2 or name.startswith("wide."):
                nn.init.zeros_(weight)
            elif "embed_tokens" in name:
                nn.init.normal_(weight, std=0.1, generator=generator)
            else:
                fan_in = weight[0].numel()
                nn.init.normal_(weight, std=1 / math.sqrt(fan_in), generator=generator)


PRESETS = {
    "tiny": Config(width=16, channels=12, kernel_sizes=(1, 2), gram_sizes=2, buckets=64),
}
