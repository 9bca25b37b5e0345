"""Train: drop material, choose a recipe, watch it learn, compare, keep or discard."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from wenfang.engine.queueing import run_folder
from wenfang.engine.wording import is_stage, lasting, stage_name, state_name
from wenfang.errors import WenfangError
from wenfang.jobs import Happening, Job
from wenfang.language import speaking, t
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.tuning_table import Tunings
from wenfang.store import home
from wenfang.studio.curve import curve_svg
from wenfang.studio.desk import Desk, plain
from wenfang.studio.look import bar, empty, failed, html, table
from wenfang.studio.naming import number_name, time_name
from wenfang.studio.samples import SHOWN_NUMBERS, compared_html, samples_html

FILES_MOST = 5000
LOOKS = 8  # at the samples of a run
EVERY_S = 2
RUNS_SHOWN, HAPPENINGS = 30, 1000
CURVE_POINTS = 400
TEXTS = ("stream", "completion", "verse", "pairs", "venue", "translation")


@dataclass(kw_only=True)
class Seen:
    """What a page has heard of a job so far, by which it asks only for what is new."""

    job: str = ""
    after: int = 0
    ended: bool = False
    losses: list[tuple[float, float]] = field(default_factory=list)
    held: list[tuple[float, float]] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stage: str = ""
    begun: tuple[float, float] | None = None
    left_s: float = 0.0
    looks: list[Mapping[str, Any]] = field(default_factory=list)
    compared: Mapping[str, Any] | None = None

    def learn(self, one: Happening) -> None:
        """Add what an event tells; a run that goes on from an earlier state tells steps again."""
        content: Mapping[str, Any] = one.content
        self.after = one.id
        if one.kind == "progress":
            self._pace(one.at, float(content["done"]), float(content["of"]))
        elif one.kind == "state":
            self.begun = None  # it waits, or goes on elsewhere
        if one.kind == "progress" and "loss" in content:
            self.losses = _with(self.losses, float(content["done"]), float(content["loss"]))
        elif one.kind == "numbers":
            self.numbers = {k: float(v) for k, v in content.items() if k != "step"}
            if "val_loss" in content:
                self.held = _with(self.held, float(content["step"]), float(content["val_loss"]))
        elif one.kind == "stage" and is_stage(str(content["text"])):
            self.stage = str(content["text"])
        elif one.kind in ("warning", "stage"):
            self.notes.append(str(content["text"]))
        elif one.kind == "samples":
            self.looks = [one for one in self.looks if one["step"] < content["step"]]
            self.looks.append(content)
        elif one.kind == "compared":
            self.compared = content

    def _pace(self, at: float, done: float, total: float) -> None:
        """How long it takes yet, as fast as it has been since it was begun or gone on with."""
        if self.begun is None or done < self.begun[1]:
            self.begun = (at, done)
        since, first = self.begun
        self.left_s = (total - done) * (at - since) / (done - first) if done > first else 0.0


def _with(points: list[tuple[float, float]], x: float, y: float) -> list[tuple[float, float]]:
    return [*(one for one in points if one[0] < x), (x, y)]


def train_page(desk: Desk) -> None:
    """The page: what is learnt and from what on the left, how it goes on the right."""
    with gr.Row():
        with gr.Column(scale=5):
            asked = _form(desk)
            button = gr.Button(t("Train"), variant="primary")
            refused = gr.HTML("")
        with gr.Column(scale=6):
            run = _run(desk)

    async def train(
        recipe: str,
        paths: Sequence[str] | None,
        base: str,
        title: str,
        against: str,
        lines: str,
        request: gr.Request,
    ) -> tuple[str, Any]:
        with speaking(desk.language):
            try:
                caller = desk.caller(request)
                desk.require_maker(caller)
                for named in (base, against):
                    desk.require_names({"model": named or ""}, caller)
                if not paths:
                    raise Fault(400, t("there is no material yet; drop some files"))
                wanted = await asyncio.to_thread(_wanted, recipe, paths, title, lines)
                wanted |= {"base": base or "", "against": against or "", "samples": LOOKS}
                queued = await desk.queue("train", wanted, caller)
                choices = await _runs(desk, caller)
                return "", gr.update(choices=choices, value=str(queued["job"]["id"]), visible=True)
            except (Fault, WenfangError) as error:
                return failed(plain(error)), gr.skip()

    button.click(train, asked, [refused, run], show_progress="hidden")


def _form(desk: Desk) -> list[Any]:
    """What is asked for: recipe, files, base, name, the model to compare with, settings."""
    recipe = gr.Dropdown(_recipes(), value="picture", label=t("What to learn"), interactive=True)
    files = gr.File(
        label=t("Material: pictures, or one file of texts"), file_count="multiple", height=150
    )
    base = gr.Dropdown(
        [],
        label=t("Begin with the model"),
        info=t("Needed for tuning; may be left empty for pictures."),
        interactive=True,
    )
    name = gr.Textbox(label=t("Name of the new model"), interactive=True)
    with gr.Accordion(t("More choices"), open=False):
        against = gr.Dropdown(
            [],
            label=t("Compare with"),
            info=t("Left empty: the model that it begins with, or the one of the same name."),
            interactive=True,
        )
        settings = gr.Textbox(
            label=t("One a line: name = value"),
            info=t("As in wenfang train --set, for instance train.steps = 2000"),
            lines=3,
            interactive=True,
        )

    async def fitting(chosen: str, *held: str | None) -> list[Any]:
        with speaking(desk.language):
            found = [str(one["name"]) for one in await desk.ask("models", {}) if _fits(one, chosen)]
            names = [(t("none"), ""), *((one, one) for one in found)]
            return [gr.update(choices=names, value=one if one in found else "") for one in held]

    asked, models = [recipe, base, against], [base, against]
    recipe.change(fitting, asked, models, show_progress="hidden")
    for often in (desk.on_load, desk.on_turn):
        often(fitting, asked, models)
    return [recipe, files, base, name, against, settings]


def _run(desk: Desk) -> Any:
    """A run, whichever is chosen: how far it is, what it makes, and what becomes of it."""
    seen = gr.State(Seen())
    chosen = gr.Dropdown([], label=t("Model in training"), interactive=True, visible=False)
    shown = gr.HTML(_nothing())
    samples, compared = gr.HTML(""), gr.HTML("")
    with gr.Row():
        keep = gr.Button(t("Keep it"), visible=False)
        discard = gr.Button(t("Discard it"), visible=False)
    told = gr.HTML("")
    timer = gr.Timer(EVERY_S)
    outputs = [seen, shown, samples, compared, keep, discard]

    async def look(name: str | None, known: Seen, request: gr.Request) -> Any:
        with speaking(desk.language):
            if not name:
                away = gr.update(visible=False)
                gone = [Seen(), _nothing(), "", "", away, away]
                return gone if known.job else [gr.skip()] * len(outputs)
            try:
                return await _looked(desk, name, known, desk.caller(request))
            except (Fault, WenfangError) as error:
                return [gr.skip(), failed(plain(error)), *[gr.skip()] * (len(outputs) - 2)]

    async def runs(request: gr.Request) -> Any:
        with speaking(desk.language):
            choices = await _runs(desk, desk.caller(request))
            newest = choices[0][1] if choices else None
            return gr.update(choices=choices, value=newest, visible=bool(choices))

    def ending(verb: str) -> Any:
        async def end(name: str | None, request: gr.Request) -> tuple[str, Any]:
            with speaking(desk.language):
                try:
                    caller = desk.caller(request)
                    desk.require_maker(caller)
                    job = await desk.job(name or "", caller)
                    if not job.ended:
                        raise Fault(409, t("it still learns; cancel it on the page Jobs first"))
                    words = await desk.ask(verb, {"run": str(run_folder(job))})
                    if verb == "discard_run":
                        await asyncio.to_thread(_credited, desk, job)
                    return html(f"<p>{escape(str(words))}</p>"), await runs(request)
                except (Fault, WenfangError) as error:
                    return failed(plain(error)), gr.skip()

        return end

    desk.on_tick(timer, look, [chosen, seen], outputs)
    chosen.change(look, [chosen, seen], outputs, show_progress="hidden")
    keep.click(ending("keep_run"), chosen, [told, chosen], show_progress="hidden")
    discard.click(ending("discard_run"), chosen, [told, chosen], show_progress="hidden")
    desk.on_load(runs, None, chosen)
    return chosen


def _credited(desk: Desk, job: Job) -> None:
    """A run that came in by a key counts for it no more."""
    held = Tunings(database=desk.place.database, queue=desk.place.queue)
    if (row := held.of_job(job.id)) is not None:
        held.discard(row)


async def _looked(desk: Desk, name: str, known: Seen, caller: Caller) -> list[Any]:
    """What is new of a job, each part of the page only where it changed: a player that is drawn
    anew falls silent.
    """
    seen = known if known.job == name else Seen(job=name)
    fresh = seen is not known
    job = await desk.job(name, caller)
    told = await asyncio.to_thread(_told, desk, job, seen.after)
    if not told and not fresh and seen.ended == job.ended:
        return [gr.skip()] * 6
    looks, compared = len(seen.looks), seen.compared
    for one in told:
        seen.learn(one)
    seen.ended = job.ended
    changed = fresh or len(seen.looks) != looks or any(one.kind == "samples" for one in told)
    beside = _beside(job, seen) if fresh or seen.compared is not compared else gr.skip()
    there = await asyncio.to_thread(run_folder(job).is_dir)
    return [
        seen,
        _page(job, seen),
        samples_html(job.id, seen.looks) if changed else gr.skip(),
        beside,
        gr.update(interactive=job.state == "done" and there, visible=True),
        gr.update(interactive=job.ended and there, visible=True),
    ]


def _told(desk: Desk, job: Job, after: int) -> list[Happening]:
    told: list[Happening] = []
    while found := desk.place.queue.happenings(job, told[-1].id if told else after, HAPPENINGS):
        told += found
    return told


def _beside(job: Job, seen: Seen) -> str:
    if seen.compared is None:
        return ""
    return compared_html(job.id, seen.compared, seen.looks, run_folder(job).name)


def _page(job: Job, seen: Seen) -> str:
    """How far it is: a bar, a curve, numbers until they stand beside others, and notes."""
    if job.state in ("failed", "dead"):
        return failed(str((job.error or {}).get("message") or state_name(job.state)))
    words = state_name(job.state)
    if job.total:
        words = t("{state}: step {done} of {total}", state=words, done=round(job.done),
                  total=round(job.total))  # fmt: skip
    elif job.state == "running" and seen.stage:
        words = t("{state}: {stage}", state=words, stage=stage_name(seen.stage))
    if job.state == "running" and seen.left_s >= 1:
        words = t("{step}; about {time} left", step=words, time=lasting(seen.left_s))
    share = job.done / job.total if job.total else 0.0
    found = bar(1.0 if job.state == "done" else share, words)
    if max(len(seen.losses), len(seen.held)) > 1:  # a run of seconds tells hardly any step
        every = max(1, -(-len(seen.losses) // CURVE_POINTS))
        points = [*seen.losses[:-1:every], *seen.losses[-1:]]
        found += html(curve_svg(points, t("loss by step"), seen.held))
    if seen.numbers and seen.compared is None:
        rows = [[escape(number_name(k)), f"{v:.4g}"] for k, v in seen.numbers.items()]
        found += html(table([t("measured"), t("value")], rows[:SHOWN_NUMBERS]))
    if seen.notes:
        found += html("".join(f"<p>{escape(note)}</p>" for note in dict.fromkeys(seen.notes)))
    return found


def _nothing() -> str:
    return empty(
        t("A model of your own"),
        t("Some hundreds of pictures make a generator of such pictures; some hundreds of examples "
          "tune a model of texts. It takes minutes to hours; you may leave this page, it goes on "
          "as a job. Samples appear while it learns."),
    )  # fmt: skip


async def _runs(desk: Desk, caller: Caller) -> list[tuple[str, str]]:
    """The project's runs that are still there, newest first."""
    found = await asyncio.to_thread(
        desk.place.queue.jobs, kinds=("train",), project=caller.project, limit=RUNS_SHOWN
    )
    return [
        (_line(job), job.id) for job in found if not job.ended or run_folder(job).is_dir()
    ]  # fmt: skip


def _line(job: Job) -> str:
    return f"{run_folder(job).name} · {time_name(job.created_at)}"


def _recipes() -> list[tuple[str, str]]:
    return [
        (t("a generator of pictures, from a folder of them"), "picture"),
        (t("a model of texts, tuned by examples"), "tune"),
    ]


def _fits(entry: Mapping[str, Any], recipe: str) -> bool:
    """Whether a recipe can begin with a model."""
    known = entry["config"]
    if recipe == "picture":
        return known.get("family") == "dit" and "painting" in known
    return known.get("layout") in TEXTS and "adapter" not in known


def _wanted(recipe: str, paths: Sequence[str], title: str, lines: str) -> dict[str, Any]:
    """The request of a training job, its material gathered."""
    place = _run_of(title)
    rows = [one.replace(" ", "") for one in (lines or "").splitlines() if "=" in one]
    if not any(one.startswith("tune.name=") for one in rows):
        rows.append(f"tune.name={place.name}")
    return {
        "recipe": recipe,
        "data": str(_gathered(paths)),
        "settings": rows,
        "output": str(place),
    }


def _gathered(paths: Sequence[str]) -> Path:
    """The material in a folder of its own; one file of texts stays one."""
    if len(paths) > FILES_MOST:
        raise Fault(400, t("at most {most} files are taken at once", most=FILES_MOST))
    folder = home() / "studio" / "material" / secrets.token_hex(8)
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder / Path(path).name)
    return folder if len(paths) > 1 else folder / Path(paths[0]).name


def _run_of(title: str) -> Path:
    """Where the run goes: a name that a folder can have; Fault 409 where a run has it."""
    word = "".join(c for c in (title or "").strip() if c.isalnum() or c in "-_")
    place = home() / "runs" / (word or f"own-{secrets.token_hex(4)}")
    if place.exists():
        raise Fault(409, t("there is a model {name} already; choose another name", name=word))
    return place
