"""Who generates: bundles found by name, and the two that write with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wenfang.backends import find_bundle, list_bundles
from wenfang.backends.poet import Poet
from wenfang.backends.scribe import Scribe, SlidingPredict
from wenfang.backends.texts import Shape
from wenfang.errors import BriefError, BundleError, NotFoundError
from wenfang.models import gpt
from wenfang.models.load import Loaded, load
from wenfang.samplers.tokens import Sampling
from wenfang.tokenizer import train_characters


def test_the_users_own_bundle_comes_before_a_shipped_one(home: Path) -> None:
    assert find_bundle("verse") == home / "bundles/verse"
    (entry,) = [one for one in list_bundles() if one["name"] == "verse"]
    assert entry["folder"] == str(home / "bundles/verse")
    assert entry["licence"] == "CC0-1.0"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["vers", "../bundles/verse", "", "."])
def test_a_name_that_is_no_bundle_is_refused(name: str) -> None:
    with pytest.raises(NotFoundError, match="verse"):
        find_bundle(name)


@pytest.fixture
def poet(workshop: Path) -> Poet:
    return Poet(load(workshop / "bundles/verse"))


def test_a_title_loses_what_the_model_never_saw(poet: Poet) -> None:
    assert poet.title_of("春㐀江") == "春江"
    assert poet.title_of("") == ""
    with pytest.raises(BriefError, match="㐀㐁"):
        poet.title_of("㐀㐁")


def test_guided_and_scored_poems_agree_with_the_model(poet: Poet) -> None:
    lines = ["春江花月夜", "山雪秋水松", "風梅竹雁柳", "寺舟雨歸客"]
    together, counts = poet.nats(["春", "秋", ""], [lines] * 3)
    assert counts.tolist() == [20.0] * 3
    for title, nats in zip(["春", "秋", ""], together, strict=True):
        alone, _ = poet.nats([title], [lines])
        assert alone[0] == pytest.approx(nats, rel=1e-5)


def scribe() -> Scribe:
    tokenizer = train_characters(["the quick brown fox"])
    config = replace(gpt.PRESETS["tiny"], vocabulary_size=tokenizer.size, context=16)
    model = gpt.GPT(config)
    generator = torch.Generator().manual_seed(0)
    model.initialise(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    loaded = Loaded(
        folder=Path(),
        model=model.eval(),
        tokenizer=tokenizer,
        layout="stream",
        manifest={"name": "x"},
    )
    return Scribe(loaded)


def test_a_continuation_goes_on_beyond_the_context_and_is_the_same_in_a_batch() -> None:
    writer = scribe()
    shape = Shape(sampling=Sampling(maximum_tokens=60))
    together = writer.draw("the fox", shape, [(seed, "x") for seed in range(4)])
    assert max(len(one.text) for one in together) > writer.model.config.context
    for seed in range(4):
        (alone,) = writer.draw("the fox", shape, [(seed, "x")])
        assert alone.text == together[seed].text


def test_a_prompt_longer_than_the_context_is_read_from_its_end() -> None:
    writer = scribe()
    predict = SlidingPredict(writer.model)
    tokens = torch.tensor([writer.tokenizer.encode("the quick brown fox" * 5)])
    assert torch.allclose(predict(tokens), SlidingPredict(writer.model)(tokens[:, -8:]))


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(BriefError, match="empty"):
        scribe().draw("", Shape(sampling=Sampling()), [(0, "x")])


def test_a_writer_refuses_a_bundle_of_another_layout(workshop: Path) -> None:
    with pytest.raises(BundleError, match="for the layout verse, not stream"):
        Scribe(load(workshop / "bundles/verse"))
    with pytest.raises(BundleError, match="for the layout stream, not verse"):
        Poet(scribe().loaded)
