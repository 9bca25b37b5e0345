"""Fast paths: the compiled decoder and oneDNN's products give what the plain model gives."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.device import noise
from wenfang.errors import ConfigError
from wenfang.models import decode, gpt, products
from wenfang.samplers.tokens import CachedPredict, Sampling, sample

needs_numba = pytest.mark.skipif(
    find_spec("numba") is None, reason="numba is not installed (wenfang[fast])"
)
ROWS, PROMPT, STEPS = 6, 5, 12


@pytest.fixture(autouse=True)
def even_small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "LEAST_WEIGHTS", 0)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def model(**changes: object) -> gpt.GPT:
    """A small model of odd sizes, far from uniform."""
    sizes: dict[str, object] = {
        "vocabulary_size": 101, "width": 24, "layers": 3, "heads": 6, "kv_heads": 3,
        "hidden_width": 37, "context": 32,
    }  # fmt: skip
    made = gpt.GPT(gpt.Config(**{**sizes, **changes}))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.4, generator=generator)
    return made.eval()


def prompt(rows: int = ROWS) -> Tensor:
    return torch.randint(0, 101, (rows, PROMPT), generator=torch.Generator().manual_seed(2))


def plain(network: gpt.GPT, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(tokens)[:, -1]
    return logits


@needs_numba
@pytest.mark.parametrize("changes", [{}, {"kv_heads": 6}, {"kv_heads": 1}, {"tied_head": False}])
def test_compiled_logits_equal_the_plain_models(threads: int, changes: dict[str, object]) -> None:
    network, tokens = model(**changes), prompt()
    predict = decode.fast_decoder(network, ROWS, 32)
    assert predict is not None
    found = predict(tokens)
    for _ in range(STEPS):
        assert (found - plain(network, tokens)).abs().max() < 1e-4
        tokens = torch.cat((tokens, found.argmax(-1, keepdim=True)), dim=1)
        found = predict(tokens[:, -1:])


@needs_numba
def test_rows_that_are_left_go_on_as_before() -> None:
    network, tokens, rows = model(), prompt(), torch.tensor([4, 1])
    predict = decode.fast_decoder(network, ROWS, 32)
    assert predict is not None
    predict(tokens)
    predict(tokens[:, :1])
    predict.select(rows)
    found = predict(tokens[rows, 1:2])
    seen = torch.cat((tokens, tokens[:, :2]), dim=1)[rows]
    assert (found - plain(network, seen)).abs().max() < 1e-4


@needs_numba
def test_a_block_after_single_tokens_is_read_as_well() -> None:
    network, tokens = model(), prompt()
    predict = decode.fast_decoder(network, ROWS, 32)
    assert predict is not None
    predict(tokens)
    predict(tokens[:, :1])
    found = predict(tokens[:, :3])
    seen = torch.cat((tokens, tokens[:, :1], tokens[:, :3]), dim=1)
    assert (found - plain(network, seen)).abs().max() < 1e-4


@needs_numba
def test_changed_weights_are_seen_by_the_next_decoder() -> None:
    network, tokens = model(), prompt()
    for _ in range(2):
        predict = decode.fast_decoder(network, ROWS, 32)
        assert predict is not None
        predict(tokens[:, :-1])
        found = predict(tokens[:, -1:])
        assert (found - plain(network, tokens)).abs().max() < 1e-4
        with torch.no_grad():
            network.lm_head.weight.mul_(0.5)


@needs_numba
def test_a_compiled_sample_is_the_same_alone_and_among_others(threads: int) -> None:
    network, tokens = model(), prompt()
    sampling = Sampling(temperature=0.9, maximum_tokens=20)

    def drawn(rows: range) -> list[list[int]]:
        predict = decode.fast_decoder(network, len(rows), 32)
        assert predict is not None
        streams = [noise(5, row) for row in rows]
        found = sample(predict, tokens[rows.start : rows.stop], streams, sampling)
        return [one.tokens for one in found]

    together = drawn(range(ROWS))
    assert [drawn(range(row, row + 1))[0] for row in range(ROWS)] == together


@needs_numba
def test_a_compiled_sample_is_the_plain_one() -> None:
    network, tokens = model(), prompt()
    sampling = Sampling(maximum_tokens=20)
    streams = [[noise(5, row) for row in range(ROWS)] for _ in range(2)]
    predict = decode.fast_decoder(network, ROWS, 32)
    assert predict is not None
    expected = sample(CachedPredict(network, ROWS, 32), tokens, streams[0], sampling)
    found = sample(predict, tokens, streams[1], sampling)
    assert [one.tokens for one in found] == [one.tokens for one in expected]


@needs_numba
def test_compiled_code_is_never_given_what_does_not_fit() -> None:
    predict = decode.fast_decoder(model(), 1, 32)
    assert predict is not None
    one = torch.tensor([[1]])
    predict(one)
    with pytest.raises(IndexError):
        predict(torch.tensor([[101]]))
    for _ in range(31):
        predict(one)
    with pytest.raises((ConfigError, AssertionError)):
        predict(one)


def test_the_path_and_its_reason_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    network = model()
    assert "trained" in decode.decoding_path(model().train()).reason
    assert "float32" in decode.decoding_path(model().double()).reason
    assert "GPT family" in decode.decoding_path(nn.Linear(2, 2)).reason
    adapted = model()
    adapted.model.layers[0].self_attn.q_proj = nn.Sequential(nn.Linear(24, 24, bias=False))  # type: ignore[union-attr]
    assert "replaced" in decode.decoding_path(adapted).reason
    monkeypatch.setattr(decode, "LEAST_WEIGHTS", 10**9)
    assert "small" in decode.decoding_path(network).reason
    assert decode.fast_decoder(network, 1, 8) is None
    monkeypatch.setattr(decode, "LEAST_WEIGHTS", 0)
    monkeypatch.setattr(decode, "find_spec", lambda name: None)
    assert decode.decoding_path(network).name == "plain"
    assert "numba" in decode.decoding_path(network).reason
    assert decode.fast_decoder(network, 1, 8) is None


def gradients(x: Tensor, layer: nn.Linear) -> list[Tensor]:
    layer.zero_grad()
    x = x.clone().requires_grad_()
    (functional.linear(x, layer.weight, layer.bias) ** 2).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return [x.grad, *[p.grad.clone() for p in layer.parameters() if p.grad is not None]]


@pytest.mark.parametrize("bias", [True, False])
def test_fast_products_have_the_same_values_and_gradients(
    monkeypatch: pytest.MonkeyPatch, bias: bool
) -> None:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(products, "wastes_vector_units", lambda: True)
    monkeypatch.setattr(products, "LEAST_MULTIPLICATIONS", 0)
    torch.manual_seed(0)
    layer, x = nn.Linear(33, 17, bias=bias), torch.randn(3, 5, 33)
    expected, slopes = layer(x), gradients(x, layer)
    with products.fast_products() as fast:
        assert fast
        assert torch.allclose(layer(x), expected, atol=1e-5)
        with torch.no_grad():
            assert torch.allclose(layer(x), expected, atol=1e-5)
        for found, slope in zip(gradients(x, layer), slopes, strict=True):
            assert torch.allclose(found, slope, atol=1e-3, rtol=1e-4)


def test_products_stay_as_they_are_where_nothing_is_won(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "wastes_vector_units", lambda: False)
    with products.fast_products() as fast:
        assert not fast
