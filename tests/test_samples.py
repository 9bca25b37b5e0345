"""Samples of a run: what they show, what they cost, and the older bundle beside the new one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_music
import tiny_sounds
from conftest import Call
from tiny_bundle import write_bundle
from tiny_pictures import SIDE_PX, dataset, recipe
from wenfang.atomic import sha256_file, write_json
from wenfang.checkpoint import WEIGHTS
from wenfang.engine.keeping import verify_files
from wenfang.errors import MediaError
from wenfang.media.image import decode_image
from wenfang.models import picture_classifier
from wenfang.recipes import samples
from wenfang.recipes.build import build
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.samples import Looks, SamplePlan, moments
from wenfang.recipes.train import TrainRequest, train
from wenfang.trainer import Event, TrainConfig

PAIRS = [{"prompt": f"p {n}", "completion": f" c {n}"} for n in range(10)]
STEPS, EVERY = 6, 2


def short(name: str) -> Recipe:
    """A recipe under a name that no bundle has."""
    found = recipe(name, STEPS)
    train = replace(found.train, evaluate_every=EVERY)
    return replace(found, name=f"own-{name}", train=train)


def trained(
    folder: Path, wanted: Recipe, data: Path, count: int = 3, **more: Any
) -> tuple[Path, list[Event]]:
    """A run and all that it told; `folder` is its own."""
    events: list[Event] = []
    path = folder.with_suffix(".json")
    write_json(path, wanted.to_dict())
    plan = SamplePlan(count=count, against=more.pop("against", None))
    request = TrainRequest(
        recipe=str(path), run=folder, data=data, measured=False, samples=plan, **more
    )
    train(request, events.append)
    return folder, events


def told(events: Sequence[Event], kind: str) -> list[Event]:
    return [one for one in events if one.kind == kind]


def compared(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "samples" / "compared.json").read_text("utf-8"))
    return found


def test_samples_are_made_at_evaluations_sealed_and_change_no_weight(
    home: Path, tmp_path: Path
) -> None:
    data = dataset(tmp_path / "set").folder
    wanted = short("digits-diffusion")
    shown, events = trained(tmp_path / "shown", wanted, data)
    looks = told(events, "samples")
    assert [one.step for one in looks] == [2, 4, 6]
    plain, events = trained(tmp_path / "plain", wanted, data, count=0)
    assert not told(events, "samples")
    assert not (plain / "samples").exists()
    assert len({sha256_file(run / "bundle" / WEIGHTS) for run in (shown, plain)}) == 1
    for one in looks:
        look = json.loads((Path(one.text) / "look.json").read_text("utf-8"))
        assert (look["step"], look["shows"]) == (one.step, "pictures")
        assert [made["asked"] for made in look["made"]] == ["across · down · ring"]
        [verdict] = verify_files([Path(one.text) / look["made"][0]["file"]])
        assert verdict.exit_code == 0, verdict
    sheet = decode_image((Path(looks[0].text) / "0.png").read_bytes())
    assert sheet.width > 3 * samples.LEAST_SIDE_PX


def test_moments_are_evaluations_and_the_end_is_one() -> None:
    ten = TrainConfig(steps=1000, evaluate_every=100)
    assert moments(ten, 10) == moments(ten, 50) == frozenset(range(100, 1001, 100))
    assert moments(ten, 1) == {1000}
    assert moments(ten, 4) == {300, 500, 800, 1000}
    assert moments(replace(ten, evaluate_every=300), 2) == {600, 1000}


def test_samples_that_cost_too_much_are_left_out_but_for_the_first_and_the_last(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "GRACE_S", 0.0)
    monkeypatch.setattr(samples, "SHARE", 0.0)
    data = dataset(tmp_path / "set").folder
    _, events = trained(tmp_path / "run", short("digits-diffusion"), data)
    assert [one.step for one in told(events, "samples")] == [2, 6]


def test_the_model_that_it_began_with_stands_beside_it(home: Path, tmp_path: Path) -> None:
    data = dataset(tmp_path / "set").folder
    wanted = short("digits-diffusion")
    first, before = trained(tmp_path / "first", wanted, data)
    alone = compared(first)
    assert (alone["old"], alone["look"]) == ("", None)
    assert "no older model" in alone["notes"][0]["template"]
    loss = told(before, "evaluate")[-1].values["val_loss"]
    assert ["val_loss", None, pytest.approx(loss)] in alone["numbers"]
    second, after = trained(tmp_path / "second", wanted, data, base=first / "bundle")
    found = compared(second)
    assert (found["old"], found["notes"]) == (wanted.name, [])
    # Weights are stored as halves, so a loss measured again is nearly the same.
    [row] = [row for row in found["numbers"] if row[0] == "val_loss"]
    assert row[1] == pytest.approx(loss, rel=1e-3)
    assert row[2] == told(after, "evaluate")[-1].values["val_loss"]
    assert row[1] != row[2]
    assert found["look"]["shows"] == "pictures"
    [verdict] = verify_files([second / "samples" / "old" / "0.png"])
    assert verdict.exit_code == 0
    # The same words and seeds: what the first made last is what the old one makes now.
    files = [first / "samples" / "step_00000006" / "0.png", second / "samples" / "old" / "0.png"]
    own, again = (decode_image(one.read_bytes()).crop((0, 0, 200, 200)) for one in files)
    near = [abs(a - b) for a, b in zip(own.convert("L").tobytes(), again.convert("L").tobytes(),
                                       strict=True)]  # fmt: skip
    assert sum(near) / len(near) < 4


def test_a_bundle_of_the_same_name_stands_beside_it_and_another_kind_does_not(
    home: Path, tmp_path: Path
) -> None:
    data = dataset(tmp_path / "set").folder
    wanted = short("digits-diffusion")
    trained(home / "runs" / wanted.name, wanted, data, count=0)
    found = compared(trained(tmp_path / "other", wanted, data)[0])
    assert found["old"] == wanted.name
    write_bundle(home / "bundles" / "gpt2", "gpt2")
    again, _ = trained(tmp_path / "third", wanted, data, against=home / "bundles" / "gpt2")
    found = compared(again)
    assert (found["old"], found["look"]) == ("gpt2", None)
    assert any("makes other things" in note["template"] for note in found["notes"])
    assert any("built otherwise" in note["template"] for note in found["notes"])


def test_sounds_and_texts_are_shown_as_such(home: Path, tmp_path: Path, call: Call) -> None:
    data = tiny_sounds.dataset(tmp_path / "set").folder
    _, events = trained(tmp_path / "spoken", tiny_sounds.recipe("spoken-digits", 4), data, count=1)
    [one] = told(events, "samples")
    look = json.loads((Path(one.text) / "look.json").read_text("utf-8"))
    assert look["shows"] == "sounds"
    assert {made["asked"] for made in look["made"]} < set(tiny_sounds.CLASSES)
    verdicts = verify_files([Path(one.text) / made["file"] for made in look["made"]])
    assert {verdict.exit_code for verdict in verdicts} == {0}
    write_bundle(home / "bundles" / "gpt2", "gpt2")
    rows = tmp_path / "mine.jsonl"
    rows.write_text("\n".join(map(json.dumps, PAIRS)), "utf-8")
    words = ("--data", rows, "--from", "gpt2", "-o", tmp_path / "tuned", "--set", "train.steps=2")
    made = call("train", "tune", *words, "--samples", 1, "--json")
    assert made.code == 0, made.err
    look = json.loads((Path(made.json["samples"]) / "look.json").read_text("utf-8"))
    assert look["shows"] == "texts"
    assert {one["asked"] for one in look["made"]} <= {one["prompt"] for one in PAIRS}
    found = json.loads(Path(made.json["compared"]).read_text("utf-8"))
    assert found["old"] == "gpt2"
    assert [one["asked"] for one in found["look"]["made"]] == [one["asked"] for one in look["made"]]
    names = {name: (old, new) for name, old, new in found["numbers"]}
    assert None not in names["bits_per_byte"]
    assert call("train", "tune", *words, "--samples", -1).code == 64


def test_music_is_shown_played(home: Path, tmp_path: Path) -> None:
    wanted = tiny_music.recipe(steps=4)
    wanted = replace(wanted, train=replace(wanted.train, evaluate_every=2))
    data = tiny_music.dataset(tmp_path / "set").folder
    run, events = trained(tmp_path / "run", wanted, data, count=2)
    assert [one.step for one in told(events, "samples")] == [2, 4]
    made = json.loads((run / "samples" / "step_00000004" / "look.json").read_text("utf-8"))["made"]
    assert [one["asked"] for one in made] == ["C major", "A minor"]
    assert all((run / "samples" / "step_00000004" / one["file"]).stat().st_size for one in made)


@pytest.mark.parametrize("thought_of", [True, False])
def test_what_makes_nothing_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thought_of: bool
) -> None:
    if not thought_of:  # a difference by which the older one cannot read what the new one does
        monkeypatch.setattr("wenfang.recipes.comparison._reads_alike", lambda *given: True)
    data = dataset(tmp_path / "set").folder
    wanted = short("digit-reader")
    shape = picture_classifier.PRESETS["tiny"]
    reader = replace(wanted, name="digit-reader", model=replace(shape, side_px=SIDE_PX, classes=3))
    _, events = trained(tmp_path / "reader", reader, data)
    assert not told(events, "samples")
    assert "makes nothing" in told(events, "warning")[0].text
    # The reader of that name which ships reads larger pictures, and is told apart from this one.
    found = compared(tmp_path / "reader")
    assert found["old"] == reader.name
    assert any("built otherwise" in note["template"] for note in found["notes"])


def test_a_model_that_no_longer_fits_its_samples_goes_on_learning(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise MediaError("the disk of samples is full")

    monkeypatch.setattr(samples, "write_look", broken)
    data = dataset(tmp_path / "set")
    run, events = build(short("digits-diffusion"), data), list[Event]()
    looks = Looks(run, data, tmp_path / "run", SamplePlan(count=3), events.append)
    looks(run.task.model.eval(), 2)
    assert [one.kind for one in events] == ["warning"]
    assert "the disk of samples is full" in events[0].text
    looks(run.task.model, 6)
    assert len(events) == 1
