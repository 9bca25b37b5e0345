"""Pictures of a local bundle: an autoencoder's, a game's generator's, or a denoiser's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wenfang.device import NoiseStream, noise
from wenfang.errors import BriefError, BundleError
from wenfang.models.denoiser import Told
from wenfang.models.dit import DiT
from wenfang.models.gan import GAN
from wenfang.models.load import Loaded
from wenfang.models.products import fast_products
from wenfang.models.unet import UNet
from wenfang.models.vae import VAE
from wenfang.samplers.denoise import Denoising, denoise
from wenfang.samplers.latent import truncated
from wenfang.samplers.pictures import denoiser, keeping

Pixels = NDArray[np.uint8]
Stream = tuple[int, *tuple[int | str, ...]]  # a seed and counters
OnStep = Callable[[int, Tensor], None]
ROWS = 50  # pictures that are drawn at a time


@dataclass(frozen=True, kw_only=True)
class PaintOptions:
    """How a picture is drawn; what a family does not know stays unused.

    denoising   of a denoiser
    guidance    of a denoiser: how much the class counts; 1 as learnt
    truncation  of the others: latents stay within so many deviations; 0: wherever they fall
    """

    denoising: Denoising = Denoising()
    guidance: float = 2.0
    truncation: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Start:
    """A picture to begin with, for denoisers.

    picture   (1, C, S, S) float32 of -1..1
    strength  share of the way from noise that is walked again: above 0 little changes, 1 all may
    fresh     (1, 1, S, S) float32, 1 where it is painted anew and 0 where it stays; None: all
    """

    picture: Tensor
    strength: float = 0.6
    fresh: Tensor | None = None


class Painter:
    """Draws pictures with one loaded bundle; each is the same alone and among others."""

    def __init__(self, loaded: Loaded) -> None:
        if loaded.painting is None or not isinstance(loaded.model, VAE | GAN | UNet | DiT):
            raise BundleError("{name} makes no pictures; choose another model", name=loaded.name)
        self.loaded, self.model, self.known = loaded, loaded.model, loaded.painting

    def class_of(self, prompt: str) -> int | None:
        """The class that a prompt names; None where the model knows none, or nothing is asked.

        raises BriefError for a name that it does not know, or where it knows none
        """
        name = prompt.strip()
        if not name:
            return None
        if not self.known.classes:
            raise BriefError(
                "{model} draws without being told what; leave the prompt out",
                model=self.loaded.name,
            )
        if name not in self.known.classes:
            raise BriefError(
                "{model} does not know {name}; it draws {names}",
                model=self.loaded.name,
                name=name,
                names=", ".join(self.known.classes),
            )
        return self.known.classes.index(name)

    @torch.no_grad()
    def paint(
        self,
        classes: Sequence[int | None],
        streams: Sequence[Stream],
        options: PaintOptions,
        on_step: OnStep = lambda step, data: None,
        start: Start | None = None,
    ) -> Pixels:
        """(N, S, S, C) uint8: a picture for each class and stream.

        A class that is None is drawn from the stream, where the model knows any; with a `start`
        nothing is said of it then.
        raises BriefError for a start where the model is no denoiser
        """
        if start and not isinstance(self.model, UNet | DiT):
            raise BriefError(
                "{model} cannot start from a picture; a diffusion model can",
                model=self.loaded.name,
            )
        found = []
        with fast_products(at_rest=True):
            for first in range(0, len(streams), ROWS):
                part = slice(first, first + ROWS)
                draws = [noise(*stream) for stream in streams[part]]
                wanted = self._classes(classes[part], draws, silent=start is not None)
                values = self._values(wanted, draws, options, on_step, start)
                found.append(values.clamp(0, 1).mul(255).round().to(torch.uint8))
        return torch.cat(found).permute(0, 2, 3, 1).contiguous().numpy()

    def _classes(
        self, classes: Sequence[int | None], draws: list[NoiseStream], *, silent: bool
    ) -> Tensor | None:
        count = len(self.known.classes)
        if not count:
            return None
        # Drawn for each, asked or not, so that a picture's noise does not depend on how it was
        # told its class.
        chances = [int(draw.integers(count)) for draw in draws]
        if silent:  # which the model knows as one more class
            chances = [count] * len(draws)
        pairs = zip(classes, chances, strict=True)
        return torch.tensor([chance if one is None else one for one, chance in pairs])

    def _values(
        self,
        classes: Tensor | None,
        draws: list[NoiseStream],
        options: PaintOptions,
        on_step: OnStep,
        start: Start | None,
    ) -> Tensor:
        """(b, C, S, S) float32, about 0..1."""
        model = self.model
        if isinstance(model, UNet | DiT):
            assert self.known.path is not None
            side = self.known.side_px
            shape = (self.known.channels, side, side)
            told = Told(classes=classes)
            predict = denoiser(model, self.known.path, told, options.guidance)
            if start and start.fresh is not None:
                predict = keeping(predict, start.picture, start.fresh)
            drawn = denoise(
                predict,
                _normal(draws, shape),
                self.known.path,
                options.denoising,
                lambda: _normal(draws, shape),
                on_step,
                begin=start.strength if start else 1.0,
                start=start.picture if start else None,
            )
            return (drawn + 1) / 2
        if isinstance(model, VAE):
            return model.mean(model.decoder(self._latents(draws, options)))
        made: Tensor = model(self._latents(draws, options), classes)
        return (made + 1) / 2

    def _latents(self, draws: list[NoiseStream], options: PaintOptions) -> Tensor:
        config: Any = self.model.config
        shape = config.latent_shape if isinstance(self.model, VAE) else (config.latent_width,)
        latent = _normal(draws, shape)
        return truncated(latent, options.truncation) if options.truncation else latent


def _normal(draws: list[NoiseStream], shape: tuple[int, ...]) -> Tensor:
    """(b, *shape) standard normal, a row from each stream."""
    rows = [draw.standard_normal(shape, np.float32) for draw in draws]
    return torch.from_numpy(np.stack(rows))
