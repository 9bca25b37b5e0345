"""Eight bits: how far a rounded weight can be off, and that decoding computes with them."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch

import tiny_run
from wenfang.models import decode, gpt
from wenfang.models.int8 import quantise, restore, rounded

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
