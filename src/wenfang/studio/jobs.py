"""Jobs: what waits, what runs, what ended and why; stop it, or let it go on."""

from __future__ import annotations

import asyncio
from html import escape
from typing import Any

import gradio as gr

from wenfang.engine.wording import state_name, step_name
from wenfang.errors import WenfangError
from wenfang.jobs import Job
from wenfang.language import speaking, t
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.studio.desk import Desk, plain
from wenfang.studio.look import empty, failed, html, table
from wenfang.studio.naming import job_name, time_name

SHOWN = 50
EVERY_S = 3


def jobs_page(desk: Desk) -> None:
    """The page."""
    with gr.Row(elem_classes="wf-end"):
        chosen = gr.Dropdown([], label=t("Job"), scale=3)
        cancel = gr.Button(t("Cancel"), scale=1)
        pause = gr.Button(t("Pause"), scale=1)
        go_on = gr.Button(t("Go on"), scale=1)
        retry = gr.Button(t("Try again"), scale=1)
    told = gr.HTML("")
    listed = gr.HTML("")

    async def refresh(request: gr.Request) -> tuple[Any, str]:
        with speaking(desk.language):
            jobs = await _jobs(desk, request)
            return gr.update(choices=[(_line(one), one.id) for one in jobs]), _table(jobs)

    def asking(wish: str) -> Any:
        async def ask(name: str | None, request: gr.Request) -> tuple[str, Any, str]:
            with speaking(desk.language):
                if not name:
                    return (failed(t("choose a job first")), *await refresh(request))
                try:
                    job = await _asked(desk, name, wish, desk.caller(request))
                except (Fault, WenfangError) as error:
                    return (failed(plain(error)), *await refresh(request))
                state = job.asked and t("it stops at its next safe point")
                return (html(escape(state or state_name(job.state))), *await refresh(request))

        return ask

    for button, wish in ((cancel, "cancel"), (pause, "pause"), (go_on, "resume"), (retry, "retry")):
        button.click(asking(wish), chosen, [told, chosen, listed])
    timer = gr.Timer(EVERY_S)
    desk.on_tick(timer, refresh, None, [chosen, listed])
    desk.on_load(refresh, None, [chosen, listed])


async def _asked(desk: Desk, name: str, wish: str, caller: Caller) -> Job:
    """A wish for a job of the caller's own project."""
    desk.require_maker(caller)
    job = await desk.job(name, caller)
    return await asyncio.to_thread(desk.place.queue.ask, job.id, wish)


async def _jobs(desk: Desk, request: gr.Request) -> list[Job]:
    project = desk.caller(request).project
    return await asyncio.to_thread(desk.place.queue.jobs, project=project, limit=SHOWN)


def _line(job: Job) -> str:
    return f"{job.id[4:12]} · {job_name(job)} · {state_name(job.state)}"


def _table(jobs: list[Job]) -> str:
    if not jobs:
        return empty(
            t("No job waits"),
            t("Pieces, training and evaluation run as jobs; what you start stands here with its "
              "progress, and goes on even when this page is closed."),
        )  # fmt: skip
    rows = []
    for job in jobs:
        progress = f"{step_name(job.step)} {job.done:g}/{job.total:g}" if job.total else ""
        error = str((job.error or {}).get("message", ""))
        rows.append(
            [
                escape(job.id[4:12]),
                escape(job_name(job)),
                _whole(state_name(job.state)),
                escape(error or progress),
                _whole(time_name(job.created_at)),
            ]
        )
    head = [t("job"), t("what"), t("state"), t("progress"), t("asked at")]
    return html(table(head, rows))


def _whole(text: str) -> str:
    """A cell that stays on one line: Chinese may otherwise be broken after every character."""
    return f'<span class="wf-whole">{escape(text)}</span>'
