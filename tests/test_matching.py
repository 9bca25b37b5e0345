"""Pictures and texts beside each other: views, batches, a judge that learns, and what it judges."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from wenfang.atomic import write_json
from wenfang.backends.shelf import find_bundle
from wenfang.backends.word_reader import WordReader
from wenfang.data.batches import Share
from wenfang.data.dataset import Dataset
from wenfang.data.matched import Matched, MatchedBatches
from wenfang.data.picture_views import light_view
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.device import noise
from wenfang.errors import BundleError, ConfigError
from wenfang.media.image import encode_png
from wenfang.models.load import load
from wenfang.models.text_image import PRESETS, TextImage
from wenfang.objectives.matching import Matching
from wenfang.recipes import RECIPES
from wenfang.recipes.emblem_suite import concepts, reader_of, top_share
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import TrainRequest, train
from wenfang.trainer import TrainConfig

COLOURS = {"red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色"}
FORMS = {"ball": "球", "box": "盒子", "stick": "棍子"}


def drawn(colour: str, form: str) -> Image.Image:
    image = Image.new("RGBA", (24, 24))
    draw = ImageDraw.Draw(image)
    if form == "ball":
        draw.ellipse((4, 4, 20, 20), colour)
    elif form == "box":
        draw.rectangle((4, 4, 20, 20), colour)
    else:
        draw.rectangle((10, 2, 13, 22), colour)
    return image


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    for part in ("train", "valid", "test"):
        for colour, hue in COLOURS.items():
            for form, thing in FORMS.items():
                for copy in range(2):
                    yield (
                        part,
                        {
                            "name": f"{part}-{colour}-{form}-{copy}",
                            "glyph": f"{colour}-{form}",
                            "names": {"en": f"{colour} {form}", "zh": f"{hue}的{thing}"},
                            "keywords": {"en": [form], "zh": []},
                            "paraphrase": {"en": [], "zh": []},
                            "text": f"{colour} {form}",
                            "png": base64.b64encode(encode_png(drawn(colour, form))).decode(),
                        },
                    )


def tiny(steps: int = 60) -> Recipe:
    full = RECIPES["emblem-reader"]()
    return replace(
        full,
        data=replace(full.data, source="forms"),
        model=replace(PRESETS["tiny"], text_width=192),
        optim=replace(full.optim, warmup_steps=5),
        train=TrainConfig(steps=steps, batch_size=12, evaluate_every=steps, log_every=5),
    )


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("forms")
    (folder / "origin.txt").write_text("drawn by a test")
    source = Source(path=str(folder / "origin.txt"), name="forms", licence="CC0-1.0")
    return write_rows(
        "forms", source, {"origin.txt": "0" * 64}, {}, rows(), folder / "set", kind="forms"
    )


@pytest.fixture(scope="module")
def judge(forms: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("judge") / "run"
    return trained(tiny(), forms, run)


def trained(wanted: Recipe, data: Dataset, run: Path) -> Path:
    path = run.with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, wanted.to_dict())
    return train(TrainRequest(recipe=str(path), run=run, data=data.folder))


def test_a_judge_tells_pictures_apart(judge: Path, forms: Dataset) -> None:
    loaded = load(judge)
    numbers = loaded.manifest["facts"]["numbers"]
    assert numbers["test_top10_share"] > 0.99
    assert "train_top10_share" in (judge / "README.md").read_text()
    reader, chosen = reader_of(loaded), concepts(forms, "test")
    assert {one.name for one in chosen} >= {"red ball", "红色的盒子"}
    names = [one.name for one in chosen] * 9
    own = np.stack([np.asarray(drawn(*one.record["glyph"].split("-"))) for one in chosen])
    assert top_share(loaded, reader, own, chosen, names) == 1
    others = np.roll(own, 3, axis=0)  # another colour for each
    assert top_share(loaded, reader, others, chosen, names) < 0.7


def test_a_batch_shows_each_glyph_once(forms: Dataset) -> None:
    matched = Matched.read(forms.records("train"))
    reader = WordReader(load(find_bundle("encoder")))
    batches = MatchedBatches(matched=matched, read=reader, batch_size=12, seed=1, side_px=16)
    whole = batches.batch(0, Share())
    assert whole["pictures"].shape == (12, 3, 16, 16)
    assert len({tuple(one.flatten().tolist()) for one in whole["words"][:, 0]}) == 12
    halves = [batches.batch(0, Share(rank=rank, world=2)) for rank in range(2)]
    assert torch.equal(torch.cat([one["pictures"] for one in halves]), whole["pictures"])
    again = MatchedBatches(matched=matched, read=reader, batch_size=12, seed=1, side_px=16)
    assert torch.equal(again.batch(0, Share())["pictures"], whole["pictures"])


def test_a_view_is_the_drawing_still() -> None:
    views = [light_view(drawn("red", "ball"), noise(0, "x", number), 32) for number in range(20)]
    assert len({one.tobytes() for one in views}) == 20
    for one in views:
        assert one.shape == (32, 32, 3)
        red, green, _ = one[13:19, 13:19].reshape(-1, 3).mean(0)
        assert red > 200
        assert green < 60
        assert one[0].mean() > 180, "drawings stand on white or something pale"


def test_texts_read_no_padding_and_survive_silence() -> None:
    model = TextImage(PRESETS["tiny"])
    model.initialise(torch.Generator().manual_seed(0))
    words = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[True, True, False], [True, True, True]])
    changed = words.clone()
    changed[0, 2] = 9
    assert torch.equal(model.texts(words, mask)[0], model.texts(changed, mask)[0])
    assert model.texts(words, torch.zeros_like(mask)).isfinite().all()
    assert model.temperature.item() == pytest.approx(0.07)


def test_matching_costs_nothing_where_all_is_found() -> None:
    model = TextImage(PRESETS["tiny"])
    model.initialise(torch.Generator().manual_seed(0))
    batch = {
        "pictures": torch.randn(4, 3, 16, 16),
        "words": torch.randn(4, 2, 6),
        "mask": torch.ones(4, 2, dtype=torch.bool),
    }
    loss = Matching()(model, batch, torch.Generator())
    assert loss.value.item() > 0.3
    assert set(loss.parts) == {"found_share", "temperature"}
    assert Matching().weight(batch) == 4


def test_what_reads_no_texts_is_refused(forms: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="encoder reads no texts beside pictures"):
        reader_of(load(find_bundle("encoder")))
    wanted = tiny()
    silent = replace(wanted, data=replace(wanted.data, words=""))
    with pytest.raises(ConfigError, match="vectors of words have 0"):
        trained(silent, forms, tmp_path / "run")
