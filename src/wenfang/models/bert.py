"""Encoder Transformer that reads both ways (Devlin et al. 2019, arXiv:1810.04805).

The arithmetic of BERT: learned positions and segments, LayerNorm after each part, GELU, a pooler
on the first token, a head for hidden words whose output is tied to the word vectors, and one for
the next sentence. Weights have the names and the layout of `transformers`' BertForPreTraining;
with `classes` the two heads give way to the `classifier` of its BertForSequenceClassification,
and without the head for the next sentence and the pooler it is its BertForMaskedLM.

B batch, T time, D width, H heads, V vocabulary, N classes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.dropout import Dropout
from wenfang.models.sizes import require_counts

PADDING_ID = 0
SEGMENTS = 2


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a BERT. vocabulary_size 0 is filled in from the tokenizer.

    classes        0: hidden words and next sentences are told; else so many classes of whole texts
    activation     GELU itself, or by way of tanh
    pooled         whether there is a pooler, which classes and next sentences need
    word_head      whether hidden words can be told, where there are no classes
    sentence_head  whether next sentences can be told, where there are no classes
    """

    vocabulary_size: int = 0
    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden_width: int = 512
    context: int = 128
    classes: int = 0
    dropout: float = 0.1
    norm_epsilon: float = 1e-12
    activation: Literal["gelu", "gelu-tanh"] = "gelu"
    pooled: bool = True
    word_head: bool = True
    sentence_head: bool = True

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "width", "layers", "heads", "hidden_width", "context")
        if self.width % self.heads:
            raise ConfigError(
                "model.width {width} must be a multiple of model.heads {heads}",
                width=self.width,
                heads=self.heads,
            )
        if self.classes < 0 or self.classes == 1:
            raise ConfigError(
                "model.classes is {value}; give 0 for none, or 2 and more", value=self.classes
            )
        if not self.pooled and (self.classes or self.sentence_head):
            raise ConfigError(
                "model.pooled is false; model.classes must be 0 then and model.sentence_head false"
            )


class Embeddings(nn.Module):
    """Words, positions and segments, added and normalised."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary_size, config.width)
        self.position_embeddings = nn.Embedding(config.context, config.width)
        self.token_type_embeddings = nn.Embedding(SEGMENTS, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.dropout = Dropout(config.dropout)

    def forward(self, tokens: Tensor, segments: Tensor | None) -> Tensor:
        """(B, T) -> (B, T, D)."""
        x = self.word_embeddings(tokens) + self.position_embeddings.weight[: tokens.shape[1]]
        if segments is None:
            x = x + self.token_type_embeddings.weight[0]
        else:
            x = x + self.token_type_embeddings(segments)
        out: Tensor = self.dropout(self.LayerNorm(x))
        return out


class SelfAttention(nn.Module):
    """Attention of every token on all that are no padding."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, D), mask (B, 1, 1, T) bool -> (B, T, D)."""
        query, key, value = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        y = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return y.transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """A projection, added to what came in, then normalised."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.dropout = Dropout(config.dropout)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """y (B, T, width), x (B, T, D) -> (B, T, D)."""
        out: Tensor = self.LayerNorm(x + self.dropout(self.dense(y)))
        return out


class Attention(nn.Module):
    """Self-attention and its residual."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = Residual(config, config.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        out: Tensor = self.output(self.self(x, mask), x)
        return out


def _approximate(config: Config) -> str:
    """torch's word for the kind of GELU."""
    return "tanh" if config.activation == "gelu-tanh" else "none"


class Intermediate(nn.Module):
    """The wide half of the feed-forward."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.hidden_width)
        self.approximate = _approximate(config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, hidden width)."""
        return functional.gelu(self.dense(x), approximate=self.approximate)


class Layer(nn.Module):
    """Attention, then the feed-forward."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = Residual(config, config.hidden_width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = self.attention(x, mask)
        out: Tensor = self.output(self.intermediate(x), x)
        return out


class Layers(nn.Module):
    """All layers, one after another."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        for layer in self.layer:
            x = layer(x, mask)
        return x


class Pooler(nn.Module):
    """The first token's vector, for judgements on the whole."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, D)."""
        return torch.tanh(self.dense(x[:, 0]))


class Encoder(nn.Module):
    """Tokens to one vector each."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config)
        if config.pooled:
            self.pooler = Pooler(config)

    def forward(self, tokens: Tensor, segments: Tensor | None) -> Tensor:
        """(B, T) -> (B, T, D)."""
        mask = (tokens != PADDING_ID)[:, None, None, :]
        # A row of padding alone would have nothing to attend to.
        mask = mask | ~mask.any(-1, keepdim=True)
        out: Tensor = self.encoder(self.embeddings(tokens, segments), mask)
        return out


class Transform(nn.Module):
    """What the head for hidden words does before it compares with word vectors."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.approximate = _approximate(config)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        y = functional.gelu(self.dense(x), approximate=self.approximate)
        out: Tensor = self.LayerNorm(y)
        return out


class Predictions(nn.Module):
    """Logits of hidden words."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.transform = Transform(config)
        self.bias = nn.Parameter(torch.empty(config.vocabulary_size))

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """x (..., D), words (V, D) -> (..., V)."""
        return functional.linear(self.transform(x), words, self.bias)


class Heads(nn.Module):
    """What pre-training asks: hidden words, and whether the second segment follows the first."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.word_head:
            self.predictions = Predictions(config)
        if config.sentence_head:
            self.seq_relationship = nn.Linear(config.width, 2)


class Bert(nn.Module):
    """Reads tokens both ways."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.bert = Encoder(config)
        if config.classes:
            self.classifier = nn.Linear(config.width, config.classes)
            self.dropout = Dropout(config.dropout)
        elif config.word_head or config.sentence_head:
            self.cls = Heads(config)

    def forward(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
        """Logits: of every position's word, (B, T, V), or with `classes` of the text, (B, N).

        tokens    (B, T) int64, filled up with 0
        segments  (B, T) int64, 0 or 1; None for one segment
        raises    ConfigError where T passes the context, or where there is no head for words
        """
        hidden = self.hidden(tokens, segments)
        if self.config.classes:
            out: Tensor = self.classifier(self.dropout(self.bert.pooler(hidden)))
            return out
        return self.words(hidden)

    def hidden(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
        """A vector for every token: (B, T) -> (B, T, D)."""
        if tokens.shape[1] > self.config.context:
            raise ConfigError(
                "{length} tokens do not fit the model's context of {context}",
                length=tokens.shape[1],
                context=self.config.context,
            )
        hidden: Tensor = self.bert(tokens, segments)
        return hidden

    def words(self, hidden: Tensor) -> Tensor:
        """The head for hidden words alone: (..., D) -> (..., V)."""
        if self.config.classes or not self.config.word_head:
            raise ConfigError("this encoder has no head for hidden words; it gives vectors only")
        logits: Tensor = self.cls.predictions(hidden, self.bert.embeddings.word_embeddings.weight)
        return logits

    def next_sentence(self, hidden: Tensor) -> Tensor:
        """Whether the second segment follows the first: (B, T, D) -> (B, 2), yes first."""
        logits: Tensor = self.cls.seq_relationship(self.bert.pooler(hidden))
        return logits

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights from a normal distribution of 0.02, as the paper; biases are zero."""
        for name, weight in self.named_parameters():
            if name.endswith("LayerNorm.weight"):
                nn.init.ones_(weight)
            elif weight.ndim < 2:
                nn.init.zeros_(weight)
            else:
                nn.init.normal_(weight, std=0.02, generator=generator)


PRESETS = {
    "tiny": Config(width=32, layers=2, heads=4, hidden_width=64, context=32, dropout=0.0),
}
