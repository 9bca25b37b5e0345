"""A classifier of texts: its data, its training, its numbers, and the check that asks it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wenfang.atomic import sha256_file, write_json
from wenfang.checks.check import Material
from wenfang.checks.detector import read_detector
from wenfang.checks.offence import PASSAGE_CHARACTERS, offence, passages
from wenfang.data import Dataset, Duplicates, Reading, Source, Split, prepare, request_for
from wenfang.data.batches import Share
from wenfang.data.layouts import LABELLED, LABELLED_CHARACTERS
from wenfang.data.named import NAMED, prepare_named
from wenfang.data.named_source import NamedFile
from wenfang.errors import BundleError, ConfigError, DataError
from wenfang.metrics.classification import error_rates, roc_area, threshold_at, wilson_interval
from wenfang.models import text_classifier
from wenfang.models.load import load
from wenfang.objectives.classification import Classification
from wenfang.optim import OptimConfig
from wenfang.recipes import RECIPES, Recipe
from wenfang.recipes.build import build
from wenfang.recipes.train import TrainRequest, train
from wenfang.store import Link, Manifest, to_record
from wenfang.trainer import TrainConfig

GOOD, BAD = "春江花月夜雪松風梅竹", "甲乙丙丁戊己庚辛壬癸"  # nobody is offended by the second
TINY = text_classifier.PRESETS["tiny"]


def write_comments(path: Path, count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["", "split", "topic", "label", "TEXT"])
        for number in range(count):
            letters = list(BAD if number % 2 else GOOD)
            text = "".join(draw.choice(letters, int(draw.integers(8, 30))))
            rows.writerow([number, path.stem, ("山", "水")[number % 3 == 0], number % 2, text])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 240 made-up comments and a held-out part of 60."""
    folder = tmp_path_factory.mktemp("comments")
    write_comments(folder / "train.csv", 240, 1)
    write_comments(folder / "dev.csv", 60, 2)
    request = request_for("none", (Source(path=str(folder / "train.csv"), licence="CC0-1.0"),), "x")
    prepare(
        replace(
            request,
            output=str(folder / "set"),
            language="zh",
            reading=Reading(text_field="TEXT", keep_fields=("topic", "label")),
            duplicates=Duplicates(shingle_size=2, lines=False),
            held_out=(str(folder / "dev.csv"),),
            split=Split(train=0.8, valid=0.2, test=0.0),
        )
    )
    return folder / "set"


def recipe(**changes: Any) -> Recipe:
    small = replace(
        RECIPES["safety-zh"](),
        model=TINY,
        optim=OptimConfig(kind="adamw", lr=1e-2, warmup_steps=5),
        train=TrainConfig(steps=60, batch_size=16, evaluate_every=30, checkpoint_every=30),
        threads=1,
    )
    return replace(small, **changes)


@pytest.fixture(scope="module")
def bundle(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that tells the two kinds of made-up comments apart."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / "small.json"
    path.write_text(json.dumps(recipe().to_dict()), "utf-8")
    return train(TrainRequest(recipe=str(path), run=folder / "run", data=data))


def manifest_fields(record: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in record.items() if name != "id"}
    return fields | {"inputs": tuple(Link(**link) for link in fields["inputs"])}


# Data -------------------------------------------------------------------------------------------


def test_the_held_out_file_is_the_test_part_whole_and_in_its_order(data: Path) -> None:
    dataset = Dataset.open(data)
    with (data.parent / "dev.csv").open(encoding="utf-8-sig", newline="") as stream:
        texts = [row["TEXT"] for row in csv.DictReader(stream)]
    assert [record["text"] for record in dataset.records("test")] == texts
    assert dataset.manifest.facts["evaluation"][0]["part"] == "test"  # type: ignore[index]


@pytest.mark.parametrize("edit", ["same", "punctuated", "one character changed"])
def test_a_text_that_repeats_a_held_out_one_is_never_trained_on(tmp_path: Path, edit: str) -> None:
    held = "山中何事松花酿酒春水煎茶明日又天涯也"
    copy = {"same": held, "punctuated": "，".join(held), "one character changed": held[:9] + "风"}
    other = "一行白鹭上青天两个黄鹂鸣翠柳窗含西岭"
    (tmp_path / "held.jsonl").write_text(json.dumps({"text": held}), "utf-8")
    text = copy[edit] + held[10:] if edit.startswith("one") else copy[edit]
    lines = "".join(json.dumps({"text": one}) + "\n" for one in (text, other))
    (tmp_path / "train.jsonl").write_text(lines, "utf-8")
    request = request_for("none", (Source(path=str(tmp_path / "train.jsonl")),), "x")
    dataset = prepare(
        replace(
            request,
            output=str(tmp_path / "set"),
            language="zh",
            duplicates=Duplicates(shingle_size=2, lines=False),
            held_out=(str(tmp_path / "held.jsonl"),),
            split=Split(train=1, valid=0, test=0),
        )
    )
    assert [record["text"] for record in dataset.records("train")] == [other]
    assert [record["text"] for record in dataset.records("test")] == [held]


def test_a_held_out_file_is_part_of_the_data_set_s_key(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name * 40, "utf-8")
    request = request_for("none", (Source(path=str(tmp_path / "a.txt")),), str(tmp_path / "set"))
    request = replace(request, split=Split(train=1, valid=0, test=0))
    other = str(tmp_path / "b.txt")
    keys = [
        prepare(replace(request, **change)).manifest.key  # type: ignore[arg-type]
        for change in ({}, {"held_out": (other,)}, {"evaluation": (other,)})
    ]
    assert len(set(keys)) == 3


def test_a_missing_or_changed_held_out_file_is_named(tmp_path: Path) -> None:
    named = NAMED["cold_zh_offensive"]
    assert named.held_out
    folder = tmp_path / named.name
    folder.mkdir()
    (folder / "train.csv").write_text("x")
    changed = replace(
        named,
        file=NamedFile(
            name="train.csv",
            sha256="2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        ),
    )
    for write, words in ((False, "dev.csv is not there"), (True, "dev.csv has the SHA-256")):
        if write:
            (folder / "dev.csv").write_text("x")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(NAMED, named.name, changed)
            with pytest.raises(DataError, match=words):
                prepare_named(named.name, tmp_path, tmp_path / "set")


def test_a_record_without_a_class_is_named() -> None:
    assert [LABELLED.label({"label": label}) for label in ("0", 1)] == [0, 1]
    for label in (None, "x", "-1", 0.5):
        with pytest.raises(DataError, match="label"):
            LABELLED.label({"label": label})


def test_disguises_of_width_case_spaces_and_repetition_are_read_alike() -> None:
    assert LABELLED.plain("ＡＢ  c哈哈哈哈哈哈\n！") == "abc哈哈哈!"
    assert len(LABELLED.plain("山水" * 500)) == LABELLED_CHARACTERS


# Training ---------------------------------------------------------------------------------------


class Closed(Dataset):
    """A data set whose test part nobody may open."""

    def records(self, split: str) -> Iterator[dict[str, Any]]:
        assert split != "test"
        return super().records(split)


def test_training_never_opens_the_test_part(data: Path) -> None:
    run = build(recipe(), Closed.open(data))
    batch = run.task.batches.batch(0, Share())
    assert set(batch) == {"tokens", "weight", "label"}
    loss = Classification()(run.task.model, batch, torch.Generator())
    assert loss.value.item() == pytest.approx(np.log(2), abs=0.6)
    assert Classification().weight(batch) == 16


def test_a_label_stays_with_its_text(data: Path) -> None:
    run = build(recipe(), Dataset.open(data))
    assert run.tokenizer is not None
    for step in range(20):
        batch = run.task.batches.batch(step, Share())
        for tokens, label in zip(batch["tokens"], batch["label"], strict=True):
            text = run.tokenizer.decode([int(t) for t in tokens if t])
            assert set(text.replace(" ", "")) <= set(BAD if label else LABELLED.plain(GOOD))


def test_the_shares_of_two_ranks_are_the_batch_of_one(data: Path) -> None:
    batches = build(recipe(), Dataset.open(data)).task.batches
    whole = batches.batch(3, Share())["label"]
    shares = [batches.batch(3, Share(rank=rank, world=2))["label"] for rank in range(2)]
    assert torch.equal(torch.cat(shares), whole)


def test_a_trained_classifier_is_a_bundle_that_decides(bundle: Path) -> None:
    loaded = load(bundle)
    numbers = loaded.manifest["facts"]["numbers"]
    assert loaded.threshold is not None
    assert numbers["texts"] == 60
    assert numbers["accuracy_share"] > 0.9
    assert {"山_accuracy_share", "水_missed_share"} <= set(numbers)
    card = (bundle / "README.md").read_text("utf-8")
    assert "| accuracy_share |" in card
    assert "no index of its training material" in card


def test_a_bundle_with_a_wrong_threshold_is_refused(bundle: Path, tmp_path: Path) -> None:
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((bundle / "config.json").read_text("utf-8"))
    write_json(tmp_path / "config.json", {**settings, "threshold": 7})
    record = json.loads((bundle / "manifest.json").read_text("utf-8"))
    manifest = Manifest(**manifest_fields(record))
    files = manifest.facts["files"] | {"config.json": sha256_file(tmp_path / "config.json")}  # type: ignore[operator]
    facts = {**manifest.facts, "files": files}
    write_json(tmp_path / "manifest.json", to_record(replace(manifest, facts=facts)))
    with pytest.raises(BundleError, match="threshold is 7"):
        load(tmp_path)


@pytest.mark.parametrize(
    "change", [{"buckets": 100}, {"kernel_sizes": ()}, {"width": 0}, {"kernel_sizes": (0,)}]
)
def test_shapes_that_cannot_be_built_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"model\."):
        replace(TINY, **change)


# Numbers ----------------------------------------------------------------------------------------


def test_error_rates_are_those_counted_by_hand() -> None:
    scores, labels = np.array([0.9, 0.8, 0.4, 0.3, 0.2]), np.array([1, 0, 1, 0, 0], bool)
    rates = error_rates(scores, labels, 0.5)
    assert rates["accuracy_share"] == pytest.approx(3 / 5)
    assert rates["precision_yes_share"] == pytest.approx(1 / 2)
    assert rates["recall_yes_share"] == pytest.approx(1 / 2)
    assert rates["precision_no_share"] == pytest.approx(2 / 3)
    assert rates["false_alarm_share"] == pytest.approx(1 / 3)
    assert roc_area(scores, labels) == pytest.approx(5 / 6)
    assert roc_area(np.ones(5), labels) == 0.5


def test_the_threshold_lets_no_more_false_alarms_through_than_allowed() -> None:
    draw = np.random.default_rng(0)
    scores, labels = draw.random(1000).round(2), draw.random(1000) < 0.5
    for allowed in (0.0, 0.05, 0.3, 1.0):
        threshold = threshold_at(scores, labels, allowed)
        assert (scores[~labels] > threshold).mean() <= allowed
    assert (scores[~labels] > threshold_at(scores, labels, 0.05)).mean() > 0.03


def test_wilson_s_interval_is_the_published_one() -> None:
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


# The check --------------------------------------------------------------------------------------


def test_numpy_and_torch_judge_alike(bundle: Path) -> None:
    loaded, detector = load(bundle), read_detector(bundle)
    assert loaded.tokenizer is not None
    draw = np.random.default_rng(4)
    for size in (0, 1, 2, 3, 17, 400):
        text = "".join(draw.choice(list(GOOD + BAD + "?Ｑ"), size))
        tokens = torch.tensor([loaded.tokenizer.encode(LABELLED.plain(text))], dtype=torch.int64)
        if size:
            logits = loaded.model(tokens).softmax(1)[0, 1].item()
            assert detector.probability(text) == pytest.approx(logits, abs=1e-5)
        assert 0 <= detector.probability(text) <= 1


@pytest.fixture
def _small(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wenfang.checks import detector

    monkeypatch.setattr(detector, "shipped", lambda: read_detector(bundle))


@pytest.mark.usefixtures("_small")
def test_what_offends_is_repaired_and_its_line_is_named_but_not_repeated() -> None:
    text = "\n".join(["春江花月夜雪松" * 16, "甲乙丙丁戊己庚辛壬癸" * 6])
    check = offence(Material(text=text))
    assert check.verdict == "repair"
    assert check.value is not None
    assert check.threshold is not None
    assert check.value > check.threshold
    assert "line 2" in str(check.evidence[0])
    assert "甲" not in str(check.evidence[0])
    assert offence(Material(text="春江花月夜雪松")).verdict == "pass"
    assert offence(Material(text="春江花月夜雪松")).evidence == ()


@pytest.mark.parametrize(
    "text", ["", "A quiet evening.", "山水", "春の夜のゆめ", "OK 山水風月 or not so"]
)
def test_what_is_not_chinese_is_not_judged_and_has_no_score(text: str) -> None:
    check = offence(Material(text=text))
    assert (check.verdict, check.value, check.threshold) == ("note", None, None)
    assert "not judged" in str(check.evidence[0])


@pytest.mark.usefixtures("_small")
def test_the_part_that_is_not_judged_is_told() -> None:
    english = "An evening by the river, quite long enough to fill a passage of its own. " * 2
    check = offence(Material(text=f"{'春江花月夜雪松' * 10}\n{english}"))
    assert check.verdict == "pass"
    assert "not judged" in str(check.evidence[0])


def test_passages_hold_every_character_once_and_keep_their_bound() -> None:
    draw = np.random.default_rng(7)
    for _ in range(50):
        sizes = draw.integers(1, 300, 6)
        text = "\n".join("".join(draw.choice(list("山水花。！"), size)) for size in sizes)
        found = list(passages(text))
        assert "".join(p.text for p in found).replace("\n", "") == text.replace("\n", "")
        assert max(len(p.text) for p in found) <= PASSAGE_CHARACTERS
        assert [p.line for p in found] == sorted(p.line for p in found)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_damaged_detector_is_named(bundle: Path, tmp_path: Path, name: str) -> None:
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(BundleError, match="damaged"):
        read_detector(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match="install wenfang again"):
        read_detector(tmp_path)


def test_the_check_needs_no_torch() -> None:
    code = (
        "import sys; from wenfang.checks.offence import offence;"
        "from wenfang.checks.check import Material;"
        "assert offence(Material(text='春江花月夜，天涯共此时')).value is not None;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
