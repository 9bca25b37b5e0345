"""The evidence lower bound: pictures told by a latent, and what the latent costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wenfang.errors import ConfigError
from wenfang.models.vae import VAE
from wenfang.objectives import Batch, Loss


@dataclass(frozen=True, kw_only=True)
class Elbo:
    """Mean nats a picture that an autoencoder falls short by (Kingma & Welling 2014).

    batch["pictures"]  (B, C, S, S) float32, of 0..1
    beta       what the divergence counts (Higgins et al. 2017)
    free_nats  each latent number's divergence, averaged over the batch, costs nothing below this
               (Kingma et al. 2016, arXiv:1606.04934), so that all of them are used
    samples    K above 1: the importance-weighted bound in place of the ELBO (Burda et al. 2016,
               arXiv:1509.00519), which allows neither of the former two
    binary     values are drawn anew as 0 or 1 each time that a picture is seen
    decoder_only  the encoder stays as it is, for what draws in its latents already
    """

    beta: float = 1.0
    free_nats: float = 0.0
    samples: int = 1
    binary: bool = False
    decoder_only: bool = False

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.beta < 0 or self.free_nats < 0:
            raise ConfigError("objective.beta and objective.free_nats must be 0 or more")
        if self.samples < 1:
            raise ConfigError(
                "objective.samples is {value}; it must be at least 1", value=self.samples
            )
        if self.samples > 1 and self.decoder_only:
            raise ConfigError("objective.decoder_only is of the plain bound; leave samples at 1")
        if self.samples > 1 and (self.beta != 1 or self.free_nats):
            raise ConfigError(
                "objective.samples above 1 is a bound by itself; leave objective.beta at 1 and "
                "objective.free_nats at 0"
            )

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of an autoencoder on one batch."""
        assert isinstance(model, VAE)
        pictures = batch["pictures"]
        if self.binary:
            pictures = torch.bernoulli(pictures, generator=rng)
        if self.samples > 1:
            shape = (self.samples, len(pictures), *model.config.latent_shape)
            bound = importance_weighted(model, pictures, torch.randn(shape, generator=rng))
            return Loss(value=-bound.mean())
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.decoder_only):
            posterior = model.encoder(pictures)
        noise = torch.randn(posterior.mean.shape, generator=rng)
        told = model.log_likelihood(pictures, model.decoder(posterior.sample(noise))).mean()
        kl = posterior.kl().mean(0)
        paid = kl.clamp_min(self.free_nats).sum() if self.free_nats else kl.sum()
        parts = {
            "reconstruction_nats": -float(told.detach()),
            "kl_nats": float(kl.detach().sum()),
        }
        return Loss(value=self.beta * paid - told, parts=parts)

    def weight(self, batch: Batch) -> float:
        """Number of pictures."""
        return float(len(batch["pictures"]))


def importance_weighted(model: VAE, pictures: Tensor, noise: Tensor) -> Tensor:
    """log of the mean of K importance weights, in nats, of each picture: never above log p(x).

    pictures (B, C, S, S), noise (K, B, *latent) standard normal -> (B,)
    """
    weights = log_weights(model, pictures, noise)
    return weights.logsumexp(0) - math.log(len(noise))


def log_weights(model: VAE, pictures: Tensor, noise: Tensor) -> Tensor:
    """log p(x, z) - log q(z | x) of K latents: (B, C, S, S), (K, B, *latent) -> (K, B)."""
    posterior = model.encoder(pictures)
    latent = posterior.sample(noise)
    output = model.decoder(latent.flatten(0, 1)).unflatten(0, noise.shape[:2])
    squares = latent.flatten(2).square() + math.log(2 * math.pi)
    prior = -squares.sum(-1) / 2
    weights: Tensor = model.log_likelihood(pictures, output) + prior - posterior.log_prob(latent)
    return weights


@torch.no_grad()
def bound_by_parts(
    model: VAE, pictures: Tensor, count: int, rng: torch.Generator, at_once: int = 64
) -> Tensor:
    """`importance_weighted` of `count` samples, `at_once` of them in memory: (B,) float64."""
    total = torch.full((len(pictures),), -math.inf, dtype=torch.float64)
    for start in range(0, count, at_once):
        shape = (min(at_once, count - start), len(pictures), *model.config.latent_shape)
        found = log_weights(model, pictures, torch.randn(shape, generator=rng)).double()
        total = torch.logaddexp(total, found.logsumexp(0))
    return total - math.log(count)
