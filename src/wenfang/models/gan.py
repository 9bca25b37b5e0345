"""Two nets against each other: one makes pictures of noise, one tells them from real ones.

Goodfellow et al. (2014, arXiv:1406.2661); the convolutional shapes are those of Radford et al.
(2016, arXiv:1511.06434) without batch normalisation, so that a sample does not depend on its
neighbours; the recurrent generator writes a picture row by row. Classes steer the generator by a
vector beside the latent, and the discriminator by projection (Miyato & Koyama 2018,
arXiv:1802.05637); it may say as well which class it sees (Odena et al. 2017, arXiv:1610.09585). Of
several generators or discriminators every one meets every other.

B batch, C channels, S side in pixels, Z width of the latent, F width of features
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.sizes import require_channels, require_counts, require_halves, require_patches

Kind = Literal["dense", "convolutional", "recurrent"]
EPSILON = 1e-5
LEAK = 0.2  # of the discriminator's rectifiers, as Radford et al.


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of both nets.

    generator, discriminator  how each is built; a discriminator is dense or convolutional
    patch          side of the squares of pixels that a convolutional net reads and writes as one
    channels       of each level of a convolutional net, from the whole side to the smallest map
    hidden_width   of dense layers, and of the recurrent state
    classes        0: none
    auxiliary      the discriminator also foretells the class, for `objective.game.auxiliary`
    generators, discriminators  how many of each
    """

    in_channels: int = 1
    side_px: int = 28
    latent_width: int = 64
    generator: Kind = "convolutional"
    discriminator: Literal["dense", "convolutional"] = "convolutional"
    patch: int = 1
    channels: tuple[int, ...] = (32, 64, 128)
    groups: int = 8
    hidden_width: int = 256
    classes: int = 0
    generators: int = 1
    discriminators: int = 1
    auxiliary: bool = field(default=False, metadata={"later": True})

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "in_channels", "side_px", "patch", "latent_width", "groups")
        require_counts(self, "hidden_width", "generators", "discriminators")
        require_channels(self.channels, self.groups)
        require_patches(self.side_px, self.patch)
        require_halves(self.side_px // self.patch, len(self.channels), len(self.channels) - 1)
        if self.auxiliary and not self.classes:
            raise ConfigError("model.auxiliary needs model.classes, which is 0")

    @property
    def map_side(self) -> int:
        """Side of the smallest map."""
        return self.side_px // self.patch >> (len(self.channels) - 1)

    @property
    def values(self) -> int:
        """Numbers of one picture."""
        return self.in_channels * self.side_px**2


class DenseGenerator(nn.Module):
    """Three dense layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.shape = config.in_channels, config.side_px, config.side_px
        width = config.hidden_width
        self.layers = nn.Sequential(
            nn.Linear(config.latent_width, width),
            nn.LeakyReLU(LEAK),
            nn.Linear(width, 2 * width),
            nn.LeakyReLU(LEAK),
            nn.Linear(2 * width, config.values),
        )

    def forward(self, latent: Tensor) -> Tensor:
        """latent (B, Z) -> (B, C, S, S) before it is squeezed."""
        out: Tensor = self.layers(latent)
        return out.view(-1, *self.shape)


class ConvolutionalGenerator(nn.Module):
    """A small map that is doubled, level by level."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        channels = config.channels[::-1]
        self.side = config.map_side
        self.head = nn.Linear(config.latent_width, channels[0] * self.side**2)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(channels)
        )
        self.norms = nn.ModuleList(
            nn.GroupNorm(config.groups, one, eps=EPSILON) for one in channels
        )
        self.patch = config.patch
        values = config.in_channels * config.patch**2
        self.conv_out = nn.Conv2d(channels[-1], values, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """latent (B, Z) -> (B, C, S, S) before it is squeezed."""
        x = self.head(latent).view(len(latent), -1, self.side, self.side)
        x = functional.relu(self.norms[0](x.contiguous(memory_format=torch.channels_last)))
        for conv, norm in zip(self.convs, list(self.norms)[1:], strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = functional.relu(norm(conv(x)))
        x = self.conv_out(x)
        return functional.pixel_shuffle(x, self.patch) if self.patch > 1 else x


class RecurrentGenerator(nn.Module):
    """A state that writes one row of the picture at each step (GRU, Cho et al. 2014)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.rows, self.channels = config.side_px, config.in_channels
        self.begin = nn.Linear(config.latent_width, config.hidden_width)
        self.cell = nn.GRU(config.latent_width, config.hidden_width, batch_first=True)
        self.row = nn.Linear(config.hidden_width, config.in_channels * config.side_px)

    def forward(self, latent: Tensor) -> Tensor:
        """latent (B, Z) -> (B, C, S, S) before it is squeezed."""
        begin = self.begin(latent).tanh()[None]
        states, _ = self.cell(latent[:, None].expand(-1, self.rows, -1).contiguous(), begin)
        rows = self.row(states).unflatten(2, (self.channels, -1))
        out: Tensor = rows.transpose(1, 2)
        return out


GENERATORS: dict[str, type[nn.Module]] = {
    "dense": DenseGenerator,
    "convolutional": ConvolutionalGenerator,
    "recurrent": RecurrentGenerator,
}


class Generator(nn.Module):
    """Latents, and classes where the model knows any, to pictures of -1..1."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.net = GENERATORS[config.generator](config)
        if config.classes:
            self.classes = nn.Embedding(config.classes, config.latent_width)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """latent (B, Z), classes (B,) int64 -> (B, C, S, S)."""
        if classes is not None:
            latent = latent * self.classes(classes)
        out: Tensor = self.net(latent)
        return out.tanh()


class Discriminator(nn.Module):
    """Pictures, and what they are said to show, to how real they look."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.net = _convolutions(config)
        width = config.channels[-1] * config.map_side**2
        if config.discriminator == "dense":
            width = config.hidden_width
            self.net = nn.Sequential(
                nn.Flatten(),
                nn.Linear(config.values, 2 * width),
                nn.LeakyReLU(LEAK),
                nn.Linear(2 * width, width),
                nn.LeakyReLU(LEAK),
            )
        self.head = nn.Linear(width, 1)
        if config.classes:
            self.classes = nn.Embedding(config.classes, width)
        if config.auxiliary:
            self.told = nn.Linear(width, config.classes)

    def forward(self, pictures: Tensor, classes: Tensor | None = None) -> Tensor:
        """pictures (B, C, S, S) of -1..1, classes (B,) int64 -> (B,), high for real ones."""
        return self._score(self.net(pictures), classes)

    def with_classes(self, pictures: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, and the logits of each class: (B,), (B, classes)."""
        features = self.net(pictures)
        return self._score(features, classes), self.told(features)

    def _score(self, features: Tensor, classes: Tensor | None) -> Tensor:
        score: Tensor = self.head(features)[:, 0]
        if classes is not None:
            score = score + (features * self.classes(classes)).sum(1)
        return score


def _convolutions(config: Config) -> nn.Sequential:
    """Half the side at each level but the first; without normalisation, as a penalty wants it."""
    layers: list[nn.Module] = []
    before = config.in_channels
    for number, channels in enumerate(config.channels):
        stride, side = (2, 3) if number else (config.patch, config.patch + 2)
        layers += [
            nn.Conv2d(before, channels, side, stride=stride, padding=1),
            nn.LeakyReLU(LEAK),
        ]
        before = channels
    return nn.Sequential(*layers, nn.Flatten())


class GAN(nn.Module):
    """Generators and discriminators; trained in phases that move one kind each."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.generators = nn.ModuleList(Generator(config) for _ in range(config.generators))
        self.discriminators = nn.ModuleList(
            Discriminator(config) for _ in range(config.discriminators)
        )

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Pictures of the first generator: (B, Z), (B,) -> (B, C, S, S) of -1..1."""
        out: Tensor = self.generators[0](latent, classes)
        return out

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights as He et al. 2015; classes begin alike."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                nn.init.constant_(weight, 1.0 if "norm" in name and "weight" in name else 0.0)
            elif ".classes." in name:
                mean = 1.0 if name.startswith("generators") else 0.0
                nn.init.normal_(weight, mean, 0.2 if mean else 0.02, generator=generator)
            else:
                gain = 1.0 if name.endswith(("head.weight", "row.weight")) else math.sqrt(2)
                std = gain / math.sqrt(weight[0].numel())
                nn.init.normal_(weight, std=std, generator=generator)


PRESETS = {
    "tiny": Config(
        side_px=8, latent_width=6, channels=(8, 8), groups=4, hidden_width=12, classes=3
    ),
}
