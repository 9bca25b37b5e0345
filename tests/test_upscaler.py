"""Pictures made larger: what is learnt from, tiles, files, and what is refused."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import wenfang as wf
from conftest import Call
from wenfang.atomic import write_json
from wenfang.backends.draughtsman import Finish, enlarged
from wenfang.backends.enlarger import TILE_PX, Enlarger
from wenfang.backends.shelf import find_bundle
from wenfang.data.batches import Share
from wenfang.data.dataset import Dataset
from wenfang.data.drawings import FINE, Archive, prepare_drawings
from wenfang.data.finer import Fine, FineBatches, coloured
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.device import noise
from wenfang.errors import BriefError, BundleError, ConfigError, DataError
from wenfang.media.image import encode_png, read_image
from wenfang.models import upscaler as family
from wenfang.models.load import load
from wenfang.models.upscaler import Upscaler
from wenfang.objectives.restoring import Restoring, charbonnier
from wenfang.recipes import RECIPES
from wenfang.recipes.train import TrainRequest, train
from wenfang.trainer import TrainConfig


def disc(side: int, colour: str) -> Image.Image:
    image = Image.new("RGBA", (side, side))
    ImageDraw.Draw(image).ellipse((side / 8, side / 8, side * 7 / 8, side * 7 / 8), colour)
    return image


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    for part, count in (("train", 6), ("valid", 2), ("test", 2)):
        for number in range(count):
            for name, image in (
                (f"{part}-{number}.png", disc(72, "red")),
                (f"{part}-{number}.svg", disc(256, "black")),
            ):
                png = base64.b64encode(encode_png(image)).decode("ascii")
                yield part, {"name": name, "glyph": name, "text": "disc", "png": png}


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("discs")
    (folder / "origin.txt").write_text("drawn by a test")
    source = Source(path=str(folder / "origin.txt"), name="discs", licence="CC0-1.0")
    return write_rows(
        "discs", source, {"origin.txt": "0" * 64}, {}, rows(), folder / "set", kind="discs"
    )


@pytest.fixture(scope="module")
def bundle(discs: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    full = RECIPES["upscaler"]()
    wanted = replace(
        full,
        data=replace(full.data, source="discs", validation_examples=32),
        model=family.Config(channels=8, blocks=1),
        optim=replace(full.optim, lr=0.005, warmup_steps=5),
        train=TrainConfig(steps=150, batch_size=8, evaluate_every=150, average_decay=0.9),
    )
    run = tmp_path_factory.mktemp("runs") / "run"
    write_json(run.with_suffix(".json"), wanted.to_dict())
    return train(TrainRequest(recipe=str(run.with_suffix(".json")), run=run, data=discs.folder))


def test_an_upscaler_comes_nearer_than_plain_enlargement(bundle: Path) -> None:
    numbers = load(bundle).manifest["facts"]["numbers"]
    assert numbers["emoji_psnr_db"] > numbers["emoji_psnr_db_lanczos"]
    assert numbers["icons"] == 2
    assert 0 < numbers["icons_ssim"] <= 1
    assert "emoji_psnr_db" in (bundle / "README.md").read_text()


def test_a_net_that_knows_nothing_enlarges_plainly() -> None:
    model = Upscaler(family.Config(channels=8, blocks=2))
    model.initialise(torch.Generator().manual_seed(0))
    x = torch.rand(1, 4, 9, 7, generator=torch.Generator().manual_seed(1))
    plain = torch.nn.functional.interpolate(x, scale_factor=4, mode="bicubic")
    assert torch.allclose(model(x), plain)


def test_tiles_leave_no_seams() -> None:
    torch.manual_seed(0)
    model = Upscaler(family.PRESETS["tiny"]).eval()
    enlarger = Enlarger(replace(load(find_bundle("encoder")), model=model))
    pictures = torch.rand(1, 4, TILE_PX + 30, 2 * TILE_PX + 7)
    with torch.no_grad():
        whole = model(pictures)
        tiled = enlarger._tiled(pictures)
    # Plain enlargement reads its edge again, which a tile has only where the picture has it.
    assert torch.allclose(tiled, whole, atol=1e-5)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "LA"])
def test_every_kind_of_picture_becomes_larger(bundle: Path, mode: str) -> None:
    found = Enlarger(load(bundle)).enlarge(disc(20, "red").convert(mode))
    assert found.size == (80, 80)
    assert found.mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB")


def test_a_file_is_made_larger_and_made_again(
    bundle: Path, tmp_path: Path, home: Path, call: Call
) -> None:
    small = tmp_path / "small.png"
    disc(160, "blue").resize((160, 100)).save(small)
    large = tmp_path / "large.png"
    assert call("generate", bundle, "--set", f"start={small}", "-o", large).code == 0
    assert read_image(large).size == (640, 400)
    twice = tmp_path / "twice.png"
    call("generate", bundle, "--set", f"start={small}", "--set", "side_px=320", "-o", twice)
    assert read_image(twice).size == (320, 200)
    assert call("replay", large, "--model", bundle).code == 0


def test_what_cannot_be_made_larger_is_refused(bundle: Path, tmp_path: Path) -> None:
    model = wf.load(str(bundle))
    small = tmp_path / "small.png"
    disc(40, "blue").save(small)
    with pytest.raises(BriefError, match="name it with --set start=FILE"):
        model.generate()
    with pytest.raises(BriefError, match="leave the prompt out"):
        model.generate("a cat", start=str(small))
    with pytest.raises(BriefError, match="cannot become 20 wide"):
        model.generate(start=str(small), side_px=20)
    with pytest.raises(ConfigError, match="at most 4096"):
        model.generate(start=str(small), side_px=5000)
    big = tmp_path / "big.png"
    Image.new("RGB", (1100, 4)).save(big)
    with pytest.raises(BriefError, match="cannot become 4400"):
        model.generate(start=str(big))
    with pytest.raises(BundleError, match="makes no pictures larger"):
        Enlarger(load(find_bundle("encoder")))


def test_what_a_model_draws_is_made_as_large_as_asked(bundle: Path) -> None:
    enlarger = Enlarger(load(bundle))
    values = np.array(disc(16, "green").convert("RGBa"))
    for side in (16, 40, 64, 100, 256):
        options = Finish(enlarged="drawn", side_px=side)
        assert enlarged(values, options, enlarger).size == (side, side)
    sharp = enlarged(values, Finish(enlarged="traced", side_px=100))
    assert sharp.size == (100, 100)
    half = np.asarray(sharp)[..., 3]
    assert ((half > 20) & (half < 235)).mean() < 0.04, "borders are sharp"
    nothing = enlarged(np.zeros_like(values), Finish(enlarged="traced", side_px=100))
    assert nothing.size == (100, 100)
    plain = enlarged(values, Finish(enlarged="smooth", side_px=64), enlarger)
    own = enlarged(values, Finish(enlarged="drawn", side_px=64), enlarger)
    assert plain.tobytes() != own.tobytes()


def test_small_squares_are_the_large_ones_shrunk(discs: Dataset) -> None:
    fine = Fine.read(discs.records("train"))
    assert (len(fine.drawings), len(fine.icons)) == (6, 6)
    batches = FineBatches(fine=fine, batch_size=12, seed=0)
    batch = batches.batch(0, Share())
    assert batch["small"].shape == (12, 4, 18, 18)
    assert batch["large"].shape == (12, 4, 72, 72)
    assert float((batch["large"][:, :3] - batch["large"][:, 3:]).max()) <= 0, "weighed colours"
    shrunk = torch.nn.functional.avg_pool2d(batch["large"], 4)
    assert float((shrunk - batch["small"]).abs().mean()) < 0.05
    halves = [batches.batch(0, Share(rank=rank, world=2)) for rank in range(2)]
    assert torch.equal(torch.cat([one["small"] for one in halves]), batch["small"])


def test_an_icon_gets_a_colour_and_keeps_its_form() -> None:
    icon = disc(64, "black").getchannel("A")
    found = {coloured(icon, noise(0, "x", number)).getpixel((32, 32)) for number in range(9)}
    assert len(found) == 9
    assert all(one[3] == 255 for one in found)  # type: ignore[index]


def test_a_set_of_one_kind_is_refused(discs: Dataset) -> None:
    only = [record for record in discs.records("train") if record["name"].endswith(".svg")]
    with pytest.raises(DataError, match="prepare fine_drawings"):
        Fine.read(only)


def test_icons_are_drawn_large_for_fine_edges(tmp_path: Path) -> None:
    path = tmp_path / "icons.tar.xz"
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">'
        b'<rect width="12" height="24"/></svg>'
    )
    with tarfile.open(path, "w:xz") as archive:
        for number in range(40):
            member = tarfile.TarInfo(f"one-{number}.svg")
            member.size = len(svg)
            archive.addfile(member, io.BytesIO(svg))
    source = Source(path=str(path), name="icons", licence="ISC")
    made = prepare_drawings("x", [Archive(source=source, path=path)], tmp_path / "set", FINE)
    parts = {part: list(made.records(part)) for part in ("train", "valid", "test")}
    assert len(parts["train"]) > 30
    assert sum(map(len, parts.values())) == 40
    png = base64.b64decode(parts["train"][0]["png"])
    assert Image.open(io.BytesIO(png)).size == (256, 256)


def test_the_loss_is_an_error_that_is_smooth_at_nothing() -> None:
    one = torch.zeros(1, 4, 2, 2)
    assert float(charbonnier(one, one)) == pytest.approx(1e-3)
    assert float(charbonnier(one, one + 0.5)) == pytest.approx(0.5, rel=1e-4)
    model = Upscaler(family.PRESETS["tiny"])
    model.initialise(torch.Generator().manual_seed(0))
    loss = Restoring()(model, {"small": one, "large": torch.zeros(1, 4, 4, 4)}, torch.Generator())
    assert loss.parts["psnr_db"] == pytest.approx(100)
