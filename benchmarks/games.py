"""Do games train without tuning? Three generators, two games, five seeds, one setting for all.

    python benchmarks/games.py --runs DIR --eye BUNDLE [--data DATA] [--known FILE] [--json]

Every run is the recipe digits-gan with another generator and game, a dense discriminator and no
classes, and nothing else changed between seeds. It is judged by the share of 10,000 test digits
that have a made one within reach of their fifth neighbour (coverage, Naeem et al. 2020), in the
features of a classifier that was trained on real digits alone. A run counts as good from a coverage
of 0.7. Runs that are in DIR already, or that an earlier --json told (--known), are not made again,
so that the work can be shared out and gone on with.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wenfang import config
from wenfang.atomic import write_json
from wenfang.backends.painter import Painter, PaintOptions
from wenfang.backends.shelf import find_bundle
from wenfang.data.dataset import Dataset
from wenfang.data.pixels import Pixels
from wenfang.device import set_threads
from wenfang.metrics.fidelity import spread_of_samples
from wenfang.models import gan
from wenfang.models.load import Loaded, load
from wenfang.recipes import RECIPES
from wenfang.recipes.painting_suite import seen
from wenfang.recipes.recipe import GameConfig, ObjectiveConfig, Recipe
from wenfang.recipes.train import TrainRequest, find_dataset, train

SOURCE, MADE, GOOD_COVERAGE, LONGEST_S = "mnist", 10_000, 0.7, 600
RATE = 1e-3
# The discriminator's steps, as many as fit into eight minutes of one thread.
KINDS: dict[gan.Kind, int] = {"dense": 14_000, "convolutional": 6_500, "recurrent": 5_500}
GAMES = {
    "wasserstein": GameConfig(game="wasserstein", gradient_penalty=10.0, turns=1),
    "hinge": GameConfig(game="hinge", r1=1.0, turns=1),
}


def recipe(kind: gan.Kind, game: str, seed: int) -> Recipe:
    """The run's recipe."""
    full = RECIPES["digits-gan"]()
    assert isinstance(full.model, gan.Config)
    steps = KINDS[kind]
    return replace(
        full,
        model=replace(
            full.model,
            classes=0,
            auxiliary=False,
            generator=kind,
            discriminator="dense",
        ),
        objective=ObjectiveConfig(game=GAMES[game]),
        optim=replace(full.optim, lr=RATE),
        train=replace(full.train, steps=steps, seed=seed, evaluate_every=steps),
    )


def played(asked: argparse.Namespace, kind: gan.Kind, game: str, seed: int) -> dict[str, Any]:
    """One run: its seconds and its coverage."""
    run = asked.runs / f"{kind}-{game}-{seed}"
    told = run / "game.json"
    if told.is_file():
        found: dict[str, Any] = json.loads(told.read_text("utf-8"))
        return found
    if (already := known(asked.known).get(run.name)) is not None:
        return already
    dataset = find_dataset(SOURCE, asked.data, asked.runs / "dataset")
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "asked.json", recipe(kind, game, seed).to_dict())
    began = time.monotonic()
    bundle = train(
        TrainRequest(
            recipe=str(run / "asked.json"),
            run=run,
            data=dataset.folder,
            resume=(run / "checkpoints").is_dir(),
            measured=False,
        )
    )
    seconds = time.monotonic() - began
    found = {"seconds": seconds, **covered(load(bundle), load(find_bundle(asked.eye)), dataset)}
    write_json(told, found)
    return found


def known(path: Path | None) -> dict[str, dict[str, Any]]:
    """Runs of an earlier day, by their names."""
    if path is None or not path.is_file():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))["runs"]
    return found


def covered(maker: Loaded, eye: Loaded, dataset: Dataset) -> dict[str, float]:
    """Precision, recall, density and coverage of MADE pictures, without classes."""
    model: Any = eye.model
    real = Pixels.read(dataset.records("test"), 1)
    streams = [(number, "games") for number in range(MADE)]
    made = Painter(maker).paint([None] * MADE, streams, PaintOptions())
    pixels = Pixels(values=made.transpose(0, 3, 1, 2), classes=np.zeros(MADE, np.int64))
    return spread_of_samples(seen(model, real)[0], seen(model, pixels)[0])


def main() -> None:
    """Play every game, and count the good runs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--eye", default="digit-reader")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--known", type=Path, help="a --json of earlier runs, to go on from")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--games", nargs="+", default=list(GAMES))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    set_threads(1)
    rows = {
        f"{kind}-{game}-{seed}": played(asked, kind, game, seed)
        for kind in asked.kinds
        for game in asked.games
        for seed in asked.seeds
    }
    good = [row for row in rows.values() if row["coverage_share"] >= GOOD_COVERAGE
            and row["seconds"] <= LONGEST_S]  # fmt: skip
    if asked.json:
        settings = {name: config.to_dict(game) for name, game in GAMES.items()}
        print(json.dumps({"runs": rows, "good": len(good), "games": settings}, indent=2))
        return
    for name, row in rows.items():
        print(f"{name}: coverage {row['coverage_share']:.3f}, {row['seconds']:.0f} s")
    print(f"{len(good)} of {len(rows)} runs are good")


if __name__ == "__main__":
    main()
