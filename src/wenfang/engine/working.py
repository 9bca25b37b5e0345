"""The verbs as jobs: what each asks for, and how it is done so that it can be done again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wenfang import config
from wenfang.atomic import write_text
from wenfang.backends.shelf import find_bundle
from wenfang.checks import POLICY
from wenfang.checks.policy import read_policy
from wenfang.data.named import NAMED
from wenfang.engine import creating, drawing, learning, sealing
from wenfang.engine.keeping import verify_files
from wenfang.engine.queueing import run_folder
from wenfang.engine.working_film import FILM
from wenfang.errors import BriefError, CheckError, ConfigError, NotFoundError, UsageError
from wenfang.jobs import Handler, Task
from wenfang.recipes.samples import LOOK
from wenfang.recipes.suite import SuiteConfig
from wenfang.recipes.train import OWN, find_recipe
from wenfang.scenarios import find_scenario
from wenfang.scenarios.piece import Event
from wenfang.seal import worst
from wenfang.trainer import Event as TrainerEvent

MANY = "several"  # scenarios in one file of briefs
MADE = "made"  # a file of a fresh job: how many pieces it has made


@dataclass(frozen=True, kw_only=True)
class CreateJob:
    """`create`: the text of a file of briefs, of the kind that its suffix says."""

    text: str
    suffix: Literal[".json", ".jsonl", ".csv"] = ".json"
    output: str = ""
    settings: tuple[str, ...] = ()
    commercial: bool = False
    private: bool = False
    fresh: bool = False
    model: str = ""
    policy: str = ""
    use: str = "default"
    against: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GenerateJob:
    """`generate`: assets of one model, one for each seed, published into a folder.

    suffixes  of its files, for instance .mid and .mp3 of music; empty: as it comes
    """

    model: str
    prompt: str = ""
    seeds: tuple[int, ...] = (0,)
    settings: Mapping[str, object]
    output: str = ""
    suffixes: tuple[str, ...] = ()
    private: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """`train`: a recipe, or one of an earlier run.

    samples  how often it shows what it makes; then it is compared with the bundle `against`
    """

    recipe: str
    data: str = ""
    base: str = ""
    settings: tuple[str, ...] = ()
    output: str = ""
    resume: bool = False
    samples: int = 0
    against: str = ""


@dataclass(frozen=True, kw_only=True)
class EvaluateJob:
    """`evaluate`: a bundle's numbers."""

    bundle: str
    data: str = ""
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PrepareJob:
    """`prepare`: sources to a data set."""

    sources: tuple[str, ...]
    output: str
    profile: str = "english"
    licence: str = ""
    text_field: str = "text"
    settings: tuple[str, ...] = ()
    data: str = ""


@dataclass(frozen=True, kw_only=True)
class SealJob:
    """`seal`: files that another program made."""

    files: tuple[str, ...]
    made_with: str
    output: str = ""
    policy: str = ""
    use: str = "default"
    against: tuple[str, ...] = ()
    private: bool = False


def _briefs(asked: CreateJob) -> list[Mapping[str, Any]]:
    """Every brief of it that can be read; what is malformed is told when its turn comes."""
    found = creating.briefs_of(asked.text, asked.suffix, "brief")
    values = []
    for _, content in found:
        try:
            value = json.loads(content) if isinstance(content, str) else content
        except (ValueError, RecursionError):
            continue
        if isinstance(value, Mapping):
            values.append(value)
    return values


def _check_judge(policy: str, use: str, against: tuple[str, ...]) -> None:
    """What checks are asked for can be: without reading the folders, which takes its time."""
    (read_policy(Path(policy)) if policy else POLICY).use(use)
    _require_there(against)


def _require_there(paths: tuple[str, ...]) -> None:
    for path in paths:
        if not Path(path).exists():
            raise NotFoundError("{path} is not there; give a file", path=path)


def _check_create(asked: CreateJob) -> None:
    _check_judge(asked.policy, asked.use, asked.against)
    if asked.suffix != ".json":
        creating.briefs_of(asked.text, asked.suffix, "brief")
        return
    _, brief = creating.parse_brief(asked.text, "brief")
    config.override(brief, asked.settings, error=BriefError)


def _about_create(asked: CreateJob) -> tuple[str, float]:
    briefs = _briefs(asked)
    names = {str(brief.get("scenario")) for brief in briefs}
    known = find_scenario(names.pop()).name if len(names) == 1 else MANY
    return known, float(max(1, len(briefs)))


def _create(asked: CreateJob, task: Task) -> dict[str, Any]:
    briefs, place = task.given / f"brief{asked.suffix}", task.folder / MADE
    write_text(briefs, asked.text)
    count = len(creating.briefs_of(asked.text, asked.suffix, "brief"))
    request = creating.CreateRequest(
        briefs=briefs,
        output=Path(asked.output) if asked.output else task.folder / "piece",
        settings=asked.settings,
        commercial=asked.commercial,
        private=asked.private,
        fresh=asked.fresh,
        made_before=int(place.read_text()) if place.is_file() else 0,
        model=asked.model or None,
        policy=Path(asked.policy) if asked.policy else None,
        use=asked.use,
        against=tuple(map(Path, asked.against)),
    )
    ended: list[creating.Made] = []

    def tell(event: Event) -> None:
        if count == 1:
            task.report(event.step, event.done, event.of)

    def tell_made(one: creating.Made) -> None:
        ended.append(one)
        if asked.fresh:
            write_text(place, str(max(len(ended), request.made_before)))
        task.tell("piece", **_piece(one))
        task.report("pieces", len(ended), count)

    try:
        made = creating.create(request, tell, tell_made)
    finally:
        if asked.private:  # the job's row has it, until it has ended
            shutil.rmtree(task.given, ignore_errors=True)
    alike = creating.sameness(made, request)
    if alike and alike.verdict == "block":
        raise CheckError("the pieces of this batch are much alike: {what}", what=alike.evidence[0])
    verdicts = [verdict for one in made for verdict in one.verdicts]
    return {
        "pieces": [_piece(one) for one in made],
        "exit_code": creating.exit_code(made),
        "verdict": worst(verdicts) if verdicts else None,
    }


def _piece(one: creating.Made) -> dict[str, Any]:
    """Its record; one that an earlier attempt made, or an earlier job, has its files as well."""
    record = one.record()
    if record["skipped"]:
        found = verify_files([one.folder])
        record["files"] = [verdict.path for verdict in found]
        record["verdicts"] = [verdict.to_dict() for verdict in found]
    return record


def _check_generate(asked: GenerateJob) -> None:
    if not asked.seeds:
        raise ConfigError("no seed is given; give one for each text that is wanted")
    drawing.check_model(asked.model)
    drawing.check_suffixes(asked.suffixes)


def _generate(asked: GenerateJob, task: Task) -> dict[str, Any]:
    task.report("drawn", 0, len(asked.seeds))
    made = drawing.draw(
        drawing.DrawRequest(
            model=asked.model,
            prompt=asked.prompt,
            seeds=asked.seeds,
            settings=asked.settings,
            output=Path(asked.output) if asked.output else task.folder,
            suffixes=asked.suffixes,
            private=asked.private,
        )
    )
    task.report("drawn", len(made), len(made))
    return {
        "generated": [
            {**one.asset.record(), "seed": one.seed, "manifest": one.asset.manifest.id}
            for one in made
        ],
        "files": [str(path) for one in made for path in one.paths],
    }


def _about_train(asked: TrainJob) -> tuple[str, float]:
    if asked.recipe in OWN:
        return asked.recipe, 1.0
    recipe = find_recipe(asked.recipe, asked.settings)
    return recipe.name, float(recipe.train.steps)


def _check_train(asked: TrainJob) -> None:
    _about_train(asked)
    _require_there((asked.data,) if asked.data else ())
    if asked.base:
        find_bundle(asked.base)
    _training(asked).plan()


def _training(asked: TrainJob) -> learning.Training:
    return learning.Training(
        recipe=asked.recipe,
        run=Path(asked.output) if asked.output else None,
        data=Path(asked.data) if asked.data else None,
        base=asked.base,
        settings=asked.settings,
        resume=asked.resume,
        samples=asked.samples,
        against=asked.against,
    )


def _train(asked: TrainJob, task: Task) -> dict[str, Any]:
    last: dict[str, float] = {}

    def tell(event: TrainerEvent) -> None:
        if event.kind == "evaluate":
            last.update(event.values)
            task.tell("numbers", step=event.step, **event.values)
        elif event.kind == "warning":
            task.tell("warning", text=event.text)
        elif event.kind == "samples":
            place = Path(event.text)
            task.tell("samples", folder=place.name, **_read(place / LOOK))
        elif event.kind == "compared":
            task.tell("compared", **_read(Path(event.text)))
        else:
            task.report("training", event.step, event.steps, **event.values)

    run = run_folder(task.job)
    wanted = replace(_training(asked), run=run, resume=asked.resume or task.job.attempts > 1)
    folder = learning.train_recipe(wanted, tell, lambda stage: task.tell("stage", text=stage))
    numbers = {**last, **learning.measured_gain(folder)}
    return {"bundle": str(folder), "run": str(run), "numbers": numbers}


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _check_evaluate(asked: EvaluateJob) -> None:
    find_bundle(asked.bundle)
    config.override(SuiteConfig(), asked.settings)


def _evaluate(asked: EvaluateJob, task: Task) -> dict[str, Any]:
    numbers = learning.evaluate_bundle(
        asked.bundle,
        data=Path(asked.data) if asked.data else None,
        settings=asked.settings,
        on_stage=lambda stage: task.tell("stage", text=stage),
    )
    return {"numbers": numbers}


def _prepare(asked: PrepareJob, task: Task) -> dict[str, Any]:
    dataset = learning.prepare_sources(
        asked.sources,
        Path(asked.output),
        profile=asked.profile,
        licence=asked.licence,
        text_field=asked.text_field,
        settings=asked.settings,
        data=Path(asked.data) if asked.data else None,
        on_event=lambda event: task.report(event.step, event.done, event.total),
    )
    return {"id": dataset.manifest.id, "folder": str(dataset.folder), **dataset.counts}


def _check_prepare(asked: PrepareJob) -> None:
    known = (*learning.PROFILES, learning.PICTURES)
    if asked.profile not in known:
        raise UsageError(
            "there is no profile {profile}; there are: {names}",
            profile=asked.profile,
            names=", ".join(known),
        )
    if len(asked.sources) != 1 or asked.sources[0] not in NAMED:
        _require_there(asked.sources)


def _about_prepare(asked: PrepareJob) -> tuple[str, float]:
    """By the megabyte, where the sources are files here."""
    found = [path for source in asked.sources if (path := Path(source)).is_file()]
    return asked.profile, max(1.0, sum(path.stat().st_size for path in found) / 1e6)


def _check_seal(asked: SealJob) -> None:
    _check_judge(asked.policy, asked.use, asked.against)
    _require_there(asked.files)


def _seal(asked: SealJob, task: Task) -> dict[str, Any]:
    count = len(asked.files)
    ended: list[sealing.Sealed] = []

    def tell(one: sealing.Sealed) -> None:
        ended.append(one)
        task.report("seal", len(ended), count)

    done = sealing.seal(
        sealing.SealRequest(
            files=tuple(map(Path, asked.files)),
            made_with=asked.made_with,
            output=Path(asked.output) if asked.output else task.folder / "sealed",
            policy=Path(asked.policy) if asked.policy else None,
            use=asked.use,
            against=tuple(map(Path, asked.against)),
            private=asked.private,
        ),
        tell,
    )
    return {"files": [one.record() for one in done], "exit_code": sealing.without_error(done)}


HANDLERS: Mapping[str, Handler] = {
    "film": FILM,
    "create": Handler(request=CreateJob, run=_create, subject=_about_create, check=_check_create),
    "generate": Handler(
        request=GenerateJob,
        run=_generate,
        subject=lambda asked: (asked.model, float(len(asked.seeds))),
        check=_check_generate,
    ),
    "train": Handler(request=TrainJob, run=_train, subject=_about_train, check=_check_train),
    "evaluate": Handler(
        request=EvaluateJob,
        run=_evaluate,
        subject=lambda asked: (Path(asked.bundle).name, 1.0),
        check=_check_evaluate,
    ),
    "prepare": Handler(
        request=PrepareJob, run=_prepare, subject=_about_prepare, check=_check_prepare
    ),
    "seal": Handler(
        request=SealJob,
        run=_seal,
        subject=lambda asked: ("seal", float(len(asked.files))),
        check=_check_seal,
    ),
}
