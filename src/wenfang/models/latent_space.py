"""Pictures as latents of an autoencoder, each channel about 0 and of deviation 1 at most."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wenfang.models.vae import VAE

ROWS = 64
LEAST_DEVIATION = 0.7  # of that of all channels together


@dataclass(frozen=True, kw_only=True)
class Scales:
    """Mean of each channel of a latent map over pictures that were learnt from, and its deviation,
    which for channels that hardly vary is told as larger than it is.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LatentSpace:
    """Where a denoiser works in place of pixels (Rombach et al. 2022, arXiv:2112.10752)."""

    vae: VAE
    scales: Scales

    @property
    def shape(self) -> tuple[int, ...]:
        """(Z, h, w) of one picture's latent."""
        return self.vae.config.latent_shape

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """(B, C, S, S) of 0..1 -> (B, Z, h, w), the likeliest latents."""
        means, deviations = self._scales()
        found = [self.vae.encoder(part).mean for part in torch.split(pictures, ROWS)]
        return (torch.cat(found) - means) / deviations

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """(B, Z, h, w) -> (B, C, S, S) of about 0..1."""
        means, deviations = self._scales()
        return self.vae.mean(self.vae.decoder(latents * deviations + means))

    def _scales(self) -> tuple[Tensor, Tensor]:
        means, deviations = (
            torch.tensor(one)[None, :, None, None]
            for one in (self.scales.means, self.scales.deviations)
        )
        return means, deviations


@torch.no_grad()
def scales_of(vae: VAE, pictures: Tensor) -> Scales:
    """Of the latents of pictures (N, C, S, S) of 0..1."""
    latents = torch.cat([vae.encoder(part).mean for part in torch.split(pictures, ROWS)]).double()
    dims = (0, 2, 3)
    deviations = latents.std(dims)
    # Brought to 1, what hardly varies would be as much to learn as what tells a picture.
    least = LEAST_DEVIATION * float(deviations.square().mean().sqrt())
    deviations = deviations.clamp_min(max(least, 1e-3))
    return Scales(
        means=tuple(round(value, 5) for value in latents.mean(dims).tolist()),
        deviations=tuple(round(value, 5) for value in deviations.tolist()),
    )
