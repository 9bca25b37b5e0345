"""Dual encoder: a picture and what is said of it lie near each other.

Radford et al. (2021, arXiv:2103.00020), small: the picture is read by the convolutions of
`models.picture_encoder`; the text comes as vectors of words from an encoder of texts that stays as
it is (Zhai et al. 2022, arXiv:2111.07991), of which one learned question takes a weighted mean.

B batch, S side in pixels, L words, E width of a word's vector, D dimensions shared by both
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models import picture_encoder
from wenfang.models.picture_encoder import PictureEncoder
from wenfang.models.sizes import require_counts

FIRST_TEMPERATURE, LEAST_TEMPERATURE = 0.07, 0.01


@dataclass(frozen=True, kw_only=True)
class Config:
    """Shape of a dual encoder.

    side_px, channels, groups  of the pictures' side, see models.picture_encoder
    text_width    of the vectors of words
    hidden_width  in which words are read
    dimensions    D
    """

    side_px: int = 64
    channels: tuple[int, ...] = (24, 48, 96, 160)
    groups: int = 8
    text_width: int = 192
    hidden_width: int = 256
    dimensions: int = 128

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built."""
        require_counts(self, "text_width", "hidden_width")
        self.of_pictures()

    def of_pictures(self) -> picture_encoder.Config:
        """The shape of the pictures' side."""
        return picture_encoder.Config(
            side_px=self.side_px,
            channels=self.channels,
            groups=self.groups,
            dimensions=self.dimensions,
        )


class TextImage(nn.Module):
    """Unit vectors of pictures and of texts, and the temperature that their cosines are read at."""

    config_class = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.pictures = PictureEncoder(config.of_pictures())
        self.read = nn.Linear(config.text_width, config.hidden_width)
        self.ask = nn.Linear(config.hidden_width, 1)
        self.whole = nn.Linear(config.hidden_width, config.hidden_width)
        self.head = nn.Linear(config.hidden_width, config.dimensions)
        self.log_temperature = nn.Parameter(torch.zeros(1))

    def forward(self, pictures: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, D) of both sides; arguments as of `pictures` and `texts`."""
        return self.pictures(pictures), self.texts(words, mask)

    def texts(self, words: Tensor, mask: Tensor) -> Tensor:
        """words (B, L, E), of which the first tells the whole text, mask (B, L) bool -> (B, D) of
        length 1.
        """
        read = functional.gelu(self.read(words))
        asked = self.ask(read)[..., 0].masked_fill(~mask, -torch.inf)
        share = asked.softmax(1).nan_to_num()  # of a text without words, nothing
        mean = (share[..., None] * read).sum(1)
        mixed = functional.gelu(self.whole(read[:, 0] + mean))
        vectors: Tensor = functional.normalize(self.head(mixed), dim=1)
        return vectors

    @property
    def temperature(self) -> Tensor:
        """What cosines are divided by: (1,)."""
        return self.log_temperature.exp().clamp_min(LEAST_TEMPERATURE)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights."""
        self.pictures.initialise(generator)
        for name, weight in self.named_parameters():
            if name.startswith("pictures."):
                continue
            if name == "log_temperature":
                nn.init.constant_(weight, math.log(FIRST_TEMPERATURE))
            elif weight.ndim == 1:
                nn.init.zeros_(weight)
            else:
                std = 1 / math.sqrt(weight.shape[1])
                nn.init.normal_(weight, std=std, generator=generator)


PRESETS = {
    "tiny": Config(
        side_px=16, channels=(8, 16), groups=4, text_width=6, hidden_width=16, dimensions=12
    ),
}
