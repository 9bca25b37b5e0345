"""A very small bundle of the layout `bilingual` with random weights, from a few sentences."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from tiny_translator import CHINESE, DOINGS, ENGLISH
from wenfang.data.dataset import Dataset
from wenfang.data.encoder_texts import Material, prepare_encoder_texts
from wenfang.data.request import Source
from wenfang.models import bert
from wenfang.recipes.build import build
from wenfang.recipes.encoder import encoder
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import export

TIMES = (("", ""), (" today", "今天"), (" again", "又"), (" in spring", "春天"))
SENTENCES = [f"{who} {does[0]}{when[0]}." for who in ENGLISH for does in DOINGS for when in TIMES]
TRANSLATIONS = [
    f"{who}{when[1]}{does[1]}。" for who in CHINESE for does in DOINGS for when in TIMES
]


def texts_dataset(folder: Path) -> Dataset:
    """The sentences as pairs, and forty questions as plain texts."""
    sums = folder / "sums"
    sums.mkdir(parents=True)
    questions = [f"Tom has {n} cats. How many cats has Tom?" for n in range(40)]
    (sums / "train.jsonl").write_text(
        "\n".join(f'{{"question": "{question}"}}' for question in questions), "utf-8"
    )
    pairs = folder / "pairs"
    pairs.mkdir()
    rows = [f"{one}\t{other}" for one, other in zip(SENTENCES, TRANSLATIONS, strict=True)]
    (pairs / "cmn.txt").write_text("\n".join(rows) + "\n", "utf-8")
    materials = [
        Material(
            source=Source(path=str(path), name=name, licence="CC0-1.0", origin="made"),
            folder=path.parent,
            hashes={path.name: hashlib.sha256(path.read_bytes()).hexdigest()},
        )
        for name, path in (("tatoeba_en_zh", pairs / "cmn.txt"), ("gsm8k", sums / "train.jsonl"))
    ]
    return prepare_encoder_texts("encoder_texts", materials, folder / "texts")


def tiny_recipe() -> Recipe:
    """The recipe `encoder`, so small that a test can run it."""
    recipe = encoder()
    return replace(
        recipe,
        model=bert.PRESETS["tiny"],
        data=replace(recipe.data, window=32),
        tokenizer=replace(recipe.tokenizer, size=420),
        objective=replace(recipe.objective, texts_a_batch=4),
        train=replace(recipe.train, batch_size=8, steps=2, evaluate_every=2, checkpoint_every=2),
    )


def build_encoder(folder: Path) -> Path:
    """The bundle in folder/bundles/encoder."""
    dataset = texts_dataset(folder)
    run = build(tiny_recipe(), dataset)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in run.task.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    export(run, dataset, folder / "bundles" / "encoder")
    return folder / "bundles" / "encoder"
