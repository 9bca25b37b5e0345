"""The encoder-decoder: its arithmetic, its cache, and how it learns from pairs and from spans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from wenfang.data.batches import Share
from wenfang.data.pair_batches import PairBatches, Pairs, pad_pairs
from wenfang.device import noise
from wenfang.errors import ConfigError, DataError
from wenfang.models import seq2seq
from wenfang.models.dropout import Dropout
from wenfang.models.seq2seq import Seq2Seq, position_bucket
from wenfang.objectives.span import SpanCorruption, corrupt, span_mask
from wenfang.objectives.teacher_forcing import TeacherForcing, target_nats

CONFIG = replace(seq2seq.PRESETS["tiny"], vocabulary_size=29, zero_init_outputs=False)
END, SENTINELS = 2, (20, 21, 22, 23, 24, 25, 26, 27, 28)


def model(config: seq2seq.Config = CONFIG) -> Seq2Seq:
    made = Seq2Seq(config)
    made.initialise(torch.Generator().manual_seed(3))
    return made.eval()


def draw(batch: int, time: int, seed: int = 0) -> Tensor:
    return torch.randint(3, 20, (batch, time), generator=torch.Generator().manual_seed(seed))


def double(x: Tensor) -> np.ndarray:
    found: np.ndarray = x.detach().double().numpy()
    return found


def test_attention_equals_the_formula_in_float64() -> None:
    own = model().decoder
    first = next(own.blocks()).own
    x = torch.randn(2, 7, CONFIG.width, generator=torch.Generator().manual_seed(1))
    bias = own.position_bias(0, 7)
    attention = first.SelfAttention
    found = attention(x, *attention.key_value(x), bias)

    def heads(weight: Tensor) -> np.ndarray:
        y: np.ndarray = double(x) @ double(weight).T
        split: np.ndarray = y.reshape(2, 7, CONFIG.heads, CONFIG.head_width)
        return split.transpose(0, 2, 1, 3)

    query, key, value = (heads(p.weight) for p in (attention.q, attention.k, attention.v))
    scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(CONFIG.head_width)
    table = double(attention.relative_attention_bias.weight)
    for row in range(7):
        for column in range(7):
            # All seven distances are shorter than half the buckets, so each is its own class.
            scores[:, :, row, column] += table[row - column] if column <= row else -1e300
    weight = np.exp(scores - scores.max(-1, keepdims=True))
    weight /= weight.sum(-1, keepdims=True)
    y = (weight @ value).transpose(0, 2, 1, 3).reshape(2, 7, -1) @ double(attention.o.weight).T
    assert np.abs(y - double(found)).max() < 1e-5


def test_near_distances_have_classes_of_their_own_and_far_ones_share() -> None:
    distance = -torch.arange(0, 500)
    bucket = position_bucket(distance, CONFIG, both_ways=False)
    assert bucket[:16].tolist() == list(range(16))
    assert bool((bucket.diff() >= 0).all())
    assert set(bucket[128:].tolist()) == {31}
    assert set(position_bucket(-distance, CONFIG, both_ways=False).tolist()) == {0}
    both = position_bucket(torch.tensor([-3, 3]), CONFIG, both_ways=True)
    assert both.tolist() == [3, 16 + 3]


def test_cached_decode_equals_full_forward() -> None:
    net, source, target = model(), draw(3, 9), draw(3, 12, seed=1)
    mask = torch.ones(3, 9, dtype=torch.bool)
    mask[1, 5:] = False
    full = net(source, mask, target)
    cache = net.new_cache(net.encode(source, mask), mask, 12)
    blocks = [net.logits(net.hidden(part, cache)) for part in torch.split(target, [4, 1, 7], dim=1)]
    assert torch.allclose(torch.cat(blocks, 1), full, atol=1e-5)


def test_a_selected_row_of_the_cache_goes_on_as_if_alone() -> None:
    net, source, target = model(), draw(3, 9), draw(3, 5, seed=1)
    mask = torch.ones(3, 9, dtype=torch.bool)
    mask[2, 4:] = False
    cache = net.new_cache(net.encode(source, mask), mask, 8)
    net.hidden(target, cache)
    rows = torch.tensor([2, 0, 2])
    cache.select(rows)
    found = net.logits(net.hidden(target[rows][:, :1], cache))[:, -1]
    again = torch.cat((target[rows], target[rows][:, :1]), 1)
    assert torch.allclose(found, net(source[rows], mask[rows], again)[:, -1], atol=1e-5)


def test_padding_of_the_source_is_not_seen() -> None:
    net, target = model(), draw(1, 6, seed=1)
    short, long = draw(1, 5), torch.cat((draw(1, 5), draw(1, 7, seed=9)), 1)
    mask = torch.arange(12)[None] < 5
    assert torch.allclose(net(long, mask, target), net(short, None, target), atol=1e-5)


def test_what_does_not_fit_the_context_is_refused() -> None:
    net = model()
    with pytest.raises(ConfigError, match="40 tokens do not fit the model's context of 32"):
        net(draw(1, 40), None, draw(1, 3))
    with pytest.raises(ConfigError, match="do not fit"):
        net(draw(1, 3), None, draw(1, 40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 0}, "model.heads is 0"),
        ({"dropout": 1.0}, "model.dropout is 1.0"),
        ({"position_buckets": 2}, "model.position_buckets 2"),
        ({"position_distance": 16}, "less than twice"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    layer, x = Dropout(0.3), torch.ones(1000, 513)
    torch.manual_seed(0)
    dropped = layer(x)
    assert float((dropped == 0).double().mean()) == pytest.approx(0.3, abs=0.004)
    assert float(dropped.double().mean()) == pytest.approx(1, abs=0.004)
    # Neighbours and values eight apart come of one draw; they must not go together.
    zero = (dropped == 0).double()
    for step in (1, 8):
        both = float((zero[:, step:] * zero[:, :-step]).mean())
        assert both == pytest.approx(0.3**2, abs=0.004)
    assert torch.equal(layer.eval()(x), x)


def pairs() -> Pairs:
    draw_ids = np.random.default_rng(0)
    rows = [
        (
            [*draw_ids.integers(3, 20, draw_ids.integers(1, 9)).tolist(), END],
            [*draw_ids.integers(3, 20, draw_ids.integers(1, 7)).tolist(), END],
        )
        for _ in range(50)
    ]
    return Pairs.build(rows)


def test_the_loss_is_that_of_every_target_token_alone() -> None:
    net = model()
    rows = [(np.array([5, 6, END]), np.array([7, END])), (np.array([8, END]), np.array([9, 10, 2]))]
    loss = TeacherForcing()(net, pad_pairs(rows, 0), torch.Generator())
    nats = []
    for source, target in rows:
        tokens = torch.tensor([[0, *target[:-1].tolist()]])
        logits = net(torch.from_numpy(source)[None], None, tokens)[0]
        nats += functional.cross_entropy(
            logits, torch.from_numpy(target), reduction="none"
        ).tolist()
    assert loss.value.item() == pytest.approx(np.mean(nats), abs=1e-5)
    assert float(target_nats(net, pad_pairs(rows, 0)).sum()) == pytest.approx(sum(nats), abs=1e-4)


def test_every_epoch_of_batches_holds_every_pair_once_whatever_the_share() -> None:
    found = pairs()
    batches = PairBatches(pairs=found, batch_size=10, seed=1, padding=0)
    whole = [batches.batch(index, Share()) for index in range(5)]
    seen = sorted(tuple(row.tolist()) for batch in whole for row in _targets(batch))
    assert seen == sorted(tuple(found.targets[i].tolist()) for i in range(50))
    halves = [batches.batch(3, Share(rank=rank, world=2)) for rank in (0, 1)]
    rows = [tuple(row.tolist()) for half in halves for row in _targets(half)]
    assert rows == [tuple(row.tolist()) for row in _targets(whole[3])]
    again = PairBatches(pairs=found, batch_size=10, seed=1, padding=0).batch(13, Share())
    assert torch.equal(again["tokens"], batches.batch(13, Share())["tokens"])
    with pytest.raises(DataError, match="do not fill one batch"):
        PairBatches(pairs=found, batch_size=51, seed=1, padding=0).batch(0, Share())


def _targets(batch: dict[str, Tensor]) -> list[Tensor]:
    return [
        row[1:][weight > 0] for row, weight in zip(batch["tokens"], batch["weight"], strict=True)
    ]


@given(st.integers(0, 200), st.floats(0.05, 0.5), st.floats(1, 6), st.integers(0, 99))
def test_corruption_loses_nothing(length: int, share: float, mean: float, seed: int) -> None:
    stream = noise(seed, "test")
    ids = 100 + np.arange(length)
    mask = span_mask(length, share, mean, stream)
    source, target = corrupt(ids, mask, np.arange(32) + 10, END)
    assert source[-1] == target[-1] == END
    if length > 1:
        assert 0 < mask.sum() < length
        assert not mask[0]
    # What stands behind a sentinel in the target, put in its place in the source, is the text.
    spans: dict[int, list[int]] = {}
    for token in target[:-1].tolist():
        if token < 100:
            spans[token] = []
        else:
            spans[next(reversed(spans))].append(token)
    rebuilt: list[int] = []
    for token in source[:-1].tolist():
        rebuilt += spans.pop(token) if token < 100 else [token]
    assert rebuilt == ids.tolist()
    assert not spans


def test_the_share_and_the_length_of_spans_are_those_asked_for() -> None:
    masks = [span_mask(200, 0.15, 3.0, noise(seed, "rate")) for seed in range(200)]
    cut = np.mean([mask.mean() for mask in masks])
    runs = np.mean([(mask & ~np.roll(mask, 1)).sum() for mask in masks])
    assert cut == pytest.approx(0.15, abs=0.002)
    assert 200 * cut / runs == pytest.approx(3.0, abs=0.1)


def test_other_spans_are_cut_each_time_and_the_same_by_the_same_number() -> None:
    objective = SpanCorruption(sentinels=SENTINELS, end=END)
    batch = {"tokens": draw(4, 24)}
    rng = torch.Generator().manual_seed(1)
    first, second = objective.corrupted(batch, rng), objective.corrupted(batch, rng)
    again = objective.corrupted(batch, torch.Generator().manual_seed(1))
    assert torch.equal(first["source"], again["source"])
    assert first["source"].shape != second["source"].shape or not torch.equal(
        first["source"], second["source"]
    )
    assert objective(model(), batch, rng).value.item() > 0


def test_more_spans_than_sentinels_are_refused() -> None:
    mask = np.array([False, True] * 4)
    with pytest.raises(ConfigError, match="4 spans need more than the 3 sentinel"):
        corrupt(np.arange(8), mask, np.arange(3), END)
