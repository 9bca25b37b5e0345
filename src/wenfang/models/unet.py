"""U-Net that is asked what noise hides: convolutions down, across and up, told the time.

Ronneberger et al. (2015, arXiv:1505.04597) as Ho et al. (2020, arXiv:2006.11239) and Dhariwal &
Nichol (2021, arXiv:2105.05233) use it: residual blocks with group normalisation, attention where
maps are small, time and class added to every block. Weights have the names and the layout of
diffusers' UNet2DModel, so they map one to one.

B batch, C channels, H height and W width in pixels, E width of the embedding of time
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.linears import linears
from wenfang.models.normed import normed_silu
from wenfang.models.sizes import require_channels, require_counts

LONGEST_PERIOD = 10_000.0
EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a U-Net.

    patch           side of the squares of pixels that are read and written as one
    channels        of each level; every level but the last halves the side
    attention       whether the level's blocks attend, one for each of `channels`
    blocks          residual blocks of a level on the way down; one more on the way up
    groups          of channels that are normalised together; divides every one of `channels`
    classes         0: none. One more stands for "no class", which is what guidance asks
    scale_shift     time scales and moves the second norm, in place of being added before it
    time_scale      what a clue is multiplied by before its sines are taken
    """

    in_channels: int = 3
    out_channels: int = 3
    patch: int = 1
    channels: tuple[int, ...] = (64, 128, 192)
    attention: tuple[bool, ...] = (False, False, True)
    blocks: int = 2
    head_width: int = 32
    groups: int = 16
    classes: int = 0
    scale_shift: bool = True
    time_scale: float = 250.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "in_channels", "out_channels", "patch", "blocks")
        require_counts(self, "head_width", "groups")
        require_channels(self.channels, self.groups)
        if len(self.attention) != len(self.channels):
            raise ConfigError(
                "model.attention has {count} entries; model.channels has {levels}, and each level "
                "needs one",
                count=len(self.attention),
                levels=len(self.channels),
            )
        attended = [c for c, a in zip(self.channels, self.attention, strict=True) if a]
        if any(count % self.head_width for count in (*attended, self.channels[-1])):
            raise ConfigError(
                "model.head_width {width} must divide the channels of levels that attend",
                width=self.head_width,
            )


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time through two maps: (B,) -> (B, E)."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.width = width
        self.linear_1 = nn.Linear(width, embedding)
        self.linear_2 = nn.Linear(embedding, embedding)

    def forward(self, time: Tensor) -> Tensor:
        """time (B,) -> (B, E)."""
        half = self.width // 2
        rate = torch.arange(half, device=time.device) * (-math.log(LONGEST_PERIOD) / half)
        angle = time[:, None] * rate.exp()
        waves = torch.cat((angle.cos(), angle.sin()), dim=-1)
        out: Tensor = self.linear_2(functional.silu(self.linear_1(waves)))
        return out


class Residual(nn.Module):
    """Two convolutions, told the time between them, added to what came in."""

    def __init__(self, config: Config, before: int, channels: int, embedding: int) -> None:
        super().__init__()
        self.scale_shift = config.scale_shift
        self.norm1 = nn.GroupNorm(config.groups, before, eps=EPSILON)
        self.conv1 = nn.Conv2d(before, channels, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, channels * (2 if config.scale_shift else 1))
        self.norm2 = nn.GroupNorm(config.groups, channels, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(before, channels, 1) if before != channels else None

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """x (B, C, H, W), told (B, C' or 2 C') what `time_emb_proj` makes of the time ->
        (B, C', H, W).
        """
        h = self.conv1(normed_silu(x, self.norm1))
        told = told[:, :, None, None]
        if self.scale_shift:
            scale, shift = told.chunk(2, dim=1)
            h = normed_silu(h, self.norm2, None, scale, shift)
        else:
            h = normed_silu(h, self.norm2, told)
        h = self.conv2(self.dropout(h))
        out: Tensor = h + (x if self.conv_shortcut is None else self.conv_shortcut(x))
        return out


class Attention(nn.Module):
    """Every place of a map reads all others."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        self.heads = channels // config.head_width
        self.group_norm = nn.GroupNorm(config.groups, channels, eps=EPSILON)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        places = self.group_norm(x).flatten(2).transpose(1, 2)
        query, key, value = (
            one.view(batch, -1, self.heads, channels // self.heads).transpose(1, 2)
            for one in linears(places, (self.to_q, self.to_k, self.to_v))
        )
        read = functional.scaled_dot_product_attention(query, key, value)
        out = self.to_out[0](read.transpose(1, 2).reshape(batch, -1, channels))
        added: Tensor = x + out.transpose(1, 2).view(batch, channels, height, width)
        return added


class Resample(nn.Module):
    """Half the side by a convolution's stride, or twice it by repeating and a convolution."""

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if up else 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H / 2, W / 2), or twice H and W."""
        if self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        out: Tensor = self.conv(x)
        return out


class Level(nn.Module):
    """Residual blocks of one size, each with attention where the level attends."""

    def __init__(
        self, config: Config, level: int, before: list[int], embedding: int, *, resample: str
    ) -> None:
        """resample is "down", "up" or "" for a level that keeps its size; `before` says how many
        channels each block reads."""
        super().__init__()
        channels = config.channels[level]
        self.resnets = nn.ModuleList(Residual(config, one, channels, embedding) for one in before)
        self.attentions = nn.ModuleList(
            Attention(config, channels) for _ in before if config.attention[level]
        )
        if resample == "down":
            self.downsamplers = nn.ModuleList([Resample(channels, up=False)])
        elif resample:
            self.upsamplers = nn.ModuleList([Resample(channels, up=True)])

    def block(self, number: int, x: Tensor, told: Tensor) -> Tensor:
        """One residual block, and its attention."""
        x = self.resnets[number](x, told)
        if self.attentions:
            x = self.attentions[number](x)
        return x


class Middle(nn.Module):
    """The smallest maps: a block, attention, a block."""

    def __init__(self, config: Config, embedding: int) -> None:
        super().__init__()
        channels = config.channels[-1]
        self.resnets = nn.ModuleList(
            Residual(config, channels, channels, embedding) for _ in range(2)
        )
        self.attentions = nn.ModuleList([Attention(config, channels)])

    def forward(self, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """x (B, C, H, W), and what each block is told -> (B, C, H, W)."""
        out: Tensor = self.resnets[1](self.attentions[0](self.resnets[0](x, first)), second)
        return out


class UNet(nn.Module):
    """From noisy pictures, and what is told of them, to pictures of the same size."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        channels, embedding = config.channels, 4 * config.channels[0]
        area = config.patch**2
        self.conv_in = nn.Conv2d(config.in_channels * area, channels[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(channels[0], embedding)
        if config.classes:
            self.class_embedding = nn.Embedding(config.classes + 1, embedding)
        last = len(channels) - 1
        self.down_blocks = nn.ModuleList(
            Level(
                config,
                level,
                [channels[max(level - 1, 0)], *[channels[level]] * (config.blocks - 1)],
                embedding,
                resample="down" if level < last else "",
            )
            for level in range(last + 1)
        )
        self.mid_block = Middle(config, embedding)
        self.up_blocks = nn.ModuleList(
            Level(
                config,
                level,
                _widths_up(channels, config.blocks, level),
                embedding,
                resample="up" if level else "",
            )
            for level in range(last, -1, -1)
        )
        self.conv_norm_out = nn.GroupNorm(config.groups, channels[0], eps=EPSILON)
        self.conv_out = nn.Conv2d(channels[0], config.out_channels * area, 3, padding=1)
        # In the order in which they run.
        self._residuals = [module for module in self.modules() if isinstance(module, Residual)]

    def forward(self, x: Tensor, clue: Tensor, classes: Tensor | None = None) -> Tensor:
        """What the path asks of x (B, C, H, W): clue (B,) as of Path.clue, classes (B,) int64,
        `config.classes` for none -> (B, C', H, W).

        raises ConfigError where a side does not divide, or classes are missing
        """
        self._require_sides(x)
        time = self.time_embedding(clue * self.config.time_scale)
        if self.config.classes:
            if classes is None:
                classes = torch.full((len(x),), self.config.classes, device=x.device)
            time = time + self.class_embedding(classes)
        told = iter(linears(functional.silu(time), [one.time_emb_proj for one in self._residuals]))
        if self.config.patch > 1:
            x = functional.pixel_unshuffle(x, self.config.patch)
        x = self.conv_in(x.contiguous(memory_format=torch.channels_last))
        kept = [x]
        for level in self.down_blocks:
            assert isinstance(level, Level)
            for number in range(len(level.resnets)):
                x = level.block(number, x, next(told))
                kept.append(x)
            for down in getattr(level, "downsamplers", ()):
                x = down(x)
                kept.append(x)
        x = self.mid_block(x, next(told), next(told))
        for level in self.up_blocks:
            assert isinstance(level, Level)
            for number in range(len(level.resnets)):
                x = level.block(number, torch.cat((x, kept.pop()), dim=1), next(told))
            for up in getattr(level, "upsamplers", ()):
                x = up(x)
        x = self.conv_out(normed_silu(x, self.conv_norm_out))
        return functional.pixel_shuffle(x, self.config.patch) if self.config.patch > 1 else x

    def _require_sides(self, x: Tensor) -> None:
        least = self.config.patch * 2 ** (len(self.config.channels) - 1)
        for side in x.shape[-2:]:
            if side % least:
                raise ConfigError(
                    "a picture of side {side} does not fit the model; it must be a multiple of "
                    "{least}",
                    side=side,
                    least=least,
                )

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; the last of each branch begins at zero, so that blocks pass on."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                nn.init.constant_(weight, 1.0 if "norm" in name and "weight" in name else 0.0)
            elif name.endswith(("conv2.weight", "to_out.0.weight", "conv_out.weight")):
                nn.init.zeros_(weight)
            elif name.startswith("class_embedding"):
                nn.init.normal_(weight, std=0.02, generator=generator)
            else:
                std = 1 / math.sqrt(weight[0].numel())
                nn.init.normal_(weight, std=std, generator=generator)


def _widths_up(channels: tuple[int, ...], blocks: int, level: int) -> list[int]:
    """What each block of a level on the way up reads: the stream, and what was kept going down."""
    last = len(channels) - 1
    stream = channels[min(level + 1, last)]
    kept = [channels[level]] * blocks + [channels[max(level - 1, 0)]]
    return [(stream if number == 0 else channels[level]) + one for number, one in enumerate(kept)]


PRESETS = {
    "tiny": Config(
        channels=(8, 16), attention=(False, True), blocks=1, head_width=8, groups=4, classes=3
    ),
}
