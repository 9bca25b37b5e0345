"""Train: drop material, choose a recipe, watch it learn, compare, keep or discard."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from wenfang.engine.wording import state_name
from wenfang.errors import WenfangError
from wenfang.jobs import Happening, Job
from wenfang.language import speaking, t
from wenfang.server.faults import Fault
from wenfang.store import home
from wenfang.studio.curve import curve_svg
from wenfang.studio.desk import Desk, plain
from wenfang.studio.look import bar, empty, failed, html, table

FILES_MOST = 5000
SHOWN_NUMBERS = 12


def train_page(desk: Desk) -> None:
    """The page."""
    run = gr.State("")
    with gr.Row():
        with gr.Column(scale=5):
            recipe = gr.Dropdown(_recipes(), value="picture", label=t("What to learn"))
            files = gr.File(label=t("Material: pictures, or one file of texts"),
                            file_count="multiple")  # fmt: skip
            base = gr.Textbox(
                label=t("Begin with the model"),
                info=t("A name; needed for tuning, may be empty otherwise."),
            )
            name = gr.Textbox(label=t("Name of the new model"))
            settings = gr.Textbox(label=t("One a line: name = value"), lines=3)
            button = gr.Button(t("Train"), variant="primary")
        with gr.Column(scale=6):
            shown = gr.HTML(
                empty(
                    t("A model of your own"),
                    t("Some hundreds of pictures make a generator of such pictures; some hundreds "
                      "of examples tune a model of texts. It takes minutes to hours; you may leave "
                      "this page, it goes on as a job."),
                )
            )  # fmt: skip
            with gr.Row():
                keep = gr.Button(t("Keep it"))
                discard = gr.Button(t("Discard it"))
            told = gr.HTML("")

    @desk.speaks
    async def train(
        chosen: str,
        paths: Sequence[str] | None,
        start: str,
        title: str,
        lines: str,
        request: gr.Request,
    ) -> AsyncIterator[tuple[str, Any]]:
        try:
            caller = desk.caller(request)
            desk.require_maker(caller)
            desk.require_names({"model": start}, caller)
            if not paths:
                raise Fault(400, t("there is no material yet; drop some files"))
            rows = [one.replace(" ", "") for one in (lines or "").splitlines() if "=" in one]
            asked = {
                "recipe": chosen,
                "data": str(await asyncio.to_thread(_gathered, paths)),
                "base": (start or "").strip(),
                "settings": rows,
                "output": str(_run_of(title)),
            }
            queued = await desk.queue("train", asked, caller)
            async for page, job in _followed(desk, str(queued["job"]["id"])):
                yield page, asked["output"] if job.state == "done" else gr.skip()
        except (Fault, WenfangError) as error:
            yield failed(plain(error)), gr.skip()

    def ending(verb: str) -> Any:
        async def end(folder: str, request: gr.Request) -> str:
            with speaking(desk.language):
                if not folder:
                    return failed(t("nothing was trained on this page"))
                try:
                    desk.require_maker(desk.caller(request))
                    return html(escape(str(await desk.ask(verb, {"run": folder}))))
                except (Fault, WenfangError) as error:
                    return failed(plain(error))

        return end

    inputs = [recipe, files, base, name, settings]
    button.click(train, inputs, [shown, run], show_progress="hidden")
    keep.click(ending("keep_run"), run, told)
    discard.click(ending("discard_run"), run, told)


def _recipes() -> list[tuple[str, str]]:
    return [
        (t("a generator of pictures, from a folder of them"), "picture"),
        (t("a model of texts, tuned by examples"), "tune"),
    ]


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


async def _followed(desk: Desk, name: str) -> AsyncIterator[tuple[str, Job]]:
    losses: list[tuple[float, float]] = []
    numbers: dict[str, float] = {}
    notes: list[str] = []
    job = None
    async for job, happening in desk.follow(name):
        if happening is not None:
            _learn(happening, losses, numbers, notes)
            yield _page(job, losses, numbers, notes), job
    assert job is not None
    yield _page(job, losses, numbers, notes), job


def _learn(
    one: Happening, losses: list[tuple[float, float]], numbers: dict[str, float], notes: list[str]
) -> None:
    """What an event adds to the picture."""
    content: Mapping[str, Any] = one.content
    if one.kind == "progress" and "loss" in content:
        losses.append((float(content["done"]), float(content["loss"])))
    elif one.kind == "numbers":
        numbers.update({k: float(v) for k, v in content.items() if k != "step"})
    elif one.kind == "warning":
        notes.append(str(content["text"]))


def _page(
    job: Job, losses: list[tuple[float, float]], numbers: dict[str, float], notes: list[str]
) -> str:
    if job.state in ("failed", "dead"):
        return failed(str((job.error or {}).get("message") or state_name(job.state)))
    share = job.done / job.total if job.total else 0.0
    words = t("{state}: step {done} of {total}", state=state_name(job.state),
              done=round(job.done), total=round(job.total))  # fmt: skip
    found = bar(1.0 if job.state == "done" else share, words)
    if len(losses) > 1:
        found += html(curve_svg(losses, t("loss by step")))
    result: Any = job.result or {}
    told = {**numbers, **result.get("numbers", {})}
    if told:
        rows = [[escape(k), f"{v:.4g}"] for k, v in list(told.items())[:SHOWN_NUMBERS]]
        found += html(table([t("measured"), t("value")], rows))
    if notes:
        found += html("".join(f"<p>{escape(note)}</p>" for note in notes))
    return found
