"""Data sets, training and evaluation by name."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wenfang import config
from wenfang.backends.loading import is_sum, load_folder, started_from
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import MANIFEST
from wenfang.data.dataset import Dataset
from wenfang.data.named import NAMED, prepare_named
from wenfang.data.picture_folder import PictureRequest, prepare_pictures
from wenfang.data.prepare import prepare
from wenfang.data.request import Event as DataEvent
from wenfang.data.request import Profile, Source, request_for
from wenfang.engine.keeping import label_settings
from wenfang.errors import ConfigError, UsageError
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.samples import SamplePlan
from wenfang.recipes.suite import OnStage, SuiteConfig, evaluate
from wenfang.recipes.train import OWN, TrainRequest, find_dataset, train
from wenfang.recipes.tune_suite import GAIN, measure, measure_gain
from wenfang.store import home
from wenfang.trainer import OnEvent

PROFILES: tuple[Profile, ...] = ("english", "chinese", "verse", "none")
PICTURES = "pictures"  # a profile of its own: a folder of pictures in place of texts
DATA_VARIABLE = "WENFANG_DATA"
LOOKS_MOST = 100


def prepare_sources(
    sources: Sequence[str],
    output: Path,
    *,
    profile: str = "english",
    licence: str = "",
    text_field: str = "text",
    settings: tuple[str, ...] = (),
    data: Path | None = None,
    on_event: Any = None,
) -> Dataset:
    """Files and folders by a profile of rules, or one named source by its own."""
    if len(sources) == 1 and sources[0] in NAMED and not Path(sources[0]).exists():
        return prepare_named(sources[0], data or data_root(), output, on_event)
    if profile == PICTURES:
        return _pictures(sources, output, licence, settings, on_event)
    chosen = next((one for one in PROFILES if one == profile), None)
    if chosen is None:
        raise UsageError(
            "there is no profile {profile}; there are: {names}",
            profile=profile,
            names=", ".join((*PROFILES, PICTURES)),
        )
    given = tuple(
        Source(path=path, licence=licence) if licence else Source(path=path) for path in sources
    )
    request = request_for(chosen, given, str(output), text_field=text_field)
    return prepare(config.override(request, settings), on_event)


def _pictures(
    sources: Sequence[str], output: Path, licence: str, settings: tuple[str, ...], on_event: Any
) -> Dataset:
    """One folder of pictures."""
    if len(sources) != 1:
        raise UsageError(
            "pictures are prepared from one folder, not {count}; put them into one",
            count=len(sources),
        )
    source = Source(path=sources[0], licence=licence) if licence else Source(path=sources[0])

    def tell(done: int, total: int) -> None:
        if on_event:
            on_event(DataEvent(step="read", done=done, total=total, unit="records"))

    return prepare_pictures(source, output, config.override(PictureRequest(), settings), tell)


def data_root() -> Path | None:
    """The root of named data sets that WENFANG_DATA names, if it does."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else None


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained, by names, as a command and a job say it.

    run      its folder; None: `runs/<recipe>` of the home
    base     the bundle that it starts from
    samples  how often it shows what it makes; 0: never
    against  the bundle that the result is compared with; "": see `comparison.older_of`
    """

    recipe: str
    run: Path | None = None
    data: Path | None = None
    base: str = ""
    settings: tuple[str, ...] = ()
    resume: bool = False
    samples: int = 0
    against: str = ""

    def plan(self) -> SamplePlan:
        """Its samples, labelled as files are here.

        raises UsageError for a number that is none, NotFoundError for a bundle that is not here
        """
        if not 0 <= self.samples <= LOOKS_MOST:
            raise UsageError(
                "--samples is {value}; it must be 0 to {most}", value=self.samples, most=LOOKS_MOST
            )
        folder = find_bundle(self.against) if self.against else None
        return SamplePlan(count=self.samples, against=folder, label=label_settings())


def train_recipe(
    asked: Training,
    on_event: OnEvent = lambda event: None,
    on_stage: OnStage = lambda stage: None,
) -> Path:
    """Train a recipe; the folder of its bundle."""
    if asked.base and is_sum(asked.base):
        raise UsageError(
            "{name} is a base with adapters; make one bundle of it with wenfang export "
            "--to bundle, and name that",
            name=asked.base,
        )
    own = asked.recipe in OWN
    named = Path(asked.recipe).stem
    if own and asked.data:
        named = f"{Path(asked.base or asked.recipe).name}-{asked.data.resolve().stem}"
    request = TrainRequest(
        recipe=asked.recipe,
        run=asked.run or home() / "runs" / named,
        data=asked.data if own else asked.data or data_root(),
        base=find_bundle(asked.base) if asked.base else None,
        settings=asked.settings,
        resume=asked.resume,
        samples=asked.plan(),
    )
    return train(request, on_event, on_stage)


def measured_gain(bundle: Path) -> dict[str, float]:
    """Bits a byte of a tuned bundle and of its base on the same examples; nothing of other ones."""
    path = bundle / MANIFEST
    numbers: dict[str, Any] = {}
    if path.is_file():
        numbers = json.loads(path.read_text("utf-8"))["facts"]["numbers"]
    if GAIN not in numbers:
        return {}
    return {name: float(value) for name, value in numbers.items() if "bits_per_byte" in name}


def evaluate_bundle(
    bundle: str,
    *,
    data: Path | None = None,
    settings: tuple[str, ...] = (),
    on_stage: OnStage = lambda stage: None,
) -> dict[str, Any]:
    """The numbers of a bundle's card, measured again on the data set of its recipe.

    What was tuned is compared with its base, where that is at hand.
    """
    folder = find_bundle(bundle)
    loaded = load_folder(folder)
    suite = config.override(SuiteConfig(), settings)
    recipe = _recipe_of(loaded.ancestors)
    source = recipe.data.source
    dataset = find_dataset(source, data or data_root(), _cached(folder, source))
    if data is None:
        _require_own(dataset, loaded.ancestors, bundle)
    if recipe.tune.kind == "none":
        return evaluate(loaded, dataset, suite, on_stage)
    base = started_from(loaded)
    return measure_gain(load_folder(base), loaded, dataset) if base else measure(loaded, dataset)


def _cached(folder: Path, source: str) -> Path:
    """Where the data set of an evaluation is kept between two of them."""
    beside = folder.parent / "dataset"
    return beside if beside.is_dir() else home() / "datasets" / source


def _require_own(dataset: Dataset, ancestors: list[dict[str, Any]], bundle: str) -> None:
    """ConfigError where a bundle's lineage names another data set than the one at hand."""
    known = [one["payload_sha256"] for one in ancestors if one["kind"] == "dataset"]
    if known and dataset.manifest.payload_sha256 not in known:
        raise ConfigError(
            "{bundle} was trained on another data set than {folder}; name the one to measure on "
            "with --data",
            bundle=bundle,
            folder=dataset.folder,
        )


def _recipe_of(ancestors: list[dict[str, Any]]) -> Recipe:
    for record in reversed(ancestors):  # its own comes after those of its base
        if record["kind"] == "recipe":
            return Recipe.from_dict(record["facts"]["recipe"])
    raise ConfigError("the bundle's lineage names no recipe; give its data set with --data")


__all__ = [
    "DataEvent",
    "Training",
    "evaluate_bundle",
    "measured_gain",
    "prepare_sources",
    "train_recipe",
]
