"""`wenfang train tune`: from a user's examples to a bundle that names its base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import wenfang as wf
from conftest import Call
from wenfang.backends.loading import load_folder, load_named
from wenfang.backends.shelf import find_bundle
from wenfang.checks.facts import read_facts
from wenfang.data.venue import parse_facts
from wenfang.errors import BundleError, ConfigError, DataError
from wenfang.recipes.train import TrainRequest, train

TONE = Path(__file__).parent / "data" / "venue_tone.jsonl"
FACTS = "name[The Blue Heron], eatType[pub], area[riverside]"
SHORT = ("train.steps=4", "train.batch_size=8", "train.evaluate_every=4")


def rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in TONE.read_text("utf-8").splitlines()]


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows()[:24]))
    return path


def tune(data: Path | None, run: Path, *settings: str, **asked: Any) -> Path:
    request = TrainRequest(
        recipe="tune",
        run=run,
        data=data,
        base=asked.pop("base", find_bundle("copywriter")),
        settings=(*SHORT, *settings),
        **asked,
    )
    return train(request)


def test_the_written_pairs_tell_their_facts() -> None:
    told = [
        finding.outcome == "realised"
        for row in rows()
        for finding in read_facts(row["completion"], parse_facts(row["prompt"]))
    ]
    assert len(rows()) == 250
    assert len({row["completion"] for row in rows()}) == 250
    assert sum(told) / len(told) >= 0.99


@pytest.mark.parametrize(("kind", "bytes_max"), [("lora", 200_000), ("prompt", 100_000)])
def test_an_adapter_is_small_names_its_base_and_runs(
    few: Path, tmp_path: Path, kind: str, bytes_max: int
) -> None:
    folder = tune(few, tmp_path / "run", f"tune.kind={kind}", "tune.name=wry", "optim.lr=0.01")
    assert sum(path.stat().st_size for path in folder.iterdir()) < bytes_max
    manifest = json.loads((folder / "manifest.json").read_text())
    base = load_named("copywriter")
    assert manifest["name"] == "wry"
    assert base.manifest["id"] in {link["id"] for link in manifest["inputs"]}
    assert manifest["licence"] == "CC-BY-SA-4.0 AND NOASSERTION"
    assert "E2E NLG dataset" in (folder / "NOTICE").read_text()
    card = (folder / "README.md").read_text()
    assert "licence: CC-BY-SA-4.0 AND NOASSERTION" in card
    assert "`copywriter` (CC-BY-SA-4.0)" in card
    assert "An adapter of" in card
    assert "from `copywriter`" in card
    assert "gain_bits_per_byte" in card
    known = {record["id"] for record in load_folder(folder).ancestors}
    assert {link["id"] for link in manifest["inputs"]} <= known
    assert wf.load(str(folder)).generate(FACTS).text


def test_full_tuning_makes_a_bundle_of_its_own(few: Path, tmp_path: Path) -> None:
    folder = tune(few, tmp_path / "run", "tune.licence=CC0-1.0")
    config = json.loads((folder / "config.json").read_text())
    assert "adapter" not in config
    assert (
        json.loads((folder / "manifest.json").read_text())["licence"] == "CC-BY-SA-4.0 AND CC0-1.0"
    )
    assert wf.load(str(folder)).generate(FACTS).text


def test_adapters_count_as_much_as_they_are_told(few: Path, tmp_path: Path) -> None:
    folder = tune(few, tmp_path / "run", "tune.kind=lora", "optim.lr=0.02", measured=False)
    name = "decoder.block.0.layer.0.SelfAttention.v.weight"
    weights = [
        dict(load_named(one).model.named_parameters())[name]
        for one in ("copywriter", f"copywriter+{folder}:0.5", f"copywriter+{folder}", str(folder))
    ]
    half, whole = weights[1] - weights[0], weights[2] - weights[0]
    assert float(whole.detach().abs().max()) > 0
    assert torch.allclose(2 * half, whole, atol=1e-6)
    assert torch.equal(weights[2], weights[3])
    with pytest.raises(ConfigError, match="the weight of an adapter is a number"):
        load_named(f"copywriter+{folder}:much")


def test_a_run_that_was_stopped_ends_with_the_same_weights(few: Path, tmp_path: Path) -> None:
    whole = tune(few, tmp_path / "whole", "tune.kind=lora", measured=False)
    run = tmp_path / "parts"
    tune(few, run, "tune.kind=lora", "train.checkpoint_every=2", measured=False)
    newest = sorted((run / "checkpoints").iterdir())[-1]
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    again = tune(
        few, run, "tune.kind=lora", "train.checkpoint_every=2", measured=False, resume=True
    )
    files = [(folder / "model.safetensors").read_bytes() for folder in (whole, again)]
    assert files[0] == files[1]


def test_an_adapter_of_another_base_is_refused(few: Path, tmp_path: Path) -> None:
    full = tune(few, tmp_path / "full", measured=False)
    adapter = tune(few, tmp_path / "lora", "tune.kind=lora", measured=False)
    with pytest.raises(BundleError, match=r"was tuned upon copywriter \(.*not upon"):
        load_named(f"{full}+{adapter}")
    with pytest.raises(ConfigError, match="is an adapter"):
        tune(few, tmp_path / "more", base=adapter)
    with pytest.raises(BundleError, match="holds no adapter"):
        load_named(f"copywriter+{full}")


def test_what_cannot_be_tuned_is_told(few: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--from"):
        tune(few, tmp_path / "a", base=None)
    with pytest.raises(ConfigError, match="--data"):
        tune(None, tmp_path / "b")
    with pytest.raises(ConfigError, match="chooses no matrix"):
        tune(few, tmp_path / "c", "tune.kind=lora", 'tune.targets=["*.nothing"]')
    with pytest.raises(BundleError, match="not tuned by examples"):
        tune(few, tmp_path / "d", base=find_bundle("picture-encoder"))
    with pytest.raises(ConfigError, match="verse learns from poems with titles"):
        tune(few, tmp_path / "e", base=find_bundle("verse"))
    few.write_text('{"prompt": "a pub", "completion": "x"}\n{"prompt": "b", "completion": "y"}')
    with pytest.raises(DataError, match=r"the example .* cannot be read: .*not a list of facts"):
        tune(few, tmp_path / "f")
    long = [{"prompt": f"name[N{n}]", "completion": f"N{n} " + "very " * 300} for n in range(4)]
    few.write_text("\n".join(json.dumps(row) for row in long))
    with pytest.raises(DataError, match="4 examples are longer than the context"):
        tune(few, tmp_path / "g")


def test_the_command_line_tunes(few: Path, call: Call, home: Path) -> None:
    settings = [word for one in SHORT for word in ("--set", one)]
    done = call("train", "tune", "--data", str(few), "--from", "copywriter", *settings, "--json")
    assert done.code == 0, done.err
    assert done.json["bundle"] == str(home / "runs" / "copywriter-few" / "bundle")
    before, after = (done.json[f"bits_per_byte{end}"] for end in ("_of_base", ""))
    assert done.json["gain_bits_per_byte"] == pytest.approx(before - after)
    assert done.json["told"][0] == "21 examples to learn from, 3 to measure by"
    refused = call("train", "tune", "--data", str(few))
    assert refused.code == ConfigError.exit_code
    assert "--from" in refused.error
