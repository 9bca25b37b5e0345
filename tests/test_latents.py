"""Pictures drawn in the latents of an autoencoder from words: learnt tiny, drawn, refused."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tiny_latents import shapes, tiny, trained
from tiny_pictures import COUNTS, SIDE_PX, dataset, recipe
from wenfang.atomic import write_json
from wenfang.backends.loading import latent_space
from wenfang.backends.painter import Painter, PaintOptions
from wenfang.backends.shelf import find_bundle
from wenfang.backends.starting import Start
from wenfang.backends.word_reader import WordReader, require_known_script
from wenfang.cli import main
from wenfang.data.batches import Share
from wenfang.data.captions import Caption, Captioned, CaptionedBatches, joined
from wenfang.data.dataset import Dataset
from wenfang.data.pixels import Pixels, as_image
from wenfang.device import noise
from wenfang.errors import BriefError, BundleError, ConfigError, DataError
from wenfang.media.image import encode_png
from wenfang.models import dit, vae
from wenfang.models.load import load
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import TrainRequest, train
from wenfang.samplers.denoise import Denoising

FEW = PaintOptions(denoising=Denoising(steps=2))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose shelf holds the autoencoder; the run of the drawer lies beside."""
    folder = tmp_path_factory.mktemp("latents")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WENFANG_HOME", str(folder / "home"))
        data = shapes(folder)
        found = trained(tiny("pictogram-latents"), data, folder / "vae", measured=True)
        shutil.copytree(found, folder / "home" / "bundles" / "pictogram-latents")
        trained(tiny("emblem"), data, folder / "emblem")
        yield folder


@pytest.fixture
def drawer(place: Path, monkeypatch: pytest.MonkeyPatch) -> Painter:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    return Painter(load(place / "emblem" / "bundle"))


def test_latents_are_scaled_and_come_back(place: Path) -> None:
    space = latent_space(load(place / "vae" / "bundle"))
    records = Dataset.open(place / "set").records("train")
    pictures = Pixels.read(records, channels=4).tensor(slice(None), least=0.0)
    latents = space.encode(pictures)
    assert latents.shape[1:] == space.shape
    assert torch.allclose(latents.mean((0, 2, 3)), torch.zeros(3), atol=1e-3)
    spread = latents.std((0, 2, 3))
    assert float(spread.max()) == pytest.approx(1, abs=0.02)
    own = space.vae.encoder(pictures).mean.detach().std((0, 2, 3))
    least = 0.7 * float(own.square().mean().sqrt())
    assert torch.allclose(spread, own / own.clamp_min(least), atol=0.02)
    assert torch.allclose(space.decode(latents), space.vae(pictures), atol=1e-5)


def test_an_autoencoder_of_colours_tells_how_near_it_comes(place: Path) -> None:
    numbers = load(place / "vae" / "bundle").manifest["facts"]["numbers"]
    assert numbers["pictures"] == COUNTS["test"]
    assert numbers["psnr_db"] > 5
    assert "psnr_db" in (place / "vae" / "bundle" / "README.md").read_text()


def test_words_decide_what_is_drawn(drawer: Painter) -> None:
    streams = [(seed, "test") for seed in range(4)]
    asked = [drawer.asked(text) for text in ("ring", "圆环", "", "ring")]
    together = drawer.paint(asked, streams, FEW)
    assert together.shape == (4, SIDE_PX, SIDE_PX, 4)
    alone = drawer.paint(asked[1:2], streams[1:2], FEW)
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1
    same_noise = [(0, "test")] * 3
    one, other, silent = drawer.paint(["ring", "down", None], same_noise, FEW)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, silent)


def test_words_that_it_did_not_learn_by_are_read_as_the_nearest(drawer: Painter) -> None:
    asked, literal = "a ring, round", replace(FEW, literal=True)
    assert drawer.read_as(asked, FEW) == "ring"
    assert drawer.read_as("圆环", FEW) == "圆环"
    assert drawer.read_as(asked, literal) == asked
    own, read, plain = (
        drawer.paint([text], [(0, "test")], options)
        for text, options in ((asked, FEW), ("ring", FEW), (asked, literal))
    )
    assert np.array_equal(own, read)
    assert not np.array_equal(own, plain)
    away, from_ring, from_nothing = (
        drawer.paint(["down"], [(0, "test")], replace(FEW, avoid=text))
        for text in (asked, "ring", "")
    )
    assert np.array_equal(away, from_ring)
    assert not np.array_equal(away, from_nothing)


def test_what_is_drawn_instead_is_told(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    asked = ["generate", str(place / "emblem" / "bundle"), "a ring, round", "--json",
             "-o", str(tmp_path / "a.png"), "--set", "paint.denoising.steps=2"]  # fmt: skip
    for settings, read_as in (([], "ring"), (["--set", "paint.literal=true"], None)):
        with pytest.raises(SystemExit) as ended:
            main([*asked, *settings])
        assert ended.value.code == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["generated"][0].get("read_as") == read_as
        assert ("the nearest that it knows are drawn: ring" in said.err) == (read_as is not None)


def test_lineage_names_what_it_draws_with(place: Path) -> None:
    loaded = load(place / "emblem" / "bundle")
    roles = {link["role"] for link in loaded.manifest["inputs"]}
    assert {"latents", "words"} <= roles
    names = {one["name"] for one in loaded.ancestors if one["kind"] == "bundle"}
    assert names == {"pictogram-latents", "encoder"}
    encoder = load(find_bundle("encoder")).manifest["licence"]
    assert set(encoder.split(" AND ")) <= set(loaded.manifest["licence"].split(" AND "))


def test_what_it_draws_with_must_be_here(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path))
    with pytest.raises(BundleError, match=r"draws with pictogram-latents .* not here"):
        Painter(load(place / "emblem" / "bundle"))
    data = Dataset.open(place / "set")
    wanted = tiny("emblem")
    elsewhere = replace(wanted, data=replace(wanted.data, latents=str(place / "vae")))
    with pytest.raises(BundleError, match="which is not here"):
        trained(elsewhere, data, tmp_path / "run")


@pytest.mark.parametrize("prompt", ["кошка", "고양이", "!?", "😀"])
def test_other_languages_are_refused(drawer: Painter, prompt: str) -> None:
    with pytest.raises(BriefError, match="reads English and Chinese"):
        drawer.asked(prompt)


def test_known_languages_are_read() -> None:
    for prompt in ("a café", "猫 cat", "2 cats", "笑脸猫"):
        require_known_script(prompt, "emblem")


def test_a_mask_keeps_pixels_as_they_were(drawer: Painter) -> None:
    own = torch.rand(1, 4, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(1)) * 2 - 1
    fresh = torch.zeros(1, 1, SIDE_PX, SIDE_PX)
    fresh[..., 3:, :] = 1
    drawn = drawer.paint(["ring"], [(0, "x")], FEW, start=Start(picture=own, fresh=fresh))
    expected = ((own + 1) / 2 * 255).round()[0].permute(1, 2, 0).byte().numpy()
    assert np.abs(drawn[0, :3].astype(int) - expected[:3]).max() <= 1
    assert np.abs(drawn[0, 3:].astype(int) - expected[3:]).mean() > 5


@pytest.mark.parametrize(
    ("part", "field", "value", "told"),
    [
        ("model", "text_width", 6, "vectors of words have 192"),
        ("model", "in_channels", 4, "latents have 3"),
        ("model", "classes", 3, "does not go with"),
        ("data", "latents", "encoder", "no autoencoder with a map of latents"),
        ("data", "words", "pictogram-latents", "no encoder of texts"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    part: str,
    field: str,
    value: Any,
    told: str,
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    wanted = tiny("emblem").to_dict()
    wanted[part][field] = value
    with pytest.raises((ConfigError, BundleError), match=told):
        trained(Recipe.from_dict(wanted), Dataset.open(place / "set"), tmp_path / "run")


def test_a_denoiser_of_pixels_reads_words_too(place: Path, tmp_path: Path) -> None:
    wanted = tiny("emblem")
    assert isinstance(wanted.model, dit.Config)
    wanted = replace(
        wanted,
        data=replace(wanted.data, latents=""),
        model=replace(wanted.model, in_channels=4, out_channels=4, patch=2),
    )
    folder = trained(wanted, Dataset.open(place / "set"), tmp_path / "run")
    drawn = Painter(load(folder)).paint(["ring"], [(0, "x")], FEW)
    assert drawn.shape == (1, SIDE_PX, SIDE_PX, 4)


def test_latents_are_learnt_without_words(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    wanted = tiny("emblem")
    assert isinstance(wanted.model, dit.Config)
    silent = replace(
        wanted,
        data=replace(wanted.data, words=""),
        model=replace(wanted.model, text_width=0),
    )
    painter = Painter(load(trained(silent, Dataset.open(place / "set"), tmp_path / "run")))
    assert painter.paint([None], [(0, "x")], FEW).shape == (1, SIDE_PX, SIDE_PX, 4)
    with pytest.raises(BriefError, match="without being told what"):
        painter.asked("ring")


def test_a_sketch_is_learnt_alone_and_then_stays(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    data, wanted = Dataset.open(place / "set"), tiny("emblem")
    assert isinstance(wanted.model, dit.Config)
    base = trained(wanted, data, tmp_path / "plain")
    side = Painter(load(base))._noise_shape()[-1]
    sketching = replace(wanted, model=replace(wanted.model, sketch_width=8, sketch_side=side))
    only = replace(wanted.objective.denoising, sketch_only=True)
    first = replace(sketching, objective=replace(wanted.objective, denoising=only))
    sketched = trained(first, data, tmp_path / "first", base=base)
    then = trained(sketching, data, tmp_path / "then", base=sketched)
    plain, one, two = (load(folder).model.state_dict() for folder in (base, sketched, then))
    assert one["sketch.outer.weight"].abs().max() > 0
    moved = {name for name in two if not torch.equal(one[name], two[name])}
    assert "embed_sketch.weight" in moved
    assert not any(name.startswith("sketch.") for name in moved)
    assert all(torch.equal(plain[name], one[name]) for name in plain)  # only the sketch had learnt
    wide = replace(wanted.model, sketch_width=8, sketch_side=side + 1)
    wrong = replace(sketching, model=wide)
    with pytest.raises(ConfigError, match=r"model\.sketch_side is"):
        trained(wrong, data, tmp_path / "wrong")


def test_words_are_read_alike_alone_and_among_others() -> None:
    reader = WordReader(load(find_bundle("encoder")))
    words, mask = reader(["a red heart", "", "猫", "a red heart"])
    assert words.shape == (4, 4, reader.width)
    assert mask.sum(1).tolist() == [4, 0, 2, 4]
    alone, _ = WordReader(reader.loaded)(["猫"])
    assert torch.allclose(words[2, :2], alone[0], atol=1e-4)
    assert torch.allclose(words[0].square().mean(-1), torch.ones(4), atol=1e-4)
    silent, none = reader(["", ""])
    assert not none.any()
    assert silent.shape == (2, 1, reader.width)


def test_a_caption_is_said_in_many_ways() -> None:
    caption = Caption.of(
        {
            "names": {"en": "cat face", "zh": "猫脸"},
            "keywords": {"en": ["pet", "kitten"], "zh": ["宠物"]},
        }
    )
    said = {caption.said(noise(0, "x", number)) for number in range(200)}
    assert {"cat face", "猫脸", "pet", "猫脸，宠物", "宠物"} <= said
    assert any(one.startswith("cat face, ") for one in said)
    assert not any("猫" in one and "pet" in one for one in said)
    assert joined(["a", "b"]) == "a, b"
    assert Caption.of({"text": "my logo"}).said(noise(0, "x")) == "my logo"


def test_many_variants_count_as_the_root_of_their_number() -> None:
    records = [{"name": str(n), "glyph": "a", "text": "x"} for n in range(16)]
    records.append({"name": "16", "glyph": "b", "text": "y"})
    captioned = Captioned.build(torch.zeros(17, 1, 2, 2), records)
    assert captioned.weights[16] == pytest.approx(1 / 5)
    assert captioned.weights[:16].sum() == pytest.approx(4 / 5)


def test_few_pictures_may_be_without_a_caption() -> None:
    records = [{"name": f"pic{n}", "text": "x" if n else ""} for n in range(10)]
    records[0]["name"] = "0"
    few = Captioned.build(torch.zeros(10, 1, 2, 2), records)
    few.require_captions()
    reader = WordReader(load(find_bundle("encoder")))
    batch = CaptionedBatches(captioned=few, read=reader, batch_size=64, seed=0).batch(0, Share())
    silent = ~batch["mask"].any(1)
    assert 0 < int(silent.sum()) < 20, "what has no caption is shown in silence"
    many = Captioned.build(torch.zeros(2, 1, 2, 2), [records[0], {"name": "1", "text": ""}])
    with pytest.raises(DataError, match="2 of 2 pictures have no caption"):
        many.require_captions()


def test_processes_share_a_batch() -> None:
    records = [{"name": str(n), "text": f"w{n}"} for n in range(9)]
    pictures = torch.arange(9.0)[:, None, None, None]
    captioned = Captioned.build(pictures, records)
    reader = WordReader(load(find_bundle("encoder")))
    batches = CaptionedBatches(captioned=captioned, read=reader, batch_size=6, seed=1)
    whole = batches.batch(3, Share())
    halves = [batches.batch(3, Share(rank=rank, world=2)) for rank in range(2)]
    assert torch.equal(torch.cat([one["pictures"] for one in halves]), whole["pictures"])
    assert sum(len(one["words"]) for one in halves) == 6


def test_colours_that_are_not_seen_are_nothing() -> None:
    image = Image.new("RGBA", (4, 4), (200, 100, 0, 0))
    image.putpixel((1, 1), (200, 100, 0, 128))
    record = {"name": "x", "png": base64.b64encode(encode_png(image)).decode("ascii")}
    values = Pixels.read([record], channels=4).values
    assert values[0, :, 0, 0].tolist() == [0, 0, 0, 0]
    assert values[0, :, 1, 1].tolist() == [100, 50, 0, 128]
    back = as_image(values[0].transpose(1, 2, 0))
    assert back.getpixel((0, 0)) == (0, 0, 0, 0)
    red, green, _, opaque = back.getpixel((1, 1))  # type: ignore[misc]
    assert abs(red - 200) <= 1
    assert abs(green - 100) <= 1
    assert opaque == 128
    too_strong = np.full((1, 1, 4), 200, np.uint8)
    too_strong[..., 3] = 10
    assert as_image(too_strong).getpixel((0, 0)) == (255, 255, 255, 10)


def test_larger_pictures_are_made_small() -> None:
    image = Image.new("RGB", (72, 72), (10, 200, 30))
    record = {"name": "x", "png": base64.b64encode(encode_png(image)).decode("ascii")}
    assert Pixels.read([record], channels=3, side_px=64).values.shape == (1, 3, 64, 64)
    assert Pixels.read([record], channels=3, side_px=96).values.shape == (1, 3, 72, 72)


def test_a_bundle_that_names_no_companion_rightly_is_refused(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(place / "emblem" / "bundle", folder)
    config = json.loads((folder / "config.json").read_text())
    config["painting"]["latents"] = {"name": 3}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError):
        load(folder)


def test_another_decoder_is_learnt_for_the_same_latents(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(place / "home"))
    wanted = tiny("pictogram-latents")
    assert isinstance(wanted.model, vae.Config)
    other = replace(
        wanted,
        model=replace(wanted.model, likelihood="laplace", decoder_patch=2, decoder_channels=(8,)),
        objective=replace(wanted.objective, elbo=replace(wanted.objective.elbo, decoder_only=True)),
    )
    assert isinstance(other.model, vae.Config)
    with pytest.raises(ConfigError, match="the decoder begins at 8"):
        replace(other.model, decoder_patch=1)
    with pytest.raises(ConfigError, match="are given together"):
        replace(other.model, decoder_patch=0)
    path = tmp_path / "other.json"
    write_json(path, other.to_dict())
    base = place / "vae" / "bundle"
    folder = train(
        TrainRequest(
            recipe=str(path), run=tmp_path / "run", data=place / "set", base=base, measured=False
        )
    )
    before, after = load(base), load(folder)
    own, moved = (dict(one.model.named_parameters()) for one in (before, after))
    for name, weight in moved.items():
        if name.startswith("encoder."):
            assert torch.equal(weight, own[name]), name
    assert after.painting is not None
    assert before.painting is not None
    assert after.painting.scales is not None
    assert before.painting.scales is not None
    for name in ("means", "deviations"):  # but for the base's weights, which are rounded
        known = getattr(before.painting.scales, name)
        assert getattr(after.painting.scales, name) == pytest.approx(known, abs=1e-3)
    assert "log_spread" in moved
    assert not torch.equal(moved["log_spread"], own["log_spread"])


def test_a_run_goes_on_from_a_denoiser_that_knows_classes(tmp_path: Path) -> None:
    data = dataset(tmp_path / "set")
    full = recipe("digits-diffusion", steps=2)
    base = trained(full, data, tmp_path / "base")
    path = tmp_path / "again.json"
    write_json(path, replace(full, optim=replace(full.optim, lr=1e-9)).to_dict())
    again = train(
        TrainRequest(
            recipe=str(path), run=tmp_path / "run", data=data.folder, base=base, measured=False
        )
    )
    own, gone_on = (dict(load(one).model.named_parameters()) for one in (base, again))
    assert all(torch.allclose(own[name], gone_on[name], atol=1e-3) for name in own)
