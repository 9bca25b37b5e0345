"""Laws of the watermark in text: unseen on average, found again, gone when the words are others."""

import itertools

import numpy as np
import pytest
import torch

from wenfang.device import noise
from wenfang.media.text_marks import (
    CONTEXT,
    KEY,
    LAYERS,
    bits,
    context_code,
    find_mark,
    token_codes,
)
from wenfang.samplers.tokens import Sampling, sample
from wenfang.samplers.watermark import TournamentStep

LETTERS = "abcdefghijklmnopqrstuvwxyz ,.\n"


class Chance:
    """A model that knows nothing but a fixed distribution of letters."""

    def __init__(self, rows: int, flatness: float = 1.0) -> None:
        order = noise(5, "letters").permutation(len(LETTERS))
        self.logits = torch.tensor(-0.08 * order / flatness, dtype=torch.float32).repeat(rows, 1)

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.logits


def draw(seeds: range, count: int, *, marked: bool, key: bytes = KEY) -> list[str]:
    drawn = sample(
        Chance(len(seeds)),
        torch.zeros(len(seeds), 1, dtype=torch.int64),
        [noise(seed, "text") for seed in seeds],
        Sampling(maximum_tokens=count),
        watermark=TournamentStep(LETTERS, key) if marked else None,
    )
    return ["".join(LETTERS[token] for token in one.tokens) for one in drawn]


def test_a_marked_text_is_found_and_a_plain_one_is_not() -> None:
    marked, plain = draw(range(20), 200, marked=True), draw(range(20), 200, marked=False)
    assert all(find_mark(text).p_value < 1e-6 for text in marked)
    assert all(find_mark(text).p_value > 1e-4 for text in plain)


def test_another_key_finds_nothing() -> None:
    texts = draw(range(20), 200, marked=True, key=b"another")
    assert min(find_mark(text).p_value for text in texts) > 1e-4
    assert max(find_mark(text, b"another").p_value for text in texts) < 1e-6


def test_the_distribution_is_kept_on_average_over_keys() -> None:
    logits = Chance(1).logits
    history = torch.tensor([[1, 2, 3, 4]])
    expected = logits.double().softmax(-1)[0].numpy()
    total = np.zeros(len(LETTERS))
    for number in range(3000):
        step = TournamentStep(LETTERS, f"key {number}".encode())
        step(logits, history[:, :0])
        total += step(logits, history).double().softmax(-1)[0].numpy()
    # The standard error of one mean is below sqrt(p / 3000), 0.005 for the likeliest letter.
    assert np.abs(total / 3000 - expected).max() < 0.02


def test_a_sample_is_the_same_alone_and_in_a_batch() -> None:
    assert draw(range(3, 4), 150, marked=True)[0] == draw(range(8), 150, marked=True)[3]


def test_a_context_met_before_is_left_alone() -> None:
    step = TournamentStep(LETTERS)
    logits, history = Chance(1).logits, torch.tensor([[1, 2, 3, 4]])
    step(logits, history[:, :0])
    assert not torch.equal(step(logits, history), logits)
    assert torch.equal(step(logits, history), logits)


def test_impossible_tokens_stay_impossible() -> None:
    logits = Chance(1).logits.clone()
    logits[0, 5:] = -torch.inf
    step = TournamentStep(LETTERS)
    step(logits, torch.zeros(1, 0, dtype=torch.int64))
    marked = step(logits, torch.tensor([[1, 2, 3, 4]]))
    assert torch.isneginf(marked[0, 5:]).all()
    assert torch.isfinite(marked[0, :5]).any()


def test_half_of_all_bits_are_one() -> None:
    codes = token_codes([f"word {number}" for number in range(2000)])
    context = context_code(codes[: CONTEXT * 400].reshape(400, CONTEXT))
    found = bits(context[:, None], codes[None, 1600:]).mean(axis=(0, 1))
    assert found.shape == (LAYERS,)
    assert np.abs(found - 0.5).max() < 0.01


@pytest.mark.parametrize("text", ["", "a", "abcd", "aaaa" * 500, "\0" * 50, "𠀀" * 9])
def test_any_text_can_be_asked(text: str) -> None:
    assert 0 <= find_mark(text).p_value <= 1
    assert find_mark(text).p_value > 1e-3


def test_half_of_the_letters_replaced_leaves_a_trace_and_all_leave_none() -> None:
    found = []
    for share in (0.2, 1.0):
        scores = []
        for seed, text in enumerate(draw(range(10), 400, marked=True)):
            chance = noise(seed, "edit")
            edited = [
                LETTERS[chance.integers(len(LETTERS))] if chance.random() < share else letter
                for letter in text
            ]
            scores.append(find_mark(edited).z)
        found.append(float(np.mean(scores)))
    kept, gone = found
    assert kept > 4
    assert abs(gone) < 1.5


def test_the_chance_is_honest() -> None:
    texts = draw(range(300), 120, marked=False)
    levels = sorted(find_mark(text).p_value for text in texts)
    for share in (0.05, 0.2, 0.5):
        below = sum(one <= share for one in levels) / len(levels)
        assert abs(below - share) < 4 * (share * (1 - share) / len(levels)) ** 0.5


def test_repeating_a_text_makes_no_mark() -> None:
    plain = draw(range(5), 150, marked=False)
    repeated = list(itertools.chain.from_iterable(itertools.repeat(plain[0], 50)))
    assert find_mark(repeated).p_value > 1e-4
