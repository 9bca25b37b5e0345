"""Bundles and states: what is damaged, missing or unsafe is named and never loaded."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_run
from wenfang import optim
from wenfang.atomic import write_json, write_text
from wenfang.checkpoint import (
    fill_bundle,
    load_state,
    load_weights,
    optimizer_tensors,
    read_bundle,
    restore_optimizers,
    save_state,
    states,
    weights_to_store,
)
from wenfang.errors import BundleError, TrainingError
from wenfang.models import gpt
from wenfang.optim import OptimConfig
from wenfang.tokenizer import Tokenizer, train_characters

LISTED = ["config.json", "model.safetensors", "tokenizer.json", "README.md", "index.json"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A whole bundle of a tiny model."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_text(folder / "README.md", "# A card\n")
    write_json(folder / "index.json", [1, 2, 3])
    weights = weights_to_store(tiny_run.model(), torch.float32)
    hashes = fill_bundle(folder, {"family": "gpt"}, weights, train_characters(["ab"]).to_json())
    write_json(folder / "manifest.json", {"kind": "bundle", "facts": {"files": hashes}})
    return folder


def test_a_bundle_comes_back_as_it_was(bundle: Path) -> None:
    files = read_bundle(bundle)
    assert files.config == {"family": "gpt"}
    assert sorted(files.manifest["facts"]["files"]) == sorted(LISTED)
    assert files.tokenizer is not None
    assert Tokenizer.from_json(files.tokenizer).encode("ba") == [4, 3]
    expected = weights_to_store(tiny_run.model(), torch.float32)
    found = files.tensors()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", LISTED)
def test_one_flipped_bit_is_named_with_its_file(bundle: Path, name: str) -> None:
    payload = bytearray((bundle / name).read_bytes())
    payload[len(payload) // 2] ^= 1
    (bundle / name).write_bytes(payload)
    with pytest.raises(BundleError, match=rf"{name} is damaged"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", [*LISTED, "manifest.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"{name} is missing"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.BIN", "deep/optimizer.pkl", "a.npz"])
def test_a_pickle_is_refused_and_not_opened(bundle: Path, name: str) -> None:
    trap = bundle / name
    trap.parent.mkdir(exist_ok=True)
    trap.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(BundleError, match=rf"{Path(name).name} may hold pickled code"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "deep/../config.json"])
def test_a_bundle_that_lists_a_file_outside_of_itself_is_refused(bundle: Path, name: str) -> None:
    (bundle.parent / "secret").write_text("x")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["facts"]["files"][name] = "0" * 64
    write_json(bundle / "manifest.json", manifest)
    with pytest.raises(BundleError, match="outside of the bundle"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"{}", "lists no files"),
        (b'{"facts": []}', "lists no files"),
        (b'{"facts": {"files": {"config.json": "0"}}}', "lists no files"),
    ],
)
def test_a_manifest_that_is_none_is_refused(bundle: Path, content: bytes, says: str) -> None:
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=rf"manifest\.json {says}"):
        read_bundle(bundle)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle's folder"):
        read_bundle(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        read_bundle(tmp_path)


def test_weights_that_are_not_safetensors_are_refused(bundle: Path) -> None:
    files = read_bundle(bundle)
    (bundle / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(BundleError, match=r"model\.safetensors is not a readable safetensors file"):
        files.tensors()


@pytest.mark.parametrize(("tied", "count"), [(True, 0), (False, 1)])
def test_a_tied_weight_is_stored_once(tied: bool, count: int) -> None:
    model = tiny_run.model(replace(tiny_run.MODEL, tied_head=tied))
    stored = weights_to_store(model, torch.float32)
    assert sum(name == "lm_head.weight" for name in stored) == count
    assert "model.embed_tokens.weight" in stored
    load_weights(gpt.GPT(model.config), stored, Path("here"))


def test_half_precision_rounds_and_reads_back_as_float32(bundle: Path) -> None:
    model = tiny_run.model()
    stored = weights_to_store(model, torch.float16)
    hashes = fill_bundle(bundle, {}, stored, None)
    write_json(bundle / "manifest.json", {"facts": {"files": hashes}})
    found = read_bundle(bundle).tensors()
    for name, parameter in model.named_parameters():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], parameter.detach().half().float()), name
        assert torch.allclose(found[name], parameter.detach(), rtol=2**-11, atol=2**-24)


def test_weights_that_do_not_fit_are_named() -> None:
    model = tiny_run.model()
    whole = weights_to_store(model, torch.float32)
    name = "model.norm.weight"
    for wrong in ({k: v for k, v in whole.items() if k != name}, {**whole, "zzz": whole[name]}):
        odd = name if name not in wrong else "zzz"
        with pytest.raises(BundleError, match=rf"here: weight {odd} is missing or unknown"):
            load_weights(model, wrong, Path("here"))
    with pytest.raises(BundleError, match=r"has shape \(3,\), the config needs \(16,\)"):
        load_weights(model, {**whole, name: torch.zeros(3)}, Path("here"))


STATE: dict[str, Any] = {"fingerprint": "f"}


def test_only_the_newest_states_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save_state(tmp_path, step, {"model.a": torch.full((2,), float(step))}, STATE, keep=2)
    assert [path.name for path in states(tmp_path)] == ["step_00000002", "step_00000010"]
    tensors, state = load_state(states(tmp_path)[-1])
    assert tensors["model.a"].tolist() == [10, 10]
    assert (state["step"], state["fingerprint"]) == (10, "f")
    assert states(tmp_path / "none") == []


@pytest.mark.parametrize("harm", ["flip", "cut", "no state.json", "no tensors", "no JSON", "empty"])
def test_a_damaged_state_is_named_with_what_to_do(tmp_path: Path, harm: str) -> None:
    path = save_state(tmp_path, 3, {"model.a": torch.zeros(5)}, STATE)
    tensors, state = path / "state.safetensors", path / "state.json"
    payload = bytearray(tensors.read_bytes())
    payload[-1] ^= 1
    if harm == "flip":
        tensors.write_bytes(payload)
    elif harm == "cut":
        tensors.write_bytes(payload[:-4])
    elif harm == "no tensors":
        tensors.unlink()
    elif harm == "no state.json":
        state.unlink()
    else:
        state.write_text("{}" if harm == "empty" else "{")
    with pytest.raises(TrainingError, match=r"step_00000003 is damaged; delete it to resume"):
        load_state(path)


def test_a_run_goes_on_from_the_state_before_a_deleted_one(tmp_path: Path) -> None:
    for step in (1, 2):
        save_state(tmp_path, step, {"model.a": torch.zeros(1)}, STATE)
    shutil.rmtree(states(tmp_path)[-1])
    assert load_state(states(tmp_path)[-1])[1]["step"] == 1


def test_optimizers_come_back_to_the_bit() -> None:
    def stepped(model: gpt.GPT, optimizers: list[torch.optim.Optimizer], seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        for optimizer in optimizers:
            optimizer.step()

    first, second = tiny_run.model(), tiny_run.model()
    mine, theirs = (optim.build(m.named_parameters(), OptimConfig()) for m in (first, second))
    stepped(first, mine, 0)
    second.load_state_dict(first.state_dict())
    saved = {name: tensor.clone() for name, tensor in optimizer_tensors(mine).items()}
    assert len(saved) > 20
    restore_optimizers(theirs, {**saved, "model.x": torch.zeros(1)})
    assert all(torch.equal(optimizer_tensors(theirs)[name], saved[name]) for name in saved)
    for seed in (1, 2):
        stepped(first, mine, seed)
        stepped(second, theirs, seed)
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, second.get_parameter(name)), name
