"""`generate` with a bundle that answers a prompt: facts in, copy out."""

from __future__ import annotations

from typing import Any

import pytest

import wenfang as wf
from wenfang.engine.asset import Maker
from wenfang.engine.generating import load_model
from wenfang.errors import BriefError, ConfigError

FACTS = "name[The Blue Heron], eatType[pub], food[Szechuan], near[Café Rouge]"
WARM: dict[str, Any] = {"sampling": {"temperature": 0.7}}


@pytest.fixture(scope="module")
def copywriter() -> Maker:
    return load_model("copywriter")


def test_names_that_were_never_trained_on_come_through(copywriter: Maker) -> None:
    text = copywriter.generate(FACTS).text
    for value in ("The Blue Heron", "pub", "Szechuan", "Café Rouge"):
        assert value in text


def test_the_search_knows_no_seed_and_the_draw_does(copywriter: Maker) -> None:
    searched = {one.text for one in copywriter.generate_many(FACTS, seeds=(0, 1, 2))}
    drawn = {one.text for one in copywriter.generate_many(FACTS, seeds=tuple(range(6)), **WARM)}
    assert len(searched) == 1
    assert len(drawn) > 1


def test_a_draw_is_the_same_alone_and_among_others(copywriter: Maker) -> None:
    together = copywriter.generate_many(FACTS, seeds=(3, 4, 5), **WARM)
    assert copywriter.generate(FACTS, seed=4, **WARM).text == together[1].text


def test_the_order_of_facts_changes_nothing(copywriter: Maker) -> None:
    turned = ", ".join(reversed(FACTS.split(", ")))
    assert copywriter.generate(turned).text == copywriter.generate(FACTS).text


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "the prompt is empty"),
        ("a nice pub", "is not a list of facts"),
        ("eatType[pub]", "lack a name"),
        ("name[X], eatType[palace]", "the model knows restaurant"),
        ("name[X], nam[Y]", "did you mean name"),
        (f"name[{'X' * 61}]", "at most 60 fit"),
        ("name[X], " + "near[Y], " * 9_000, "given twice"),
        ("name[X], " + "near[Y], " * 50_000, "at most 100000 are read"),
    ],
)
def test_what_is_no_prompt_is_told(copywriter: Maker, prompt: str, message: str) -> None:
    with pytest.raises(BriefError, match=message):
        copywriter.generate(prompt)


def test_an_unknown_setting_is_told(copywriter: Maker) -> None:
    with pytest.raises(ConfigError, match="beams"):
        copywriter.generate(FACTS, beams=3)


@pytest.mark.usefixtures("home")
def test_what_is_saved_is_sealed_and_made_again() -> None:
    wf.load("copywriter").generate(FACTS, seed=2, **WARM).save("copy.md")
    assert wf.verify("copy.md")[0].outcome == "good"
    assert wf.replay("copy.md")[0].outcome == "identical"
