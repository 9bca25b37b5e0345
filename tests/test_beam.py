"""Beam search against brute force on a model small enough to try every sequence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from wenfang.errors import ConfigError
from wenfang.models import seq2seq
from wenfang.models.seq2seq import Seq2Seq
from wenfang.samplers.beam import Beam, Hypothesis, beam_search
from wenfang.samplers.tokens import Seq2SeqPredict

VOCABULARY, END, LONGEST = 6, 2, 4
STOP = frozenset({END})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model(seed: int = 0) -> Seq2Seq:
    config = replace(seq2seq.PRESETS["tiny"], vocabulary_size=VOCABULARY, zero_init_outputs=False)
    made = Seq2Seq(config)
    made.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        made.shared.weight.mul_(5)  # decided enough that hypotheses differ, and no two are alike
    return made.eval()


SOURCES = [[3, 4, END], [5, 3, 3, 4, 5, END], [4, END]]


def found(net: Seq2Seq, beam: Beam, sources: list[list[int]] = SOURCES) -> list[list[Hypothesis]]:
    predict = Seq2SeqPredict(net, sources, beam.maximum_tokens + 1)
    return beam_search(predict, torch.zeros(len(sources), 1, dtype=torch.int64), beam, stop=STOP)


def scored(net: Seq2Seq, source: list[int], target: list[int]) -> list[float]:
    """Log-probability of each token of a target."""
    with torch.no_grad():
        logits = net(torch.tensor([source]), None, torch.tensor([[0, *target[:-1]]]))[0]
    chosen = logits.log_softmax(-1)[torch.arange(len(target)), torch.tensor(target)]
    return [float(value) for value in chosen]


def every(net: Seq2Seq, source: list[int], penalty: float) -> list[tuple[float, list[int]]]:
    """Score and tokens of each sequence that ends by itself, best first."""
    words = [token for token in range(VOCABULARY) if token != END]
    ranked = []
    for length in range(LONGEST):
        for body in itertools.product(words, repeat=length):
            target = [*body, END]
            score = sum(scored(net, source, target)) / len(target) ** penalty
            ranked.append((score, list(body)))
    return sorted(ranked, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_what_brute_force_finds(penalty: float) -> None:
    net = model()
    # With as many beams as sequences nothing is pruned.
    beam = Beam(beams=150, length_penalty=penalty, maximum_tokens=LONGEST, count=5)
    for source, own in zip(SOURCES, found(net, beam), strict=True):
        best = [(score, body) for score, body in every(net, source, penalty)[:5]]
        ended = [one for one in own if one.stopped]
        assert [one.tokens for one in ended] == [body for _, body in best]
        assert [one.score for one in ended] == pytest.approx([s for s, _ in best], abs=1e-4)


def test_a_beam_of_one_is_greedy() -> None:
    net = model()
    for source, own in zip(SOURCES, found(net, Beam(beams=1, maximum_tokens=5)), strict=True):
        tokens: list[int] = []
        while len(tokens) < 5:
            with torch.no_grad():
                logits = net(torch.tensor([source]), None, torch.tensor([[0, *tokens]]))
            token = int(logits[0, -1].argmax())
            if token == END:
                break
            tokens.append(token)
        assert own[0].tokens == tokens


def test_sources_of_a_batch_do_not_see_each_other() -> None:
    net = model(1)
    beam = Beam(beams=3, maximum_tokens=8, count=2)
    together = found(net, beam)
    for source, own in zip(SOURCES, together, strict=True):
        (alone,) = found(net, beam, [source])
        assert [one.tokens for one in alone] == [one.tokens for one in own]
        assert [one.score for one in alone] == pytest.approx([one.score for one in own], abs=1e-4)


def test_log_probabilities_are_the_models_and_make_the_score() -> None:
    net = model()
    for source, own in zip(SOURCES, found(net, Beam(beams=4, maximum_tokens=6)), strict=True):
        best = own[0]
        target = [*best.tokens, END] if best.stopped else best.tokens
        assert best.log_probabilities == pytest.approx(scored(net, source, target), abs=1e-4)
        assert best.score == pytest.approx(sum(best.log_probabilities) / len(target), abs=1e-5)


def test_what_never_ends_is_cut_and_says_so() -> None:
    net = model()

    def endless(logits: Tensor, drawn: Tensor) -> Tensor:
        return logits.index_fill(1, torch.tensor([END]), -torch.inf)

    predict = Seq2SeqPredict(net, SOURCES, 6)
    prompt = torch.zeros(3, 1, dtype=torch.int64)
    cut = beam_search(predict, prompt, Beam(maximum_tokens=5), stop=STOP, steps=[endless])
    assert [len(own[0].tokens) for own in cut] == [5, 5, 5]
    assert not any(own[0].stopped for own in cut)


def test_a_step_that_forbids_everything_is_told() -> None:
    predict = Seq2SeqPredict(model(), SOURCES, 6)

    def nothing(logits: Tensor, drawn: Tensor) -> Tensor:
        return torch.full_like(logits, -torch.inf)

    with pytest.raises(ConfigError, match="leave no way to go on after 0 tokens"):
        beam_search(
            predict, torch.zeros(3, 1, dtype=torch.int64), Beam(), stop=STOP, steps=[nothing]
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beams": 0}, "beam.beams is 0"),
        ({"count": 6}, "more than the 5 beams"),
        ({"length_penalty": -1.0}, "beam.length_penalty is -1.0"),
    ],
)
def test_a_beam_without_meaning_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(Beam(), **changes)
