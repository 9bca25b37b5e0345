"""Diffusion Transformer: squares of a picture, or of its latent, as tokens that are told the time.

Peebles & Xie (2023, arXiv:2212.09748): layer norms whose scale, shift and gate follow the time and
the class (adaLN-Zero), gates that begin at nothing. Words are read by cross-attention in each
block, as Chen et al. (2024, arXiv:2310.00426) do; their vectors come from a frozen encoder of text.
The first of them, which tells the whole text, moves scale, shift and gate beside the time (Esser et
al. 2024, arXiv:2403.03206): most of a small model's weights lie there, and know what is drawn.
A sketch, the mean of what is drawn by its words, may be told place by place beside the noise: dense
layers learn in minutes what a text looks like, and attention alone does not in hours.
Places are told by fixed waves of their row and column, so other sizes can be asked for.

B batch, C channels, H height and W width, P squares, D width, L words, E width of a word's vector
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.sizes import require_counts

LONGEST_PERIOD = 10_000.0
EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a diffusion Transformer.

    patch         side of the squares, in pixels or in places of a latent
    hidden_width  of each block's two dense layers
    classes       0: none. One more stands for "no class", which is what guidance asks
    text_width    of the vectors of words; 0: the model reads none
    time_scale    what a clue is multiplied by before its sines are taken
    sketch_width  of the dense layers that sketch a picture from its whole text; 0: there is none
    sketch_side   of the sketch, as high as wide
    """

    in_channels: int = 4
    out_channels: int = 4
    patch: int = 1
    width: int = 256
    layers: int = 6
    heads: int = 4
    hidden_width: int = 1024
    classes: int = 0
    text_width: int = 0
    time_scale: float = 250.0
    dropout: float = 0.0
    sketch_width: int = field(default=0, metadata={"later": True})
    sketch_side: int = field(default=0, metadata={"later": True})

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "in_channels", "out_channels", "patch", "width", "layers", "heads")
        if self.sketch_width:
            require_counts(self, "sketch_width", "sketch_side", "text_width")
        require_counts(self, "hidden_width")
        if self.width % (4 * self.heads) or self.width % 4:
            raise ConfigError(
                "model.width {width} must be a multiple of 4 x model.heads ({heads})",
                width=self.width,
                heads=self.heads,
            )


class Attention(nn.Module):
    """Squares read squares, or words."""

    def __init__(self, config: Config, read_width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.to_q = nn.Linear(config.width, config.width)
        self.to_kv = nn.Linear(read_width, 2 * config.width)
        self.to_out = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, read: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B, P, D), read (B, L, E), mask (B, L) bool, true where there is something to read
        -> (B, P, D).
        """
        query = self.to_q(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key, value = (
            one.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for one in self.to_kv(read).chunk(2, dim=2)
        )
        seen = None if mask is None else mask[:, None, None, :]
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        out: Tensor = self.to_out(found.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Attention among squares, words where there are any, two dense layers: each by its gate."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, eps=EPSILON, elementwise_affine=False)
        self.attention = Attention(config, width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON, elementwise_affine=False)
        self.up = nn.Linear(width, config.hidden_width)
        self.down = nn.Linear(config.hidden_width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.told = nn.Linear(width, 6 * width)
        if config.text_width:
            self.norm_words = nn.LayerNorm(width, eps=EPSILON)
            self.words = Attention(config, width)

    def forward(self, x: Tensor, time: Tensor, words: Tensor | None, mask: Tensor | None) -> Tensor:
        """x (B, P, D), time (B, D), words (B, L, D), mask (B, L) -> (B, P, D)."""
        told = self.told(functional.silu(time))[:, None].chunk(6, dim=2)
        shift1, scale1, gate1, shift2, scale2, gate2 = told
        h = self.norm1(x) * (1 + scale1) + shift1
        x = x + gate1 * self.dropout(self.attention(h, h))
        if words is not None:
            x = x + self.words(self.norm_words(x), words, mask)
        h = self.norm2(x) * (1 + scale2) + shift2
        h = self.down(functional.gelu(self.up(h), approximate="tanh"))
        out: Tensor = x + gate2 * self.dropout(h)
        return out


class Sketch(nn.Module):
    """What a whole text tells of a picture: its mean."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.shape = (config.in_channels, config.sketch_side, config.sketch_side)
        self.inner = nn.Linear(config.text_width, config.sketch_width)
        self.middle = nn.Linear(config.sketch_width, config.sketch_width)
        self.outer = nn.Linear(config.sketch_width, math.prod(self.shape))

    def forward(self, whole: Tensor) -> Tensor:
        """whole (B, E) -> (B, C, S, S), S the sketch's side."""
        h = functional.gelu(self.middle(functional.gelu(self.inner(whole))))
        found: Tensor = self.outer(h).unflatten(1, self.shape)
        return found


class DiT(nn.Module):
    """What a path asks of noisy pictures or latents."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width, area = config.width, config.patch**2
        self.embed = nn.Linear(config.in_channels * area, width)
        self.time_1 = nn.Linear(width, width)
        self.time_2 = nn.Linear(width, width)
        if config.classes:
            self.class_embedding = nn.Embedding(config.classes + 1, width)
        if config.text_width:
            self.read_words = nn.Linear(config.text_width, width)
            self.read_whole = nn.Linear(config.text_width, width)
            self.no_words = nn.Parameter(torch.zeros(width))  # read where nothing is said
        if config.sketch_width:
            self.sketch = Sketch(config)
            self.embed_sketch = nn.Linear(config.in_channels * area, width, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm_out = nn.LayerNorm(width, eps=EPSILON, elementwise_affine=False)
        self.told_out = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, config.out_channels * area)

    def forward(
        self,
        x: Tensor,
        clue: Tensor,
        classes: Tensor | None = None,
        words: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """What the path asks of x (B, C, H, W): clue (B,) as of Path.clue -> (B, C', H, W).

        classes  (B,) int64, `config.classes` for none
        words    (B, L, E) vectors of words, the first of the whole text; mask (B, L) bool, true
                 for those that are said; a row without any is drawn as if nothing was said
        raises   ConfigError where a side is no multiple of the squares'
        """
        self._require_sides(x)
        height, width = (side // self.config.patch for side in x.shape[-2:])
        h = self.embed(self._squares(x))
        if (sketch := self.sketched(words, mask)) is not None:
            if sketch.shape[2:] != x.shape[2:]:
                sketch = functional.interpolate(sketch, x.shape[2:], mode="bilinear")
            h = h + self.embed_sketch(self._squares(sketch))
        h = h + waves_of_places(height, width, self.config.width, x.device)
        time = self._time(clue, classes)
        if words is not None and self.config.text_width:
            time = time + self._whole(words, mask)
        said, seen = self._words(len(x), words, mask)
        for block in self.blocks:
            h = block(h, time, said, seen)
        shift, scale = self.told_out(functional.silu(time))[:, None].chunk(2, dim=2)
        out = self.head(self.norm_out(h) * (1 + scale) + shift)
        maps = out.transpose(1, 2).unflatten(2, (height, width))
        return functional.pixel_shuffle(maps, self.config.patch)

    def sketched(self, words: Tensor | None, mask: Tensor | None) -> Tensor | None:
        """(B, C, S, S), 0 for a row that says nothing; None where nothing is sketched."""
        if words is None or not self.config.sketch_width:
            return None
        drawn: Tensor = self.sketch(words[:, 0])
        return drawn if mask is None else drawn * mask[:, :1, None, None]

    def _squares(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, P, C patch^2)."""
        return functional.pixel_unshuffle(x, self.config.patch).flatten(2).transpose(1, 2)

    def _time(self, clue: Tensor, classes: Tensor | None) -> Tensor:
        waves = waves_of(clue * self.config.time_scale, self.config.width)
        time: Tensor = self.time_2(functional.silu(self.time_1(waves)))
        if self.config.classes:
            if classes is None:
                classes = torch.full((len(clue),), self.config.classes, device=clue.device)
            time = time + self.class_embedding(classes)
        return time

    def _whole(self, words: Tensor, mask: Tensor | None) -> Tensor:
        """(B, D): what the whole text says, nothing where it says nothing."""
        whole: Tensor = self.read_whole(words[:, 0])
        return whole if mask is None else whole * mask[:, :1]

    def _words(
        self, count: int, words: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Words as the blocks read them, with one before them that stands for silence."""
        if not self.config.text_width:
            return None, None
        silence = self.no_words.expand(count, 1, -1)
        if words is None:
            return silence, None
        said = torch.cat((silence, self.read_words(words)), dim=1)
        if mask is None:
            return said, None
        return said, torch.cat((mask.new_ones(count, 1), mask), dim=1)

    def _require_sides(self, x: Tensor) -> None:
        for side in x.shape[-2:]:
            if side % self.config.patch:
                raise ConfigError(
                    "a picture of side {side} does not fit the model; it must be a multiple of "
                    "{least}",
                    side=side,
                    least=self.config.patch,
                )

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; every branch and the head begin at nothing."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                nn.init.constant_(weight, 1.0 if "norm" in name and "weight" in name else 0.0)
            elif name.endswith(("told.weight", "told_out.weight", "words.to_out.weight")) or (
                name in ("head.weight", "sketch.outer.weight", "embed_sketch.weight")
            ):
                nn.init.zeros_(weight)
            elif name.startswith("class_embedding"):
                nn.init.normal_(weight, std=0.02, generator=generator)
            else:
                std = 1 / math.sqrt(weight.shape[1])
                nn.init.normal_(weight, std=std, generator=generator)


def waves_of(values: Tensor, width: int) -> Tensor:
    """Cosines and sines of `values` (N,) at falling rates: (N, width)."""
    half = width // 2
    rate = torch.arange(half, device=values.device) * (-math.log(LONGEST_PERIOD) / half)
    angle = values[:, None].float() * rate.exp()
    return torch.cat((angle.cos(), angle.sin()), dim=1)


def waves_of_places(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """(H W, channels): half of the channels tell the row, half the column."""
    rows = waves_of(torch.arange(height, device=device), channels // 2)
    columns = waves_of(torch.arange(width, device=device), channels // 2)
    places = torch.cat(
        (rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)), dim=2
    )
    return places.flatten(0, 1)


PRESETS = {
    "tiny": Config(
        in_channels=3, out_channels=3, patch=2, width=16, layers=2, heads=2, hidden_width=24,
        classes=3, text_width=6,
    ),
    "sketching": Config(
        in_channels=3, out_channels=3, patch=2, width=16, layers=1, heads=2, hidden_width=24,
        text_width=6, sketch_width=12, sketch_side=4,
    ),
}  # fmt: skip
