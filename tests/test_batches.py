"""Each epoch shows everything once, on any number of machines, and only bodies are learnt."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

import tiny_run
from wenfang.data.batches import ExampleBatches, Examples, Share, WindowBatches, pad
from wenfang.data.layouts import SEPARATOR, VERSE
from wenfang.errors import DataError
from wenfang.models import gpt
from wenfang.objectives.next_token import NextToken
from wenfang.tokenizer import END, train_characters

WHOLE = Share()


def examples(count: int = 24) -> Examples:
    """Example i has the opening 1, i % 3 tokens 50 of condition, and a body of tokens 100 + i."""
    parts = [([1], [50] * (index % 3), [100 + index] * (1 + index % 7)) for index in range(count)]
    return Examples.build(parts)


def batches(count: int = 24, *, batch_size: int = 4, drop: float = 0.0) -> ExampleBatches:
    return ExampleBatches(
        examples=examples(count), batch_size=batch_size, seed=3, padding=0, drop_condition=drop
    )


def stream(window: int = 5, count: int = 103, batch_size: int = 4) -> WindowBatches:
    return WindowBatches(tokens=np.arange(count), window=window, batch_size=batch_size, seed=3)


def bodies(batch: dict[str, Tensor]) -> list[int]:
    """Which example each row holds."""
    return [int(row.max()) - 100 for row in batch["tokens"]]


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_each_epoch_shows_each_example_once(drop: float) -> None:
    data = batches(drop=drop)
    epochs = [
        [i for step in range(6) for i in bodies(data.batch(6 * e + step, WHOLE))] for e in range(3)
    ]
    for epoch in epochs:
        assert sorted(epoch) == list(range(24))
    assert epochs[0] != epochs[1] != epochs[2]


def test_what_does_not_fill_a_batch_is_left_out_of_that_epoch_only() -> None:
    data = batches(26)
    seen = Counter(i for step in range(6 * 20) for i in bodies(data.batch(step, WHOLE)))
    assert set(seen) == set(range(26))
    assert max(seen.values()) <= 20


def test_each_epoch_covers_the_stream_once_from_an_offset() -> None:
    data = stream()
    per_epoch = (103 - 1) // 5 - 1
    rows = [data.batch(step, WHOLE)["tokens"] for step in range(2 * per_epoch)]
    starts = torch.cat(rows)[:, 0].tolist()
    offsets = []
    for epoch in range(2):
        ordered = sorted(starts[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert np.diff(ordered).tolist() == [5] * (per_epoch - 1)
        offsets.append(ordered[0])
        assert 0 <= ordered[0] < 5
    assert starts[:per_epoch] != starts[per_epoch : 2 * per_epoch]
    for row in torch.cat(rows):
        assert row.tolist() == list(range(int(row[0]), int(row[0]) + 6))


@pytest.mark.parametrize("step", [0, 4, 5, 13])
def test_a_batch_is_a_function_of_its_step_alone(step: int) -> None:
    for make in (batches, stream):
        data = make()
        for index in (9, 2, 30, 7):
            data.batch(index, WHOLE)
        late, fresh = data.batch(step, WHOLE), make().batch(step, WHOLE)
        assert late.keys() == fresh.keys()
        assert all(torch.equal(late[name], fresh[name]) for name in fresh)


@pytest.mark.parametrize("world", [2, 4])
def test_the_slices_of_all_ranks_are_the_batch_of_one(world: int) -> None:
    for make in (batches, stream):
        for step in (0, 7, 11):
            whole = make().batch(step, WHOLE)
            shares = [make().batch(step, Share(rank=r, world=world)) for r in range(world)]
            rows = [row for share in shares for row in share["tokens"]]
            marks = [row for share in shares for row in share["weight"]]
            assert len(rows) == len(whole["tokens"])
            for row, mark, tokens, weight in zip(
                rows, marks, whole["tokens"], whole["weight"], strict=True
            ):
                # A slice may need less padding than the whole.
                assert torch.equal(row, tokens[: len(row)])
                assert not tokens[len(row) :].any()
                assert torch.equal(mark, weight[: len(mark)])
                assert not weight[len(mark) :].any()


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(DataError, match="4 cannot be divided among 3 processes"):
        batches().batch(0, Share(rank=0, world=3))


def test_only_bodies_are_weighed() -> None:
    data = batches()
    for step in range(6):
        batch = data.batch(step, WHOLE)
        predicted = batch["tokens"][:, 1:]
        assert torch.equal(batch["weight"] > 0, predicted >= 100)


def test_a_dropped_condition_leaves_opening_and_body() -> None:
    data = batches(drop=1.0)
    for step in range(6):
        tokens = data.batch(step, WHOLE)["tokens"]
        assert not ((tokens >= 50) & (tokens < 100)).any()
        assert (tokens[:, 0] == 1).all()


def test_conditions_are_dropped_as_often_as_asked() -> None:
    data = batches(240, batch_size=8, drop=0.25)
    kept = sum(
        int(((row >= 50) & (row < 100)).any())
        for step in range(30 * 10)
        for row in data.batch(step, WHOLE)["tokens"]
    )
    assert kept / (160 * 10) == pytest.approx(0.75, abs=0.04)


def test_rows_of_a_batch_are_of_similar_length() -> None:
    def waste(data: ExampleBatches, steps: int) -> float:
        total = [data.batch(step, WHOLE)["tokens"] for step in range(steps)]
        return sum(int((t == 0).sum()) for t in total) / sum(t.numel() for t in total)

    lengths = np.random.default_rng(0).integers(4, 120, 512)
    long = Examples.build(([1], [], [9] * int(length)) for length in lengths)
    sorted_waste = waste(ExampleBatches(examples=long, batch_size=8, seed=0, padding=0), 64)
    assert sorted_waste < 0.1


def test_padding_is_rounded_up_to_eight() -> None:
    rows = [(np.array([5, 6, 7], dtype=np.uint32), 1), (np.array([5], dtype=np.uint32), 1)]
    batch = pad(rows, padding=9)
    assert batch["tokens"].tolist() == [[5, 6, 7, *[9] * 6], [5, *[9] * 8]]
    assert batch["weight"].tolist() == [[1, 1, *[0] * 6], [0] * 8]


def test_the_first_token_is_never_predicted() -> None:
    rows = [(np.arange(9, dtype=np.uint32), 0)]
    assert pad(rows, padding=0)["weight"].tolist() == [[1] * 8]


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_examples_are_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"{count} examples do not fill one batch of 4"):
        batches(count).batch(0, WHOLE)


def test_too_short_a_stream_is_refused() -> None:
    with pytest.raises(DataError, match="10 tokens are too few for windows of 5"):
        stream(count=10)
    assert stream(count=11).batch(0, WHOLE)["tokens"].shape == (4, 6)


def test_a_verse_is_form_title_lines_and_end() -> None:
    layout = VERSE
    record = {"title": "月" * 30, "lines": ["春江", "明月"]}
    tokenizer = train_characters(layout.texts(record), specials=("<2>", *layout.specials))
    opening, condition, body = layout.parts(record, tokenizer)
    assert [tokenizer.token(i) for i in opening] == ["<2>"]
    assert [tokenizer.token(i) for i in condition] == ["月"] * 20 + [SEPARATOR]
    assert [tokenizer.token(i) for i in body] == [*"春江\n明月", END]
    assert layout.parts({**record, "title": ""}, tokenizer)[1] == []
    counted = [tokenizer.token(i) for i in np.flatnonzero(layout.scored(tokenizer)).tolist()]
    assert {"春", "月"} <= set(counted)
    assert not {"\n", END, SEPARATOR} & set(counted)


def test_the_loss_is_the_mean_over_what_is_weighed() -> None:
    model = tiny_run.model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    batch = tiny_run.ragged().batch(0, WHOLE)
    objective = NextToken()
    found = objective(model, batch, torch.Generator()).value.item()
    logits = model(batch["tokens"][:, :-1]).log_softmax(-1)
    nll = -logits.gather(-1, batch["tokens"][:, 1:, None])[..., 0]
    expected = (nll * batch["weight"]).sum() / batch["weight"].sum()
    assert found == pytest.approx(expected.item(), rel=1e-5)
    assert objective.weight(batch) == float(batch["weight"].sum())
    other = {"tokens": batch["tokens"], "weight": torch.zeros_like(batch["weight"])}
    assert objective(model, other, torch.Generator()).value.item() == 0
    assert isinstance(model, gpt.GPT)
