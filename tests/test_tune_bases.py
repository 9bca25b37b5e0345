"""Tuning upon bases of every kind: imported models, streams of text, verse; and what is told."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import wenfang as wf
from conftest import Call
from tiny_bundle import BYTES, CHARACTERS, MODELS_BY_NAME, TEXTS, write_bundle
from wenfang.backends.loading import load_folder
from wenfang.backends.shelf import find_bundle, list_bundles
from wenfang.checkpoint import BundleFiles, read_bundle
from wenfang.data.dataset import Dataset
from wenfang.data.training_index import INDEX, TrainingIndex
from wenfang.engine.exchanging import export_model, import_model
from wenfang.engine.learning import prepare_sources
from wenfang.errors import BundleError, ConfigError, DataError, UsageError
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import TrainRequest, train
from wenfang.recipes.tune import start

KINDS = pytest.mark.parametrize("kind", ["full", "lora", "prompt"])
SHORT = ("train.steps=3", "train.evaluate_every=3", "tune.length=4")


def write_pairs(path: Path, count: int = 24, words: str = "the moon") -> Path:
    rows = [{"prompt": f"{words} {n}", "completion": f"sea {n % 7}"} for n in range(count)]
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return path


def write_texts(folder: Path, characters: int = 3000) -> Path:
    folder.mkdir()
    for number in range(4):
        text = "".join(TEXTS) * (1 + characters // len("".join(TEXTS)))
        (folder / f"{number}.txt").write_text(f"{number} {text[:characters]}", "utf-8")
    return folder


def tune(base: Path, data: Path, run: Path, *settings: str, told: list[str] | None = None) -> Path:
    request = TrainRequest(
        recipe="tune", run=run, data=data, base=base, settings=(*SHORT, *settings)
    )
    return train(request, on_stage=(told if told is not None else []).append)


def begin(base: BundleFiles, data: Path, output: Path, *settings: str) -> tuple[Recipe, list[str]]:
    """The recipe of a tuning run, and what its owner is told."""
    told: list[str] = []
    recipe, _ = start(base, data, output, settings, told.append)
    return recipe, told


def foreign(tmp_path: Path) -> Path:
    """A GPT-2 whose tokens have other names, and whose table has rows that no token has."""
    write_bundle(tmp_path / "own", "gpt2", tokenizer=BYTES)
    folder = export_model(str(tmp_path / "own"), "hf", tmp_path / "hf")
    tokens = (folder / "tokenizer.json").read_text("utf-8")
    (folder / "tokenizer.json").write_text(tokens.replace("<eos>", "<|end|>"), "utf-8")
    record = json.loads((folder / "config.json").read_text("utf-8"))
    record |= {"wenfang": None, "pad_token_id": None}
    (folder / "config.json").write_text(json.dumps(record), "utf-8")
    (folder / "tokenizer_config.json").unlink()
    (folder / "LICENSE").write_text("Do as you like.\n", "utf-8")
    return import_model(folder, tmp_path / "foreign", licence="MIT").folder


@KINDS
def test_an_imported_model_is_tuned_and_keeps_its_own_marks(kind: str, tmp_path: Path) -> None:
    base = foreign(tmp_path)
    data = write_pairs(tmp_path / "my.jsonl")
    folder = tune(base, data, tmp_path / "run", f"tune.kind={kind}", "tune.licence=MIT")
    files = read_bundle(folder)
    assert files.config["layout"] == "completion"
    assert files.config["special_tokens"] == read_bundle(base).config["special_tokens"]
    assert files.manifest["licence"] == "MIT"
    assert (folder / "LICENSE").read_text("utf-8") == "Do as you like.\n"
    if kind == "full":
        heard: list[str] = []
        sampling = {"maximum_tokens": 4, "temperature": 0.0}
        made = wf.load(str(folder)).generate("the moon 3", sampling=sampling, on_text=heard.append)
        assert made.manifest.facts["prompt"] == "the moon 3"
        assert "moon" not in made.text, "an answer does not repeat what was asked"
        assert "".join(heard).strip() == made.text


@KINDS
@pytest.mark.parametrize("name", ["tied", "gpt2"])
def test_plain_texts_carry_the_training_of_a_stream_on(
    name: str, kind: str, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "base", name, tokenizer=CHARACTERS)
    texts = write_texts(tmp_path / "texts")
    folder = tune(tmp_path / "base", texts, tmp_path / "run", f"tune.kind={kind}")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    numbers = manifest["facts"]["numbers"]
    assert math.isfinite(numbers["bits_per_byte"])
    assert numbers["gain_bits_per_byte"] == pytest.approx(
        numbers["bits_per_byte_of_base"] - numbers["bits_per_byte"]
    )
    recipe = Recipe.from_dict(json.loads((tmp_path / "run/recipe.json").read_text("utf-8")))
    context = MODELS_BY_NAME[name][1].context
    assert recipe.data.window == (context - 4 if kind == "prompt" else context)


def test_a_stream_is_counted_by_its_windows_and_not_by_its_files(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", "tied", tokenizer=CHARACTERS)
    recipe, told = begin(base, write_texts(tmp_path / "texts"), tmp_path / "set")
    dataset = Dataset.open(tmp_path / "set")
    tokens = sum(len(record["text"]) for record in dataset.records("train"))
    epochs = recipe.train.steps * recipe.train.batch_size * recipe.data.window / tokens
    assert epochs == pytest.approx(8, rel=0.1)
    assert told[0] == "3 examples to learn from, 1 to measure by"


def test_short_texts_are_read_in_short_windows_and_too_short_ones_refused(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", "tied", tokenizer=CHARACTERS)
    recipe, _ = begin(base, write_texts(tmp_path / "short", 20), tmp_path / "a")
    assert 8 <= recipe.data.window < 32
    with pytest.raises(DataError, match=r"tokens to learn from and .* are too few; give more text"):
        begin(base, write_texts(tmp_path / "tiny", 3), tmp_path / "b")


def test_a_long_text_is_not_read_eight_times(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", "tied", tokenizer=CHARACTERS)
    recipe, _ = begin(base, write_texts(tmp_path / "texts", 200_000), tmp_path / "set")
    assert recipe.train.steps == 2000


def test_characters_that_the_base_does_not_know_are_told_or_refused(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", "tied", tokenizer=CHARACTERS)
    texts = write_texts(tmp_path / "texts")
    with (texts / "0.txt").open("a", encoding="utf-8") as stream:
        stream.write(" ZZ 文房 Z")
    _, told = begin(base, texts, tmp_path / "a")
    (line,) = [one for one in told if "unknown" in one]
    assert "are unknown to tied and read as one: " in line
    assert {"Z", "文", "房"} <= set(line.rpartition(": ")[2])
    (tmp_path / "zz.txt").write_text("ZQ" * 4000 + "\n\n" + "QZ" * 4000, "utf-8")
    with pytest.raises(DataError, match=r"tied does not know 160\d\d of the 160\d\d characters"):
        begin(base, tmp_path / "zz.txt", tmp_path / "b")


def test_what_was_left_out_and_what_nobody_said_is_told(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", "tied")
    data = write_pairs(tmp_path / "my.jsonl")
    data.write_text(data.read_text("utf-8") + "\n" + data.read_text("utf-8").splitlines()[0])
    _, told = begin(base, data, tmp_path / "a")
    assert told[:2] == [
        "21 examples to learn from, 3 to measure by",
        "1 examples were left out: there already",
    ]
    assert "tune.licence" in told[2]
    _, told = begin(base, data, tmp_path / "b", "tune.licence=CC0-1.0")
    assert len(told) == 2


def test_a_file_that_was_mended_is_read_again(tmp_path: Path) -> None:
    write_bundle(tmp_path / "base", "tied")
    data, run = tmp_path / "my.jsonl", tmp_path / "run"
    write_pairs(data, words="the moon over the sea " * 9)
    with pytest.raises(DataError, match="24 examples are longer than the context of tied"):
        tune(tmp_path / "base", data, run)
    write_pairs(data)
    tune(tmp_path / "base", data, run, "tune.licence=MIT")
    records = list(Dataset.open(run / "dataset").records("train"))
    assert all(len(record["prompt"]) < 20 for record in records)
    assert Dataset.open(run / "dataset").manifest.licence == "MIT"


@pytest.mark.parametrize("context", [29, 32, 36])
def test_an_example_that_is_let_through_fits_and_one_longer_is_refused(
    context: int, tmp_path: Path
) -> None:
    _, model = MODELS_BY_NAME["gpt2"]
    write_bundle(tmp_path / "own", "gpt2", tokenizer=CHARACTERS)
    folder = export_model(str(tmp_path / "own"), "hf", tmp_path / "hf")
    cut = min(context, model.context)
    base = import_model(folder, tmp_path / "base", context=cut).folder
    room = cut // 8 * 8 + 1  # its last token is only predicted
    for extra, fits in ((0, True), (1, False)):
        data = tmp_path / f"{extra}.jsonl"
        rows = [
            {"prompt": "abdefghilmno"[n] + "moon", "completion": "a" * (room + extra - 6)}
            for n in range(12)
        ]
        data.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
        if fits:
            assert tune(base, data, tmp_path / f"run{extra}")
        else:
            with pytest.raises(DataError, match="12 examples are longer"):
                tune(base, data, tmp_path / f"run{extra}")


def poems(tmp_path: Path, lines: list[str]) -> Path:
    """A prepared data set of quatrains."""
    rows = [
        {"title": "春江花月", "author": f"某{n}", "lines": [one[n:] + one[:n] for one in lines]}
        for n in range(5)
    ]
    path = tmp_path / "poems.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    prepare_sources(
        [str(path)],
        tmp_path / "poems",
        profile="verse",
        text_field="lines",
        licence="CC0-1.0",
        settings=("duplicates.near=false", "split.key=author", "split.train=0.5",
                  "split.valid=0.5", "split.test=0"),
    )  # fmt: skip
    return tmp_path / "poems"


@pytest.mark.usefixtures("home")
def test_verse_is_tuned_on_poems_and_knows_what_the_base_had_learnt(
    tmp_path: Path, workshop: Path
) -> None:
    base = workshop / "bundles" / "verse"
    known = list(Dataset.open(workshop / "dataset").records("train"))
    lines = ["".join(reversed(line)) for line in known[0]["lines"]]
    data = poems(tmp_path, lines)
    folder = tune(base, data, tmp_path / "run", "tune.kind=lora", "tune.rank=1")
    index = TrainingIndex.load(folder / INDEX)
    fresh = next(Dataset.open(data).records("train"))["lines"]
    assert all(index.contains(line) for line in (*fresh, *known[0]["lines"], *known[7]["lines"]))
    assert not index.contains("".join(reversed("".join(fresh)))[:7])
    assert load_folder(folder).manifest["facts"]["numbers"]["bits_per_byte"] > 0
    assert wf.load(str(folder)).generate("春江", characters=5).text
    with pytest.raises(ConfigError, match="verse learns from poems with titles"):
        tune(base, write_pairs(tmp_path / "my.jsonl"), tmp_path / "a")
    with pytest.raises(ConfigError, match="writes no poems"):
        tune(write_bundle(tmp_path / "tied", "tied").folder, data, tmp_path / "b")


@pytest.mark.parametrize(
    ("kind", "parameters", "rate"),
    [
        ("full", 1000, 4e-3),
        ("full", 2_208_192, 4e-3),
        ("full", 494_000_000, 1.8e-5),
        ("lora", 494_000_000, 3.3e-4),
        ("prompt", 494_000_000, 0.3),
    ],
)
def test_a_larger_base_is_moved_in_smaller_steps(
    kind: str, parameters: int, rate: float, tmp_path: Path
) -> None:
    base = write_bundle(tmp_path / "base", "tied")
    base.manifest["facts"]["parameters"] = parameters
    settings = (f"tune.kind={kind}", "tune.length=4")
    recipe, _ = begin(base, write_pairs(tmp_path / "my.jsonl"), tmp_path / "set", *settings)
    assert recipe.optim.lr == pytest.approx(rate)


def test_vectors_that_fill_the_context_are_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "base", "tied")
    data, settings = write_pairs(tmp_path / "my.jsonl"), ("tune.kind=prompt", "tune.length=32")
    with pytest.raises(ConfigError, match="the model's context is 32, so it must be below that"):
        tune(tmp_path / "base", data, tmp_path / "run", *settings)


def test_what_a_base_does_not_learn_from_is_told(tmp_path: Path) -> None:
    texts, pairs = write_texts(tmp_path / "texts"), write_pairs(tmp_path / "my.jsonl")
    write_bundle(tmp_path / "t5", "t5")
    with pytest.raises(ConfigError, match="t5 answers prompts and does not learn from texts"):
        tune(tmp_path / "t5", texts, tmp_path / "a")
    write_bundle(tmp_path / "bert", "bert")
    for data in (texts, pairs):
        with pytest.raises(BundleError, match="the layout masked, which is not tuned by examples"):
            tune(tmp_path / "bert", data, tmp_path / "b")


def test_licences_are_expressions_and_data_sets_have_their_own(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", "tied", licence="MIT OR ISC")
    data = write_pairs(tmp_path / "my.jsonl")
    with pytest.raises(UsageError, match="no SPDX licence expression"):
        begin(base, data, tmp_path / "set", "tune.licence=do what you want")
    begin(base, data, tmp_path / "set", "tune.licence=CC0-1.0")
    with pytest.raises(ConfigError, match=r"leave tune\.licence out"):
        begin(base, tmp_path / "set", tmp_path / "other", "tune.licence=CC0-1.0")
    folder = tune(tmp_path / "base", tmp_path / "set", tmp_path / "run")
    assert read_bundle(folder).manifest["licence"] == "CC0-1.0 AND (MIT OR ISC)"
    assert "licence: CC0-1.0 AND (MIT OR ISC)" in (folder / "README.md").read_text("utf-8")


def test_a_data_set_without_a_part_to_measure_by_is_refused(tmp_path: Path) -> None:
    base = write_bundle(tmp_path / "base", "tied")
    texts = write_texts(tmp_path / "texts")
    prepare_sources([str(texts)], tmp_path / "set", profile="none",
                    settings=("split.train=1", "split.valid=0", "split.test=0"))  # fmt: skip
    with pytest.raises(DataError, match="no records in its part valid"):
        begin(base, tmp_path / "set", tmp_path / "other")


def test_a_run_is_found_by_its_name_and_listed(home: Path, call: Call, tmp_path: Path) -> None:
    write_bundle(home / "bundles" / "small", "tied")
    data = write_pairs(tmp_path / "my.jsonl")
    settings = [word for one in (*SHORT, "tune.kind=lora") for word in ("--set", one)]
    made = call("train", "tune", "--data", data, "--from", "small", *settings, "--json")
    assert made.code == 0, made.err
    assert find_bundle("small-my") == home / "runs" / "small-my" / "bundle"
    assert "small-my" in {one["name"] for one in list_bundles()}
    assert "small-my" in call("models").out
    for name in ("small-my", "small+small-my:0.5"):
        said = call("generate", name, "the moon", "--set", "sampling.maximum_tokens=3")
        assert said.code == 0, said.err
    assert "tune" in call("recipes").out
    assert {"tune", "picture"} <= {one["name"] for one in call("recipes", "--json").json}
    assert "tune" in call("train", "tunes").error
    summed = call("train", "tune", "--data", data, "--from", "small+small-my")
    assert summed.code == UsageError.exit_code
    assert "wenfang export --to bundle" in summed.error


def test_a_bundle_that_is_worse_than_its_base_says_so(tmp_path: Path) -> None:
    write_bundle(tmp_path / "base", "tied")
    data, told = write_pairs(tmp_path / "my.jsonl"), list[str]()
    tune(tmp_path / "base", data, tmp_path / "a", told=told)
    assert not [line for line in told if "by heart" in line]
    tune(tmp_path / "base", data, tmp_path / "b", "optim.lr=5", told=told)
    (line,) = [line for line in told if "by heart" in line]
    assert "bits a byte more than its base on the 3 examples set aside" in line


def test_a_tuned_bundle_is_measured_again_beside_its_base(
    home: Path, call: Call, tmp_path: Path
) -> None:
    write_bundle(home / "bundles" / "small", "tied")
    data = write_pairs(tmp_path / "my.jsonl")
    for kind in ("full", "lora"):
        run = home / "runs" / kind
        folder = tune(home / "bundles" / "small", data, run, f"tune.kind={kind}")
        numbers = json.loads((folder / "manifest.json").read_text("utf-8"))["facts"]["numbers"]
        again = call("evaluate", kind, "--json")
        assert again.code == 0, again.err
        assert again.json == pytest.approx(numbers)
    (home / "bundles" / "small").rename(tmp_path / "away")
    alone = call("evaluate", "full", "--json").json
    assert alone["bits_per_byte"] > 0
    assert "gain_bits_per_byte" not in alone


def test_weights_that_a_base_shares_stay_shared(tmp_path: Path) -> None:
    write_bundle(tmp_path / "base", "tied")
    folder = tune(tmp_path / "base", write_pairs(tmp_path / "my.jsonl"), tmp_path / "run")
    model: Any = load_folder(folder).model
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.isfinite(model.lm_head.weight).all()
