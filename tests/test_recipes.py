"""Recipes are values that can be repeated; a run ends in a bundle that names where it came from."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from conftest import Call
from wenfang.config import override
from wenfang.data.dataset import Dataset
from wenfang.errors import ConfigError, NotFoundError
from wenfang.models.load import Loaded, load
from wenfang.recipes import RECIPES, Recipe
from wenfang.recipes.suite import OnStage, SuiteConfig, evaluate
from wenfang.recipes.train import find_recipe

SMALL = (
    *("model.width=16", "model.layers=1", "model.heads=2", "model.kv_heads=2"),
    *("model.hidden_width=32", "train.steps=3", "train.batch_size=4", "train.evaluate_every=3"),
    *("data.validation_examples=8", "threads=1", "train.log_every=1"),
)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert recipe.name == name
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_the_shipped_recipes_keep_to_their_budgets() -> None:
    import torch

    from wenfang.models import gpt

    sizes = {"verse": (7000, 8_000_000), "shakespeare-cpu": (65, 804_096)}
    for name, (vocabulary, most) in sizes.items():
        shape = RECIPES[name]().model
        assert isinstance(shape, gpt.Config)
        config = replace(shape, vocabulary_size=vocabulary)
        with torch.device("meta"):
            model = gpt.GPT(config)
        assert sum(parameter.numel() for parameter in model.parameters()) <= most


def test_settings_reach_every_field_and_unknown_ones_name_the_nearest() -> None:
    assert find_recipe("tiny", ("optim.lr=3e-4", "train.steps=7")).train.steps == 7
    with pytest.raises(ConfigError, match="did you mean lr"):
        find_recipe("tiny", ("optim.l=1",))
    with pytest.raises(NotFoundError, match="shakespeare-cpu"):
        find_recipe("shakespear")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not a recipe in JSON"),
        (
            '{"name": "x", "summary": "", "data": {"source": "a"}, "family": "cnn"}',
            "gpt, gpt2",
        ),
        ('{"name": "x", "summary": "", "dta": {}}', "did you mean data"),
        ('{"name": "x", "summary": "", "model": {"widht": 8}}', "recipe.model.*did you mean width"),
        ("[]", "recipe"),
    ],
)
def test_a_malformed_recipe_file_is_named(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        find_recipe(str(path))


def words_of(*settings: str) -> list[str]:
    return [word for one in settings for word in ("--set", one)]


FEW = ("poems=6", "ranked_titles=10")


@pytest.fixture
def _small_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six poems in place of five hundred."""

    def few(loaded: Loaded, dataset: Dataset, suite: SuiteConfig, on_stage: OnStage) -> Any:
        return evaluate(loaded, dataset, override(suite, FEW), on_stage)

    monkeypatch.setattr(import_module("wenfang.recipes.train"), "evaluate", few)


@pytest.mark.usefixtures("_small_suite")
def test_a_run_becomes_a_bundle_with_card_lineage_and_numbers(call: Call, workshop: Path) -> None:
    data = workshop / "dataset"
    made = call("train", "verse", "--data", data, "-o", "run", *words_of(*SMALL), "--json")
    assert made.code == 0, made.err
    loaded = load(Path("run/bundle"))
    assert loaded.manifest["licence"] == "CC0-1.0"
    kinds = [record["kind"] for record in loaded.ancestors]
    assert kinds == ["source", "dataset", "recipe"]
    card = Path("run/bundle/README.md").read_text("utf-8")
    numbers = loaded.manifest["facts"]["numbers"]
    for name in ("bits_per_character", "form_share", "rhyme_share", "title_first_of_ten"):
        assert f"| {name} |" in card
        assert name in numbers
    assert (numbers["form_share"], numbers["rhyme_share"]) == (1, 1)
    assert Recipe.from_dict(json.loads(Path("run/recipe.json").read_text())).train.steps == 3
    steps = [
        json.loads(line)["step"] for line in Path("run/metrics.jsonl").read_text().splitlines()
    ]
    assert steps[0] == 1
    assert Path("run/loss.svg").is_file()

    # The card's numbers are measured again by `evaluate`; another data set must be named.
    again = call("evaluate", "run", "--data", data, *words_of(*FEW), "--json").json
    assert {name: value for name, value in again.items() if name != "samples"} == {
        name: value for name, value in numbers.items() if name != "samples"
    }

    # From this bundle a new run starts, with the same vocabulary, and its lineage says so.
    more = ("train", "run/recipe.json", "--from", "run", "--data", data, "-o", "second")
    assert call(*more, "--set", "model.vocabulary_size=0").code == 0
    second = load(Path("second/bundle"))
    assert [record["kind"] for record in second.ancestors][-1] == "bundle"
    assert second.ancestors[-1]["id"] == loaded.manifest["id"]


def test_a_bundle_is_not_measured_on_another_data_set_by_mistake(
    call: Call, home: Path, workshop: Path
) -> None:
    assert call("evaluate", "verse").code == 13  # its source is not at hand
    other = home / "datasets/chinese_poetry"
    source = workshop / "poems.jsonl"
    head = source.read_text("utf-8").splitlines()[:100]
    Path("fewer.jsonl").write_text("\n".join(head), "utf-8")
    words = ("--profile", "verse", "--text-field", "lines")
    assert call("prepare", "fewer.jsonl", "-o", other, *words).code == 0
    made = call("evaluate", "verse")
    assert made.code == 12
    assert "--data" in made.error
