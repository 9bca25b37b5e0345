"""What the bundle `safety-zh` promises: size, rights, error rates, quiet on ordinary text."""

from __future__ import annotations

import json
import lzma
import os
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import wenfang
from wenfang.checks.check import Material
from wenfang.checks.detector import shipped
from wenfang.checks.offence import offence
from wenfang.data.named import prepare_named
from wenfang.models.load import Loaded, load
from wenfang.recipes.suite import evaluate

FOLDER = Path(wenfang.__file__).parent / "bundles" / "safety-zh"
DATA = os.environ.get("WENFANG_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="WENFANG_DATA names no folder of data sets")


@cache
def safety() -> Loaded:
    return load(FOLDER)


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6_000_000


def test_its_source_may_ship_and_is_named() -> None:
    sources = [one for one in safety().ancestors if one["kind"] == "source"]
    assert [(one["name"], one["licence"]) for one in sources] == [
        ("cold_zh_offensive", "Apache-2.0")
    ]
    assert "COLDataset" in (FOLDER / "NOTICE").read_text("utf-8")
    (dataset,) = [one for one in safety().ancestors if one["kind"] == "dataset"]
    (held_out,) = dataset["facts"]["evaluation"]
    assert (held_out["name"], held_out["part"]) == ("dev.csv", "test")
    assert dataset["facts"]["counts"]["rejected"]["contaminated"] > 0


def test_the_numbers_of_its_card_reach_their_bars() -> None:
    numbers = safety().manifest["facts"]["numbers"]
    assert numbers["texts"] == 6431
    assert numbers["accuracy_low_95_share"] >= 0.76
    card = (FOLDER / "README.md").read_text("utf-8")
    for name in ("precision_yes_share", "recall_yes_share", "roc_area", "race_accuracy_share"):
        assert f"| {name} |" in card


def test_a_text_is_judged_in_a_few_milliseconds() -> None:
    detector, text = shipped(), "春江潮水连海平，海上明月共潮生。" * 7
    assert detector.probability(text) < detector.threshold
    started = time.perf_counter()
    for _ in range(20):
        detector.probability(text)
    assert (time.perf_counter() - started) / 20 < 0.1  # a tenth of what torch needs to be imported


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_its_error_rates_are_measured_again(tmp_path: Path) -> None:
    dataset = prepare_named("cold_zh_offensive", None, tmp_path / "set")
    numbers = evaluate(safety(), dataset)
    assert numbers["accuracy_share"] >= 0.76
    assert numbers["accuracy_share"] == pytest.approx(
        safety().manifest["facts"]["numbers"]["accuracy_share"], abs=1e-3
    )
    judged = [
        (record["label"] == "1") == (offence(Material(text=record["text"])).verdict == "repair")
        for record in list(dataset.records("test"))[:1000]
    ]
    assert np.mean(judged) >= 0.76


@needs_data
@pytest.mark.data
def test_classical_verse_seldom_raises_an_alarm() -> None:
    path = Path(DATA) / "chinese_poetry" / "jueju_tang_song.jsonl.xz"
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        poems = [json.loads(line)["lines"] for line, _ in zip(stream, range(5000), strict=False)]
    alarms = [offence(Material(text="\n".join(lines))).verdict == "repair" for lines in poems[::10]]
    assert np.mean(alarms) <= 0.01


@needs_data
@pytest.mark.data
def test_everyday_sentences_seldom_raise_an_alarm() -> None:
    lines = (Path(DATA) / "tatoeba_en_zh" / "cmn.txt").read_text("utf-8").splitlines()
    checks = [offence(Material(text=line.split("\t")[1])) for line in lines[:: len(lines) // 1000]]
    judged = [check.verdict == "repair" for check in checks if check.value is not None]
    assert len(judged) > 800
    assert np.mean(judged) <= 0.03
