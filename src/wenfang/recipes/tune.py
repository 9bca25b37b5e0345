"""The recipe `tune`: a user's own examples make a bundle of a bundle.

Everything that is not asked for follows from the base (family, layout, model) and from how much
there is to learn from; the run itself goes through the same builder and trainer as every other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from wenfang import config
from wenfang.adapt.lora import LoraConfig
from wenfang.adapt.prompt import PromptConfig
from wenfang.checkpoint import BundleFiles
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.instructions import prepare_own
from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.data.request import UNKNOWN_LICENCE
from wenfang.errors import BundleError, ConfigError
from wenfang.interop.licences import given_licence
from wenfang.language import t
from wenfang.models import MODELS
from wenfang.models.load import tokenizer_of
from wenfang.optim import OptimConfig
from wenfang.recipes.recipe import DataConfig, Recipe, TuneConfig
from wenfang.recipes.tune_fit import (
    POEMS,
    Reader,
    kind_of,
    require_room,
    stream_sizes,
    stream_window,
    tell_unknown,
)
from wenfang.trainer import TrainConfig

TUNE = "tune"
SUMMARY = "a bundle tuned on your own examples: all weights, LoRA or learned vectors"
CAUSAL = ("stream", "completion")
BATCH = 16
# Chosen on a part of tests/data/venue_tone.jsonl by benchmarks/tuning.py, for `copywriter`.
EPOCHS = {"full": 8, "lora": 16, "prompt": 32}
RATES = {"full": 4e-3, "lora": 5e-3, "prompt": 0.3}
# A larger base wants smaller steps. These powers of its size lead from the rates above to those in
# use for models of some 500 M parameters, 2e-5 and 3e-4; nothing between was measured.
SIZE = 2_208_192
SIZE_POWERS = {"full": 1.0, "lora": 0.5, "prompt": 0.0}
STEPS_LEAST, STEPS_MOST = 20, 2000  # beyond the latter one epoch must do
CHECKPOINT_STEPS = 50, 200

Tell = Callable[[str], None]


def start(
    base: BundleFiles | None,
    data: Path | None,
    output: Path,
    settings: tuple[str, ...],
    tell: Tell = lambda line: None,
) -> tuple[Recipe, Dataset]:
    """The recipe and the data set of a tuning run.

    tell    is told what was left out of the examples, and what else their owner should know
    raises  ConfigError without a base or data, or for a base that cannot be tuned; DataError for
            examples that the base cannot read, naming them
    """
    if base is None:
        raise ConfigError("tuning starts from a bundle; name it with --from")
    if data is None:
        raise ConfigError("tuning needs examples; give a jsonl file or a folder with --data")
    plain = _plain(base, data.stem)
    asked = config.override(plain, settings)
    dataset = _dataset(data, output, asked.tune.licence)
    layout = _layout(base, kind_of(dataset))
    plain = replace(plain, data=replace(plain.data, layout=layout))
    reader = _reader(base, replace(asked, data=plain.data))
    recipe = _sized(plain, dataset, reader, settings)
    if layout != "stream":
        require_room(dataset, reader)
    _tell_counts(dataset, data, tell)
    tell_unknown(dataset, reader, tell)
    return recipe, dataset


def _dataset(data: Path, output: Path, licence: str) -> Dataset:
    """What a user gives as a data set: it may be one already."""
    if not (data / MANIFEST).is_file():
        return prepare_own(data, output, given_licence(licence) if licence else "")
    if licence:
        raise ConfigError(
            "{folder} is a data set, which has its licence; leave tune.licence out", folder=data
        )
    return Dataset.open(data)


def _plain(base: BundleFiles, data: str) -> Recipe:
    """A recipe without regard to what there is to learn from."""
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
        data=DataConfig(source=data),
        family=family,
        model=model,
        tune=TuneConfig(kind="full"),
        optim=OptimConfig(kind="adamw", schedule="cosine"),
    )


def _layout(base: BundleFiles, kind: str) -> str:
    """How records become examples: the base's layout, where the data is of its kind."""
    known, name = str(base.config.get("layout", "stream")), base.manifest["name"]
    if known in CAUSAL and kind != POEMS:
        return "completion" if kind == "pairs" else "stream"
    if (known in PAIR_LAYOUTS and kind == "pairs") or (known == "verse" and kind == POEMS):
        return known
    if known in PAIR_LAYOUTS:
        raise ConfigError(
            "{name} answers prompts and does not learn from texts alone; give jsonl with prompt "
            "and completion",
            name=name,
        )
    if known == "verse":
        raise ConfigError(
            "{name} learns from poems with titles; make a data set of them with wenfang prepare "
            "--profile verse --text-field lines, and give its folder",
            name=name,
        )
    if known in CAUSAL:
        raise ConfigError("{name} writes no poems; give jsonl, or texts", name=name)
    raise BundleError(
        "{name} was trained for the layout {layout}, which is not tuned by examples",
        name=name,
        layout=known,
    )


def _reader(base: BundleFiles, asked: Recipe) -> Reader:
    tokenizer = tokenizer_of(base)
    assert tokenizer is not None
    taken = asked.tune.length if asked.tune.kind == "prompt" else 0
    context = int(getattr(asked.model, "context", 0))
    if taken >= context:
        raise ConfigError(
            "tune.length is {value}; the model's context is {context}, so it must be below that",
            value=taken,
            context=context,
        )
    return Reader(
        name=str(base.manifest["name"]),
        layout=asked.data.layout,
        tokenizer=tokenizer,
        context=context - taken,
        parameters=int(base.manifest["facts"].get("parameters") or SIZE),
    )


def _sized(plain: Recipe, dataset: Dataset, reader: Reader, settings: tuple[str, ...]) -> Recipe:
    """Batch, rate and length as the kind of tuning and the number of examples ask for."""
    asked = config.override(plain, settings)
    kind = asked.tune.kind if asked.tune.kind != "none" else "full"
    window, count = asked.data.window, dataset.count("train")
    if reader.layout == "stream":
        sizes = stream_sizes(dataset, reader)
        window = stream_window(sizes, reader.context)
        count = max(1, (sizes["train"] - 1) // window - 1)
    batch = min(BATCH, count)
    per_epoch = max(1, count // batch)
    steps = max(STEPS_LEAST, min(EPOCHS[kind] * per_epoch, max(STEPS_MOST, per_epoch)))
    sized = replace(
        plain,
        data=replace(plain.data, window=window),
        tune=replace(plain.tune, kind=kind),
        optim=replace(plain.optim, lr=_rate(kind, reader.parameters)),
        train=TrainConfig(steps=steps, batch_size=batch),
        threads=1,
    )
    pace = [f"{name}={value}" for name, value in paced(steps, per_epoch).items()]
    sized = config.override(sized, pace)
    recipe = config.override(sized, settings)
    tuned = replace(recipe.tune, kind=kind)
    return replace(recipe, name=recipe.tune.name or recipe.name, tune=tuned)


def paced(steps: int, per_epoch: int) -> dict[str, int]:
    """Settings that follow from the length of a run: how it begins, and what it does on the way."""
    least, most = CHECKPOINT_STEPS
    return {
        "train.evaluate_every": math.ceil(steps / 8),
        "train.checkpoint_every": min(max(per_epoch, least), most),
        "optim.warmup_steps": min(20, steps // 10),
    }


def _rate(kind: str, parameters: int) -> float:
    """The learning rate for a base of that size."""
    return float(f"{RATES[kind] * min(1.0, SIZE / parameters) ** SIZE_POWERS[kind]:.2g}")


def _tell_counts(dataset: Dataset, data: Path, tell: Tell) -> None:
    """Tell how many examples there are, how many were left out, and whose licence is unknown."""
    train, valid = dataset.count("train"), dataset.count("valid")
    tell(t("{train} examples to learn from, {valid} to measure by", train=train, valid=valid))
    for rule, count in dataset.counts.get("rejected", {}).items():
        tell(t("{count} examples were left out: {rule}", count=count, rule=rule_name(rule)))
    tell_licence(dataset, data, tell)


def rule_name(rule: str) -> str:
    """Why something was left out of a data set; the rule's own name where it has no other."""
    return {
        "repeated": t("there already"),
        "unreadable": t("cannot be read"),
        "too_small": t("too small"),
    }.get(rule, rule)


def tell_licence(dataset: Dataset, data: Path, tell: Tell) -> None:
    """Tell whose licence is unknown."""
    if any(source.licence in (None, "", UNKNOWN_LICENCE) for source in dataset.source_manifests):
        tell(
            t(
                "nobody said which licence {data} has, so that create --commercial refuses the "
                "bundle; say it with --set tune.licence=SPDX",
                data=data,
            )
        )


def settings_of(tune: TuneConfig) -> LoraConfig | PromptConfig:
    """The adapter that a thin kind of tuning makes."""
    if tune.kind == "prompt":
        return PromptConfig(length=tune.length)
    return LoraConfig(
        rank=tune.rank,
        alpha=tune.alpha,
        targets=tune.targets,
        rank_stabilised=tune.rank_stabilised,
        head_rank=tune.head_rank,
        head=tune.head,
    )
