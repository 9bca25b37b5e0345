"""The bundle `encoder` that ships: size, rights, numbers, and neighbours that make sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import wenfang as wf
from wenfang.checkpoint import read_bundle

FOLDER = Path(wf.__file__).parent / "bundles" / "encoder"
ENGLISH = (
    "Where is the train station?",
    "I would like a cup of tea, please.",
    "The shop closes at six o'clock.",
    "Have you eaten yet?",
    "Please call me a taxi.",
    "He does not like coffee.",
)
CHINESE = (
    "火车站在哪里？",
    "我想喝一杯茶。",
    "商店六点关门。",
    "你吃饭了吗？",
    "请帮我叫一辆出租车。",
    "他不喜欢喝咖啡。",
)


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8_000_000


def test_every_source_is_named_with_its_licence() -> None:
    files = read_bundle(FOLDER)
    notice = (FOLDER / "NOTICE").read_text("utf-8")
    sources = [one for one in files.ancestors() if one["kind"] == "source"]
    assert {"tatoeba_en_zh", "crosswoz_zh", "gsm8k"} <= {one["name"] for one in sources}
    for source in sources:
        assert source["name"] in notice
        assert source["licence"] in notice
    assert "LicenseRef-CC-BY-2.0-FR" in files.manifest["licence"]
    assert "tatoeba.org" in (FOLDER / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name", ["english_to_chinese_first_share", "chinese_to_english_first_share"]
)
def test_its_card_tells_how_often_a_translation_comes_first(name: str) -> None:
    numbers = read_bundle(FOLDER).manifest["facts"]["numbers"]
    assert numbers["split"] == "test"
    assert 0.85 < numbers[name] < 1
    assert numbers[f"word_table_{name}"] < 1, "the baseline stands beside it"


def test_translations_are_each_others_nearest() -> None:
    cosines = wf.embed(list(ENGLISH)) @ wf.embed(list(CHINESE)).T
    assert cosines.argmax(1).tolist() == list(range(len(ENGLISH)))
    assert cosines.argmax(0).tolist() == list(range(len(CHINESE)))
    assert float(np.diag(cosines).min()) > 0.4
