"""What a denoiser is told: words and classes, silence, and guidance between the two."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from wenfang.errors import ConfigError
from wenfang.models import dit, unet
from wenfang.models.denoiser import Denoiser, Told, ask
from wenfang.noise import Flow
from wenfang.objectives.denoising import Denoising
from wenfang.samplers.pictures import denoiser


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def awake(kind: str) -> Denoiser:
    model: Denoiser = dit.DiT(dit.PRESETS["tiny"])
    if kind == "unet":
        model = unet.UNet(replace(unet.PRESETS["tiny"], classes=3))
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0 if weight.ndim > 1 else 1.0, 0.3, generator=draw)
    return model.eval()


def told(kind: str, count: int = 4) -> Told:
    words = normal(count, 5, 6) if kind == "dit" else None
    return Told(classes=torch.arange(count) % 3, words=words)


@pytest.mark.parametrize("kind", ["unet", "dit"])
@torch.no_grad()
def test_what_is_said_changes_the_answer_and_silence_is_one(kind: str) -> None:
    model, x, clue = awake(kind), normal(4, 3, 8, 8), torch.zeros(4)
    said = told(kind)
    every = torch.ones(4, dtype=torch.bool)
    spoken, silent = ask(model, x, clue, said), ask(model, x, clue, said.silent(every, 3))
    assert (spoken - silent).abs().max() > 1e-3
    assert torch.allclose(silent, ask(model, x, clue, Told()), atol=1e-5)
    half = ask(model, x, clue, said.silent(torch.tensor([True, False, False, True]), 3))
    assert torch.allclose(half[[0, 3]], silent[[0, 3]], atol=1e-5)
    assert torch.allclose(half[1:3], spoken[1:3], atol=1e-5)


@torch.no_grad()
def test_words_that_are_masked_are_not_read() -> None:
    model, x, clue = awake("dit"), normal(2, 3, 8, 8), torch.zeros(2)
    words = normal(2, 5, 6)
    mask = torch.tensor([[True, True, False, False, False]] * 2)
    other = words.clone()
    other[:, 2:] += 3
    one, two = (ask(model, x, clue, Told(words=w, mask=mask)) for w in (words, other))
    assert torch.equal(one, two)
    assert torch.allclose(one, ask(model, x, clue, Told(words=words[:, :2])), atol=1e-5)


@torch.no_grad()
def test_the_first_word_tells_the_whole_text_beside_the_time() -> None:
    model, x, clue = awake("dit"), normal(1, 3, 8, 8), torch.zeros(1)
    assert isinstance(model, dit.DiT)
    model.read_words.weight.zero_()  # nothing is left to read by attention
    words = normal(1, 5, 6)
    whole, rest = words.clone(), words.clone()
    whole[:, 0] += 3
    rest[:, 1:] += 3
    said, moved, still = (ask(model, x, clue, Told(words=one)) for one in (words, whole, rest))
    assert (said - moved).abs().max() > 1e-3
    assert torch.equal(said, still)


@pytest.mark.parametrize("kind", ["unet", "dit"])
@torch.no_grad()
def test_guidance_goes_from_silence_through_what_is_said(kind: str) -> None:
    model, x, t, path = awake(kind), normal(4, 3, 8, 8), torch.tensor(0.5), Flow()
    said = told(kind)
    none, one, three = (denoiser(model, path, said, guidance)(x, t) for guidance in (0.0, 1.0, 3.0))
    assert torch.allclose(none, denoiser(model, path)(x, t), atol=1e-4)
    assert torch.allclose(three, none + 3 * (one - none), atol=1e-3)


def test_words_are_left_out_of_some_pictures_in_training() -> None:
    model = awake("dit")
    objective = Denoising(path=Flow(), no_class=3, drop_condition=0.5)
    batch = {"pictures": normal(64, 3, 8, 8), "words": normal(64, 5, 6)}
    said = objective._said(batch, torch.Generator().manual_seed(0))
    assert said.mask is not None
    assert 16 < int(said.mask[:, 0].sum()) < 48
    assert torch.equal(said.mask, said.mask[:, :1].expand(-1, 5))
    loss = objective(model, batch, torch.Generator().manual_seed(0))
    assert loss.value.isfinite()


@torch.no_grad()
def test_a_shift_asks_more_often_where_there_is_more_noise() -> None:
    path = Flow()
    plain, moved = (
        Denoising(path=path, times="logit-normal", shift=shift).draw_times(
            400, torch.Generator().manual_seed(0)
        )
        for shift in (1.0, 3.0)
    )
    assert (moved > plain).all()
    assert moved.median() == pytest.approx(0.75, abs=0.01)
    assert path.first <= moved.min() < moved.max() <= path.last
    assert path.snr(moved.median()) < path.snr(plain.median())
    with pytest.raises(ConfigError, match=r"objective\.shift"):
        Denoising(path=path, shift=0.0)


def test_places_are_told_in_another_size_too() -> None:
    model = awake("dit")
    assert model(normal(2, 3, 12, 8), torch.zeros(2)).shape == (2, 3, 12, 8)
    with pytest.raises(ConfigError, match="multiple of 2"):
        model(normal(2, 3, 9, 8), torch.zeros(2))
    with pytest.raises(ConfigError, match="multiple of 4"):
        dit.Config(width=30)


def sketching() -> dit.DiT:
    model = dit.DiT(dit.PRESETS["sketching"])
    model.initialise(torch.Generator().manual_seed(1))
    return model


@torch.no_grad()
def test_a_sketch_is_told_place_by_place_and_silence_has_none() -> None:
    model, x, clue = sketching(), normal(2, 3, 4, 4), torch.zeros(2)
    words, mask = normal(2, 5, 6), torch.tensor([[True] * 5, [False] * 5])
    assert model.sketched(None, None) is None
    drawn = model.sketched(words, mask)
    assert drawn is not None
    assert drawn.shape == (2, 3, 4, 4)
    assert not drawn.any()  # its last layer begins at nothing
    for weight in model.parameters():
        weight.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(len(weight)))
    drawn = model.sketched(words, mask)
    assert drawn is not None
    assert drawn[0].any()
    assert not drawn[1].any()
    silent = ask(model, x, clue, Told())
    spoken = ask(model, x, clue, Told(words=words, mask=mask))
    assert (spoken[0] - silent[0]).abs().max() > 1e-3
    assert torch.allclose(spoken[1], silent[1], atol=1e-5)
    wide = ask(model, normal(2, 3, 8, 12), clue, Told(words=words, mask=mask))
    assert wide.shape == (2, 3, 8, 12)  # sketches are stretched to other sizes


def test_a_sketch_learns_the_mean_of_what_words_name() -> None:
    model = sketching()
    objective = Denoising(path=Flow(), drop_condition=0.5, sketch_only=True)
    pictures = torch.stack((torch.ones(3, 4, 4), -torch.ones(3, 4, 4)))
    batch = {"pictures": pictures, "words": normal(2, 3, 6), "mask": torch.ones(2, 3).bool()}
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for step in range(200):
        loss = objective(model, batch, torch.Generator().manual_seed(step))
        losses.append(loss.parts["sketch_error"])
        optimiser.zero_grad()
        loss.value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert losses[0] == pytest.approx(1.0, abs=1e-4)
    assert losses[-1] < 0.05
