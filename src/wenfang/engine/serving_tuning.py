"""What a server asks before it queues a tuning: would it work, and how large is a step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import read_bundle
from wenfang.engine.verb import Stopped, Verb
from wenfang.recipes.tune import start


def _tuning_plan(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """base, data (a prepared folder), settings -> examples, batch_size, steps and rate of the run.

    raises what `recipes.tune.start` raises for a base or examples that do not fit
    """
    base = read_bundle(find_bundle(str(content["base"])))
    with tempfile.TemporaryDirectory(prefix="wenfang-") as folder:
        recipe, dataset = start(
            base, Path(content["data"]), Path(folder), tuple(map(str, content["settings"]))
        )
    yield {
        "examples": dataset.count("train"),
        "batch_size": recipe.train.batch_size,
        "steps": recipe.train.steps,
        "rate": recipe.optim.lr,
    }


VERBS: Mapping[str, Verb] = {"tuning_plan": Verb(run=_tuning_plan, line="slow")}
