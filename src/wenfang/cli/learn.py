"""prepare, train, evaluate, recipes: commands that make models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wenfang.cli import jobs, show
from wenfang.cli.options import AsJob, AsJson, Data, Output, Settings
from wenfang.cli.progress import Bar
from wenfang.engine.wording import is_stage, stage_name
from wenfang.language import t

if TYPE_CHECKING:
    from wenfang.trainer import Event


def prepare(
    sources: Annotated[list[str], typer.Argument(help=t("Files, folders, or one named source."))],
    output: Annotated[Path, typer.Option("-o", "--output", help=t("The data set's folder."))],
    profile: Annotated[
        str, typer.Option(help=t("english, chinese, verse, none or pictures."))
    ] = "english",
    licence: Annotated[str, typer.Option(help=t("SPDX name of the sources' licence."))] = "",
    text_field: Annotated[str, typer.Option(help=t("Field that holds the text."))] = "text",
    settings: Settings = None,
    data: Data = None,
    job: AsJob = False,
    as_json: AsJson = False,
) -> int:
    """Clean, de-duplicate, filter and split material into a data set, with counts per rule."""
    from wenfang.engine.learning import prepare_sources

    if job:
        asked = {
            "sources": [jobs.whole(one) for one in sources],
            "output": str(output.resolve()),
            "profile": profile,
            "licence": licence,
            "text_field": text_field,
            "settings": tuple(settings or ()),
            "data": jobs.whole(data),
        }
        return jobs.queue("prepare", asked, as_json)
    with Bar(quiet=as_json) as bar:
        dataset = prepare_sources(
            sources,
            output,
            profile=profile,
            licence=licence,
            text_field=text_field,
            settings=tuple(settings or ()),
            data=data,
            on_event=lambda event: bar.update(
                preparing_names().get(event.step, event.step), event.done, event.total
            ),
        )
    counts = dataset.counts
    if as_json:
        show.as_json({"id": dataset.manifest.id, "folder": str(dataset.folder), **counts})
        return 0
    show.table(_count_rows(counts))
    print(f"\n{dataset.folder}  {dataset.manifest.id[:16]}")
    return 0


def preparing_names() -> dict[str, str]:
    """Names of the steps of prepare."""
    return {
        "hash": t("hashing"),
        "read": t("reading"),
        "compare": t("comparing"),
        "write": t("writing"),
    }


def _count_rows(counts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(t("read"), f"{counts['read']:,}"), (t("kept"), f"{counts['kept']:,}")]
    rows += [(f"- {rule}", f"{number:,}") for rule, number in counts["rejected"].items()]
    rows += [(split, f"{value['records']:,}") for split, value in counts["splits"].items()]
    return rows


def train(
    recipe: Annotated[str, typer.Argument(help=t("A recipe's name, or a recipe.json."))],
    output: Output = None,
    data: Data = None,
    base: Annotated[
        str | None, typer.Option("--from", help=t("Start from this bundle's weights."))
    ] = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help=t("Go on with the run."))] = False,
    samples: Annotated[
        int, typer.Option(help=t("So often show what it makes; then compare it with another."))
    ] = 0,
    against: Annotated[
        str | None, typer.Option(help=t("The model to compare with; by itself, the older one."))
    ] = None,
    job: AsJob = False,
    as_json: AsJson = False,
) -> int:
    """Train a model by a recipe, export its bundle and measure it."""
    from wenfang.engine.learning import Training, measured_gain, train_recipe

    if job:
        asked = {
            "recipe": jobs.whole(recipe),
            "data": jobs.whole(data),
            "base": jobs.whole(base),
            "settings": tuple(settings or ()),
            "output": str(output.resolve()) if output else "",
            "resume": resume,
            "samples": samples,
            "against": jobs.whole(against),
        }
        return jobs.queue("train", asked, as_json)
    wanted = Training(
        recipe=recipe,
        run=output,
        data=data,
        base=base or "",
        settings=tuple(settings or ()),
        resume=resume,
        samples=samples,
        against=against or "",
    )
    with Bar(quiet=as_json) as bar:
        meter = _Meter(bar)
        folder = train_recipe(wanted, meter, meter.stage)
    found = {**meter.last, **measured_gain(folder)}
    if as_json:
        where = {"bundle": str(folder), "run": str(folder.parent)}
        show.as_json({**where, **found, **meter.made, "told": meter.told})
    else:
        for name, value in found.items():
            print(f"{name}  {value:.4f}")
        print(folder)
    return 0


class _Meter:
    """Turns a trainer's events into the bar's words; keeps the last numbers, what was told, and
    where the last samples and the comparison lie.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._note = ""
        self.last: dict[str, float] = {}
        self.told: list[str] = []
        self.made: dict[str, str] = {}

    def stage(self, stage: str) -> None:
        """Say which stage has begun, or what the data's owner should know."""
        if not is_stage(stage):
            self.told.append(stage)
        self._bar.say(stage_name(stage))

    def __call__(self, event: Event) -> None:
        if event.kind == "evaluate":
            self.last = dict(event.values)
            numbers = " ".join(f"{name} {value:.4f}" for name, value in event.values.items())
            self._bar.say(t("step {step}: {numbers}", step=event.step, numbers=numbers))
        elif event.kind == "warning":
            self.told.append(event.text)
            self._bar.say(event.text)
        elif event.kind in ("samples", "compared"):
            self.made[event.kind] = event.text
            self._bar.say(event.text)
        elif event.kind == "step":
            loss = " ".join(f"{k} {v:.3f}" for k, v in event.values.items() if k.endswith("loss"))
            self._note = t("{loss}, {rate}/s", loss=loss, rate=f"{event.values['per_s']:.0f}")
        self._bar.update(t("training"), event.step, event.steps, self._note)


def recipes(as_json: AsJson = False) -> int:
    """List the recipes that `train` knows."""
    from wenfang.recipes import RECIPES, picture, tune

    made = [recipe() for recipe in RECIPES.values()]
    # These are whole only with the data, and the bundle, that they are given.
    own = [(tune.TUNE, tune.SUMMARY), (picture.PICTURE, picture.SUMMARY)]
    if as_json:
        told = [{"name": name, "summary": summary} for name, summary in own]
        show.as_json([*(one.to_dict() for one in made), *told])
    else:
        rows = [(one.name, one.summary) for one in made]
        show.table([(name, t(summary)) for name, summary in (*rows, *own)])
    return 0


def evaluate(
    bundle: Annotated[str, typer.Argument(help=t("A model's name, a bundle or a run."))],
    data: Data = None,
    settings: Settings = None,
    job: AsJob = False,
    as_json: AsJson = False,
) -> int:
    """Measure a bundle again: the numbers of its card, by the suite of its layout."""
    from wenfang.engine.learning import evaluate_bundle

    if job:
        asked = {
            "bundle": jobs.whole(bundle),
            "data": jobs.whole(data),
            "settings": tuple(settings or ()),
        }
        return jobs.queue("evaluate", asked, as_json)
    with Bar(quiet=as_json) as bar:
        numbers = evaluate_bundle(
            bundle,
            data=data,
            settings=tuple(settings or ()),
            on_stage=lambda stage: bar.say(stage_name(stage)),
        )
    if as_json:
        show.as_json(numbers)
        return 0
    show.table(
        [
            (name, f"{value:.4f}" if isinstance(value, float) else str(value))
            for name, value in numbers.items()
            if not isinstance(value, list)
        ]
    )
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "recipes": recipes,
}
