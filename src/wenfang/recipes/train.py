"""A run from beginning to end: data, training, bundle, evaluation, card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wenfang import config
from wenfang.adapt import adapters, lora, prompt
from wenfang.adapt.adapters import ADAPTER
from wenfang.atomic import (
    canonical_json,
    new_folder,
    sha256_bytes,
    write_bytes,
    write_json,
    write_text,
)
from wenfang.backends.loading import load_folder
from wenfang.checkpoint import (
    CARD,
    LINEAGE,
    MANIFEST,
    BundleFiles,
    file_hashes,
    fill_bundle,
    in_eight_bits,
    read_bundle,
    states,
    weights_to_store,
)
from wenfang.data.dataset import Dataset
from wenfang.data.known_captions import CAPTIONS
from wenfang.data.lineage import joined_licences
from wenfang.data.melody_index import MELODY_INDEX
from wenfang.data.named import NAMED, prepare_named
from wenfang.data.request import UNKNOWN_LICENCE
from wenfang.data.training_index import INDEX, TrainingIndex
from wenfang.errors import ConfigError, NotFoundError
from wenfang.interop.importing import NOTICE, TEXTS
from wenfang.metrics.classification import threshold_at
from wenfang.models.load import Loaded
from wenfang.recipes import RECIPES
from wenfang.recipes.build import Run, build, conditioned_examples
from wenfang.recipes.card import CardContent, render_card
from wenfang.recipes.class_scores import class_logits, labels_of
from wenfang.recipes.companions import companion_files, companion_records, known_captions
from wenfang.recipes.comparison import Finished, compare, older_of
from wenfang.recipes.learn_pictures import PAINTERS, painting_of
from wenfang.recipes.part_suite import melodies_of
from wenfang.recipes.picture import PICTURE, start_picture
from wenfang.recipes.picture_suite import near_distance
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.samples import Looks, SamplePlan
from wenfang.recipes.suite import STANDARD, OnStage, SuiteConfig, evaluate
from wenfang.recipes.tune import TUNE, settings_of, start
from wenfang.recipes.tune_suite import measure_gain, tell_loss
from wenfang.store import Link, Manifest, to_record
from wenfang.trainer import Event, OnEvent, Trainer

# A gate that cries wolf is switched off: harmless texts of the validation part above the threshold.
FALSE_ALARMS_ALLOWED = 0.05
# Recipes that are made for the data that they are given.
OWN = {TUNE: start, PICTURE: start_picture}
CARRIED = ("parameters", "steps", "base", "companions")  # facts that measuring does not change


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What is trained, on what, and where to.

    recipe    a name in RECIPES, or a recipe.json of an earlier run
    data      a prepared data set, or a root that holds the recipe's named source
    base      folder of a bundle whose weights and tokenizer are the start
    measured  evaluate the bundle at the end and write the numbers into its card
    samples   how often the run shows what it makes, and beside what at the end
    """

    recipe: str
    run: Path
    data: Path | None = None
    base: Path | None = None
    settings: tuple[str, ...] = ()
    resume: bool = False
    measured: bool = True
    samples: SamplePlan = SamplePlan()


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
    names = [*RECIPES, *OWN]
    raise NotFoundError(
        "there is no recipe {name}; did you mean {close}? There are: {names}",
        name=name,
        close=config.nearest(name, names) or names[0],
        names=", ".join(names),
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
    if states(request.run / "checkpoints") and not request.resume:
        raise ConfigError(
            "{run} holds a run already; go on with --resume or choose another folder with -o",
            run=request.run,
        )
    own = OWN.get(request.recipe)
    recipe = None if own else find_recipe(request.recipe, request.settings)
    on_stage("data")
    base = read_bundle(request.base) if request.base else None
    _refuse_adapter(base)
    place = request.run / "dataset"
    if own:
        recipe, dataset = own(base, request.data, place, request.settings, on_stage)
    else:
        assert recipe is not None
        dataset = find_dataset(recipe.data.source, request.data, place)
    run = build(recipe, dataset, base)
    values: dict[str, float] = {}

    def told(event: Event) -> None:
        if event.kind == "start" and not trainer.share.rank:  # the run is ours, and of this recipe
            write_json(request.run / "recipe.json", run.recipe.to_dict())
        if event.kind == "evaluate":
            values.update(event.values)
        on_event(event)

    plan = request.samples
    if plan.count:
        looks = Looks(run, dataset, request.run, plan, told)
        run = replace(run, task=replace(run.task, show=looks))
    trainer = Trainer(run.task, request.run, told)
    trainer.fit()
    trainer.use_average()
    if trainer.share.rank:
        return request.run / "bundle"
    folder = request.run / "bundle"
    on_stage("bundle")
    export(run, dataset, folder, base)
    if request.measured:
        measure(folder, dataset, on_stage=on_stage, base=base)
    if plan.count:
        on_stage("comparison")
        ended = Finished(
            run=run, dataset=dataset, folder=request.run, base=request.base, values=values
        )
        older = older_of(plan, request.base, request.run, run.recipe.name)
        steps = run.recipe.train.steps
        path = compare(ended, older, plan)
        on_event(Event(kind="compared", step=steps, steps=steps, text=str(path)))
    return folder


def _refuse_adapter(base: BundleFiles | None) -> None:
    if base and ADAPTER in base.config:
        raise ConfigError(
            "{name} is an adapter; name the bundle that it was tuned upon with --from",
            name=base.manifest["name"],
        )


def export(run: Run, dataset: Dataset, folder: Path, base: BundleFiles | None = None) -> None:
    """Write the bundle of a trained run, its card still without numbers.

    What was tuned thinly is stored without its base, which it names by its hash.
    """
    recipe, model = run.recipe, run.task.model
    with new_folder(folder) as new:
        if base and recipe.tune.thin:
            tensors = {name: half(t) for name, t in _thin_tensors(recipe, model).items()}
            parameters = sum(tensor.numel() for tensor in tensors.values())
            fill_bundle(new, _config(run, dataset, base), tensors, None)
        else:
            parameters = sum(p.numel() for p in model.parameters())
            tokenizer = run.tokenizer.to_json() if run.tokenizer else None
            stored = weights_to_store(model, torch.float16)
            stored = in_eight_bits(stored) if recipe.eight_bits else stored
            fill_bundle(new, _config(run, dataset, base), stored, tokenizer)
        if recipe.data.layout == "verse":
            _index(dataset, base).save(new / INDEX)
        if captions := known_captions(recipe, dataset):
            captions.save(new / CAPTIONS)
        if recipe.data.layout == "parts":
            melodies_of(dataset).save(new / MELODY_INDEX)
        recipe_manifest = _recipe_manifest(recipe)
        own = [*dataset.source_manifests, dataset.manifest, recipe_manifest]
        beside = companion_files(recipe)
        others = [*beside.values(), *([base] if base else [])]
        before = [record for one in others for record in (*one.ancestors(), one.manifest)]
        lineage = {record["id"]: record for record in (*before, *map(to_record, own))}
        write_json(new / LINEAGE, list(lineage.values()))
        write_text(new / NOTICE, _notice(dataset, base))
        _copy_texts(base, new)
        inputs = (
            Link(role="dataset", id=dataset.manifest.id),
            Link(role="recipe", id=recipe_manifest.id),
            *(Link(role=role, id=str(one.manifest["id"])) for role, one in beside.items()),
            *((Link(role="base", id=str(base.manifest["id"])),) if base else ()),
        )
        facts: dict[str, Any] = {"parameters": parameters, "steps": recipe.train.steps}
        if base:
            facts["base"] = base_facts(base)
        if beside:
            facts["companions"] = {role: base_facts(one) for role, one in beside.items()}
        _finish(new, recipe, dataset, inputs, facts, {})


def half(tensor: Tensor) -> Tensor:
    """As it is stored: float16, on the CPU."""
    return tensor.detach().to("cpu", torch.float16).contiguous()


def base_facts(base: BundleFiles) -> dict[str, Any]:
    """What a bundle tells of the one that it started from."""
    return {"name": base.manifest["name"], "licence": base.manifest.get("licence")}


def _config(run: Run, dataset: Dataset, base: BundleFiles | None) -> dict[str, Any]:
    recipe = run.recipe
    found: dict[str, Any] = {
        "format": 1,
        "family": recipe.family,
        "layout": recipe.data.layout,
        "model": config.to_dict(recipe.model),
    }
    if base and "special_tokens" in base.config:  # whose vocabulary comes along
        found["special_tokens"] = base.config["special_tokens"]
    if recipe.data.layout in ("labelled", "pictures"):
        found["threshold"] = decision_threshold(run, dataset)
    if recipe.data.layout in PAINTERS:
        found["painting"] = painting_of(recipe, dataset, run.task.model)
    elif recipe.data.words:
        found["words"] = config.to_dict(companion_records(recipe)["words"])
    if base and recipe.tune.thin:
        found[ADAPTER] = adapters.record(settings_of(recipe.tune), base)
    return found


def _thin_tensors(recipe: Recipe, model: nn.Module) -> dict[str, Tensor]:
    return prompt.vectors(model) if recipe.tune.kind == "prompt" else lora.adapter_tensors(model)


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


def _notice(dataset: Dataset, base: BundleFiles | None) -> str:
    """Whose work the bundle was made from; the notice of its base comes along."""
    lines = [_notice_line(source) for source in dataset.source_manifests]
    text = "\n".join(["This bundle was trained on:", *lines]) + "\n"
    if base and (base.folder / NOTICE).is_file():
        text += f"\nIt started from {base.manifest['name']}, whose notice is:\n"
        text += (base.folder / NOTICE).read_text("utf-8")
    return text


def _notice_line(source: Manifest) -> str:
    said = str(source.facts.get("notice", ""))
    origin = str(source.facts.get("origin", ""))
    parts = [said, f"Licence: {source.licence}.", f"Origin: {origin}" if origin else ""]
    return f"{source.name}: " + " ".join(part for part in parts if part)


def _copy_texts(base: BundleFiles | None, new: Path) -> None:
    """Licences and the like that came with the base go on with what was made of it."""
    for name in TEXTS:
        if base and name != NOTICE and (base.folder / name).is_file():
            write_bytes(new / name, (base.folder / name).read_bytes())


def _index(dataset: Dataset, base: BundleFiles | None) -> TrainingIndex:
    """Of the poems learnt from, and of those that the base had learnt."""
    texts = ("\n".join(record["lines"]) for record in dataset.records("train"))
    fresh = TrainingIndex.build(texts)
    if base and (base.folder / INDEX).is_file():
        return TrainingIndex.load(base.folder / INDEX).joined(fresh)
    return fresh


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
    licence = _licence(sources, facts)
    content = CardContent(
        recipe=recipe,
        parameters=facts["parameters"],
        sources=sources,
        dataset=dataset.manifest,
        numbers=numbers,
        steps_done=facts["steps"],
        licence=licence,
        base=facts.get("base", {}).get("name", ""),
        base_licence=facts.get("base", {}).get("licence") or UNKNOWN_LICENCE,
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
        licence=licence,
        facts={**facts, "summary": recipe.summary, "files": files, "numbers": numbers},
    )
    write_json(new / MANIFEST, to_record(manifest))


def _licence(sources: tuple[Manifest, ...], facts: Mapping[str, Any]) -> str:
    """SPDX expression of all that a bundle was made from, and of what it draws with."""
    others = [*facts.get("companions", {}).values(), *([facts["base"]] if "base" in facts else [])]
    own = (source.licence for source in sources)
    return joined_licences([*own, *(one["licence"] for one in others)])


def measure(
    folder: Path,
    dataset: Dataset,
    suite: SuiteConfig = STANDARD,
    on_stage: OnStage = lambda stage: None,
    base: BundleFiles | None = None,
) -> dict[str, Any]:
    """Evaluate the bundle in `folder` and write the numbers into its card and manifest.

    base  of a tuned bundle: what it is compared with, in place of the suite of its layout
    """
    loaded = load_folder(folder, base.folder if base else None)
    if base and _recipe_of(loaded).tune.kind != "none":
        numbers = measure_gain(load_folder(base.folder), loaded, dataset)
        tell_loss(numbers, on_stage)
    else:
        numbers = evaluate(loaded, dataset, suite, on_stage)
    with new_folder(folder) as new:
        for name in loaded.manifest["facts"]["files"]:
            (new / name).write_bytes((folder / name).read_bytes())
        recipe = _recipe_of(loaded)
        known = loaded.manifest["facts"]
        facts = {name: known[name] for name in CARRIED if name in known}
        inputs = tuple(Link(**link) for link in loaded.manifest["inputs"])
        _finish(new, recipe, dataset, inputs, facts, numbers)
    return numbers


def _recipe_of(loaded: Loaded) -> Recipe:
    for record in reversed(loaded.ancestors):  # its own comes after those of its base
        if record["kind"] == "recipe":
            return Recipe.from_dict(record["facts"]["recipe"])
    raise ConfigError("{folder} carries no recipe in its lineage", folder=loaded.folder)
