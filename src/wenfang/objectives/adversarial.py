"""A game of two: what each side of a GAN is trained to do, and what keeps it fair.

With D(x) the discriminator's score, the five games differ in one line for each side:

minimax, non-saturating  real and made are told apart by logistic regression; the generator raises
                         what is lost, or (non-saturating) lowers its own loss (Goodfellow 2014)
least-squares            scores are drawn to 1 and 0 (Mao et al. 2017, arXiv:1611.04076)
hinge                    scores are pushed beyond 1 and -1 (Lim & Ye 2017, arXiv:1705.02894)
wasserstein              the mean scores' distance, for a discriminator held to slope 1 by a
                         penalty (Arjovsky et al. 2017; Gulrajani et al. 2017, arXiv:1704.00028)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.errors import ConfigError
from wenfang.models.gan import GAN, Discriminator, Generator
from wenfang.objectives import Batch, Loss

Game = Literal["minimax", "non-saturating", "least-squares", "hinge", "wasserstein"]


def discriminator_loss(game: Game, real: Tensor, made: Tensor) -> Tensor:
    """What the discriminator lowers, from its scores of real and made pictures."""
    if game in ("minimax", "non-saturating"):
        return functional.softplus(-real).mean() + functional.softplus(made).mean()
    if game == "least-squares":
        return ((real - 1).square().mean() + made.square().mean()) / 2
    if game == "hinge":
        return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()
    return made.mean() - real.mean()


def generator_loss(game: Game, made: Tensor) -> Tensor:
    """What the generator lowers, from the scores of its pictures."""
    if game == "minimax":
        return -functional.softplus(made).mean()
    if game == "non-saturating":
        return functional.softplus(-made).mean()
    if game == "least-squares":
        return (made - 1).square().mean() / 2
    return -made.mean()


@dataclass(frozen=True, kw_only=True)
class Discriminate:
    """The discriminators' side, a mean over all pairs of them and the generators.

    batch["pictures"]  (B, C, S, S) float32 of -1..1; batch["classes"] (B,) int64, optional
    gradient_penalty   weight of (slope - 1)^2 between real and made pictures (Gulrajani et al.)
    r1                 weight of half the squared slope at real ones (Mescheder et al. 2018,
                       arXiv:1801.04406)
    auxiliary          weight of the cross-entropy of real pictures' classes (Odena et al. 2017,
                       arXiv:1610.09585), for discriminators that foretell them
    """

    game: Game = "non-saturating"
    gradient_penalty: float = 0.0
    r1: float = 0.0
    auxiliary: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if min(self.gradient_penalty, self.r1, self.auxiliary) < 0:
            raise ConfigError(
                "objective.gradient_penalty, objective.r1 and objective.auxiliary must be 0 or more"
            )

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of the discriminators on one batch; generators are left alone."""
        assert isinstance(model, GAN)
        real, classes = batch["pictures"], batch.get("classes")
        losses, right = [], []
        for generator in model.generators:
            assert isinstance(generator, Generator)
            latent = torch.randn(len(real), model.config.latent_width, generator=rng)
            with torch.no_grad():
                made = generator(latent, classes)
            for discriminator in model.discriminators:
                assert isinstance(discriminator, Discriminator)
                of_real, unread = _judged(discriminator, real, classes, self.auxiliary)
                of_made = discriminator(made, classes)
                loss = discriminator_loss(self.game, of_real, of_made) + unread
                losses.append(loss + self._penalty(discriminator, real, made, classes, rng))
                middle = (of_real.mean() + of_made.mean()).detach() / 2
                right += [(of_real > middle).float().mean(), (of_made < middle).float().mean()]
        return Loss(
            value=torch.stack(losses).mean(),
            parts={"told_apart_share": float(torch.stack(right).mean())},
        )

    def _penalty(
        self,
        discriminator: Discriminator,
        real: Tensor,
        made: Tensor,
        classes: Tensor | None,
        rng: torch.Generator,
    ) -> Tensor:
        total = real.new_zeros(())
        if self.gradient_penalty:
            share = torch.rand(len(real), 1, 1, 1, generator=rng)
            slope = _slope(discriminator, torch.lerp(real, made, share), classes)
            total = total + self.gradient_penalty * (slope - 1).square().mean()
        if self.r1:
            slope = _slope(discriminator, real, classes)
            total = total + self.r1 / 2 * slope.square().mean()
        return total

    def weight(self, batch: Batch) -> float:
        """Number of pictures."""
        return float(len(batch["pictures"]))


@dataclass(frozen=True, kw_only=True)
class Generate:
    """The generators' side, a mean over all pairs of them and the discriminators.

    auxiliary  weight of the cross-entropy of the classes that made pictures were asked for
    """

    game: Game = "non-saturating"
    auxiliary: float = 0.0

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of the generators; of the batch only its size and classes are read."""
        assert isinstance(model, GAN)
        classes = batch.get("classes")
        losses = []
        for generator in model.generators:
            shape = len(batch["pictures"]), model.config.latent_width
            made = generator(torch.randn(shape, generator=rng), classes)
            for discriminator in model.discriminators:
                assert isinstance(discriminator, Discriminator)
                score, unread = _judged(discriminator, made, classes, self.auxiliary)
                losses.append(generator_loss(self.game, score) + unread)
        return Loss(value=torch.stack(losses).mean())

    def weight(self, batch: Batch) -> float:
        """Number of pictures."""
        return float(len(batch["pictures"]))


def _judged(
    discriminator: Discriminator, pictures: Tensor, classes: Tensor | None, auxiliary: float
) -> tuple[Tensor, Tensor]:
    """Scores (B,), and what it costs that classes cannot be told from the pictures."""
    if not auxiliary or classes is None:
        return discriminator(pictures, classes), pictures.new_zeros(())
    scores, logits = discriminator.with_classes(pictures, classes)
    return scores, auxiliary * functional.cross_entropy(logits, classes)


def _slope(discriminator: Discriminator, at: Tensor, classes: Tensor | None) -> Tensor:
    """Length of the score's gradient at each picture: (B,)."""
    at = at.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(at, classes).sum(), at, create_graph=True)
    # The square root has no gradient at nought, where a fresh discriminator may well be.
    return (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()
