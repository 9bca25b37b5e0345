"""What a server asks before it queues a tuning: would it work, and what does it come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wenfang import config
from wenfang.engine.tuning import TuningWish, plan_tuning
from wenfang.engine.verb import Stopped, Verb


def _tuning_plan(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """base, data (a prepared folder), settings, wish -> a TuningPlan.

    raises what `recipes.tune.start` raises for a base or examples that do not fit
    """
    wish = config.from_dict(TuningWish, content["wish"], where="wish")
    settings = tuple(map(str, content["settings"]))
    yield config.to_dict(plan_tuning(str(content["base"]), Path(content["data"]), settings, wish))


VERBS: Mapping[str, Verb] = {"tuning_plan": Verb(run=_tuning_plan, line="slow")}
