"""The recipe `tune`: a user's own examples make a bundle of a bundle.

Everything that is not asked for follows from the base (family, layout, model) and from how much
there is to learn from; the run itself goes through the same builder and trainer as every other.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from wenfang import config
from wenfang.adapt.lora import LoraConfig
from wenfang.adapt.prompt import PromptConfig
from wenfang.checkpoint import BundleFiles
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.instructions import prepare_own
from wenfang.data.layouts import COMPLETION
from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.errors import BriefError, BundleError, ConfigError, DataError
from wenfang.models import MODELS
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe, TuneConfig
from wenfang.tokenizer import Tokenizer
from wenfang.trainer import TrainConfig

TUNE = "tune"
CAUSAL = ("stream", "completion")
BATCH = 16
# Chosen on a part of tests/data/venue_tone.jsonl by benchmarks/tuning.py.
EPOCHS = {"full": 8, "lora": 16, "prompt": 24}
RATES = {"full": 5e-4, "lora": 5e-3, "prompt": 3e-2}
SHOWN = 3


def start(
    base: BundleFiles | None, data: Path | None, output: Path, settings: tuple[str, ...]
) -> tuple[Recipe, Dataset]:
    """The recipe and the data set of a tuning run.

    raises ConfigError without a base or data, or for a base that cannot be tuned; DataError for
    examples that the base cannot read, naming them
    """
    if base is None:
        raise ConfigError("tuning starts from a bundle; name it with --from")
    if data is None:
        raise ConfigError("tuning needs examples; give a jsonl file or a folder with --data")
    licence = config.override(_plain(base, "own", "stream"), settings).tune.licence
    dataset = _dataset(data, output, licence)
    layout = _layout(base, dataset)
    recipe = _sized(_plain(base, Path(data).stem, layout), dataset, settings)
    _require_fit(recipe, dataset, base)
    return recipe, dataset


def _dataset(data: Path, output: Path, licence: str) -> Dataset:
    for folder in (data, output):
        if (folder / MANIFEST).is_file():
            return Dataset.open(folder)
    return prepare_own(data, output, licence)


def _plain(base: BundleFiles, data: str, layout: str) -> Recipe:
    """A recipe without regard to how much there is to learn from."""
    family = str(base.config.get("family"))
    if family not in MODELS or base.tokenizer is None:
        raise BundleError(
            "{name} is of the family {family}, which is not tuned by examples",
            name=base.manifest["name"],
            family=family,
        )
    model: Any = config.from_dict(
        MODELS[family].config_class,
        base.config.get("model", {}),
        where=str(base.folder),
        error=BundleError,
    )
    name = str(base.manifest["name"])
    return Recipe(
        name=f"{name}-{data}",
        summary=f"{name}, tuned on {data}",
        data=DataConfig(source=data, layout=layout, window=_window(model)),
        family=family,
        model=model,
        tune=TuneConfig(kind="full"),
        optim=OptimConfig(kind="adamw", schedule="cosine"),
    )


def _window(model: Any) -> int:
    """Tokens predicted at once where texts are read as one stream."""
    return int(min(256, getattr(model, "context", 256)))


def _layout(base: BundleFiles, dataset: Dataset) -> str:
    """How records become examples: the base's layout, where the data is of its kind."""
    known = str(base.config.get("layout", "stream"))
    first = next(dataset.records("train"))
    pairs = "prompt" in first
    if known in PAIR_LAYOUTS and pairs:
        return known
    if known in CAUSAL:
        return "completion" if pairs else "stream"
    raise ConfigError(
        "{name} was trained for the layout {layout}, which does not learn from {kind}; "
        "give {other}",
        name=base.manifest["name"],
        layout=known,
        kind="prompt and completion" if pairs else "plain texts",
        other="plain texts" if pairs else "prompt and completion",
    )


def _sized(plain: Recipe, dataset: Dataset, settings: tuple[str, ...]) -> Recipe:
    """Batch, rate and length as the kind of tuning and the number of examples ask for."""
    asked = config.override(plain, settings)
    kind = asked.tune.kind if asked.tune.kind != "none" else "full"
    count = dataset.count("train")
    batch = min(BATCH, count)
    per_epoch = max(1, count // batch)
    steps = max(20, EPOCHS[kind] * per_epoch)
    sized = replace(
        plain,
        tune=replace(plain.tune, kind=kind),
        optim=replace(plain.optim, lr=RATES[kind], warmup_steps=min(20, steps // 10)),
        train=TrainConfig(
            steps=steps,
            batch_size=batch,
            evaluate_every=per_epoch * max(1, math.ceil(EPOCHS[kind] / 8)),
            checkpoint_every=max(per_epoch, 50),
        ),
        threads=1,
    )
    recipe = config.override(sized, settings)
    return replace(recipe, name=recipe.tune.name or recipe.name)


def _require_fit(recipe: Recipe, dataset: Dataset, base: BundleFiles) -> None:
    """raises DataError naming the first examples that the base cannot read as they are."""
    if recipe.data.layout == "stream":
        return
    assert base.tokenizer is not None
    tokenizer = Tokenizer.from_json(base.tokenizer)
    context = int(getattr(recipe.model, "context", 0))
    taken = recipe.tune.length if recipe.tune.kind == "prompt" else 0
    long = []
    for split in ("train", "valid"):
        for record in dataset.records(split):
            sizes = _lengths(recipe.data.layout, record, tokenizer)
            if max(sizes[0] + taken, sizes[1]) > context - context % 4:
                long.append(record)
    if long:
        raise DataError(
            "{count} examples are longer than the context of {base} ({context} tokens), among "
            "them: {first}; shorten them, nothing is cut",
            count=len(long),
            base=base.manifest["name"],
            context=context,
            first=" | ".join(record["completion"][:60] for record in long[:SHOWN]),
        )


def _lengths(layout: str, record: dict[str, Any], tokenizer: Tokenizer) -> tuple[int, int]:
    if layout == "completion":
        _, prompt, body = COMPLETION.parts(record, tokenizer)
        return len(prompt) + len(body), 0
    try:
        source, target = PAIR_LAYOUTS[layout].pair(record, tokenizer)
    except (BriefError, DataError) as error:
        raise DataError(
            "the example {prompt} cannot be read: {reason}",
            prompt=record["prompt"][:60],
            reason=error,
        ) from None
    return len(source), len(target)


def settings_of(tune: TuneConfig) -> LoraConfig | PromptConfig:
    """The adapter that a thin kind of tuning makes."""
    if tune.kind == "prompt":
        return PromptConfig(length=tune.length)
    return LoraConfig(
        rank=tune.rank,
        alpha=tune.alpha,
        targets=tune.targets,
        rank_stabilised=tune.rank_stabilised,
    )
