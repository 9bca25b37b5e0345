"""What a tuning comes to: how many steps of how many examples, and at which rate.

What nobody asks for is the recipe's to decide, as it is where `wenfang train tune` or the studio
begins it; here epochs, a batch and a factor of the rate become settings of that recipe.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import read_bundle
from wenfang.recipes.tune import paced, start

LOSSES_TOLD = 100  # of a run


@dataclass(frozen=True, kw_only=True)
class TuningWish:
    """What somebody asks of a tuning; None: as the recipe has it.

    epochs       how often each example is read
    batch_size   examples of a step, at most as many as there are
    rate_factor  of the rate that the recipe takes for this base
    """

    epochs: int | None = None
    batch_size: int | None = None
    rate_factor: float | None = None


@dataclass(frozen=True, kw_only=True)
class OwnPlan:
    """What the recipe takes by itself."""

    examples: int
    batch_size: int
    steps: int
    rate: float


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """Settings of the recipe `tune`, and what they come to."""

    settings: tuple[str, ...]
    epochs: int
    batch_size: int
    steps: int
    rate_factor: float


def plan_tuning(base: str, data: Path, settings: Sequence[str], wish: TuningWish) -> TuningPlan:
    """The plan for a prepared folder of examples.

    settings  those that are said already
    raises    what `recipes.tune.start` raises for a base or examples that do not fit
    """
    bundle = read_bundle(find_bundle(base))
    with tempfile.TemporaryDirectory(prefix="wenfang-") as folder:
        recipe, dataset = start(bundle, data, Path(folder), tuple(settings))
    own = OwnPlan(
        examples=dataset.count("train"),
        batch_size=recipe.train.batch_size,
        steps=recipe.train.steps,
        rate=recipe.optim.lr,
    )
    return planned(own, wish)


def planned(own: OwnPlan, wish: TuningWish) -> TuningPlan:
    """What a wish makes of the recipe's own plan."""
    batch = min(wish.batch_size or own.batch_size, own.examples)
    per_epoch = math.ceil(own.examples / batch)
    steps, settings = own.steps, []
    if wish.epochs is not None or wish.batch_size is not None:
        # Another batch alone leaves the epochs as they would have been.
        epochs = wish.epochs or max(1.0, own.steps * own.batch_size / own.examples)
        steps = math.ceil(epochs * per_epoch)
        settings = [f"train.batch_size={batch}", f"train.steps={steps}"]
        settings += [f"{name}={value}" for name, value in paced(steps, per_epoch).items()]
    factor = wish.rate_factor or 1.0
    if factor != 1.0:
        settings.append(f"optim.lr={own.rate * factor}")
    settings.append(f"train.log_every={math.ceil(steps / LOSSES_TOLD)}")
    return TuningPlan(
        settings=tuple(settings),
        epochs=max(1, round(steps * batch / own.examples)),
        batch_size=batch,
        steps=steps,
        rate_factor=factor,
    )
