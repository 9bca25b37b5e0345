"""A folder of pictures becomes a generator: what is decided, what is told, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from conftest import Call
from tiny_latents import rows, shapes, tiny, trained
from wenfang.backends.painter import Painter
from wenfang.checkpoint import CARD, read_bundle
from wenfang.data.captions import words_of_name
from wenfang.errors import BundleError, ConfigError, DataError
from wenfang.models import dit, unet, vae
from wenfang.models.load import load
from wenfang.recipes import picture
from wenfang.recipes.picture import start_picture
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import TrainRequest, train

COLOURS = ("red", "green", "blue", "black", "orange")
SHORT = ("train.steps=4", "train.batch_size=4", "train.evaluate_every=2")


def draw(folder: Path, count: int = 30, named: str = "{colour}-ball-{number}") -> Path:
    """Balls of many sizes and colours in files of their own."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        colour = COLOURS[number % len(COLOURS)]
        image = Image.new("RGBA", (48, 48))
        pen = ImageDraw.Draw(image)
        for _ in range(3):
            x, y, r = generator.uniform((4, 4, 3), (40, 40, 16))
            pen.ellipse((x - r, y - r, x + r, y + r), COLOURS[generator.integers(5)])
        pen.ellipse((10, 10, 30, 30), colour)
        image.save(folder / f"{named.format(colour=colour, number=number)}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose shelf holds a tiny autoencoder of 64 pixels and a drawer in its latents."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WENFANG_HOME", str(folder / "home"))
        data = shapes(folder)
        found = trained(tiny("pictogram-latents"), data, folder / "vae")
        shutil.copytree(found, folder / "home" / "bundles" / "pictogram-latents")
        trained(tiny("emblem"), data, folder / "emblem")
        yield folder


@pytest.fixture
def own(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    return place


def started(folder: Path, place: Path, *settings: str) -> tuple[Recipe, list[str]]:
    told: list[str] = []
    recipe, _ = start_picture(None, folder, place, settings, told.append)
    return recipe, told


def test_a_folder_becomes_a_generator_told_in_words(home: Path, tmp_path: Path, call: Call) -> None:
    folder = draw(tmp_path / "balls")
    out = call(
        "train", "picture", "--data", folder, "-o", tmp_path / "run",
        *(word for one in SHORT for word in ("--set", one)),
    )  # fmt: skip
    assert out.code == 0, out.err
    told = out.err
    assert "pictures to learn from" in told
    assert "learnt by heart" in told
    assert "told in words: 100%" in told
    assert "which licence" in told
    painter = Painter(load(tmp_path / "run" / "bundle"))
    assert painter.asked("a green ball") == "a green ball"
    assert painter.loaded.name == "balls"
    card = (tmp_path / "run" / "bundle" / CARD).read_text("utf-8")
    assert "`wenfang train picture`" in card
    assert "It draws in the manner of the pictures" in card
    numbers = painter.loaded.manifest["facts"]["numbers"]
    assert numbers["copies_looked_for"] == 28  # as many as there are captions
    assert 0 <= numbers["near_copies_share"] <= 1


def test_latents_are_used_where_they_hold_the_pictures(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw(tmp_path / "balls")
    recipe, told = started(folder, tmp_path / "a")  # those at hand know 8 x 8 pixels
    assert isinstance(recipe.model, dit.Config)
    assert not recipe.data.latents
    assert recipe.data.side_px == picture.PIXELS_PX
    monkeypatch.setattr(picture, "_held_well", lambda records, tell: True)
    recipe, told = started(folder, tmp_path / "b", "tune.licence=CC0-1.0", "tune.name=balls-1")
    assert recipe.data.latents == "pictogram-latents"
    assert recipe.data.words == "encoder"
    assert recipe.name == "balls-1"
    assert not any("which licence" in line for line in told)


def test_blurred_latents_are_told(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = vae.VAE(
        vae.Config(in_channels=4, channels=(8, 8), groups=4, latent="map", side_px=8)
    ).eval()
    loaded = replace(load(own / "vae" / "bundle"), model=model)
    monkeypatch.setattr(picture, "load", lambda folder: loaded)
    told: list[str] = []
    records = [record for part, record in rows() if part == "train"]
    assert not picture._held_well(records, told.append)
    assert "too blurred" in told[0]


def labelled(folder: Path, labels: tuple[str, ...]) -> Path:
    """Pictures without captions, each with a label."""
    draw(folder, named="IMG_{number}")
    lines = [f"IMG_{number}.png,,{labels[number % len(labels)]}" for number in range(30)]
    (folder / "captions.csv").write_text("file,caption,label\n" + "\n".join(lines))
    return folder


def test_a_label_is_a_caption_where_there_is_no_other(home: Path, tmp_path: Path) -> None:
    recipe, told = started(labelled(tmp_path / "balls", COLOURS), tmp_path / "set")
    assert recipe.data.words == "encoder"
    assert any("told in words: 100%" in line for line in told)


def test_some_pictures_may_be_without_a_caption(home: Path, tmp_path: Path) -> None:
    folder = draw(tmp_path / "balls")
    (folder / "red-ball-0.png").rename(folder / "IMG_0.png")
    request = TrainRequest(
        recipe="picture", run=tmp_path / "run", data=folder, settings=SHORT, measured=False
    )
    told: list[str] = []
    bundle = train(request, on_stage=told.append)
    assert any("told in words: 9" in line for line in told)
    assert Painter(load(bundle)).asked("a red ball") == "a red ball"


def test_labels_that_are_no_words_are_classes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "_held_well", lambda records, tell: True)
    recipe, told = started(labelled(tmp_path / "balls", ("1", "2", "3")), tmp_path / "set")
    assert isinstance(recipe.model, unet.Config)
    assert recipe.model.classes == 3
    assert any("told by class: 1, 2, 3" in line for line in told)


def test_pictures_that_nothing_is_told_of_are_learnt_as_well(home: Path, tmp_path: Path) -> None:
    folder = draw(tmp_path / "balls", named="IMG_{number}")
    told: list[str] = []
    request = TrainRequest(
        recipe="picture", run=tmp_path / "run", data=folder, settings=SHORT, measured=False
    )
    bundle = train(request, on_stage=told.append)
    assert any("told nothing, since only 0%" in line for line in told)
    assert Painter(load(bundle)).known.classes == ()


def test_a_drawer_goes_on_with_pictures_of_a_team(own: Path, tmp_path: Path) -> None:
    folder = draw(tmp_path / "balls")
    base = own / "emblem" / "bundle"
    recipe, dataset = start_picture(read_bundle(base), folder, tmp_path / "set", ())
    assert recipe.model == read_recipe(base)
    assert recipe.data.latents == "pictogram-latents"
    assert recipe.optim.lr < 1e-3
    assert dataset.count("train") > 20
    with pytest.raises(BundleError, match="draws no pictures from words"):
        start_picture(read_bundle(own / "vae" / "bundle"), folder, tmp_path / "set", ())


def read_recipe(bundle: Path) -> dit.Config:
    model = load(bundle).model
    assert isinstance(model, dit.DiT)
    return model.config


def test_what_cannot_be_learnt_from_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give a folder of them with --data"):
        start_picture(None, None, tmp_path / "x", ())
    few = draw(tmp_path / "few", count=3)
    with pytest.raises(DataError, match="16 are the least"):
        started(few, tmp_path / "set")
    folder = draw(tmp_path / "balls")
    _, dataset = start_picture(None, folder, tmp_path / "prepared", ())
    with pytest.raises(ConfigError, match=r"leave tune\.licence out"):
        started(dataset.folder, tmp_path / "x", "tune.licence=CC0-1.0")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("icons/red_car-2.png", "red car"),
        ("SmilingCat.webp", "smiling cat"),
        ("IMG_0123.JPG", ""),
        ("笑脸猫01.png", "笑脸猫"),
        ("DSC-7.jpg", ""),
        ("a.png", ""),
    ],
)
def test_names_of_files_may_be_words(name: str, words: str) -> None:
    assert words_of_name(name) == words
