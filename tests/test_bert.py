"""The encoder that reads both ways, what it is asked in pre-training, and its batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wenfang.data.batches import Share
from wenfang.data.masked import FOLLOWS, MASKED, NOT_ASKED, STRANGER, SegmentBatches, Segments
from wenfang.errors import ConfigError, DataError
from wenfang.models import bert
from wenfang.models.bert import Bert
from wenfang.objectives.masked import Masked
from wenfang.tokenizer import train_characters

CONFIG = replace(bert.PRESETS["tiny"], vocabulary_size=29)
OBJECTIVE = Masked(mask=5, first_word=6, vocabulary_size=29)


def awake(config: bert.Config = CONFIG) -> Bert:
    model = Bert(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(1.0 if parameter.ndim < 2 else 0.0, 0.2, generator=generator)
    return model.eval()


def rows(batch: int = 3, time: int = 20) -> Tensor:
    tokens = torch.randint(6, 29, (batch, time), generator=torch.Generator().manual_seed(2))
    tokens[1:2, 12:] = 0
    return tokens


@pytest.fixture(scope="module")
def transformers() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("transformers")


@pytest.mark.parametrize("classes", [0, 3])
def test_logits_equal_those_of_transformers(classes: int, transformers: Any) -> None:
    config = replace(CONFIG, classes=classes)
    ours = awake(config)
    kind = "BertForSequenceClassification" if classes else "BertForPreTraining"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(transformers, kind)(
            transformers.BertConfig(
                vocab_size=29,
                hidden_size=config.width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.hidden_width,
                max_position_embeddings=config.context,
                num_labels=3,
            )
        ).eval()
    found = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not found.unexpected_keys
    tokens, segments = rows(), (torch.arange(20) > 9).long().expand(3, 20)
    with torch.no_grad():
        theirs_said = theirs(tokens, attention_mask=(tokens != 0).long(), token_type_ids=segments)
        own = ours(tokens, segments)
        if classes:
            assert float((theirs_said.logits - own).abs().max()) < 1e-4
            return
        present = tokens != 0
        assert float((theirs_said.prediction_logits - own)[present].abs().max()) < 1e-4
        following = ours.next_sentence(ours.hidden(tokens, segments))
        assert float((theirs_said.seq_relationship_logits - following).abs().max()) < 1e-4


def test_attention_equals_the_formula_in_float64() -> None:
    attention = awake().bert.encoder.layer[0].attention.self  # type: ignore[union-attr]
    x = torch.randn(2, 5, CONFIG.width, generator=torch.Generator().manual_seed(3))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)[:, None, None]
    found = attention(x, mask).detach().double().numpy()  # type: ignore[operator]

    def heads(part: Any) -> np.ndarray:
        weight, bias = (p.detach().double().numpy() for p in (part.weight, part.bias))
        y: np.ndarray = (x.double().numpy() @ weight.T + bias).reshape(2, 5, CONFIG.heads, -1)
        return y.transpose(0, 2, 1, 3)

    query, key, value = (
        heads(part)
        for part in (attention.query, attention.key, attention.value)  # type: ignore[union-attr]
    )
    scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(query.shape[-1])
    scores = np.where(mask.numpy(), scores, -1e300)
    share = np.exp(scores - scores.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    expected = (share @ value).transpose(0, 2, 1, 3).reshape(2, 5, -1)
    assert np.abs(expected - found).max() < 1e-5


def test_padding_changes_nothing_and_nothing_but_padding_is_finite() -> None:
    model, tokens = awake(), rows(1, 9)
    longer = torch.cat((tokens, torch.zeros(1, 7, dtype=torch.int64)), 1)
    assert torch.allclose(model(longer)[:, :9], model(tokens), atol=1e-5)
    assert model(torch.zeros(2, 4, dtype=torch.int64)).isfinite().all()


def test_every_word_is_seen_from_both_sides() -> None:
    model, tokens = awake(), rows(1, 9)
    before = model(tokens)
    for place in range(9):
        other = tokens.clone()
        other[0, place] = (other[0, place] - 5) % 23 + 6
        assert ((model(other) - before).abs().amax(-1) > 1e-5).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "model.layers is 0"),
        ({"heads": 5}, "model.width 32 must be a multiple of model.heads 5"),
        ({"classes": 1}, "model.classes is 1"),
    ],
)
def test_shapes_that_cannot_be_built_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)
    with pytest.raises(ConfigError, match="33 tokens do not fit"):
        awake()(torch.full((1, 33), 7))


def test_hidden_words_are_those_of_the_paper() -> None:
    tokens = torch.randint(6, 29, (500, 100), generator=torch.Generator().manual_seed(1))
    tokens[:, 0], tokens[:, 90:] = 3, 0  # a mark, and padding
    shown, hidden = OBJECTIVE.hide(tokens, torch.Generator().manual_seed(2))
    words = tokens >= 6
    assert float(hidden[words].double().mean()) == pytest.approx(0.15, abs=0.005)
    assert not bool(hidden[~words].any())
    assert torch.equal(shown[~hidden], tokens[~hidden])
    masked = float((shown[hidden] == 5).double().mean())
    kept = float((shown[hidden] == tokens[hidden]).double().mean())
    assert masked == pytest.approx(0.8, abs=0.01)
    # A word drawn at random is now and then the one that was there.
    assert kept == pytest.approx(0.1 + 0.1 / 23, abs=0.01)
    assert int(shown.min()) == 0
    again = OBJECTIVE.hide(tokens, torch.Generator().manual_seed(2))
    other = OBJECTIVE.hide(tokens, torch.Generator().manual_seed(3))
    assert torch.equal(again[0], shown)
    assert not torch.equal(other[1], hidden)


def test_one_word_is_hidden_even_in_the_shortest_text() -> None:
    tokens = torch.tensor([[3, 8, 4, 0]])
    for seed in range(20):
        _, hidden = OBJECTIVE.hide(tokens, torch.Generator().manual_seed(seed))
        assert hidden.tolist() == [[False, True, False, False]]


def test_the_loss_counts_hidden_words_and_asked_sentences_alone() -> None:
    model, tokens = awake(), rows()
    batch = {"tokens": tokens, "next": torch.tensor([FOLLOWS, NOT_ASKED, STRANGER])}
    loss = OBJECTIVE(model, batch, torch.Generator().manual_seed(4))
    shown, hidden = OBJECTIVE.hide(tokens, torch.Generator().manual_seed(4))
    with torch.no_grad():
        logged = model(shown).log_softmax(-1)[hidden]
        words = -logged.gather(1, tokens[hidden][:, None]).mean()
        answers = model.next_sentence(model.hidden(shown)).log_softmax(-1)
        following = -(answers[0, FOLLOWS] + answers[2, STRANGER]) / 2
    assert loss.value.item() == pytest.approx(float(words + following), abs=1e-4)
    unasked = {"tokens": tokens, "next": torch.full((3,), NOT_ASKED)}
    alone = OBJECTIVE(model, unasked, torch.Generator().manual_seed(4))
    assert alone.value.item() == pytest.approx(float(words), abs=1e-4)
    assert "next_nats" not in alone.parts


TEXTS = ["春眠不觉晓。处处闻啼鸟。夜来风雨声。花落知多少。", "白日依山尽。黄河入海流。", "独坐"]
TOKENIZER = train_characters(TEXTS, specials=MASKED.specials)


def segments() -> Segments:
    return Segments.build(TEXTS, TOKENIZER, longest=8)


def test_segments_lose_no_word_and_end_with_sentences() -> None:
    found = segments()
    words = [word for index in range(len(found)) for word in found[index].tolist()]
    assert words == TOKENIZER.encode("".join(TEXTS))
    assert found.texts.tolist() == [0, 0, 0, 0, 1, 1, 2]
    long = Segments.build(["好" * 30], TOKENIZER, longest=8)
    assert [len(long[index]) for index in range(len(long))] == [8, 8, 8, 6]


def test_what_follows_is_shown_half_of_the_time() -> None:
    first, brk = TOKENIZER.id("<cls>"), TOKENIZER.id("<sep>")
    batches = SegmentBatches(segments=segments(), batch_size=7, seed=3, first=first, brk=brk)
    asked = torch.cat([batches.batch(index, Share())["next"] for index in range(200)])
    counts = {value: int((asked == value).sum()) for value in (FOLLOWS, STRANGER, NOT_ASKED)}
    assert counts[NOT_ASKED] == 3 * 200  # the last of each text
    # A stranger is sometimes the one that follows, and then it is told as such.
    assert counts[FOLLOWS] / 800 == pytest.approx(0.5 + 0.5 / 7, abs=0.05)
    batch = batches.batch(11, Share())
    parts = [batches.batch(11, Share(rank=rank, world=7))["tokens"] for rank in range(7)]
    for row, part in zip(batch["tokens"], parts, strict=True):
        assert row[: part.shape[1]].tolist() == part[0].tolist()
    assert bool((batch["tokens"][:, 0] == first).all())
    with pytest.raises(DataError, match="do not fill one batch"):
        SegmentBatches(segments=segments(), batch_size=8, seed=3, first=first, brk=brk).batch(
            0, Share()
        )


def test_the_first_vector_alone_tells_the_words_of_the_text() -> None:
    model, tokens = awake(), rows()
    objective = replace(OBJECTIVE, gist_weight=2.0)
    plain, told = (
        one(model, {"tokens": tokens}, torch.Generator().manual_seed(3))
        for one in (OBJECTIVE, objective)
    )
    gist = told.parts["gist_nats"]
    assert float(told.value.detach()) == pytest.approx(
        float(plain.value.detach()) + 2 * gist, rel=1e-5
    )
    with torch.no_grad():
        hidden = model.hidden(tokens)
        chances = model.words(hidden)[:, 0].log_softmax(1)
        nats = [
            -float(chances[row, word]) for row, text in enumerate(tokens) for word in text if word
        ]
        found = float(objective.gist(model, hidden, tokens))
    assert found == pytest.approx(sum(nats) / len(nats), rel=1e-5)
