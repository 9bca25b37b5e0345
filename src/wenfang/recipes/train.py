"""A run from beginning to end: data, training, bundle, evaluation, card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wenfang import config
from wenfang.atomic import canonical_json, new_folder, sha256_bytes, write_json, write_text
from wenfang.checkpoint import (
    CARD,
    LINEAGE,
    MANIFEST,
    file_hashes,
    fill_bundle,
    read_bundle,
    states,
    weights_to_store,
)
from wenfang.data.dataset import Dataset
from wenfang.data.named import NAMED, prepare_named
from wenfang.data.training_index import INDEX, TrainingIndex
from wenfang.errors import ConfigError, NotFoundError
from wenfang.metrics.classification import threshold_at
from wenfang.models.load import Loaded, load
from wenfang.recipes import RECIPES
from wenfang.recipes.build import Run, build, conditioned_examples
from wenfang.recipes.card import CardContent, render_card
from wenfang.recipes.class_scores import class_logits, labels_of
from wenfang.recipes.picture_suite import near_distance
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.suite import STANDARD, OnStage, SuiteConfig, evaluate
from wenfang.store import Link, Manifest, to_record
from wenfang.trainer import Event, OnEvent, Trainer

NOTICE = "NOTICE"
# A gate that cries wolf is switched off: harmless texts of the validation part above the threshold.
FALSE_ALARMS_ALLOWED = 0.05


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What is trained, on what, and where to.

    recipe    a name in RECIPES, or a recipe.json of an earlier run
    data      a prepared data set, or a root that holds the recipe's named source
    base      folder of a bundle whose weights and tokenizer are the start
    measured  evaluate the bundle at the end and write the numbers into its card
    """

    recipe: str
    run: Path
    data: Path | None = None
    base: Path | None = None
    settings: tuple[str, ...] = ()
    resume: bool = False
    measured: bool = True


def find_recipe(name: str, settings: tuple[str, ...] = ()) -> Recipe:
    """A recipe by name or from a recipe.json, with `--set` settings put in."""
    if name in RECIPES:
        return config.override(RECIPES[name](), settings)
    path = Path(name)
    if path.suffix == ".json" and path.is_file():
        try:
            content = json.loads(path.read_text("utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise ConfigError("{path} is not a recipe in JSON", path=path) from None
        return config.override(Recipe.from_dict(content), settings)
    raise NotFoundError(
        "there is no recipe {name}; did you mean {close}? There are: {names}",
        name=name,
        close=config.nearest(name, RECIPES) or next(iter(RECIPES)),
        names=", ".join(RECIPES),
    )


def find_dataset(source: str, data: Path | None, output: Path) -> Dataset:
    """The data set of a recipe: as prepared in `data`, or prepared from it into `output`."""
    if data is not None and (data / MANIFEST).is_file():
        return Dataset.open(data)
    if (output / MANIFEST).is_file():
        return Dataset.open(output)
    if source not in NAMED:
        raise NotFoundError(
            "there is no named data set {source}; prepare one and give its folder with --data",
            source=source,
        )
    return prepare_named(source, data, output)


def train(
    request: TrainRequest,
    on_event: OnEvent = lambda event: None,
    on_stage: OnStage = lambda stage: None,
) -> Path:
    """Train, export the bundle, measure it; returns the bundle's folder, `run`/bundle."""
    recipe = find_recipe(request.recipe, request.settings)
    if states(request.run / "checkpoints") and not request.resume:
        raise ConfigError(
            "{run} holds a run already; go on with --resume or choose another folder with -o",
            run=request.run,
        )
    on_stage("data")
    dataset = find_dataset(recipe.data.source, request.data, request.run / "dataset")
    base = read_bundle(request.base) if request.base else None
    run = build(recipe, dataset, base)

    def started(event: Event) -> None:
        if event.kind == "start" and not trainer.share.rank:  # the run is ours, and of this recipe
            write_json(request.run / "recipe.json", run.recipe.to_dict())
        on_event(event)

    trainer = Trainer(run.task, request.run, started)
    trainer.fit()
    trainer.use_average()
    if trainer.share.rank:
        return request.run / "bundle"
    folder = request.run / "bundle"
    on_stage("bundle")
    parent = Manifest(**_manifest_fields(base.manifest)) if base else None
    export(run, dataset, folder, parent)
    if request.measured:
        measure(folder, dataset, on_stage=on_stage)
    return folder


def _manifest_fields(record: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in record.items() if name != "id"}
    return fields | {"inputs": tuple(Link(**link) for link in fields["inputs"])}


def export(run: Run, dataset: Dataset, folder: Path, base: Manifest | None = None) -> None:
    """Write the bundle of a trained run, its card still without numbers."""
    recipe = run.recipe
    bundle_config: dict[str, Any] = {
        "format": 1,
        "family": recipe.family,
        "layout": recipe.data.layout,
        "model": config.to_dict(recipe.model),
    }
    if recipe.data.layout in ("labelled", "pictures"):
        bundle_config["threshold"] = decision_threshold(run, dataset)
    tensors = weights_to_store(run.task.model, torch.float16)
    with new_folder(folder) as new:
        fill_bundle(new, bundle_config, tensors, run.tokenizer.to_json() if run.tokenizer else None)
        if recipe.data.layout == "verse":
            texts = ("\n".join(record["lines"]) for record in dataset.records("train"))
            TrainingIndex.build(texts).save(new / INDEX)
        recipe_manifest = _recipe_manifest(recipe)
        ancestors = [*dataset.source_manifests, dataset.manifest, recipe_manifest]
        if base:
            ancestors.append(base)
        write_json(new / LINEAGE, [to_record(manifest) for manifest in ancestors])
        write_text(new / NOTICE, _notice(dataset))
        parameters = sum(p.numel() for p in run.task.model.parameters())
        facts = {"parameters": parameters, "steps": recipe.train.steps}
        inputs = (
            Link(role="dataset", id=dataset.manifest.id),
            Link(role="recipe", id=recipe_manifest.id),
            *((Link(role="base", id=base.id),) if base else ()),
        )
        _finish(new, recipe, dataset, inputs, facts, {})


def decision_threshold(run: Run, dataset: Dataset) -> float:
    """The probability of class 1 above which it is decided for, chosen on the validation part;
    for pictures the distance below which one is a near copy.
    """
    run.task.model.eval()
    if run.tokenizer is None:
        return near_distance(run.task.model, dataset)
    examples = conditioned_examples(run.recipe, dataset, "valid", run.tokenizer)
    scores = class_logits(run.task.model, examples).softmax(1)[:, 1].numpy()
    labels = labels_of(dataset, "valid") == 1
    # Never for what is more likely harmless, however well the two are told apart.
    return round(max(0.5, threshold_at(scores, labels, FALSE_ALARMS_ALLOWED)), 4)


def _recipe_manifest(recipe: Recipe) -> Manifest:
    content = canonical_json(recipe.to_dict())
    return Manifest(
        kind="recipe",
        name=recipe.name,
        media_type="application/json",
        payload_sha256=sha256_bytes(content),
        payload_bytes=len(content),
        facts={"recipe": recipe.to_dict()},
    )


def _notice(dataset: Dataset) -> str:
    lines = [
        f"{source.name}: {source.facts.get('notice', '')} Licence: {source.licence}. "
        f"Origin: {source.facts.get('origin', '')}"
        for source in dataset.source_manifests
    ]
    return "\n".join(["This bundle was trained on:", *lines]) + "\n"


def _finish(
    new: Path,
    recipe: Recipe,
    dataset: Dataset,
    inputs: tuple[Link, ...],
    facts: dict[str, Any],
    numbers: dict[str, Any],
) -> None:
    """Write card and manifest last, since the manifest holds the hash of every other file."""
    sources = dataset.source_manifests
    content = CardContent(
        recipe=recipe,
        parameters=facts["parameters"],
        sources=sources,
        dataset=dataset.manifest,
        numbers=numbers,
        steps_done=facts["steps"],
    )
    write_text(new / CARD, render_card(content))
    files = file_hashes(new)
    manifest = Manifest(
        kind="bundle",
        name=recipe.name,
        media_type="application/x-wenfang-bundle",
        payload_sha256=sha256_bytes(canonical_json(files)),
        payload_bytes=sum((new / name).stat().st_size for name in files),
        inputs=inputs,
        licence=" AND ".join(sorted({s.licence or "NOASSERTION" for s in sources})),
        facts={**facts, "summary": recipe.summary, "files": files, "numbers": numbers},
    )
    write_json(new / MANIFEST, to_record(manifest))


def measure(
    folder: Path,
    dataset: Dataset,
    suite: SuiteConfig = STANDARD,
    on_stage: OnStage = lambda stage: None,
) -> dict[str, Any]:
    """Evaluate the bundle in `folder` and write the numbers into its card and manifest."""
    loaded = load(folder)
    numbers = evaluate(loaded, dataset, suite, on_stage)
    with new_folder(folder) as new:
        for name in loaded.manifest["facts"]["files"]:
            (new / name).write_bytes((folder / name).read_bytes())
        recipe = _recipe_of(loaded)
        facts = {name: loaded.manifest["facts"][name] for name in ("parameters", "steps")}
        inputs = tuple(Link(**link) for link in loaded.manifest["inputs"])
        _finish(new, recipe, dataset, inputs, facts, numbers)
    return numbers


def _recipe_of(loaded: Loaded) -> Recipe:
    for record in loaded.ancestors:
        if record["kind"] == "recipe":
            return Recipe.from_dict(record["facts"]["recipe"])
    raise ConfigError("{folder} carries no recipe in its lineage", folder=loaded.folder)
