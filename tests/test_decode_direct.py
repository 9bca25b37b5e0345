"""The direct way of decoding gives the plain model's logits, and steps aside where it cannot."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from wenfang.backends.shelf import find_bundle
from wenfang.device import DRAWING_THREADS, noise
from wenfang.errors import ConfigError
from wenfang.models import gpt
from wenfang.models.decode import attending
from wenfang.models.decode import direct as decode_direct
from wenfang.models.decode.direct import DirectPredict, direct_decoder
from wenfang.models.load import load
from wenfang.samplers.tokens import CachedPredict, Sampling, sample

CONTEXT, VOCABULARY = 40, 61


@pytest.fixture(autouse=True, scope="module")
def as_many_threads_as_draw() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(DRAWING_THREADS)
    yield
    torch.set_num_threads(before)


def model(**changes: object) -> gpt.GPT:
    """A small model of odd sizes, far from uniform."""
    sizes: dict[str, object] = {
        "vocabulary_size": VOCABULARY, "width": 24, "layers": 3, "heads": 6, "kv_heads": 3,
        "hidden_width": 37, "context": CONTEXT,
    }  # fmt: skip
    made = gpt.GPT(gpt.Config(**{**sizes, **changes}))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.4, generator=generator)
    return made.eval()


def prompt(rows: int, length: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, VOCABULARY, (rows, length), generator=generator)


def direct(network: nn.Module, rows: int, capacity: int = CONTEXT) -> DirectPredict:
    made = direct_decoder(network, rows, capacity)
    assert made is not None
    return made


def alike(ours: Tensor, plain: Tensor) -> bool:
    """Whether logits differ by what the order of float32's sums makes, and no more."""
    return torch.allclose(ours, plain, rtol=1e-4, atol=1e-4)


@pytest.fixture(params=["as they are", "large", "many"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices as if they were large, few rows as if they were many: each has a way of its own."""
    monkeypatch.setattr(decode_direct, "_LAID_OUT", weakref.WeakKeyDictionary())
    if request.param == "large":
        monkeypatch.setattr(decode_direct, "LEAST_PACKED", 0)
    if request.param == "many":
        monkeypatch.setattr(attending, "LEAST_IN_BAGS", 0)
        monkeypatch.setattr(attending, "SPAN", 4)


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("rows", [1, 2, 7, 16])
@pytest.mark.parametrize(
    "changes", [{}, {"kv_heads": 6}, {"kv_heads": 1}, {"tied_head": False}, {"head_width": 6}]
)
def test_logits_are_the_plain_models(rows: int, changes: dict[str, object]) -> None:
    network, tokens = model(**changes), prompt(rows)
    ours, plain = direct(network, rows), CachedPredict(network, rows, CONTEXT)
    for _ in range(20):
        found = ours(tokens)
        assert alike(found, plain(tokens))
        tokens = found.argmax(-1, keepdim=True)


@torch.no_grad()
def test_it_is_as_near_to_float64_as_the_plain_model() -> None:
    network, tokens = model(kv_heads=6), prompt(16, 30)
    exact = copy.deepcopy(network).double()(tokens)[:, -1]
    errors = []
    for predict in (direct(network, 16), CachedPredict(network, 16, CONTEXT)):
        predict(tokens[:, :1])
        steps = [predict(tokens[:, at : at + 1]) for at in range(1, 30)]
        errors.append(float((steps[-1] - exact).abs().max()))
    assert errors[0] < 2 * errors[1] + 1e-6


def test_weights_that_have_moved_are_laid_out_again() -> None:
    """As an optimizer moves them, which no version counter tells."""
    network, tokens = model(), prompt(2)
    before = direct(network, 2)
    before(tokens)
    for number, parameter in enumerate(network.parameters()):
        parameter.data[0] += 0.01 * number
    ours, plain = direct(network, 2), CachedPredict(network, 2, CONTEXT)
    for block in (tokens, tokens[:, :1]):
        assert alike(ours(block), plain(block))


def test_rows_that_are_left_go_on_as_before() -> None:
    network, tokens, rows = model(), prompt(6), torch.tensor([4, 1])
    ours, plain = direct(network, 6), CachedPredict(network, 6, CONTEXT)
    for predict in (ours, plain):
        predict(tokens)
        predict(tokens[:, :1])
        predict.select(rows)
    assert alike(ours(tokens[rows, 1:2]), plain(tokens[rows, 1:2]))


def test_a_block_after_single_tokens_is_read_as_well() -> None:
    network, tokens = model(), prompt(3)
    ours, plain = direct(network, 3), CachedPredict(network, 3, CONTEXT)
    for block in (tokens, tokens[:, :1], tokens[:, :3], tokens[:, 2:3]):
        assert alike(ours(block), plain(block))
    assert ours.cache.length == 10


def test_learned_vectors_before_a_text_are_read() -> None:
    network, tokens = model(), prompt(3)
    network.prompt = nn.Parameter(torch.randn(4, 24, generator=torch.Generator().manual_seed(3)))
    ours, plain = direct(network, 3), CachedPredict(network, 3, CONTEXT)
    for block in (tokens, tokens[:, :1], tokens[:, 1:2]):
        assert alike(ours(block), plain(block))


def test_it_refuses_what_passes_the_context() -> None:
    network, tokens = model(), prompt(1, CONTEXT)
    ours = direct(network, 1)
    ours(tokens)
    with pytest.raises(ConfigError, match="do not fit"):
        ours(tokens[:, :1])


@pytest.mark.parametrize("changes", [{"attention_bias": True}, {"query_key_norm": True}])
def test_what_it_does_not_know_is_left_to_the_plain_model(changes: dict[str, object]) -> None:
    assert direct_decoder(model(**changes), 1, CONTEXT) is None


def test_an_adapter_and_a_model_in_training_are_left_to_the_plain_model() -> None:
    network = model()
    assert direct_decoder(model().train(), 1, CONTEXT) is None
    network.model.layers[1].mlp.up_proj = nn.Sequential(nn.Linear(24, 37, bias=False))  # type: ignore[union-attr]
    assert direct_decoder(network, 1, CONTEXT) is None


@pytest.mark.parametrize("name", ["chorale", "verse"])
def test_bundles_draw_by_it_what_they_draw_by_the_plain_model(name: str) -> None:
    network = load(find_bundle(name)).model
    assert isinstance(network, gpt.GPT)
    rows, sampling = 3, Sampling(maximum_tokens=48)
    tokens = prompt(rows, 9)
    streams = [[noise(5, row) for row in range(rows)] for _ in range(2)]
    expected = sample(CachedPredict(network, rows, 64), tokens, streams[0], sampling)
    found = sample(direct(network, rows, 64), tokens, streams[1], sampling)
    assert [one.tokens for one in found] == [one.tokens for one in expected]
