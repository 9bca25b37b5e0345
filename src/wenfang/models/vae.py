"""Variational autoencoder of pictures: convolutions to a few numbers with a spread, and back.

Kingma & Welling (2014, arXiv:1312.6114) with the residual convolutions of Kingma et al. (2016,
arXiv:1606.04934, without its flows). The latent is a map, for a model that goes on from it (Rombach
et al. 2022, arXiv:2112.10752), or one vector, where the picture's place does not matter.

B batch, C channels, S side in pixels, Z latent channels or dimensions, K samples of one picture
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.normed import normed_silu
from wenfang.models.sizes import require_channels, require_counts, require_halves, require_patches

EPSILON = 1e-5
FIRST_LOG_SPREAD = -1.5  # about that of pictures of 0..1
# Spreads beyond these teach nothing, and their exponential would overflow.
LOG_VARIANCE = -20.0, 10.0


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of an autoencoder.

    side_px     of the square pictures
    patch       side of the squares of pixels that are read, and written, as one
    channels    of each level; every level but the first halves the side
    blocks      residual blocks of a level
    groups      of channels that are normalised together; divides every one of `channels`
    latent      "map": so many channels of the smallest map; "vector": so many numbers
    likelihood  what the decoder's outputs mean: "bernoulli", logits of each value being 1;
                "gaussian", means, with one learned spread for all (Rybkin et al. 2021,
                arXiv:2006.13202); "laplace", medians with one, which keeps flat colours flat
    decoder_patch, decoder_channels  of the way back, where it is not the encoder's; 0 and none: it
                is
    """

    in_channels: int = 1
    side_px: int = 28
    patch: int = 1
    channels: tuple[int, ...] = (32, 64, 64)
    blocks: int = 1
    groups: int = 8
    latent: Literal["map", "vector"] = "vector"
    latent_width: int = 32
    likelihood: Literal["bernoulli", "gaussian", "laplace"] = "bernoulli"
    decoder_patch: int = field(default=0, metadata={"later": True})
    decoder_channels: tuple[int, ...] = field(default=(), metadata={"later": True})

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "in_channels", "side_px", "patch", "blocks", "groups", "latent_width")
        require_channels(self.channels, self.groups)
        require_patches(self.side_px, self.patch)
        require_halves(self.side_px // self.patch, len(self.channels), len(self.channels) - 1)
        if bool(self.decoder_patch) != bool(self.decoder_channels):
            raise ConfigError("model.decoder_patch and model.decoder_channels are given together")
        if self.decoder_patch and self.back.map_side != self.map_side:
            raise ConfigError(
                "the encoder ends at maps of side {side}, the decoder begins at {other}; choose "
                "model.decoder_patch and model.decoder_channels so that they meet",
                side=self.map_side,
                other=self.back.map_side,
            )

    @property
    def back(self) -> Config:
        """The decoder's shape as that of an encoder the other way about."""
        if not self.decoder_patch:
            return self
        return replace(
            self,
            patch=self.decoder_patch,
            channels=self.decoder_channels,
            decoder_patch=0,
            decoder_channels=(),
        )

    @property
    def map_side(self) -> int:
        """Side of the smallest map."""
        return self.side_px // self.patch >> (len(self.channels) - 1)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of one picture's latent."""
        if self.latent == "vector":
            return (self.latent_width,)
        return (self.latent_width, self.map_side, self.map_side)


class Posterior(NamedTuple):
    """What the encoder believes of each picture's latent: a normal distribution for each number."""

    mean: Tensor  # (B, *latent)
    log_variance: Tensor  # (B, *latent)

    def sample(self, noise: Tensor) -> Tensor:
        """Latents for standard normal noise of the same shape, or with K in front of it."""
        return self.mean + (self.log_variance / 2).exp() * noise

    def kl(self) -> Tensor:
        """Divergence from the standard normal in nats, of each number: (B, *latent)."""
        return (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance) / 2

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density in nats of latents (…, B, *latent), summed over each picture's: (…, B)."""
        off = (latent - self.mean).square() / self.log_variance.exp()
        each = -(off + self.log_variance + math.log(2 * math.pi)) / 2
        return each.flatten(latent.ndim - self.mean.ndim + 1).sum(-1)


class Residual(nn.Module):
    """Two convolutions, added to what came in."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=EPSILON)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels, eps=EPSILON)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W)."""
        h = self.conv1(normed_silu(x, self.norm1))
        out: Tensor = x + self.conv2(normed_silu(h, self.norm2))
        return out


class Encoder(nn.Module):
    """A picture to the mean and the spread of its latent."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.conv_in = nn.Conv2d(
            config.in_channels, channels[0], config.patch + 2, stride=config.patch, padding=1
        )
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(channels)
        )
        self.levels = nn.ModuleList(
            nn.ModuleList(Residual(one, config.groups) for _ in range(config.blocks))
            for one in channels
        )
        self.norm = nn.GroupNorm(config.groups, channels[-1], eps=EPSILON)
        out = 2 * config.latent_width
        self.head: nn.Module = (
            nn.Linear(channels[-1] * config.map_side**2, out)
            if config.latent == "vector"
            else nn.Conv2d(channels[-1], out, 1)
        )

    def forward(self, pictures: Tensor) -> Posterior:
        """pictures (B, C, S, S) -> what is believed of their latents."""
        x = self.conv_in(pictures.contiguous(memory_format=torch.channels_last))
        for number, blocks in enumerate(self.levels):
            if number:
                x = self.down[number - 1](x)
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x)
        x = normed_silu(x, self.norm)
        found = self.head(x.flatten(1) if self.config.latent == "vector" else x)
        mean, log_variance = found.chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE))


class Decoder(nn.Module):
    """A latent to a picture: the encoder's way back."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        channels = config.channels[::-1]
        self.head: nn.Module = (
            nn.Linear(config.latent_width, channels[0] * config.map_side**2)
            if config.latent == "vector"
            else nn.Conv2d(config.latent_width, channels[0], 1)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(channels)
        )
        self.levels = nn.ModuleList(
            nn.ModuleList(Residual(one, config.groups) for _ in range(config.blocks))
            for one in channels
        )
        self.norm = nn.GroupNorm(config.groups, channels[-1], eps=EPSILON)
        values = config.in_channels * config.patch**2
        self.conv_out = nn.Conv2d(channels[-1], values, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """latent (B, *latent) -> (B, C, S, S), as the likelihood reads it."""
        x = self.head(latent)
        if self.config.latent == "vector":
            side = self.config.map_side
            x = x.view(len(x), -1, side, side)
        x = x.contiguous(memory_format=torch.channels_last)
        for number, blocks in enumerate(self.levels):
            if number:
                x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
                x = self.up[number - 1](x)
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x)
        x = self.conv_out(normed_silu(x, self.norm))
        return functional.pixel_shuffle(x, self.config.patch) if self.config.patch > 1 else x


class VAE(nn.Module):
    """Pictures to latents and back, with the likelihood that both are learnt by."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = Encoder(config), Decoder(config.back)
        if config.likelihood != "bernoulli":
            self.log_spread = nn.Parameter(torch.zeros(1))  # of all values of all pictures

    def forward(self, pictures: Tensor) -> Tensor:
        """Each picture as its likeliest latent tells it: (B, C, S, S) -> (B, C, S, S)."""
        return self.mean(self.decoder(self.encoder(pictures).mean))

    def mean(self, output: Tensor) -> Tensor:
        """The expected picture behind the decoder's output."""
        return output.sigmoid() if self.config.likelihood == "bernoulli" else output

    def log_likelihood(self, pictures: Tensor, output: Tensor) -> Tensor:
        """Nats of each picture, given what the decoder put out.

        pictures (B, C, S, S), output (…, B, C, S, S) -> (…, B)

        "bernoulli" reads values of 0..1 (and is a likelihood for 0 and 1 only)
        """
        if self.config.likelihood == "bernoulli":
            each = pictures * output - functional.softplus(output)
        elif self.config.likelihood == "laplace":
            spread = self.log_spread.clamp(*LOG_VARIANCE)
            each = -(pictures - output).abs() * (-spread).exp() - spread - math.log(2)
        else:
            spread = self.log_spread.clamp(*LOG_VARIANCE)
            off = ((pictures - output) * (-spread).exp()).square()
            each = -(off + math.log(2 * math.pi)) / 2 - spread
        return each.flatten(-3).sum(-1)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights; residual branches and the encoder's belief begin at nothing."""
        for name, weight in self.named_parameters():
            if name == "log_spread":
                nn.init.constant_(weight, FIRST_LOG_SPREAD)
            elif weight.ndim == 1:
                nn.init.constant_(weight, 1.0 if "norm" in name and "weight" in name else 0.0)
            elif name.endswith("conv2.weight"):
                nn.init.zeros_(weight)
            else:
                small = 0.1 if name == "encoder.head.weight" else 1.0
                nn.init.normal_(
                    weight, std=small / math.sqrt(weight[0].numel()), generator=generator
                )


PRESETS = {
    "tiny": Config(side_px=8, channels=(8, 8), groups=4, latent_width=3),
}
