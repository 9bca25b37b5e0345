"""Evaluation suites: which numbers tell what a bundle of a layout is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wenfang.backends.painter import PaintOptions
from wenfang.backends.poet import Poet
from wenfang.checks import Material, judge
from wenfang.data.batches import Examples
from wenfang.data.dataset import Dataset
from wenfang.data.layouts import LABELLED, VERSE
from wenfang.data.pixels import Pixels
from wenfang.data.training_index import INDEX, TrainingIndex
from wenfang.errors import ConfigError
from wenfang.evaluator import (
    Lines,
    Quatrain,
    bits,
    kneser_ney_bits,
    quatrain_rates,
    title_ranking,
)
from wenfang.knowledge.verse import FORMS, is_han
from wenfang.metrics.classification import error_rates, roc_area
from wenfang.metrics.foreign_eye import ForeignEye, Levels
from wenfang.metrics.text import bits_per_byte
from wenfang.models import CausalModel
from wenfang.models.load import Loaded
from wenfang.models.picture_classifier import PictureClassifier
from wenfang.recipes.build import window_loss
from wenfang.recipes.class_scores import class_logits, labels_of
from wenfang.recipes.emblem_suite import measure_judge
from wenfang.recipes.encoder_suite import measure_encoder
from wenfang.recipes.foreign_suite import measure_with
from wenfang.recipes.learn_pictures import PAINTERS
from wenfang.recipes.painting_suite import measure_painter, seen
from wenfang.recipes.pair_suite import measure_pairs
from wenfang.recipes.part_suite import measure_parts
from wenfang.recipes.picture_suite import measure_pictures
from wenfang.recipes.sound_suite import measure_heard
from wenfang.recipes.streams import stream_tokens
from wenfang.recipes.translator_suite import measure_translator
from wenfang.recipes.upscaler_suite import measure_upscaler
from wenfang.samplers.beam import Beam
from wenfang.samplers.verse import VerseRules, VerseSampling

BATCH = 16
OnStage = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SuiteConfig:
    """How much is measured: sampled poems, ranked titles, the order of the baseline.

    beam      how completions of pairs are searched for
    pictures  so many are made; of sounds at most 500
    eye       an ONNX file in whose features makers of pictures are measured, in place of all else
    eye_levels  what it reads black and white as: unit 0 and 1, signed -1 and 1, bytes 0 and 255
    """

    poems: int = 500
    ranked_titles: int = 200
    baseline_order: int = 4
    rounds: int = 4
    sampling: VerseSampling = VerseSampling()
    shown: int = 12
    beam: Beam = Beam()
    pictures: int = 10_000
    eye: str = ""
    eye_levels: Levels = "signed"


STANDARD = SuiteConfig()


def evaluate(
    loaded: Loaded,
    dataset: Dataset,
    config: SuiteConfig = STANDARD,
    on_stage: OnStage = lambda stage: None,
) -> dict[str, Any]:
    """Every number of the suite that fits the bundle's layout, as JSON values."""
    if loaded.layout == "verse":
        return _verse(loaded, dataset, config, on_stage)
    if loaded.layout == "labelled":
        return _labelled(loaded, dataset)
    if loaded.layout == "pictures":
        assert loaded.threshold is not None
        return measure_pictures(loaded.model, loaded.threshold, dataset)
    if loaded.layout in ("pairs", "venue"):
        on_stage("writing")
        return measure_pairs(loaded, dataset, _held_out(dataset), config.beam)
    if loaded.layout == "translation":
        on_stage("writing")
        return measure_translator(loaded, dataset, _held_out(dataset))
    if loaded.layout == "bilingual":
        return measure_encoder(loaded, dataset)
    if loaded.layout in PAINTERS:
        on_stage("pictures")
        if config.eye:
            eye = ForeignEye.open(Path(config.eye), config.eye_levels)
            return measure_with(eye, loaded, dataset, config.pictures, PaintOptions())
        if loaded.painting and loaded.painting.mel:
            return measure_heard(loaded, dataset, config.pictures)
        return measure_painter(loaded, dataset, config.pictures)
    if loaded.layout == "upscaling":
        return measure_upscaler(loaded, dataset)
    if loaded.layout == "matching":
        return measure_judge(loaded, dataset)
    if loaded.layout == "picture-classes":
        return _picture_classes(loaded, dataset)
    if loaded.layout == "parts":
        on_stage("music")
        return measure_parts(loaded, dataset)
    if loaded.layout == "stream":
        return _stream(loaded, dataset)
    return {}


def _picture_classes(loaded: Loaded, dataset: Dataset) -> dict[str, Any]:
    model = loaded.model
    assert isinstance(model, PictureClassifier)
    pixels = Pixels.read(dataset.records("test"), model.config.in_channels)
    _, said = seen(model, pixels)
    return {
        "split": "test",
        "pictures": len(pixels),
        "accuracy_share": float((said == pixels.classes).mean()),
    }


def _stream(loaded: Loaded, dataset: Dataset) -> dict[str, Any]:
    assert loaded.tokenizer is not None
    assert isinstance(loaded.model, CausalModel)
    split = _held_out(dataset)
    tokens = stream_tokens(dataset, split, loaded.tokenizer)
    characters = sum(len(record["text"]) for record in dataset.records(split))
    nats = window_loss(loaded.model, tokens, loaded.model.config.context)
    return {
        "split": split,
        "val_loss_nats_per_token": nats,
        "bits_per_character": nats / np.log(2) * len(tokens) / characters,
    }


def _held_out(dataset: Dataset) -> str:
    return "test" if dataset.count("test") else "valid"


def _labelled(loaded: Loaded, dataset: Dataset) -> dict[str, Any]:
    """Error rates of a yes-or-no classifier, whole and by the field `topic`; no text is told."""
    assert loaded.tokenizer is not None
    assert loaded.threshold is not None
    tokenizer = loaded.tokenizer
    records = list(dataset.records("test"))
    examples = Examples.build(LABELLED.parts(record, tokenizer) for record in records)
    scores = class_logits(loaded.model, examples).softmax(1)[:, 1].numpy()
    labels = labels_of(dataset, "test") == 1
    numbers: dict[str, Any] = {
        "split": "test",
        "texts": len(records),
        "yes_share": float(labels.mean()),
        "threshold": loaded.threshold,
        "roc_area": roc_area(scores, labels),
        **error_rates(scores, labels, loaded.threshold),
        "accuracy_at_half_share": error_rates(scores, labels, 0.5)["accuracy_share"],
    }
    topics = np.array([str(record.get("topic", "")) for record in records])
    for topic in sorted({*topics} - {""}):
        chosen = topics == topic
        rates = error_rates(scores[chosen], labels[chosen], loaded.threshold)
        for name in ("accuracy_share", "false_alarm_share", "missed_share"):
            numbers[f"{topic}_{name}"] = rates[name]
    return numbers


def _verse(
    loaded: Loaded, dataset: Dataset, config: SuiteConfig, on_stage: OnStage
) -> dict[str, Any]:
    poet = Poet(loaded)
    index = TrainingIndex.load(loaded.folder / INDEX)
    test = [_quatrain(record) for record in dataset.records("test")]
    if not test:
        raise ConfigError("the test part is empty; prepare the data set with a larger split.test")
    on_stage("likelihood")
    numbers: dict[str, Any] = {"split": "test", "test_poems": len(test)}
    numbers |= _likelihood(poet, test)
    on_stage("baseline")
    plain, told = _baselines(poet, dataset, config.baseline_order)
    own = numbers["bits_per_character"]
    numbers |= {
        "kneser_ney_order": config.baseline_order,
        "kneser_ney_bits_per_character": plain,
        "below_kneser_ney": 1 - own / plain,
        "kneser_ney_told_line_breaks_bits_per_character": told,
        "below_kneser_ney_told_line_breaks": 1 - own / told,
    }
    on_stage("titles")
    titled = [poem for poem in test if _usable(poem.title, poet)]
    numbers["title_first_of_ten"] = title_ranking(poet.nats, titled[: config.ranked_titles])
    numbers["ranked_titles"] = len(titled[: config.ranked_titles])
    on_stage("poems")
    numbers |= _samples(poet, titled, index, config)
    return numbers


def _quatrain(record: dict[str, Any]) -> Quatrain:
    return Quatrain(title=record["title"], lines=tuple(record["lines"]))


def _usable(title: str, poet: Poet) -> bool:
    """A title that the demands of a brief would let through."""
    return 2 <= len(title) <= 20 and all(map(is_han, title)) and not poet.unknown(title)


def _likelihood(poet: Poet, test: Sequence[Quatrain]) -> dict[str, float]:
    lines = [poem.lines for poem in test]
    plain, counts = poet.nats([""] * len(test), lines)
    titled, _ = poet.nats([poem.title for poem in test], lines)
    size = np.array([len(poem.lines[0]) for poem in test])
    size_bytes = sum(len("".join(poem.lines).encode()) for poem in test)
    return {
        "bits_per_character": bits(plain, counts),
        "bits_per_character_with_title": bits(titled, counts),
        "bits_per_byte": bits_per_byte(float(plain.sum()), size_bytes),
        **{
            f"bits_per_character_form_{form}": bits(plain[size == form], counts[size == form])
            for form in FORMS
            if (size == form).any()
        },
    }


def _baselines(poet: Poet, dataset: Dataset, order: int) -> tuple[float, float]:
    """The n-gram model reads what the GPT reads without a title: form, lines, line breaks.

    The second number is kinder to it: it is told where lines end, and need not spend probability
    on breaks that the form decides. The GPT is told nothing.
    """

    def sequences(split: str) -> list[list[int]]:
        parts = (VERSE.parts(record, poet.tokenizer) for record in dataset.records(split))
        return [opening + body for opening, _, body in parts]

    return kneser_ney_bits(sequences("train"), sequences("test"), poet.scored, order)


def _samples(
    poet: Poet, titled: Sequence[Quatrain], index: TrainingIndex, config: SuiteConfig
) -> dict[str, Any]:
    """Seeds 0 .. poems-1 on unseen titles: as first drawn, and drawn again where a check fails."""
    if not titled:
        raise ConfigError("the test part has no usable title; prepare another data set")
    asked = [titled[seed % len(titled)] for seed in range(config.poems)]
    waiting = list(range(config.poems))
    first: dict[int, Lines] = {}
    kept: dict[int, Lines] = {}
    for attempt in range(config.rounds):
        drawn = _draw(poet, {seed: asked[seed] for seed in waiting}, attempt, config)
        first = first or drawn
        kept |= {seed: lines for seed, lines in drawn.items() if _passes(lines, index)}
        waiting = [seed for seed in waiting if seed not in kept]
    raw = quatrain_rates(list(first.values()), index)
    return {
        "poems": len(kept),
        "poems_blocked": len(waiting),
        **(quatrain_rates([kept[seed] for seed in sorted(kept)], index) if kept else {}),
        **{f"first_draw_{name}": raw[name] for name in FIRST_DRAW},
        "samples": [
            {"title": asked[seed].title, "lines": list(kept[seed])}
            for seed in range(config.shown)
            if seed in kept
        ],
    }


def _draw(
    poet: Poet, asked: Mapping[int, Quatrain], attempt: int, config: SuiteConfig
) -> dict[int, Lines]:
    """One quatrain for each seed, in batches of one form and one length of title."""
    groups: dict[tuple[int, int], list[int]] = {}
    for seed, poem in asked.items():
        groups.setdefault((len(poem.lines[0]), len(poem.title)), []).append(seed)
    drawn: dict[int, Lines] = {}
    for (characters, _), seeds in groups.items():
        for start in range(0, len(seeds), BATCH):
            batch = seeds[start : start + BATCH]
            lines = poet.lines(
                [asked[seed].title for seed in batch],
                VerseRules(characters=characters),
                config.sampling,
                [(seed, "suite", attempt) for seed in batch],
            )
            drawn |= dict(zip(batch, lines, strict=True))
    return drawn


FIRST_DRAW = (
    "form_share",
    "rhyme_share",
    "poems_with_copied_line_share",
    "longest_copy_max_units",
    "tonal_pattern_mean",
)


def _passes(lines: Lines, index: TrainingIndex) -> bool:
    form = FORMS[len(lines[0])]
    return bool(judge(Material(text="\n".join(lines), form=form, index=index)).verdict)
