"""Pieces for four voices by rule, a data set of them, and a bundle that learnt a little of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wenfang.atomic import write_json
from wenfang.data.chorales import record_of
from wenfang.data.dataset import Dataset
from wenfang.data.part_tokens import RANGES
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.media.four_parts import BEAT, REST, FourParts
from wenfang.media.score import Key
from wenfang.models import gpt
from wenfang.recipes import RECIPES
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.train import TrainRequest, train

# Steps of a major scale that the voices sing, chord by chord: I IV V I, well led.
CHORDS = ((72, 67, 64, 48), (72, 69, 65, 53), (71, 67, 62, 55), (72, 67, 64, 48))


def piece(bars: int = 4, *, beats: int = 4, upbeat: int = 0, shift: int = 0) -> FourParts:
    """A chord a beat, the last of them held for the whole of the last bar."""
    count = bars * beats + upbeat // BEAT
    rows = [CHORDS[number % len(CHORDS)] for number in range(count)]
    rows[count - beats :] = [CHORDS[0]] * beats
    grid = np.repeat(np.array(rows, np.int16), BEAT, axis=0) + shift
    struck = np.zeros(grid.shape, np.bool_)
    struck[0] = True
    struck[1:] = grid[1:] != grid[:-1]
    key = Key(tonic=shift % 12)
    return FourParts(pitches=grid, struck=struck, beats=beats, upbeat=upbeat, key=key)


def random_piece(seed: int, *, bars: int = 3, beats: int = 4, upbeat: int = 0) -> FourParts:
    """Anything that tokens can tell: silences, short notes, notes struck again."""
    draw = np.random.default_rng(seed)
    count = bars * beats * 4 + upbeat
    grid = np.stack(
        [draw.choice([REST, *range(low, high + 1)], count) for low, high in RANGES], axis=1
    ).astype(np.int16)
    for at in range(1, count):  # most things go on
        held = draw.random(4) < 0.7
        grid[at, held] = grid[at - 1, held]
    struck = (draw.random(grid.shape) < 0.1) & (grid != REST)
    struck[0] = grid[0] != REST
    struck[1:] |= (grid[1:] != grid[:-1]) & (grid[1:] != REST)
    key = Key(tonic=seed % 12, minor=bool(seed % 2))
    return FourParts(pitches=grid, struck=struck, beats=beats, upbeat=upbeat, key=key)


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    for part, count in {"train": 24, "valid": 4, "test": 6}.items():
        for number in range(count):
            made = piece(4 + number % 3, beats=3 + number % 2, shift=number % 5 - 2)
            yield part, record_of(made, f"{part}-{number}")


def dataset(folder: Path) -> Dataset:
    """The rows as a prepared data set."""
    file = folder / "pieces.txt"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text("pieces by rule", "utf-8")
    source = Source(path=str(file), name="pieces", licence="CC0-1.0")
    return write_rows("pieces", source, {file.name: "0" * 64}, {}, rows(), folder / "dataset")


def recipe(steps: int = 40) -> Recipe:
    """`chorale`, small."""
    full = RECIPES["chorale"]()
    return replace(
        full,
        data=replace(full.data, source="pieces"),
        model=replace(gpt.PRESETS["tiny"], width=32, context=2048, dropout=0.1),
        train=replace(
            full.train, steps=steps, batch_size=4, evaluate_every=steps, checkpoint_every=steps
        ),
    )


def bundle(folder: Path, steps: int = 40, *, measured: bool = False) -> Path:
    """A bundle trained for `steps`."""
    run = folder / "run"
    run.mkdir(parents=True)
    write_json(run / "asked.json", recipe(steps).to_dict())
    asked = TrainRequest(
        recipe=str(run / "asked.json"),
        data=dataset(folder / "data").folder,
        run=run,
        measured=measured,
    )
    return train(asked)
