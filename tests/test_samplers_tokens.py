"""Drawing tokens: filters with known answers, and draws that follow the distribution."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tiny_run
from wenfang.device import NoiseStream, noise
from wenfang.errors import ConfigError
from wenfang.models import gpt
from wenfang.samplers.tokens import (
    CachedPredict,
    Drawn,
    GuidedPredict,
    Sampling,
    keep_likely,
    keep_nucleus,
    keep_top,
    penalise,
    sample,
)

SHARES = [0.5, 0.25, 0.125, 0.0625, 0.0625]
LOGITS = torch.tensor([SHARES]).log()


def kept(logits: Tensor) -> list[int]:
    return torch.nonzero(logits[0].isfinite())[:, 0].tolist()


def model(seed: int = 1) -> gpt.GPT:
    """A tiny model that is far from uniform."""
    made = tiny_run.model()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.4, generator=generator)
    return made.eval()


def fixed(logits: Tensor) -> Any:
    """A predictor whose distribution never changes."""
    return lambda tokens: logits.expand(tokens.shape[0], -1)


def draw(
    network: gpt.GPT, prompt: Tensor, streams: list[NoiseStream], sampling: Sampling, **more: Any
) -> list[Drawn]:
    predict = CachedPredict(network, len(prompt), network.config.context)
    return sample(predict, prompt, streams, sampling, **more)


def streams(count: int, seed: int = 5) -> list[NoiseStream]:
    return [noise(seed, row) for row in range(count)]


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (3, [0, 1, 2]), (9, [0, 1, 2, 3, 4])])
def test_top_k_keeps_the_likeliest(count: int, expected: list[int]) -> None:
    assert kept(keep_top(LOGITS, count)) == expected
    assert kept(keep_top(LOGITS.flip(1), count)) == sorted(4 - index for index in expected)


def test_of_equals_top_k_keeps_the_first() -> None:
    assert kept(keep_top(torch.zeros(1, 5), 2)) == [0, 1]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.01, [0]),
        (0.5, [0]),
        (0.51, [0, 1]),
        (0.75, [0, 1]),
        (0.8, [0, 1, 2]),
        (1.0, [0, 1, 2, 3, 4]),
    ],
)
def test_top_p_keeps_the_fewest_that_reach_the_share(share: float, expected: list[int]) -> None:
    assert kept(keep_nucleus(LOGITS, share)) == expected
    assert kept(keep_nucleus(LOGITS.flip(1), share)) == sorted(4 - index for index in expected)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.9, [0]), (0.49, [0, 1]), (0.2, [0, 1, 2]), (0.12, [0, 1, 2, 3, 4])]
)
def test_min_p_keeps_what_is_likely_beside_the_likeliest(share: float, expected: list[int]) -> None:
    assert kept(keep_likely(LOGITS, share)) == expected


@pytest.mark.parametrize("step", [lambda x: keep_top(x, 3), lambda x: keep_nucleus(x, 0.8)])
def test_what_is_kept_keeps_its_logits(step: Any) -> None:
    assert torch.equal(step(LOGITS)[:, :3], LOGITS[:, :3])


def test_a_repeated_token_is_penalised_once_on_either_side_of_zero() -> None:
    logits = torch.tensor([[2.0, -1.0, 3.0, 0.5]])
    drawn = torch.tensor([[0, 1, 0]])
    assert penalise(logits, drawn, 2.0).tolist() == [[1.0, -2.0, 3.0, 0.5]]
    assert penalise(logits, drawn[:, :0], 2.0) is logits


def test_draws_follow_the_distribution() -> None:
    count = 8_000
    drawn = sample(
        fixed(LOGITS),
        torch.zeros(count, 1, dtype=torch.int64),
        streams(count),
        Sampling(maximum_tokens=1),
    )
    found = Counter(one.tokens[0] for one in drawn)
    chi_square = sum((found[i] - count * p) ** 2 / (count * p) for i, p in enumerate(SHARES))
    assert chi_square < 18.47  # 99.9th percentile at 4 degrees of freedom


def test_temperature_sharpens_by_its_inverse_power() -> None:
    count = 8_000
    sampling = Sampling(temperature=0.5, maximum_tokens=1)
    drawn = sample(
        fixed(LOGITS), torch.zeros(count, 1, dtype=torch.int64), streams(count), sampling
    )
    squared = np.array(SHARES) ** 2 / (np.array(SHARES) ** 2).sum()
    found = Counter(one.tokens[0] for one in drawn)
    chi_square = sum((found[i] - count * p) ** 2 / (count * p) for i, p in enumerate(squared))
    assert chi_square < 18.47


def test_a_draw_of_almost_one_is_the_last_token_that_can_be() -> None:
    class AlmostOne(np.random.Generator):
        def random(self, *_: Any, **__: Any) -> Any:
            return float(np.nextafter(1.0, 0.0))

    logits = torch.tensor([[0.0, 0.0, -torch.inf, -torch.inf]])
    stream = AlmostOne(np.random.Philox())
    prompt = torch.zeros(1, 1, dtype=torch.int64)
    drawn = sample(fixed(logits), prompt, [stream], Sampling(maximum_tokens=1))
    assert drawn[0].tokens == [1]
    assert drawn[0].log_probabilities == pytest.approx([-math.log(2)])


def greedy(network: gpt.GPT, prompt: Tensor, count: int) -> list[int]:
    """The likeliest continuation of one row, by a full forward for every token."""
    tokens = prompt[None]
    with torch.no_grad():
        for _ in range(count):
            tokens = torch.cat((tokens, network(tokens)[:, -1].argmax(-1, keepdim=True)), dim=1)
    return tokens[0, len(prompt) :].tolist()


def test_temperature_zero_is_greedy() -> None:
    network, prompt = model(), torch.tensor([[3, 1, 4], [1, 5, 9]])
    drawn = draw(network, prompt, streams(2), Sampling(temperature=0, maximum_tokens=20))
    assert [one.tokens for one in drawn] == [greedy(network, row, 20) for row in prompt]


def test_a_sample_is_the_same_alone_and_among_sixteen() -> None:
    network = model()
    prompt = torch.arange(16)[:, None] % 7 + torch.arange(4)
    sampling = Sampling(temperature=0.9, top_p=0.95, maximum_tokens=20)
    together = draw(network, prompt, streams(16), sampling)
    assert len({tuple(one.tokens) for one in together}) > 10
    for row in (0, 7, 15):
        alone = draw(network, prompt[row : row + 1], streams(16)[row : row + 1], sampling)[0]
        assert alone.tokens == together[row].tokens
        assert alone.log_probabilities == pytest.approx(together[row].log_probabilities, abs=1e-4)


def test_another_seed_draws_another_sample() -> None:
    prompt = torch.tensor([[3, 1, 4]])
    drawn = [
        draw(model(), prompt, streams(1, seed), Sampling(maximum_tokens=20))[0]
        for seed in (5, 5, 6)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0].tokens != drawn[2].tokens


def test_sampling_with_a_cache_equals_full_forwards() -> None:
    network, prompt = model(), torch.tensor([[3, 1, 4], [1, 5, 9]])
    seen = prompt[:, :0]

    def full(tokens: Tensor) -> Tensor:
        nonlocal seen
        seen = torch.cat((seen, tokens), dim=1)
        with torch.no_grad():
            logits: Tensor = network(seen)[:, -1]
        return logits

    sampling = Sampling(maximum_tokens=20)
    expected = sample(full, prompt, streams(2), sampling)
    found = draw(network, prompt, streams(2), sampling)
    assert [one.tokens for one in found] == [one.tokens for one in expected]


def test_log_probabilities_are_the_models_own() -> None:
    network, prompt = model(), torch.tensor([[3, 1, 4]])
    drawn = draw(
        network, prompt, streams(1), Sampling(temperature=0.3, top_k=4, maximum_tokens=12)
    )[0]
    tokens = torch.tensor([[3, 1, 4, *drawn.tokens]])
    with torch.no_grad():
        logs = network(tokens)[0].log_softmax(-1)
    expected = [float(logs[2 + i, token]) for i, token in enumerate(drawn.tokens)]
    assert drawn.log_probabilities == pytest.approx(expected, abs=1e-4)


def test_a_stop_token_ends_its_own_row_and_is_left_out() -> None:
    script = torch.tensor([[1, 1], [2, 1], [1, 2], [1, 1]])  # token of each row at each step
    steps = iter(script)

    def predict(tokens: Tensor) -> Tensor:
        return torch.full((2, 3), -torch.inf).scatter(1, next(steps)[:, None], 0.0)

    seen: list[tuple[int, list[int]]] = []

    def watch(row: int, tokens: Sequence[int]) -> bool:
        seen.append((row, list(tokens)))
        return False

    drawn = sample(
        predict,
        torch.zeros(2, 1, dtype=torch.int64),
        streams(2),
        Sampling(maximum_tokens=4),
        stop=frozenset({2}),
        watch=watch,
    )
    assert [one.tokens for one in drawn] == [[1], [1, 1]]
    assert [len(one.log_probabilities) for one in drawn] == [1, 2]
    assert [one.stopped for one in drawn] == [True, True]
    assert seen == [(0, [1]), (1, [1]), (1, [1, 1])]


def test_a_watch_ends_a_row_behind_the_token_that_it_saw() -> None:
    drawn = sample(
        lambda tokens: torch.tensor([[0.0, 1.0]] * 2),
        torch.zeros(2, 1, dtype=torch.int64),
        streams(2),
        Sampling(temperature=0, maximum_tokens=6),
        watch=lambda row, tokens: row == 1 and len(tokens) == 3,
    )
    assert [one.tokens for one in drawn] == [[1] * 6, [1] * 3]
    assert [len(one.log_probabilities) for one in drawn] == [6, 3]
    assert [one.stopped for one in drawn] == [False, True]


def test_a_sample_without_a_stop_has_all_its_tokens() -> None:
    drawn = sample(
        fixed(LOGITS), torch.zeros(1, 1, dtype=torch.int64), streams(1), Sampling(maximum_tokens=9)
    )
    assert (len(drawn[0].tokens), drawn[0].stopped) == (9, False)


def test_a_constraint_is_obeyed_and_sees_what_was_drawn() -> None:
    seen: list[int] = []

    def only_odd(logits: Tensor, drawn: Tensor) -> Tensor:
        seen.append(drawn.shape[1])
        return logits.masked_fill(torch.arange(5) % 2 == 0, -torch.inf)

    sampling = Sampling(temperature=0.5, top_p=0.9, maximum_tokens=30)
    drawn = sample(
        fixed(LOGITS), torch.zeros(1, 1, dtype=torch.int64), streams(1), sampling, steps=[only_odd]
    )
    assert set(drawn[0].tokens) <= {1, 3}
    assert seen == list(range(30))


def guided(network: gpt.GPT, guidance: float) -> list[Drawn]:
    """Two rows conditioned on a prompt that the plain predictor has not seen."""
    prompt, plain = torch.tensor([[3, 1, 4], [1, 5, 9]]), torch.tensor([[3], [1]])
    predict = GuidedPredict(
        CachedPredict(network, 2, 30), CachedPredict(network, 2, 30), plain, guidance
    )
    return sample(predict, prompt, streams(2), Sampling(maximum_tokens=20))


def test_guidance_of_one_is_the_conditional_model_and_of_none_the_plain_one() -> None:
    network = model()
    conditional = draw(
        network, torch.tensor([[3, 1, 4], [1, 5, 9]]), streams(2), Sampling(maximum_tokens=20)
    )
    plain = draw(network, torch.tensor([[3], [1]]), streams(2), Sampling(maximum_tokens=20))
    assert [one.tokens for one in guided(network, 1.0)] == [one.tokens for one in conditional]
    assert [one.tokens for one in guided(network, 0.0)] == [one.tokens for one in plain]
    assert [one.tokens for one in guided(network, 3.0)] != [one.tokens for one in conditional]


def test_guidance_moves_log_probabilities_along_their_difference() -> None:
    conditioned, plain = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.5]])
    predict = GuidedPredict(fixed(conditioned), fixed(plain), torch.zeros(1, 1), 2.0)
    expected = 2 * conditioned.log_softmax(-1) - plain.log_softmax(-1)
    assert torch.allclose(predict(torch.zeros(1, 1)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("min_p", 1.0),
        ("repetition_penalty", 0.0),
        ("guidance", math.nan),
        ("maximum_tokens", 0),
    ],
)
def test_a_value_without_a_meaning_is_refused_by_name(name: str, value: float) -> None:
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=rf"sampling\.{name} is "):
        Sampling(**settings)
