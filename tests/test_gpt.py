"""The Transformer against mathematics, against transformers, and against itself with a cache."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wenfang.errors import ConfigError
from wenfang.models import gpt

SHAPES = pytest.mark.parametrize("kv_heads", [1, 2, 4])


def awake(kv_heads: int = 2, *, tied: bool = False, seed: int = 4) -> gpt.GPT:
    """A tiny GPT none of whose weights is zero."""
    config = replace(
        gpt.PRESETS["tiny"], vocabulary_size=29, kv_heads=kv_heads, tied_head=tied, context=24
    )
    model = gpt.GPT(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.3, generator=generator)
    return model.eval()


def tokens(batch: int = 3, time: int = 17) -> Tensor:
    return torch.randint(29, (batch, time), generator=torch.Generator().manual_seed(2))


def rotated(x: np.ndarray, position: int, base: float) -> np.ndarray:
    """One head's vector (K,), turned as complex numbers: element i pairs with i + K/2."""
    half = len(x) // 2
    angle = position * base ** (-2.0 * np.arange(half) / len(x))
    turned = (x[:half] + 1j * x[half:]) * np.exp(1j * angle)
    return np.concatenate((turned.real, turned.imag))


def reference_attention(x: np.ndarray, layer: gpt.Attention, base: float) -> np.ndarray:
    """Causal grouped attention of one sequence (T, D), written as sums in float64."""
    weight = {name: p.detach().double().numpy() for name, p in layer.named_parameters()}
    width = layer.head_width
    out = []
    for now in range(len(x)):
        heads = []
        for head in range(layer.heads):
            group = head // (layer.heads // layer.kv_heads)
            mine = slice(head * width, (head + 1) * width)
            theirs = slice(group * width, (group + 1) * width)
            query = rotated(weight["q_proj.weight"][mine] @ x[now], now, base)
            scores, values = [], []
            for past in range(now + 1):
                key = rotated(weight["k_proj.weight"][theirs] @ x[past], past, base)
                scores.append(query @ key / np.sqrt(width))
                values.append(weight["v_proj.weight"][theirs] @ x[past])
            share = np.exp(np.array(scores) - max(scores))
            heads.append(share / share.sum() @ np.array(values))
        out.append(weight["o_proj.weight"] @ np.concatenate(heads))
    return np.array(out)


@SHAPES
def test_attention_equals_its_formula(kv_heads: int) -> None:
    model = awake(kv_heads)
    layer = model.model.layers[0].self_attn
    assert isinstance(layer, gpt.Attention)
    x = torch.randn(2, 9, model.config.width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = layer(x, model.model.rotary, None, 0)
    for row in range(2):
        expected = reference_attention(x[row].double().numpy(), layer, model.config.rotary_base)
        assert np.abs(found[row].numpy() - expected).max() < 1e-5


def test_rotary_scores_depend_on_distance_alone() -> None:
    model = awake()
    rotary = model.model.rotary
    x = torch.randn(1, 1, 2, 8, generator=torch.Generator().manual_seed(0))
    near = [rotary(x[:, :, :1], p + 3) @ rotary(x[:, :, 1:], p).mT for p in (0, 5, 11)]
    assert torch.allclose(near[0], near[1], atol=1e-5)
    assert torch.allclose(near[0], near[2], atol=1e-5)
    assert not torch.allclose(
        near[0], rotary(x[:, :, :1], 4) @ rotary(x[:, :, 1:], 0).mT, atol=1e-3
    )


def llama(model: gpt.GPT) -> Any:
    """transformers' LlamaForCausalLM of the same shape."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # another library's own
        import transformers

        config = transformers.LlamaConfig(
            vocab_size=model.config.vocabulary_size,
            hidden_size=model.config.width,
            intermediate_size=model.config.hidden_width,
            num_hidden_layers=model.config.layers,
            num_attention_heads=model.config.heads,
            num_key_value_heads=model.config.kv_heads,
            max_position_embeddings=model.config.context,
            rms_norm_eps=model.config.norm_epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": model.config.rotary_base},
            tie_word_embeddings=model.config.tied_head,
            attention_bias=False,
        )
        return transformers.LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("tied", [False, True])
@SHAPES
def test_weights_map_one_to_one_to_llama(kv_heads: int, tied: bool) -> None:
    model = awake(kv_heads, tied=tied)
    other = llama(model)
    assert dict(model.named_parameters()).keys() == dict(other.named_parameters()).keys()
    other.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        difference = (model(tokens()) - other(tokens()).logits).abs().max()
    assert float(difference) < 1e-4


@SHAPES
@pytest.mark.parametrize("blocks", [[17], [1] * 17, [5, 1, 1, 10], [1, 8, 8], [16, 1]])
def test_cached_decode_equals_full_forward(kv_heads: int, blocks: list[int]) -> None:
    model = awake(kv_heads)
    cache = model.new_cache(3, 17)
    with torch.no_grad():
        full = model(tokens())
        parts = [model(block, cache) for block in torch.split(tokens(), blocks, dim=1)]
    assert cache.length == 17
    assert torch.allclose(torch.cat(parts, dim=1), full, atol=1e-5)


def test_a_cache_keeps_the_rows_that_are_selected() -> None:
    model = awake()
    cache = model.new_cache(3, 17)
    rows = torch.tensor([2, 0])
    with torch.no_grad():
        model(tokens()[:, :9], cache)
        cache.select(rows)
        found = model(tokens()[rows, 9:], cache)
        expected = model(tokens())[rows, 9:]
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_tied_head_is_the_embedding() -> None:
    model = awake(tied=True)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert "lm_head.weight" not in dict(model.named_parameters())


def test_zeroed_outputs_make_every_block_the_identity() -> None:
    model = awake()
    model.initialise(torch.Generator().manual_seed(0))
    x = torch.randn(1, 4, model.config.width)
    for layer in model.model.layers:
        assert torch.equal(layer(x, model.model.rotary, None), x)


def test_more_tokens_than_the_context_are_refused_with_both_numbers() -> None:
    model = awake()
    with pytest.raises(ConfigError, match="25 tokens do not fit the model's context of 24"):
        model(tokens(1, 25))
    cache = model.new_cache(1, 24)
    model(tokens(1, 20), cache)
    with pytest.raises(ConfigError, match="25 tokens"):
        model(tokens(1, 5), cache)
