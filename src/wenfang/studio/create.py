"""Create: a scenario, a form, and the piece that comes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import gradio as gr

from wenfang.engine.wording import state_name, step_name
from wenfang.errors import WenfangError
from wenfang.jobs import Happening, Job
from wenfang.language import speaking, t
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.studio.desk import Desk, plain
from wenfang.studio.form import at, brief_of, component, fields_of
from wenfang.studio.look import bar, empty, failed
from wenfang.studio.pieces import piece_html

FIRST = "verse_card"


def create_page(desk: Desk) -> None:
    """The page: a form on the left, what comes of it on the right."""
    known = gr.State({})
    with gr.Row():
        with gr.Column(scale=5):
            chosen = gr.Dropdown([], label=t("What to make"))
            place = gr.Column()
        with gr.Column(scale=6):
            shown = gr.HTML(
                empty(
                    t("Nothing is made yet"),
                    t("Fill the form and press the red button. A card takes seconds, a film about "
                      "a minute. Every file is labelled and sealed."),
                )
            )  # fmt: skip
    with place:
        # By the choice alone: where what is known changes too, the form would be drawn twice.
        @gr.render([chosen, known], [chosen.change])  # type: ignore[untyped-decorator]
        def _fields(name: str | None, scenarios: Mapping[str, Any]) -> None:
            if name and name in scenarios:
                with speaking(desk.language):
                    _form(desk, name, scenarios[name], shown)

    async def load() -> tuple[Any, Any]:
        with speaking(desk.language):
            found = await desk.ask("scenarios", {})
            choices = [(t(str(one["summary"])), name) for name, one in found.items()]
            return found, gr.update(choices=choices, value=FIRST)

    desk.on_load(load, None, [known, chosen])


def _form(desk: Desk, name: str, scenario: Mapping[str, Any], shown: Any) -> None:
    """The controls of one scenario's brief, and the button that makes it."""
    fields = fields_of(scenario["schema"])
    values = [at(scenario["example"], field.path) for field in fields]
    controls: dict[int, Any] = {}
    with gr.Group():
        for index, field in enumerate(fields):
            if field.first:
                controls[index] = component(field, values[index])
    with gr.Accordion(t("More choices"), open=False):
        for index, field in enumerate(fields):
            if not field.first:
                controls[index] = component(field, values[index])
    button = gr.Button(t("Make it"), variant="primary")

    @desk.speaks
    async def make(request: gr.Request, *said: Any) -> AsyncIterator[str]:
        caller, brief = desk.caller(request), brief_of(name, fields, said)
        try:
            desk.require_names(brief, caller)
        except Fault as fault:
            yield failed(fault.message)
            return
        text = json.dumps(brief, ensure_ascii=False)
        async for page, _ in made(desk, "create", {"text": text}, caller):
            yield page

    inputs = [controls[index] for index in range(len(fields))]
    button.click(make, inputs, shown, concurrency_limit=8, show_progress="hidden")


async def made(
    desk: Desk, kind: str, request: Mapping[str, Any], caller: Caller
) -> AsyncIterator[tuple[str, Job | None]]:
    """Queue a request and follow it: what the page shows, and the job."""
    try:
        queued = await desk.queue(kind, request, caller)
        guess = queued["estimate"]
        counts = await asyncio.to_thread(desk.place.queue.counts)
        ahead = counts.get("queued", 1) - 1
        yield bar(0.0, _waiting(guess, int(queued["workers"]), ahead)), None
        job, last, before = None, None, ""
        async for job, happening in desk.follow(str(queued["job"]["id"])):
            last = happening or last
            page = _progress(job, last, guess) if last else before
            if page != before:  # it is read aloud where it changes
                yield page, job
            before = page
        assert job is not None
        yield await _end(desk, job, caller), job
    except (Fault, WenfangError) as error:
        yield failed(plain(error)), None


def _waiting(guess: Mapping[str, Any] | None, workers: int, ahead: int) -> str:
    if not workers:
        return t("queued; no worker runs, so it waits until one is started")
    if ahead > 0:
        return t("queued; {count} others wait before it", count=ahead)
    if guess:
        return t("queued; about {seconds} s", seconds=round(float(guess["seconds"])))
    return t("queued")


def _progress(job: Job, happening: Happening, guess: Mapping[str, Any] | None) -> str:
    content = happening.content
    if happening.kind == "progress":
        words = step_name(str(content["step"]))
        share = float(content["done"]) / (float(content["of"]) or 1.0)
    else:
        words = state_name(str(content.get("state", job.state)))
        share = float(job.state == "done")
    if guess and job.started_at and job.state == "running":
        spent, expected = time.time() - job.started_at, float(guess["seconds"])
        if expected - spent > 1:
            left = max(1, 5 * round((expected - spent) / 5))
            words = t("{step}; about {seconds} s left", step=words, seconds=left)
            share = max(share, spent / expected)
    return bar(share, words)


async def _end(desk: Desk, job: Job, caller: Caller) -> str:
    if job.state != "done":
        error = job.error or {}
        return failed(str(error.get("message") or state_name(job.state)))
    return piece_html(await desk.piece(job, caller))
