"""Pictures of a local bundle: an autoencoder's, a game's generator's, or a denoiser's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wenfang.backends.loading import latent_space, same_bundle
from wenfang.backends.word_reader import WordReader, require_known_script
from wenfang.device import NoiseStream, noise
from wenfang.errors import BriefError, BundleError
from wenfang.models.denoiser import Told
from wenfang.models.dit import DiT
from wenfang.models.gan import GAN
from wenfang.models.load import Loaded, load
from wenfang.models.products import fast_products
from wenfang.models.unet import UNet
from wenfang.models.vae import VAE
from wenfang.samplers.denoise import Denoising, denoise
from wenfang.samplers.latent import truncated
from wenfang.samplers.pictures import denoiser, keeping

Pixels = NDArray[np.uint8]
Stream = tuple[int, *tuple[int | str, ...]]  # a seed and counters
OnStep = Callable[[int, Tensor], None]
Asked: TypeAlias = int | str | None  # a class, words, or nothing
ROWS = 50  # pictures that are drawn at a time


@dataclass(frozen=True, kw_only=True)
class PaintOptions:
    """How a picture is drawn; what a family does not know stays unused.

    denoising   of a denoiser
    guidance    of a denoiser: how much the class or the words count; 1 as learnt
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
        self.companions = tuple(
            load(same_bundle(one, loaded.name)) for one in self.known.companions
        )
        beside = iter(self.companions)
        self._space = latent_space(next(beside)) if self.known.latents else None
        self._read = WordReader(next(beside)) if self.known.words else None

    def asked(self, prompt: str) -> Asked:
        """What a prompt asks for: a class, words, or None where it is empty.

        raises BriefError for a class or a language that the model does not know, or where it is
        not told anything
        """
        text = prompt.strip()
        if not text:
            return None
        if self._read:
            require_known_script(text, self.loaded.name)
            return text
        if not self.known.classes:
            raise BriefError(
                "{model} draws without being told what; leave the prompt out",
                model=self.loaded.name,
            )
        if text not in self.known.classes:
            raise BriefError(
                "{model} does not know {name}; it draws {names}",
                model=self.loaded.name,
                name=text,
                names=", ".join(self.known.classes),
            )
        return self.known.classes.index(text)

    @torch.no_grad()
    def paint(
        self,
        asked: Sequence[Asked],
        streams: Sequence[Stream],
        options: PaintOptions,
        on_step: OnStep = lambda step, data: None,
        start: Start | None = None,
    ) -> Pixels:
        """(N, S, S, C) uint8 as `data.pixels` stores them: a picture for each thing that is asked
        for and each stream.

        Where None is asked for, a class is drawn from the stream; with a `start`, and of words,
        nothing is said then.
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
                told = self._told(asked[part], draws, silent=start is not None)
                values = self._values(told, draws, options, on_step, start)
                found.append(values.clamp(0, 1).mul(255).round().to(torch.uint8))
        return torch.cat(found).permute(0, 2, 3, 1).contiguous().numpy()

    def _told(self, asked: Sequence[Asked], draws: list[NoiseStream], *, silent: bool) -> Told:
        if self._read:
            words, mask = self._read([one if isinstance(one, str) else "" for one in asked])
            return Told(words=words, mask=mask)
        count = len(self.known.classes)
        if not count:
            return Told()
        # Drawn for each, asked or not, so that a picture's noise does not depend on how it was
        # told its class.
        chances = [int(draw.integers(count)) for draw in draws]
        if silent:  # which the model knows as one more class
            chances = [count] * len(draws)
        pairs = zip(asked, chances, strict=True)
        classes = [one if isinstance(one, int) else chance for one, chance in pairs]
        return Told(classes=torch.tensor(classes))

    def _values(
        self,
        told: Told,
        draws: list[NoiseStream],
        options: PaintOptions,
        on_step: OnStep,
        start: Start | None,
    ) -> Tensor:
        """(b, C, S, S) float32, about 0..1."""
        model = self.model
        if isinstance(model, UNet | DiT):
            drawn = self._denoised(told, draws, options, on_step, start)
            found = self._space.decode(drawn) if self._space else (drawn + 1) / 2
            # Latents tell of squares of pixels, so what stays is put back as it was.
            return kept(found, start) if start and self._space else found
        if isinstance(model, VAE):
            return model.mean(model.decoder(self._latents(draws, options)))
        made: Tensor = model(self._latents(draws, options), told.classes)
        return (made + 1) / 2

    def _denoised(
        self,
        told: Told,
        draws: list[NoiseStream],
        options: PaintOptions,
        on_step: OnStep,
        start: Start | None,
    ) -> Tensor:
        """(b, C, S, S) of -1..1, or latents (b, Z, h, w)."""
        path = self.known.path
        assert path is not None
        assert isinstance(self.model, UNet | DiT)
        side = self.known.side_px
        shape = self._space.shape if self._space else (self.known.channels, side, side)
        predict = denoiser(self.model, path, told, options.guidance)
        begun = None
        if start:
            begun = self._space.encode((start.picture + 1) / 2) if self._space else start.picture
            if start.fresh is not None:
                size = (shape[1], shape[2])
                fresh = functional.adaptive_max_pool2d(start.fresh, size)
                predict = keeping(predict, begun, fresh)
        return denoise(
            predict,
            _normal(draws, shape),
            path,
            options.denoising,
            lambda: _normal(draws, shape),
            on_step,
            begin=start.strength if start else 1.0,
            start=begun,
        )

    def _latents(self, draws: list[NoiseStream], options: PaintOptions) -> Tensor:
        config: Any = self.model.config
        shape = config.latent_shape if isinstance(self.model, VAE) else (config.latent_width,)
        latent = _normal(draws, shape)
        return truncated(latent, options.truncation) if options.truncation else latent


def kept(found: Tensor, start: Start) -> Tensor:
    """What was painted (b, C, S, S) of 0..1, with the picture's own pixels where it was to stay."""
    if start.fresh is None:
        return found
    own = (start.picture + 1) / 2
    return start.fresh * found + (1 - start.fresh) * own


def _normal(draws: list[NoiseStream], shape: tuple[int, ...]) -> Tensor:
    """(b, *shape) standard normal, a row from each stream."""
    rows = [draw.standard_normal(shape, np.float32) for draw in draws]
    return torch.from_numpy(np.stack(rows))
