"""A picture to begin with: varied, painted over in parts, coloured, refined, or freed of grain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from wenfang.errors import BriefError
from wenfang.models.latent_space import LatentSpace
from wenfang.noise import Path
from wenfang.samplers.denoise import Denoiser
from wenfang.samplers.pictures import keeping
from wenfang.samplers.restoring import (
    Agree,
    agreeing,
    same_from_afar,
    same_light,
    time_of_noise,
)

Task = Literal["vary", "colourise", "superresolve", "denoise"]


@dataclass(frozen=True, kw_only=True)
class Way:
    """From noise to pictures: what is seen on it, and where it begins.

    share  of the whole way that is walked
    data   (1, C, H, W) that the noise is laid upon; None: nothing
    """

    predict: Denoiser
    noise: Tensor
    share: float = 1.0
    data: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Start:
    """A picture to begin with, for denoisers.

    picture   (1, C, S, S) float32 of -1..1
    strength  share of the way from noise that is walked again: above 0 little changes, 1 all may
    fresh     (1, 1, S, S) float32, 1 where it is painted anew and 0 where it stays; None: all
    task      "vary" it; "colourise": keep its light alone; "superresolve": keep its look from afar,
              of squares of `square_px`; "denoise": take its grain away
    noise_std of the grain, in values of -1..1
    """

    picture: Tensor
    strength: float = 0.6
    fresh: Tensor | None = None
    task: Task = "vary"
    square_px: int = 4
    noise_std: float = 0.0

    def begun(self, way: Way, path: Path, space: LatentSpace | None) -> Way:
        """The way that is walked from here, in pixels of -1..1 or in latents.

        raises BriefError for grain that is to be taken away in latents, which have none
        """
        own = space.encode((self.picture + 1) / 2) if space else self.picture
        predict = way.predict
        if self.fresh is not None:
            size = (own.shape[2], own.shape[3])
            predict = keeping(predict, own, functional.adaptive_max_pool2d(self.fresh, size))
        agree = self.agree()
        if agree:
            within = _within(agree, space) if space else agree
            return replace(way, predict=agreeing(predict, within))
        if self.task == "denoise":
            if space:
                raise BriefError(
                    "a model that draws in latents takes no grain away; make a variation with a "
                    "small strength"
                )
            # Its grain is what the path's noise would be, so none is added.
            share = time_of_noise(path, self.noise_std)
            return Way(predict=predict, noise=torch.zeros_like(way.noise), share=share, data=own)
        return replace(way, predict=predict, share=self.strength, data=own)

    def kept(self, found: Tensor) -> Tensor:
        """What was painted (b, C, S, S) of 0..1, with all of the picture that was to stay."""
        agree = self.agree()
        if agree:
            found = (agree(found * 2 - 1) + 1) / 2
        if self.fresh is None:
            return found
        own = (self.picture + 1) / 2
        return self.fresh * found + (1 - self.fresh) * own

    def agree(self) -> Agree | None:
        """What must hold of the pixels that are drawn; None: nothing."""
        if self.task == "colourise":
            return same_light(self.picture)
        if self.task == "superresolve":
            return same_from_afar(self.picture, self.square_px)
        return None


def _within(agree: Agree, space: LatentSpace) -> Agree:
    """The same for latents, which agree as far as their pictures do."""

    def agree_within(latents: Tensor) -> Tensor:
        pictures = space.decode(latents) * 2 - 1
        return space.encode(((agree(pictures) + 1) / 2).clamp(0, 1))

    return agree_within
