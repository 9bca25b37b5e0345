"""Pictures of a local bundle: an autoencoder's, a game's generator's, or a denoiser's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wenfang.backends.loading import latent_space, same_bundle
from wenfang.backends.starting import Start, Way
from wenfang.backends.word_reader import WordReader, require_known_script
from wenfang.data.known_captions import CAPTIONS, KnownCaptions
from wenfang.device import NoiseStream, idle_threads, noise, wastes_vector_units
from wenfang.errors import BriefError, BundleError
from wenfang.models.denoiser import Told, operations_of
from wenfang.models.dit import DiT
from wenfang.models.gan import GAN
from wenfang.models.load import Loaded, load
from wenfang.models.products import fast_products
from wenfang.models.unet import UNet
from wenfang.models.vae import VAE
from wenfang.samplers.denoise import Denoising, denoise
from wenfang.samplers.latent import arc, truncated
from wenfang.samplers.pictures import denoiser

Pixels = NDArray[np.uint8]
Stream = tuple[int, *tuple[int | str, ...]]  # a seed and counters
OnStep = Callable[[int, Tensor], None]
Asked: TypeAlias = int | str | None  # a class, words, or nothing
ROWS = 50  # pictures that are drawn at a time
READINGS_KEPT = 1000


@dataclass(frozen=True, kw_only=True)
class PaintOptions:
    """How a picture is drawn; what a family does not know stays unused.

    denoising   of a denoiser
    guidance    of a denoiser: how much the class or the words count; 1 as learnt
    avoid       of a denoiser: a class or words that guidance leads away from
    literal     of a denoiser that is told in words: words that it did not learn by are read as they
                are, and not as the nearest that it did
    truncation  of the others: latents stay within so many deviations; 0: wherever they fall
    """

    denoising: Denoising = Denoising()
    guidance: float = 2.0
    avoid: str = ""
    literal: bool = False
    truncation: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Toward:
    """Noise on its way to that of another picture, for each picture so far: 0 its own, 1 there."""

    stream: Stream
    shares: Sequence[float]


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
        captions = loaded.folder / CAPTIONS
        self._captions = KnownCaptions.load(captions) if captions.is_file() else None
        self._read_as: dict[str, str] = {}

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

    def read_as(self, text: str, options: PaintOptions) -> str:
        """The words that are drawn for a text: its own, or the nearest that the model learnt by."""
        if options.literal or not text or self._captions is None or self._read is None:
            return text
        if len(self._read_as) > READINGS_KEPT:
            self._read_as.clear()
        if text not in self._read_as:
            known = self._captions.knows(text)
            self._read_as[text] = text if known else self._captions.nearest(text, self._read.whole)
        return self._read_as[text]

    @torch.no_grad()
    def paint(
        self,
        asked: Sequence[Asked],
        streams: Sequence[Stream],
        options: PaintOptions,
        on_step: OnStep = lambda step, data: None,
        start: Start | None = None,
        toward: Toward | None = None,
    ) -> Pixels:
        """(N, S, S, C) uint8 as `data.pixels` stores them: a picture for each thing that is asked
        for and each stream.

        Where None is asked for, a class is drawn from the stream; with a `start`, and of words,
        nothing is said then.
        on_step  hears, of a denoiser, the number of each step, from 1, and what data it foresees;
                 see `foreseen`
        raises BriefError for a start that the model cannot begin with
        """
        if start:
            self._require_start(start)
        found = []
        asked = [self.read_as(one, options) if isinstance(one, str) else one for one in asked]
        with fast_products(at_rest=True):
            for first in range(0, len(streams), ROWS):
                part = slice(first, first + ROWS)
                draws = [noise(*stream) for stream in streams[part]]
                told = self._told(asked[part], draws, silent=start is not None)
                begun = _normal(draws, self._noise_shape())
                if toward:
                    begun = self._moved(begun, toward, part)
                lot = _Lot(told=told, noise=begun, draws=draws, start=start)
                found.append(_as_pixels(self._values(lot, options, on_step)))
        return np.concatenate(found)

    def foreseen(self, data: Tensor, start: Start | None = None) -> Pixels:
        """(b, S, S, C) uint8: what pictures a step's data would be, with what stays of a start."""
        return _as_pixels(self._decoded(data, start))

    def _require_start(self, start: Start) -> None:
        if isinstance(self.model, UNet | DiT):
            return
        if not isinstance(self.model, VAE):
            raise BriefError(
                "{model} cannot start from a picture; a diffusion model can",
                model=self.loaded.name,
            )
        if start.task != "vary" or start.fresh is not None:
            raise BriefError(
                "{model} varies the whole of a picture; a diffusion model paints parts anew and "
                "does the other tasks",
                model=self.loaded.name,
            )

    def _noise_shape(self) -> tuple[int, ...]:
        """Of what one picture comes from."""
        config: Any = self.model.config
        if isinstance(self.model, UNet | DiT):
            side = self.known.side_px
            return self._space.shape if self._space else (self.known.channels, side, side)
        if isinstance(self.model, VAE):
            shape: tuple[int, ...] = config.latent_shape
            return shape
        return (config.latent_width,)

    def _moved(self, begun: Tensor, toward: Toward, part: slice) -> Tensor:
        draw = noise(*toward.stream)
        if self.known.classes:
            draw.integers(len(self.known.classes))  # as each picture's own stream has it
        other = _normal([draw], self._noise_shape())[0]
        shares = torch.tensor(toward.shares[part])
        rows = zip(begun, shares, strict=True)
        return torch.cat([arc(own, other, share[None]) for own, share in rows])

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

    def _values(self, lot: _Lot, options: PaintOptions, on_step: OnStep) -> Tensor:
        """(b, C, S, S) float32, about 0..1."""
        model = self.model
        if isinstance(model, UNet | DiT):
            return self._decoded(self._denoised(lot, options, on_step), lot.start)
        latents = truncated(lot.noise, options.truncation) if options.truncation else lot.noise
        if isinstance(model, VAE):
            if lot.start:
                return self._varied(model, lot.start, latents)
            return model.mean(model.decoder(latents))
        made: Tensor = model(latents, lot.told.classes)
        return (made + 1) / 2

    def _decoded(self, data: Tensor, start: Start | None) -> Tensor:
        """(b, C, S, S) of about 0..1 of what a denoiser drew: pixels of -1..1, or latents."""
        found = self._space.decode(data) if self._space else (data + 1) / 2
        # Latents tell of squares of pixels, so what stays is put back as it was.
        return start.kept(found) if start and self._space else found

    def _varied(self, model: VAE, start: Start, noise: Tensor) -> Tensor:
        """(b, C, S, S) of 0..1: an autoencoder's reading of a picture, `strength` of the way to
        chance.
        """
        pictures = (start.picture + 1) / 2
        share = torch.tensor([start.strength])
        if self.known.scales is None:
            own = model.encoder(pictures).mean[0]
            return model.mean(model.decoder(torch.cat([arc(own, one, share) for one in noise])))
        space = latent_space(self.loaded)
        own = space.encode(pictures)[0]
        return space.decode(torch.cat([arc(own, one, share) for one in noise]))

    def _denoised(self, lot: _Lot, options: PaintOptions, on_step: OnStep) -> Tensor:
        """(b, C, S, S) of -1..1, or latents (b, Z, h, w)."""
        path = self.known.path
        assert path is not None
        assert isinstance(self.model, UNet | DiT)
        avoided = self._avoided(options, len(lot.noise))
        predict = denoiser(self.model, path, lot.told, options.guidance, avoided)
        # oneDNN's sums, and so pictures, are the same on any number of threads; MKL promises less.
        operations = 0.0
        if wastes_vector_units():
            operations = operations_of(self.model, 2 * len(lot.noise), lot.noise.shape[-1])

        def see(x: Tensor, t: Tensor) -> Tensor:
            with idle_threads(operations):
                return predict(x, t)

        way = Way(predict=see, noise=lot.noise)
        if lot.start:
            way = lot.start.begun(way, path, self._space)
        return denoise(
            way.predict,
            way.noise,
            path,
            options.denoising,
            lambda: _normal(lot.draws, self._noise_shape()),
            on_step,
            begin=way.share,
            start=way.data,
        )

    def _avoided(self, options: PaintOptions, count: int) -> Told | None:
        """What guidance leads away from; None: from what nothing is said of."""
        asked = self.asked(options.avoid)
        if isinstance(asked, int):
            return Told(classes=torch.full((count,), asked))
        if asked is None or self._read is None:
            return None
        words, mask = self._read([self.read_as(asked, options)] * count)
        return Told(words=words, mask=mask)


@dataclass(frozen=True, kw_only=True)
class _Lot:
    """Pictures that are drawn at once: what is told of each, and what each comes from."""

    told: Told
    noise: Tensor
    draws: list[NoiseStream]
    start: Start | None


def _as_pixels(values: Tensor) -> Pixels:
    """(b, C, S, S) of about 0..1 -> (b, S, S, C)."""
    found = values.clamp(0, 1).mul(255).round().to(torch.uint8)
    return found.permute(0, 2, 3, 1).contiguous().numpy()


def _normal(draws: list[NoiseStream], shape: tuple[int, ...]) -> Tensor:
    """(b, *shape) standard normal, a row from each stream."""
    rows = [draw.standard_normal(shape, np.float32) for draw in draws]
    return torch.from_numpy(np.stack(rows))
