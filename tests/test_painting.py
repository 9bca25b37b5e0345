"""Makers of pictures from a recipe to a labelled file: trained tiny, drawn, saved, replayed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wenfang as wf
from conftest import Call
from tiny_pictures import NAMES, SIDE_PX, dataset, recipe
from wenfang import device
from wenfang.atomic import write_json
from wenfang.backends.painter import Painter, PaintOptions
from wenfang.backends.shelf import find_bundle
from wenfang.data.dataset import Dataset
from wenfang.device import set_threads
from wenfang.engine.asset import Maker
from wenfang.errors import BriefError, BundleError, ConfigError, MediaError
from wenfang.models.load import load
from wenfang.recipes import painting_suite
from wenfang.recipes.learn_pictures import watch_game
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import TrainRequest, train
from wenfang.samplers.denoise import Denoising

MAKERS = ("digits-vae", "digits-gan", "digits-diffusion")
FEW: dict[str, Any] = {"paint": {"denoising": {"steps": 2}}}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset(tmp_path_factory.mktemp("shapes") / "set")


@pytest.fixture(scope="module")
def bundles(shapes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: trained(recipe(name, steps=30), shapes, folder / name)
        for name in (*MAKERS, "digit-reader")
    }


def trained(wanted: Recipe, data: Dataset, run: Path, *, measured: bool = False) -> Path:
    path = run.with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, wanted.to_dict())
    return train(TrainRequest(recipe=str(path), run=run, data=data.folder, measured=measured))


def model(bundles: dict[str, Path], name: str) -> Maker:
    return wf.load(str(bundles[name]))


@pytest.mark.parametrize(("name", "prompt"), [("emblem", "red apple"), ("digits-diffusion", "7")])
def test_pictures_are_the_same_on_any_number_of_cores(
    name: str, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Painter(load(find_bundle(name)))
    options = PaintOptions(denoising=Denoising(steps=2))
    asked, streams = [painter.asked(prompt)] * 8, [(seed, "test") for seed in range(8)]
    monkeypatch.setattr(device, "SHARED_FLOPS", 1)
    found, threads = [], []
    for idle in (0, 1, 3):
        monkeypatch.setattr(device, "idle_cores", lambda idle=idle: idle)
        set_threads(1)
        seen: set[int] = set()
        forward = type(painter.model).forward

        def counted(*given: Any, seen: set[int] = seen, forward: Any = forward) -> torch.Tensor:
            seen.add(torch.get_num_threads())
            return forward(*given)  # type: ignore[no-any-return]

        with monkeypatch.context() as patch:
            patch.setattr(type(painter.model), "forward", counted)
            found.append(painter.paint(asked, streams, options))
        threads.append(seen)
        assert torch.get_num_threads() == 1
    assert threads == ([{1}, {2}, {4}] if device.wastes_vector_units() else [{1}] * 3)
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("name", MAKERS)
def test_a_picture_is_the_same_alone_and_among_others(bundles: dict[str, Path], name: str) -> None:
    painter = Painter(load(bundles[name]))
    options = PaintOptions(denoising=Denoising(steps=2))
    streams = [(seed, "test") for seed in range(3)]
    together = painter.paint([None] * 3, streams, options)
    assert together.shape == (3, SIDE_PX, SIDE_PX, 1)
    alone = painter.paint([None], streams[1:2], options)
    # Sums of a convolution may be taken in another order, so one step of 255 is allowed.
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize("name", MAKERS)
def test_a_picture_is_published_in_every_format_and_made_again(
    bundles: dict[str, Path], name: str, tmp_path: Path, home: Path
) -> None:
    prompt = "" if name == "digits-vae" else "ring"
    made = model(bundles, name).generate(prompt, seed=5, **FEW)
    assert made.image.size == (256, 256)
    for suffix in (".png", ".jpg", ".webp"):
        sealed = made.save(tmp_path / f"x{suffix}")
        with Image.open(sealed.path) as image:
            assert image.width == 256
        assert wf.verify(sealed.path)[0].exit_code == 0
    replayed = wf.replay(tmp_path / "x.png", model=str(bundles[name]))
    assert [one.outcome for one in replayed] == ["identical"]


def test_several_pictures_upon_one_sheet_are_made_again(
    bundles: dict[str, Path], call: Call, home: Path
) -> None:
    bundle = bundles["digits-gan"]
    told = call("generate", bundle, "down", "-n", 5, "--seed", 2, "-o", "sheet.png", "--json").json
    assert told["files"] == ["sheet.png"]
    assert told["generated"][0]["width_px"] == 3 * 256 + 4 * 8
    assert told["generated"][0]["height_px"] == 2 * 256 + 3 * 8 + 160
    assert call("verify", "sheet.png").code == 0
    replayed = wf.replay("sheet.png", model=str(bundle))
    assert [one.outcome for one in replayed] == ["identical"]


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """A picture with a bright left half, and a mask of its right half."""
    picture, mask = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    picture[:, :20], mask[:, 20:] = 220, 255
    Image.fromarray(picture).save(tmp_path / "start.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return {"start": str(tmp_path / "start.png"), "mask": str(tmp_path / "mask.png")}


def test_a_variation_stays_near_its_start_if_little_is_walked(
    bundles: dict[str, Path], given: dict[str, str]
) -> None:
    maker = model(bundles, "digits-diffusion")
    paint = {"denoising": {"steps": 8}, "guidance": 1.0}

    def apart(strength: float) -> float:
        made = maker.generate(
            start=given["start"], strength=strength, paint=paint, side_px=SIDE_PX
        ).image
        start = Image.open(given["start"]).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        return float(np.abs(np.asarray(made, float) - np.asarray(start, float)).mean())

    assert apart(0.02) < 25
    assert apart(0.02) < apart(0.95) / 2


def test_a_mask_keeps_what_is_not_to_be_painted(
    bundles: dict[str, Path], given: dict[str, str], tmp_path: Path, home: Path
) -> None:
    maker = model(bundles, "digits-diffusion")
    asked: dict[str, Any] = {**given, "strength": 1.0, "side_px": SIDE_PX, **FEW}
    one, other = (maker.generate(seed=seed, **asked) for seed in (1, 2))
    first, second = (np.asarray(made.image, int)[:, :, 0] for made in (one, other))
    assert np.abs(first[:, :3] - 220).max() <= 8
    assert np.abs(first[:, :3] - second[:, :3]).max() <= 1
    assert np.abs(first[:, 5:] - second[:, 5:]).max() > 10
    assert len(one.manifest.facts["start_sha256"]) == 64
    sealed = maker.generate(seed=1, **{**asked, "side_px": 0}).save(tmp_path / "made.png")
    replayed = wf.replay(sealed.path, model=str(bundles["digits-diffusion"]))
    assert [found.outcome for found in replayed] == ["identical"]


def test_starts_that_make_no_sense_are_refused(
    bundles: dict[str, Path], given: dict[str, str], tmp_path: Path
) -> None:
    maker = model(bundles, "digits-diffusion")
    Image.new("L", (9, 40)).save(tmp_path / "small.png")
    with pytest.raises(BriefError, match=r"9 x 40 pixels, .*start\.png 40 x 40"):
        maker.generate(start=given["start"], mask=str(tmp_path / "small.png"))
    with pytest.raises(ConfigError, match="name it with"):
        maker.generate(mask=given["mask"])
    with pytest.raises(ConfigError, match="at most 1"):
        maker.generate(start=given["start"], strength=1.5)
    with pytest.raises(MediaError, match="cannot be read"):
        maker.generate(start=str(tmp_path / "nothing.png"))
    with pytest.raises(BriefError, match="a diffusion model can"):
        model(bundles, "digits-gan").generate(start=given["start"])


def test_a_class_steers_and_an_unknown_one_is_refused(bundles: dict[str, Path]) -> None:
    maker = model(bundles, "digits-diffusion")
    ring, down = (maker.generate(name, seed=1, **FEW) for name in ("ring", "down"))
    assert ring.image.tobytes() != down.image.tobytes()
    assert ring.manifest.facts["prompt"] == "ring"
    with pytest.raises(BriefError, match="does not know square; it draws across, down, ring"):
        maker.generate("square")
    with pytest.raises(BriefError, match="without being told what"):
        model(bundles, "digits-vae").generate("ring")


def test_settings_are_read_strictly(bundles: dict[str, Path], tmp_path: Path) -> None:
    maker = model(bundles, "digits-vae")
    with pytest.raises(ConfigError, match="side_px"):
        maker.generate(side=512)
    with pytest.raises(ConfigError, match="at most 4096"):
        maker.generate(side_px=100_000)
    large = maker.generate(side_px=64, enlarged="squares").image
    assert large.size == (64, 64)
    squares = np.asarray(large)[:, :, 0].reshape(SIDE_PX, 8, SIDE_PX, 8)
    assert (squares == squares[:, :1, :, :1]).all()
    with pytest.raises(MediaError, match=r"\.png, \.jpg"):
        maker.generate().save(tmp_path / "x.txt")


def test_truncation_draws_nearer_to_the_middle(bundles: dict[str, Path]) -> None:
    painter = Painter(load(bundles["digits-vae"]))
    streams = [(seed, "test") for seed in range(20)]

    def spread(truncation: float) -> float:
        drawn = painter.paint([None] * 20, streams, PaintOptions(truncation=truncation))
        return float(drawn.astype(float).std(0).mean())

    assert spread(0.2) < spread(0.0)


def test_a_text_model_makes_no_pictures() -> None:
    from wenfang.backends.shelf import find_bundle

    with pytest.raises(BundleError, match="verse makes no pictures"):
        Painter(load(find_bundle("verse")))


def test_a_bundle_says_what_it_draws(bundles: dict[str, Path]) -> None:
    told = load(bundles["digits-diffusion"]).painting
    assert told is not None
    assert told.classes == NAMES
    assert told.path is not None
    assert told.path.prediction == "flow"
    assert load(bundles["digits-vae"]).painting is not None
    assert load(bundles["digit-reader"]).painting is None


@pytest.mark.parametrize("harm", ["kind", "field", "type"])
def test_a_bundle_that_says_nonsense_is_refused(
    bundles: dict[str, Path], tmp_path: Path, harm: str
) -> None:
    import shutil

    folder = tmp_path / "bundle"
    shutil.copytree(bundles["digits-diffusion"], folder)
    config = json.loads((folder / "config.json").read_text())
    if harm == "kind":
        config["painting"]["path"]["kind"] = "magic"
    elif harm == "field":
        config["painting"]["colour"] = 1
    else:
        config["painting"] = "yes"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError):
        load(folder)


def test_the_suite_measures_with_a_named_eye(
    bundles: dict[str, Path], shapes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(painting_suite.EYES, "shapes", str(bundles["digit-reader"]))
    numbers = painting_suite.measure_painter(
        load(bundles["digits-gan"]), shapes, 30, PaintOptions(denoising=Denoising(steps=2))
    )
    eye = numbers["eye"]
    assert eye.startswith("digit-reader@")
    assert numbers["made"] == 30
    assert numbers[f"FD[{eye}]"] > numbers[f"FD_of_real[{eye}]"]
    assert 0 <= numbers[f"coverage_share[{eye}]"] <= 1
    assert "class_accuracy_share" in numbers
    assert "FID" not in " ".join(numbers)


def test_without_an_eye_an_autoencoder_still_has_its_bound(
    bundles: dict[str, Path], shapes: Dataset
) -> None:
    numbers = painting_suite.measure_painter(load(bundles["digits-vae"]), shapes, 10)
    assert numbers["bound_samples"] == painting_suite.BOUND_SAMPLES
    assert 0 < numbers["negative_bound_nats"] < 64
    assert "eye" not in numbers


def test_a_reader_learns_the_shapes_and_its_card_tells(shapes: Dataset, tmp_path: Path) -> None:
    folder = trained(recipe("digit-reader", steps=60), shapes, tmp_path / "run", measured=True)
    loaded = load(folder)
    assert loaded.manifest["facts"]["numbers"]["accuracy_share"] > 0.9
    assert "accuracy_share" in (folder / "README.md").read_text()


def test_a_discriminator_that_wins_is_told(shapes: Dataset, tmp_path: Path) -> None:
    wanted = recipe("digits-gan", steps=80).to_dict()
    wanted["objective"]["game"] |= {"r1": 0.0, "turns": 80}  # the generator hardly has a turn
    wanted["optim"]["lr"] = 0.005
    told: list[str] = []
    path = tmp_path / "recipe.json"
    write_json(path, wanted)
    request = TrainRequest(recipe=str(path), run=tmp_path / "run", data=shapes.folder)
    train(replace(request, measured=False), lambda event: told.append(event.text))
    assert any("the discriminator wins" in text for text in told)
    assert not watch_game({"val_told_apart_share": 0.7})


@pytest.mark.parametrize("name", MAKERS[1:])
def test_another_number_of_classes_is_refused(name: str, shapes: Dataset, tmp_path: Path) -> None:
    wanted = recipe(name).to_dict()
    wanted["model"]["classes"] = 7
    with pytest.raises(ConfigError, match="the data set has 3"):
        trained(Recipe.from_dict(wanted), shapes, tmp_path / "run")


def test_a_denoiser_without_classes_learns_from_labelled_pictures(
    shapes: Dataset, tmp_path: Path
) -> None:
    wanted = recipe("digits-diffusion").to_dict()
    wanted["model"]["classes"] = 0
    folder = trained(Recipe.from_dict(wanted), shapes, tmp_path / "run")
    drawn = Painter(load(folder)).paint(
        [None], [(0, "x")], PaintOptions(denoising=Denoising(steps=2))
    )
    assert drawn.shape == (1, SIDE_PX, SIDE_PX, 1)


def test_a_command_writes_the_picture_that_it_cannot_print(
    bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = bundles["digits-gan"]
    told = call("generate", bundle, "ring", "--seed", 3, "--json").json
    assert told["files"] == ["bundle-3.png"]
    assert told["generated"][0]["width_px"] == 256
    assert (tmp_path / "bundle-3.png").is_file()
    assert call("generate", bundle, "-n", 2, "-o", "many").code == 0
    assert {one.name for one in (tmp_path / "many").glob("*.png")} == {"00000.png", "00001.png"}
    assert "does not know square" in call("generate", bundle, "square").err


def test_noise_paths_are_found_again_in_what_a_bundle_tells() -> None:
    from wenfang.noise import Flow, path_of, path_record

    path = Flow(data_std=0.6, shift=2.0)
    assert path_of(path_record("flow", path), "here") == path
    with pytest.raises(ConfigError, match=r"here: path\.kind is None"):
        path_of({}, "here")


def test_the_seed_alone_decides(bundles: dict[str, Path]) -> None:
    torch.manual_seed(1)
    first = model(bundles, "digits-diffusion").generate("down", seed=2, **FEW)
    torch.manual_seed(2)
    again = model(bundles, "digits-diffusion").generate("down", seed=2, **FEW)
    assert first.manifest.id == again.manifest.id
