"""A very small bundle of the layout `translation` with random weights, from a few sentences."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from wenfang.data.dataset import Dataset
from wenfang.data.parallel import prepare_short_sentences
from wenfang.data.request import Source
from wenfang.models import seq2seq
from wenfang.recipes.build import build
from wenfang.recipes.train import export
from wenfang.recipes.translation import translator

ENGLISH = ("I", "Tom", "the cat", "my friend", "a teacher", "the boy", "Mary", "she")
DOINGS = (("likes tea", "喜欢茶"), ("reads a book", "读书"), ("goes home", "回家"),
          ("came at 10", "10点来了"), ("lives in Japan", "住在日本"))  # fmt: skip
CHINESE = ("我", "汤姆", "猫", "我的朋友", "老师", "男孩", "玛丽", "她")


def write_sentences(path: Path) -> Path:
    """English and Chinese, tab between."""
    rows = [
        f"{who} {does[0]}.\t{wer}{does[1]}。"
        for who, wer in zip(ENGLISH, CHINESE, strict=True)
        for does in DOINGS
    ]
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


def pairs_dataset(folder: Path, licence: str = "CC0-1.0") -> Dataset:
    """The sentences as a data set of both directions."""
    path = write_sentences(folder / "pairs.txt")
    source = Source(path=str(path), name="pairs", licence=licence, origin="made", notice="")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    return prepare_short_sentences("pairs", source, hashes, folder / "pairs")


def build_translator(
    folder: Path, licence: str = "CC0-1.0", name: str = "translator", scale: float = 0.2
) -> Path:
    """The bundle in folder/bundles/NAME."""
    dataset = pairs_dataset(folder, licence)
    model = seq2seq.Config(
        width=16,
        encoder_layers=1,
        decoder_layers=1,
        heads=2,
        head_width=8,
        hidden_width=16,
        context=32,
    )
    recipe = translator()
    recipe = replace(recipe, model=model, tokenizer=replace(recipe.tokenizer, size=400), threads=1)
    recipe = replace(recipe, train=replace(recipe.train, batch_size=4))
    run = build(recipe, dataset)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in run.task.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)
    export(run, dataset, folder / "bundles" / name)
    return folder / "bundles" / name
