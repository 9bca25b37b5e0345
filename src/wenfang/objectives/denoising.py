"""Denoising: what a path asks a network for, at a time drawn for each picture (diffusion, flow)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wenfang.errors import ConfigError
from wenfang.models.denoiser import Denoiser, Told, ask
from wenfang.models.dit import DiT
from wenfang.models.unet import UNet
from wenfang.noise import Path
from wenfang.objectives import Batch, Loss

Weighting = Literal["even", "min-snr"]
Times = Literal["uniform", "logit-normal"]


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """Mean squared error of the network's output.

    batch["pictures"]  (B, C, H, W) float32; optional: batch["classes"] (B,) int64, batch["words"]
                  (B, L, E) float32 with batch["mask"] (B, L) bool
    path          also the sampler's
    times         "uniform", or "logit-normal", which asks more often in the middle (Esser et al.
                  2024, arXiv:2403.03206). They are spread evenly over a batch: picture i of B has
                  its time in the i-th of B equal parts, so that the loss varies less
    shift         moves times towards noise, where only what is said tells what is drawn: a place p
                  of the path becomes s p / (1 + (s - 1) p) (Esser et al. 2024, eq. 23)
    weighting     "even" for all times; "min-snr" lets the error of the data count by the lesser of
                  its signal-to-noise ratio and `snr_most` (Hang et al. 2023, arXiv:2303.09556)
    no_class      the id that says "no class"
    drop_condition  share of the pictures of which nothing is said
    sketch_only     only what a model sketches from words is learnt, by its mean squared error,
                  which takes a thousandth of the time
    """

    path: Path
    times: Times = "uniform"
    shift: float = 1.0
    weighting: Weighting = "even"
    snr_most: float = 5.0
    no_class: int = 0
    drop_condition: float = 0.0
    sketch_only: bool = False

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 <= self.drop_condition < 1:
            raise ConfigError(
                "objective.drop_condition is {value}; it must be at least 0 and below 1",
                value=self.drop_condition,
            )
        if self.shift <= 0:
            raise ConfigError("objective.shift is {value}; it must be above 0", value=self.shift)
        if self.snr_most <= 0:
            raise ConfigError(
                "objective.snr_most is {value}; it must be above 0", value=self.snr_most
            )

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of a denoiser on one batch."""
        assert isinstance(model, UNet | DiT)
        pictures = batch["pictures"]
        if self.sketch_only:
            return self._sketch(model, batch)
        t = self.draw_times(len(pictures), rng)
        noise = torch.randn(pictures.shape, generator=rng)
        told = self._said(batch, rng)
        error = self.errors(model, pictures, noise, t, told)
        weighted = (error * self.weight_of(t)).mean()
        return Loss(value=weighted, parts={"error": float(error.detach().mean())})

    def _sketch(self, model: nn.Module, batch: Batch) -> Loss:
        words, mask = batch.get("words"), batch.get("mask")
        sketch = model.sketched(words, mask) if isinstance(model, DiT) else None
        if sketch is None:
            raise ConfigError(
                "objective.denoising.sketch_only asks for a model that sketches from words; set "
                "model.sketch_width and data.words, or leave it out"
            )
        off = (sketch - batch["pictures"]).square().mean()
        return Loss(value=off, parts={"sketch_error": float(off.detach())})

    def errors(
        self, model: Denoiser, pictures: Tensor, noise: Tensor, t: Tensor, told: Told
    ) -> Tensor:
        """Mean squared error of each picture's output: (B,)."""
        noisy = self.path.add_noise(pictures, noise, t)
        output = ask(model, self.path.scaled(noisy, t), self.path.clue(t), told)
        off: Tensor = output - self.path.target(pictures, noise, t)
        return off.square().mean((1, 2, 3))

    def draw_times(self, count: int, rng: torch.Generator) -> Tensor:
        """(B,) times, one in each of `count` equally likely parts."""
        places = (torch.arange(count) + torch.rand(count, generator=rng)) / count
        if self.times == "logit-normal":
            # Quantiles of a normal distribution, squeezed into 0..1.
            normal = torch.erfinv((2 * places - 1).clamp(-1 + 1e-6, 1 - 1e-6)) * math.sqrt(2)
            places = normal.sigmoid()
        places = self.shift * places / (1 + (self.shift - 1) * places)
        first, last = self.path.first, self.path.last
        return first + (last - first) * places

    def weight_of(self, t: Tensor) -> Tensor:
        """(B,) what a picture's error counts."""
        if self.weighting == "even":
            return torch.ones_like(t)
        return self.path.snr(t).clamp_max(self.snr_most) * self.path.data_weight(t)

    def _said(self, batch: Batch, rng: torch.Generator) -> Told:
        told = Told(classes=batch.get("classes"), words=batch.get("words"), mask=batch.get("mask"))
        if not self.drop_condition:
            return told
        dropped = torch.rand(len(batch["pictures"]), generator=rng) < self.drop_condition
        return told.silent(dropped, self.no_class)

    def weight(self, batch: Batch) -> float:
        """Number of pictures."""
        return float(len(batch["pictures"]))
