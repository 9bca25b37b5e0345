"""Pictures that begin with others: coloured, refined, freed of grain, framed, and on the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import wenfang as wf
from tiny_latents import shapes, tiny, trained
from wenfang.backends.painter import Painter, PaintOptions, Toward
from wenfang.backends.starting import Start
from wenfang.data.dataset import Dataset
from wenfang.data.pixels import Pixels
from wenfang.errors import BriefError, ConfigError
from wenfang.models import dit
from wenfang.models.load import load
from wenfang.noise import PATHS
from wenfang.samplers.denoise import Denoising, denoise
from wenfang.samplers.restoring import (
    light_of,
    noise_of,
    same_from_afar,
    same_light,
    time_of_noise,
)

FEW = PaintOptions(denoising=Denoising(steps=2))
SETTINGS: dict[str, Any] = {"paint": {"denoising": {"steps": 2}}}


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the autoencoder and both drawers, in latents and in pixels."""
    folder = tmp_path_factory.mktemp("restoring")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WENFANG_HOME", str(folder / "home"))
        data = shapes(folder)
        shelf = folder / "home" / "bundles"
        found = trained(tiny("pictogram-latents"), data, folder / "vae")
        shutil.copytree(found, shelf / "pictogram-latents")
        wanted = tiny("emblem")
        assert isinstance(wanted.model, dit.Config)
        shutil.copytree(trained(wanted, data, folder / "latents"), shelf / "latents")
        plain = replace(
            wanted,
            data=replace(wanted.data, latents=""),
            model=replace(wanted.model, in_channels=4, out_channels=4, patch=2),
        )
        shutil.copytree(trained(plain, data, folder / "pixels"), shelf / "pixels")
        yield folder


@pytest.fixture
def shelf(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    return place / "home" / "bundles"


def test_the_same_light_leaves_colours_free() -> None:
    own, data = values(1, 4, 5, 5), values(3, 4, 5, 5, seed=1)
    agree = same_light(own)
    found = agree(data)
    assert torch.allclose(light_of(found), light_of(own).expand(3, -1, -1, -1), atol=1e-6)
    assert torch.equal(found[:, 3:], own[:, 3:].expand(3, -1, -1, -1))
    assert torch.allclose(agree(found), found, atol=1e-6)
    assert not torch.allclose(found[0, :3], own[0, :3])


def test_the_same_from_afar_leaves_details_free() -> None:
    own, data = values(1, 3, 8, 8), values(2, 3, 8, 8, seed=1)
    found = same_from_afar(own, 4)(data)
    pooled = [torch.nn.functional.avg_pool2d(one, 4) for one in (found, own)]
    assert torch.allclose(pooled[0], pooled[1].expand(2, -1, -1, -1), atol=1e-6)
    afar = torch.nn.functional.avg_pool2d(data, 4)
    detail, own_detail = (
        one - mean.repeat_interleave(4, 2).repeat_interleave(4, 3)
        for one, mean in ((data, afar), (found, pooled[0]))
    )
    assert torch.allclose(detail, own_detail, atol=1e-6)


@pytest.mark.parametrize("deviation", [0.05, 0.2])
def test_grain_is_estimated_upon_slopes(deviation: float) -> None:
    slope = torch.linspace(-0.5, 0.5, 64).expand(1, 64, 64)
    grain = torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0)) * deviation
    assert noise_of(slope + grain) == pytest.approx(deviation, rel=0.05)
    assert noise_of(slope) < 1e-6


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_a_time_is_found_for_any_grain(kind: str) -> None:
    path = PATHS[kind]()
    for deviation in (0.1, 0.7):
        t = torch.tensor([path.last * time_of_noise(path, deviation)])
        assert float(path.sigma(t) / path.alpha(t)) == pytest.approx(deviation, rel=1e-3)


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_grain_is_taken_away_as_the_posterior_would(kind: str) -> None:
    """Data of deviation 1 with as much grain: the flow brings it back to deviation 1."""
    path = PATHS[kind]()
    clean = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    noisy = clean + torch.randn(4000, 1, generator=torch.Generator().manual_seed(1))

    def predict(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = path.alpha(t[None]), path.sigma(t[None])
        return x * alpha / (alpha**2 + sigma**2)

    found = denoise(
        predict,
        torch.zeros_like(noisy),
        path,
        Denoising(solver="heun", steps=40),
        begin=time_of_noise(path, 1.0),
        start=noisy,
    )
    assert float(found.std()) == pytest.approx(1, abs=0.03)
    assert float((found - clean).square().mean()) < 0.62 < float((noisy - clean).square().mean())


@pytest.mark.parametrize("name", ["latents", "pixels"])
def test_a_picture_is_coloured_in_its_own_light(shelf: Path, name: str) -> None:
    painter = Painter(load(shelf / name))
    grey = values(1, 1, 8, 8).expand(1, 3, 8, 8) * 0.5
    own = torch.cat((grey, torch.ones(1, 1, 8, 8)), dim=1)
    start = Start(picture=own, task="colourise")
    drawn = painter.paint(["ring"] * 2, [(0, "x"), (1, "x")], FEW, start=start)
    seen = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1
    # Colours beyond what a pixel can hold are cut off, which moves some light.
    off = (light_of(seen) - light_of(own)).abs()
    assert float(off.median()) < 0.02
    assert drawn[..., 3].min() == 255
    assert not np.array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize("name", ["latents", "pixels"])
def test_a_picture_is_refined_and_looks_the_same_from_afar(shelf: Path, name: str) -> None:
    painter = Painter(load(shelf / name))
    small = values(1, 4, 4, 4) * 0.4
    own = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    start = Start(picture=own, task="superresolve", square_px=2)
    drawn = painter.paint([None], [(0, "x")], FEW, start=start)
    seen = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1
    afar = torch.nn.functional.avg_pool2d(seen, 2)
    assert float((afar - small).abs().median()) < 0.02
    assert float((seen - own).abs().mean()) > 0.01


def test_the_way_to_another_seed_begins_and_ends_with_pictures_of_their_own(shelf: Path) -> None:
    model = wf.load(str(shelf / "latents"))
    way = model.generate_many("ring", seeds=(3, 3, 3), to_seed=9, **SETTINGS)
    ends = [model.generate("ring", seed=seed, **SETTINGS) for seed in (3, 9)]
    for one, end in zip((way[0], way[2]), ends, strict=True):
        off = np.abs(np.asarray(one.image, int) - np.asarray(end.image, int))
        assert off.max() <= 2
    assert not np.array_equal(np.asarray(way[1].image), np.asarray(way[0].image))
    for one in way:  # each can be made again alone, by what its manifest tells
        facts = one.manifest.facts
        again = model.generate("ring", seed=int(facts["seed"]), **facts["settings"])
        off = np.abs(np.asarray(again.image, int) - np.asarray(one.image, int))
        assert off.max() <= 2
    painter = Painter(load(shelf / "pixels"))
    middle = painter.paint(["ring"], [(3, "x")], FEW, toward=Toward(stream=(9, "x"), shares=[0.5]))
    assert middle.shape == (1, 8, 8, 4)


def test_guidance_leads_away_from_what_is_avoided(shelf: Path) -> None:
    painter = Painter(load(shelf / "latents"))
    asked, streams = ["ring"], [(0, "x")]
    plain = painter.paint(asked, streams, FEW)
    away = painter.paint(asked, streams, replace(FEW, avoid="a line that goes down"))
    assert not np.array_equal(plain, away)
    with pytest.raises(BriefError, match="reads English and Chinese"):
        painter.paint(asked, streams, replace(FEW, avoid="кошка"))


def test_a_picture_is_painted_on_around(shelf: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.new("RGBA", (40, 40), (200, 40, 40, 255)).save(path)
    for name in ("latents", "pixels"):
        made = wf.load(str(shelf / name)).generate(
            "ring", start=str(path), margin=0.25, side_px=8, **SETTINGS
        )
        inner = np.asarray(made.image)[2:6, 2:6]
        assert np.abs(inner.astype(int) - [200, 40, 40, 255]).max() <= 2


def test_grain_is_taken_from_pixels_alone(shelf: Path, tmp_path: Path) -> None:
    grain = np.random.default_rng(0).normal(128, 30, (8, 8, 4)).clip(0, 255).astype(np.uint8)
    grain[..., 3] = 255
    path = tmp_path / "grainy.png"
    Image.fromarray(grain).save(path)
    model = wf.load(str(shelf / "pixels"))
    for noise in (0, 30):
        made = model.generate(start=str(path), task="denoise", noise=noise, **SETTINGS)
        assert made.manifest.facts["start_sha256"]
    with pytest.raises(BriefError, match="takes no grain away"):
        wf.load(str(shelf / "latents")).generate(start=str(path), task="denoise", **SETTINGS)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"task": "colourise"}, "settings.task colourise is done with"),
        ({"task": "superresolve", "start": "x", "margin": 0.1}, "neither mask nor margin"),
        ({"margin": 0.1}, "settings.margin is of a picture"),
        ({"start": "x", "margin": 0.7}, "must be 0 to 0.4"),
        ({"times": 1}, "settings.times must be 2 or more"),
        ({"enlarged": "drawn"}, "names no upscaler"),
    ],
)
def test_what_does_not_go_together_is_refused(
    shelf: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        wf.load(str(shelf / "latents")).generate("ring", **settings)


def test_a_size_that_does_not_fit_is_refused(shelf: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("RGB", (9, 9)).save(path)
    with pytest.raises(BriefError, match="which 3 does not divide"):
        wf.load(str(shelf / "pixels")).generate(start=str(path), task="superresolve", times=3)


def test_pixels_of_a_start_are_read_as_they_are_stored(place: Path) -> None:
    record = next(iter(Dataset.open(place / "set").records("train")))
    assert Pixels.read([record], 4).values.shape == (1, 4, 8, 8)
