"""The encoder of two languages: its texts, batches, objective, and how it is measured."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tiny_encoder import SENTENCES, TRANSLATIONS, build_encoder, texts_dataset, tiny_recipe
from wenfang.data.batches import Share
from wenfang.data.bilingual import BILINGUAL, segments_of
from wenfang.data.dataset import Dataset
from wenfang.data.encoder_texts import READERS, sign_names, stories, travel_talk
from wenfang.data.named import NAMED, prepare_named
from wenfang.errors import ConfigError, DataError
from wenfang.metrics.word_table import WordTable
from wenfang.models import bert
from wenfang.models.load import load
from wenfang.objectives.aligned import Aligned
from wenfang.objectives.contrastive import info_nce
from wenfang.objectives.masked import Masked
from wenfang.recipes import RECIPES
from wenfang.recipes.build import Run, build
from wenfang.recipes.encoder_suite import Translations, found_shares, shared_characters
from wenfang.recipes.suite import evaluate
from wenfang.tokenizer import train_bytes
from wenfang.trainer import Trainer

DATA = os.environ.get("WENFANG_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="WENFANG_DATA names no folder of data sets")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return texts_dataset(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def run(dataset: Dataset) -> Run:
    return build(tiny_recipe(), dataset)


def test_texts_keep_their_sources_and_parts(dataset: Dataset) -> None:
    pairs = [
        (row["english"], row["text"])
        for part in ("train", "valid", "test")
        for row in dataset.records(part)
        if "english" in row
    ]
    assert sorted(pairs) == sorted(zip(SENTENCES, TRANSLATIONS, strict=True))
    sources = {row["source"] for row in dataset.records("train")}
    assert sources == {"tatoeba_en_zh", "gsm8k"}
    assert [one.name for one in dataset.source_manifests] == ["tatoeba_en_zh", "gsm8k"]
    assert dataset.count("test") > 0


def test_names_of_signs_are_pairs_and_skin_tones_are_left_out(tmp_path: Path) -> None:
    rows = [
        "file\temoji\tname_en\tkeywords_en\tname_zh\tkeywords_zh",
        'a.png\ta\t"quoted" cat\tcat\t猫\t猫',
        "b.png\tb\t\t\t\t",
        "c.png\tc\twaving hand: dark skin tone\thand\t挥手: 较深肤色\t手",
        'd.png\td\t"quoted" cat\tcat\t猫\t猫',
    ]
    (tmp_path / "captions.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    assert list(sign_names(tmp_path)) == [("train", {"text": "猫", "english": '"quoted" cat'})]


def test_stories_are_whole_and_in_the_parts_of_their_origin(tmp_path: Path) -> None:
    for name in ("train", "val"):
        rows = ["document_id,text", f"{name}-one,Once upon", f"{name}-two,A king", f"{name}-one,a"]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n", "utf-8")
    assert list(stories(tmp_path)) == [
        ("train", {"text": "Once upon a"}),
        ("train", {"text": "A king"}),
        ("valid", {"text": "Once upon a"}),
        ("valid", {"text": "A king"}),
    ]


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "val.json.zip").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"val\.json\.zip is no readable archive"):
        list(travel_talk(tmp_path))


def test_a_pair_is_shown_as_a_text_of_two_segments_in_either_order() -> None:
    records = [{"text": "猫。狗。"}, {"text": "茶", "english": "tea"}, {"text": "书" * 40,
                "english": "book"}]  # fmt: skip
    tokenizer = train_bytes(["tea 茶 猫狗书"], vocabulary_size=300, specials=BILINGUAL.specials)
    found = segments_of(records, tokenizer, longest=12)
    shown = [(int(text), tokenizer.decode(found[n].tolist())) for n, text in enumerate(found.texts)]
    pair = shown[-4:]
    assert [words for _, words in pair] == ["tea", "茶", "茶", "tea"]
    assert pair[0][0] == pair[1][0] < pair[2][0] == pair[3][0]
    assert "".join(words for _, words in shown[:-4]) == "猫。狗。"
    assert len(found) == len(found.texts) == len(found.offsets) - 1


def test_translations_stand_in_one_row_and_batches_depend_on_their_number_only(run: Run) -> None:
    assert run.tokenizer is not None
    for index in (0, 3, 7):
        batch = run.task.batches.batch(index, Share())
        sides = [
            [run.tokenizer.decode(row.tolist()) for row in batch[name]] for name in ("one", "other")
        ]
        known = {s.casefold(): t for s, t in zip(SENTENCES, TRANSLATIONS, strict=True)}
        assert sides[1] == [known[english] for english in sides[0]]
        again = run.task.batches.batch(index, Share())
        assert all(torch.equal(batch[name], again[name]) for name in batch)
    halves = [run.task.batches.batch(2, Share(rank=rank, world=2)) for rank in (0, 1)]
    whole = run.task.batches.batch(2, Share())
    assert len(halves[0]["one"]) + len(halves[1]["one"]) == len(whole["one"])


def test_the_loss_is_that_of_translations_and_of_hidden_words() -> None:
    model = bert.Bert(bert.Config(vocabulary_size=20, width=8, layers=1, heads=2, hidden_width=8,
                                  context=16, dropout=0.0))  # fmt: skip
    model.initialise(torch.Generator().manual_seed(1))
    masked = Masked(mask=5, first_word=6, vocabulary_size=20)
    draw = torch.Generator().manual_seed(2)
    one, other = (torch.randint(6, 20, (4, width), generator=draw) for width in (7, 5))
    batch = {"one": one, "other": other, "tokens": one}
    loss = Aligned(masked=masked, hidden_weight=0.5)(model, batch, torch.Generator().manual_seed(3))
    with torch.no_grad():
        vectors = [
            torch.nn.functional.normalize(model.hidden(side).mean(1), dim=1)
            for side in (one, other)
        ]
        words = masked(model, batch, torch.Generator().manual_seed(3)).value
        expected = info_nce(vectors[0], vectors[1], 0.05) + 0.5 * words
    assert float(loss.value.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert loss.parts["pairs_nats"] < 2 * math.log(4) + 20


def test_a_translation_is_found_by_its_rows_and_columns() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1]])
    right = np.array([[True, False, False], [False, True, True]])
    assert found_shares(scores, right) == {
        "english_to_chinese_first_share": 0.5,
        "chinese_to_english_first_share": pytest.approx(2 / 3),
    }


def test_sentences_with_several_translations_count_once(dataset: Dataset) -> None:
    found = Translations.read(dataset, "train")
    assert len(found.english) == len(set(found.english))
    assert int(found.right.sum()) == len(found.english)
    numbers = Translations(
        english=("at 10", "at 25"), chinese=("25点", "10点"), right=np.eye(2, dtype=np.bool_)[::-1]
    )
    assert found_shares(shared_characters(numbers), numbers.right) == {
        "english_to_chinese_first_share": 1.0,
        "chinese_to_english_first_share": 1.0,
    }


def test_a_table_of_words_learns_which_word_stands_for_which() -> None:
    # Word w stands for 10 + w; no sentence has one word alone.
    rows = [[a, b] for a in range(6) for b in range(6) if a != b]
    table = WordTable.learn(rows, [[10 + b, 10 + a] for a, b in rows], vocabulary_size=20)
    chance = table.among(range(6), range(10, 16))
    assert chance.argmax(1).tolist() == list(range(6))
    assert float(np.diag(chance).min()) > 0.9
    # What a word stands for adds up to 1.
    assert table.among([3], range(20)).sum() == pytest.approx(1, abs=1e-3)
    scores = table.scores([[0, 1], [2, 3]], [[12, 13], [11, 10], [14]])
    assert scores.argmax(1).tolist() == [1, 0]
    assert scores.shape == (2, 3)


def test_the_recipe_runs_and_goes_on_where_it_was_stopped(
    run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    values: list[dict[str, float]] = []
    recipe = tiny_recipe()
    whole = build(recipe, dataset)
    Trainer(
        whole.task,
        tmp_path / "whole",
        lambda event: values.append(event.values) if event.kind == "evaluate" else None,
    ).fit()
    assert {"val_loss", "val_pairs_found_share", "val_words_nats"} <= set(values[-1])
    stopped = build(recipe, dataset)
    trainer = Trainer(stopped.task, tmp_path / "stopped")
    trainer._resume()
    trainer._update()
    trainer._save()
    again = build(recipe, dataset)
    Trainer(again.task, tmp_path / "stopped").fit()
    for one, other in zip(
        whole.task.model.parameters(), again.task.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_a_window_wider_than_the_context_is_refused(dataset: Dataset) -> None:
    recipe = tiny_recipe()
    wide = replace(recipe, data=replace(recipe.data, window=64))
    with pytest.raises(ConfigError, match=r"data\.window 64 is longer than model\.context 32"):
        build(wide, dataset)
    short = replace(
        recipe, data=replace(recipe.data, window=8), model=replace(bert.PRESETS["tiny"], context=8)
    )
    with pytest.raises(DataError, match="the model's context is 8"):
        build(short, dataset)


def test_texts_without_pairs_are_refused(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataset, "records", lambda self, split: iter([{"text": "猫" * 40}] * 9))
    with pytest.raises(DataError, match="has no pairs"):
        build(tiny_recipe(), dataset)


def test_a_bundle_is_measured_against_baselines(dataset: Dataset, tmp_path: Path) -> None:
    folder = build_encoder(tmp_path)
    numbers = evaluate(load(folder), dataset)
    for name in ("", "word_table_", "shared_characters_"):
        assert 0 <= numbers[f"{name}english_to_chinese_first_share"] <= 1
    assert numbers["english_sentences"] == dataset.count("test")
    assert numbers["hidden_words_nats_valid"] > 1
    # The table knows these few words after one look at each; random weights know none.
    assert numbers["word_table_english_to_chinese_first_share"] > 0.5
    assert len(numbers["samples"]) <= 8


def test_the_recipe_is_known_and_ships_small() -> None:
    recipe = RECIPES["encoder"]()
    assert recipe.data.source in NAMED
    assert isinstance(recipe.model, bert.Config)
    filled = bert.Config(**{**vars(recipe.model), "vocabulary_size": recipe.tokenizer.size})
    with torch.device("meta"):
        size = sum(weight.numel() for weight in bert.Bert(filled).parameters())
    assert 2 * size + 600_000 < 8_000_000


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_named_texts_share_no_sentence_between_parts(tmp_path: Path) -> None:
    dataset = prepare_named("encoder_texts", None, tmp_path / "set")
    assert {one.name for one in dataset.source_manifests} == set(READERS)
    translator = prepare_named("tatoeba_en_zh", None, tmp_path / "pairs")
    tests = {row["prompt"] for row in translator.records("test") if row["into"] == "zh"}
    assert {row["english"] for row in dataset.records("test")} == tests
    seen: dict[str, set[str]] = {
        part: {
            row[side]
            for row in dataset.records(part)
            if row["source"] == "tatoeba_en_zh"
            for side in ("english", "text")
        }
        for part in ("train", "valid", "test")
    }
    assert not seen["test"] & (seen["train"] | seen["valid"])
    assert not seen["valid"] & seen["train"]
