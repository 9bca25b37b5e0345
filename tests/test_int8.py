"""Eight bits: how far a rounded weight can be off, and that decoding computes with them."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_music
import tiny_run
from wenfang.atomic import write_json
from wenfang.checkpoint import WEIGHTS, fill_bundle, in_eight_bits, read_bundle
from wenfang.engine.exchanging import export_model
from wenfang.int8 import quantise, restore
from wenfang.models import decode, gpt
from wenfang.models.int8 import rounded
from wenfang.recipes.train import TrainRequest, train

needs_numba = pytest.mark.skipif(
    find_spec("numba") is None, reason="numba is not installed (wenfang[fast])"
)


def test_a_weight_is_off_by_at_most_half_a_step_of_its_row() -> None:
    weight = np.random.default_rng(0).standard_normal((7, 33)).astype(np.float32)
    integers, scale = quantise(weight)
    assert integers.dtype == np.int8
    assert np.abs(integers).max(axis=1).tolist() == [127] * 7
    off = np.abs(restore(integers, scale) - weight)
    assert (off <= scale[:, None] * 0.5001).all()


def test_a_row_of_zeros_stays_zero() -> None:
    integers, scale = quantise(np.zeros((2, 5), np.float32))
    assert not restore(integers, scale).any()
    assert np.isfinite(scale).all()


def model() -> gpt.GPT:
    made = tiny_run.model()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.4, generator=generator)
    return made.eval()


def test_rounding_leaves_the_model_and_its_embeddings_alone() -> None:
    network = model()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    made = rounded(network)
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert torch.equal(made.model.embed_tokens.weight, network.model.embed_tokens.weight)
    assert not torch.equal(made.lm_head.weight, network.lm_head.weight)


@needs_numba
def test_decoding_in_8_bits_equals_the_rounded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "LEAST_WEIGHTS", 0)
    network, tokens = model(), torch.tensor([[3, 1, 4, 1], [5, 2, 6, 5]])
    exact = rounded(network)
    predict = decode.fast_decoder(network, 2, 16, precision="int8")
    other = decode.fast_decoder(exact, 2, 16)
    assert predict is not None
    assert other is not None
    predict(tokens[:, :1])
    other(tokens[:, :1])
    # The first token goes through the plain, unrounded model in one of the two.
    predict.cache.keys.copy_(other.cache.keys)
    predict.cache.values.copy_(other.cache.values)
    for time in range(1, 4):
        found = predict(tokens[:, time : time + 1])
        with torch.no_grad():
            expected = exact(tokens[:, : time + 1])[:, -1]
        assert (found - expected).abs().max() < 1e-4


def test_a_recipe_may_ask_for_a_bundle_in_eight_bits(tmp_path: Path) -> None:
    dataset = tiny_music.dataset(tmp_path / "data").folder
    made = []
    for name, eight_bits in (("plain", False), ("small", True)):
        recipe = replace(tiny_music.recipe(steps=2), eight_bits=eight_bits)
        run = tmp_path / name
        run.mkdir()
        write_json(run / "asked.json", recipe.to_dict())
        made.append(
            train(
                TrainRequest(recipe=str(run / "asked.json"), data=dataset, run=run, measured=False)
            )
        )
    plain, small = (read_bundle(folder) for folder in made)
    sizes = [(folder / WEIGHTS).stat().st_size for folder in made]
    assert sizes[1] < 0.95 * sizes[0]  # most of its matrices are too small
    wide, narrow = plain.tensors(), small.tensors()
    assert wide.keys() == narrow.keys()
    for name, weight in wide.items():
        step = weight.flatten(1).abs().amax(1, keepdim=True) / 127 if weight.ndim > 1 else 0
        assert ((narrow[name] - weight).flatten(1 if weight.ndim > 1 else 0).abs() <= step).all()
    assert any((narrow[name] != weight).any() for name, weight in wide.items())
    exported = export_model(str(made[1]), "hf", tmp_path / "hf")  # other programs read float32
    assert (exported / WEIGHTS).stat().st_size > sizes[0]


def test_kernels_keep_their_shape_and_what_is_small_its_numbers(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(3)
    tensors = {
        "kernel": torch.randn(32, 16, 3, 3, generator=draw),
        "gain": torch.randn(5000, generator=draw).half(),
        "corner": torch.randn(8, 8, generator=draw).half(),
    }
    stored = in_eight_bits(tensors)
    assert {name: one.dtype for name, one in stored.items()} == {
        "kernel": torch.int8,
        "kernel:scales": torch.float32,
        "gain": torch.float16,
        "corner": torch.float16,
    }
    tmp_path.joinpath("b").mkdir()
    files = fill_bundle(tmp_path / "b", {}, stored, None)
    write_json(tmp_path / "b" / "manifest.json", {"facts": {"files": files}})
    found = read_bundle(tmp_path / "b").stored_tensors()
    assert found.keys() == tensors.keys()
    assert found["kernel"].shape == (32, 16, 3, 3)
    assert (found["kernel"] - tensors["kernel"]).abs().max() < 0.03
    assert torch.equal(found["gain"], tensors["gain"])
