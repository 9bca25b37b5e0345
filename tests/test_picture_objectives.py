"""What makers of pictures learn by: bounds, denoising and games, against values that are known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from wenfang.errors import ConfigError
from wenfang.models import gan, unet, vae
from wenfang.noise import Flow, VariancePreserving
from wenfang.objectives.adversarial import (
    Discriminate,
    Game,
    Generate,
    _slope,
    discriminator_loss,
    generator_loss,
)
from wenfang.objectives.denoising import Denoising
from wenfang.objectives.reconstruction import (
    Elbo,
    bound_by_parts,
    importance_weighted,
    log_weights,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def autoencoder(**changes: object) -> vae.VAE:
    model = vae.VAE(replace(vae.PRESETS["tiny"], **changes))  # type: ignore[arg-type]
    model.initialise(rng())
    return model


def pictures(count: int = 4, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, 8, 8, generator=rng(1)).round()


@pytest.mark.parametrize("latent", ["vector", "map"])
def test_a_posteriors_numbers_are_those_of_a_normal_distribution(latent: str) -> None:
    model = autoencoder(latent=latent)
    found = model.encoder(pictures())
    assert found.mean.shape == (4, *model.config.latent_shape)
    expected = Normal(found.mean, (found.log_variance / 2).exp())
    assert torch.allclose(found.kl(), kl_divergence(expected, Normal(0.0, 1.0)), atol=1e-6)
    latents = found.sample(torch.randn(7, *found.mean.shape, generator=rng()))
    each = expected.log_prob(latents).flatten(2).sum(-1)  # type: ignore[no-untyped-call]
    assert torch.allclose(found.log_prob(latents), each, atol=1e-4)


def test_likelihoods_are_those_of_their_distributions() -> None:
    model, x = autoencoder(), pictures()
    output = torch.randn(3, 4, 1, 8, 8, generator=rng())
    expected = Bernoulli(logits=output).log_prob(x.expand_as(output)).flatten(2).sum(-1)  # type: ignore[no-untyped-call]
    assert torch.allclose(model.log_likelihood(x, output), expected, atol=1e-3)
    other = autoencoder(likelihood="gaussian")
    with torch.no_grad():
        other.log_spread.fill_(-0.7)
    expected = Normal(output, math.exp(-0.7)).log_prob(x).flatten(2).sum(-1)  # type: ignore[no-untyped-call]
    assert torch.allclose(other.log_likelihood(x, output), expected, atol=1e-3)


def test_the_bound_reaches_the_likelihood_of_a_decoder_that_hears_nothing() -> None:
    """Such a decoder's log p(x) is known, however wrong the encoder is."""
    model, x = autoencoder(), pictures()
    with torch.no_grad():
        model.decoder.head.weight.zero_()  # type: ignore[operator]
    known = model.log_likelihood(x, model.decoder(torch.zeros(4, 3)))
    with torch.no_grad():
        found = bound_by_parts(model, x, 4000, rng())
    assert torch.allclose(found.float(), known, atol=0.05)


@torch.no_grad()
def test_more_samples_never_loosen_the_bound() -> None:
    model, x = autoencoder(), pictures()
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng(2)))
    weights = log_weights(model, x, torch.randn(4096, 4, 3, generator=rng()))
    bounds = [
        float((weights.view(-1, k, 4).logsumexp(1) - math.log(k)).mean()) for k in (1, 4, 64, 4096)
    ]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1]


@torch.no_grad()
def test_the_bound_does_not_depend_on_how_many_samples_fit_in_memory() -> None:
    model, x = autoencoder(), pictures()
    whole = importance_weighted(model, x, torch.randn(60, 4, 3, generator=rng()))
    assert torch.allclose(bound_by_parts(model, x, 60, rng(), at_once=60).float(), whole, atol=1e-4)
    parts = bound_by_parts(model, x, 6000, rng(), at_once=7)
    assert torch.allclose(parts, bound_by_parts(model, x, 6000, rng(5)), atol=0.05)


def test_the_elbo_is_the_bound_of_one_sample() -> None:
    model, batch = autoencoder(), {"pictures": pictures(64)}
    losses = [Elbo()(model, batch, rng(seed)).value.item() for seed in range(40)]
    noises = [torch.randn(1, 64, 3, generator=rng(seed)) for seed in range(40)]
    bounds = [-importance_weighted(model, batch["pictures"], n).mean().item() for n in noises]
    assert sum(losses) == pytest.approx(sum(bounds), rel=2e-3)


def test_beta_and_free_nats_change_what_the_divergence_costs() -> None:
    model, batch = autoencoder(), {"pictures": pictures()}
    plain = Elbo()(model, batch, rng())
    free = Elbo(free_nats=5.0)(model, batch, rng())
    twice = Elbo(beta=2.0)(model, batch, rng())
    kl = plain.parts["kl_nats"]
    assert (twice.value - plain.value).item() == pytest.approx(kl, rel=1e-3)
    assert (free.value - plain.value).item() == pytest.approx(15.0 - kl, rel=1e-3)


def test_values_drawn_as_0_or_1_have_the_pictures_mean() -> None:
    seen: list[Tensor] = []

    class Listening(vae.VAE):
        def log_likelihood(self, pictures: Tensor, output: Tensor) -> Tensor:
            seen.append(pictures)
            return super().log_likelihood(pictures, output)

    model = Listening(vae.PRESETS["tiny"])
    model.initialise(rng())
    grey = torch.full((256, 1, 8, 8), 0.3)
    Elbo(binary=True)(model, {"pictures": grey}, rng())
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}  # type: ignore[no-untyped-call]
    assert float(seen[0].mean()) == pytest.approx(0.3, abs=0.02)


def test_times_are_spread_over_the_batch() -> None:
    for times in ("uniform", "logit-normal"):
        objective = Denoising(path=Flow(), times=times)
        t = objective.draw_times(400, rng())
        assert bool((t.diff() > 0).all())
        assert Flow.first <= float(t.min()) < float(t.max()) <= Flow.last
        assert float(t.mean()) == pytest.approx(0.5, abs=0.01)
    uniform = Denoising(path=Flow()).draw_times(400, rng())
    within = (uniform - Flow.first) / (Flow.last - Flow.first) * 400
    assert (within.floor() - torch.arange(400)).abs().max() <= 1


@pytest.mark.parametrize("prediction", ["noise", "data", "velocity"])
def test_min_snr_is_that_of_the_paper(prediction: str) -> None:
    path = VariancePreserving(prediction=prediction)  # type: ignore[arg-type]
    t = torch.linspace(0.05, 0.95, 20)
    snr = path.snr(t)
    least = snr.clamp_max(5.0)
    expected = {"noise": least / snr, "data": least, "velocity": least / (snr + 1)}[prediction]
    found = Denoising(path=path, weighting="min-snr").weight_of(t)
    assert torch.allclose(found, expected, rtol=1e-4)


def test_some_pictures_are_shown_without_their_class() -> None:
    seen: list[Tensor] = []

    class Listening(unet.UNet):
        def forward(self, x: Tensor, clue: Tensor, classes: Tensor | None = None) -> Tensor:
            assert classes is not None
            seen.append(classes)
            return torch.zeros_like(x)

    batch = {"pictures": torch.randn(2000, 3, 8, 8), "classes": torch.arange(2000) % 3}
    objective = Denoising(path=Flow(), drop_condition=0.2, no_class=3)
    loss = objective(Listening(unet.PRESETS["tiny"]), batch, rng())
    assert float((seen[0] == 3).float().mean()) == pytest.approx(0.2, abs=0.03)
    assert bool(((seen[0] == 3) | (seen[0] == batch["classes"])).all())
    # To say nothing costs the variance of what was asked for, e - x.
    assert float(loss.value) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("game", "of_discriminator", "of_generator"),
    [
        ("minimax", 2 * math.log(2), -math.log(2)),
        ("non-saturating", 2 * math.log(2), math.log(2)),
        ("least-squares", 0.5, 0.5),
        ("hinge", 2.0, 0.0),
        ("wasserstein", 0.0, 0.0),
    ],
)
def test_games_at_their_start_are_worth_what_their_papers_say(
    game: Game, of_discriminator: float, of_generator: float
) -> None:
    nought = torch.zeros(5)
    assert float(discriminator_loss(game, nought, nought)) == pytest.approx(of_discriminator)
    assert float(generator_loss(game, nought)) == pytest.approx(of_generator)


@pytest.mark.parametrize("game", get_args(Game))
def test_each_side_gains_by_what_the_other_loses(game: Game) -> None:
    real, made = torch.tensor([0.3]), torch.tensor([0.2], requires_grad=True)
    (down,) = torch.autograd.grad(discriminator_loss(game, real, made), made)
    (up,) = torch.autograd.grad(generator_loss(game, made), made)
    assert float(down) > 0 > float(up)


def test_a_slope_of_one_is_no_penalty() -> None:
    direction = torch.randn(1, 8, 8, generator=rng())
    direction /= direction.norm()

    def linear(at: Tensor, classes: Tensor | None) -> Tensor:
        return 3 * (at * direction).sum((1, 2, 3))

    slope = _slope(linear, torch.randn(5, 1, 8, 8), None)  # type: ignore[arg-type]
    assert slope.tolist() == pytest.approx([3.0] * 5)


@pytest.mark.parametrize("game", get_args(Game))
@pytest.mark.parametrize("kind", list(gan.GENERATORS))
def test_every_side_moves_its_own_nets_and_all_of_them(game: Game, kind: gan.Kind) -> None:
    config = replace(gan.PRESETS["tiny"], generator=kind, generators=2, discriminators=2)
    model = gan.GAN(config)
    model.initialise(rng())
    batch = {"pictures": torch.randn(6, 1, 8, 8).tanh(), "classes": torch.arange(6) % 3}
    loss = Discriminate(game=game, gradient_penalty=10.0, r1=1.0)(model, batch, rng(1))
    loss.value.backward()  # type: ignore[no-untyped-call]
    assert 0 <= loss.parts["told_apart_share"] <= 1
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.startswith("discriminators"), name
    model.zero_grad()
    Generate(game=game)(model, batch, rng(1)).value.backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name


def test_a_discriminator_that_foretells_classes_teaches_them() -> None:
    config = replace(gan.PRESETS["tiny"], auxiliary=True)
    model = gan.GAN(config)
    model.initialise(rng())
    batch = {"pictures": torch.randn(6, 1, 8, 8).tanh(), "classes": torch.arange(6) % 3}
    sides = Discriminate, Generate
    for side in sides:
        plain, with_classes = (
            float(side(auxiliary=weight)(model, batch, rng(1)).value.detach())
            for weight in (0.0, 2.0)
        )
        # Its head knows nothing yet, so each class is about as likely as the other two.
        assert with_classes - plain == pytest.approx(2 * math.log(3), rel=0.5)
    model.zero_grad()
    Generate(auxiliary=1.0)(model, batch, rng(1)).value.backward()  # type: ignore[no-untyped-call]
    assert model.discriminators[0].told.weight.grad is not None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Elbo(beta=-1.0), "beta"),
        (lambda: Elbo(samples=0), "samples"),
        (lambda: Elbo(samples=5, beta=2.0), "bound by itself"),
        (lambda: Denoising(path=Flow(), drop_condition=1.0), "drop_condition"),
        (lambda: Denoising(path=Flow(), snr_most=0.0), "snr_most"),
        (lambda: Discriminate(r1=-1.0), "r1"),
        (lambda: Discriminate(auxiliary=-1.0), "auxiliary"),
        (lambda: gan.Config(auxiliary=True), "classes"),
        (lambda: vae.Config(side_px=30), "side_px"),
        (lambda: vae.Config(groups=7), "groups"),
        (lambda: gan.Config(side_px=30), "side_px"),
        (lambda: gan.Config(channels=()), "channels"),
        (lambda: unet.Config(attention=(True,)), "attention"),
        (lambda: unet.Config(head_width=7), "head_width"),
        (
            lambda: unet.UNet(unet.PRESETS["tiny"])(torch.zeros(1, 3, 9, 8), torch.zeros(1)),
            "multiple of",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(made: object, words: str) -> None:
    assert callable(made)
    with pytest.raises(ConfigError, match=words):
        made()


def test_the_likelihoods_of_values_are_densities() -> None:
    """Over all values of one pixel they sum to 1."""
    at = torch.linspace(-20, 20, 8001)[:, None, None, None]
    for kind in ("gaussian", "laplace"):
        config = replace(vae.PRESETS["tiny"], likelihood=kind, latent="map")
        model = vae.VAE(config)
        with torch.no_grad():
            model.log_spread.fill_(0.4)
            told = model.log_likelihood(at, torch.full((1, 1, 1, 1), 0.3)).exp()
        assert float(told.sum() * (at[1] - at[0])) == pytest.approx(1, abs=1e-3)
