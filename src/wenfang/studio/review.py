"""Review: approve or reject with a reason, edit, and choose the better of two."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gradio as gr

from wenfang.engine.queueing import text_of
from wenfang.errors import WenfangError
from wenfang.feedback import Vote, Votes
from wenfang.jobs import Job
from wenfang.language import speaking, t
from wenfang.server.callers import Caller, lacking
from wenfang.server.faults import Fault
from wenfang.studio.desk import Desk, plain
from wenfang.studio.look import empty, failed, html
from wenfang.studio.pieces import piece_html
from wenfang.studio.shelf import pieces_of, title_of


def review_page(desk: Desk) -> None:
    """The page: one piece to decide on, and two to choose from."""
    with gr.Tabs():
        with gr.Tab(t("Decide")):
            _decide(desk)
        with gr.Tab(t("Choose the better one")):
            _choose(desk)
        with gr.Tab(t("Rules")):
            _rules(desk)


def _votes(desk: Desk) -> Votes:
    return Votes(database=desk.place.database)


def _reviewer(desk: Desk, request: gr.Request) -> Caller:
    """Who decides; Fault where their role is too low."""
    caller = desk.caller(request)
    if not caller.may("reviewer"):
        raise lacking("reviewer", caller.role)
    return caller


def _decide(desk: Desk) -> None:
    with gr.Row():
        with gr.Column(scale=3):
            chosen = gr.Dropdown([], label=t("Waiting for a decision"))
            piece = gr.HTML(
                empty(
                    t("Nothing waits"),
                    t("Every piece has its decision. New ones come here by themselves."),
                )
            )
        with gr.Column(scale=2):
            reason = gr.Textbox(label=t("Why"), lines=3, info=t("Needed where it is rejected."))
            approve = gr.Button(t("Approve"), variant="primary")
            reject = gr.Button(t("Reject"))
            text = gr.Textbox(label=t("Edited text"), lines=6)
            edit = gr.Button(t("Keep the edited text"))
            told = gr.HTML("")

    async def waiting(held: str | None, request: gr.Request) -> Any:
        with speaking(desk.language):
            caller = desk.caller(request)
            jobs = await pieces_of(desk, caller)
            names = [job.id for job in jobs]
            known = await asyncio.to_thread(_votes(desk).decisions, names, caller.project)
            left = [(title_of(job), job.id) for job in jobs if job.id not in known]
            names = [name for _, name in left]
            return gr.update(choices=left, value=held if held in names else next(iter(names), None))

    async def show(name: str | None, request: gr.Request) -> tuple[str, str]:
        with speaking(desk.language):
            if not name:
                return empty(t("Nothing waits"), t("Every piece has its decision.")), ""
            try:
                job = await desk.job(name, desk.caller(request))
            except (Fault, WenfangError) as error:
                return failed(plain(error)), ""
            return piece_html(await desk.piece(job, desk.caller(request))), text_of(job)

    def voting(kind: Any) -> Any:
        async def vote(
            name: str | None, why: str, edited: str, request: gr.Request
        ) -> tuple[str, Any, Any]:
            with speaking(desk.language):
                try:
                    caller = _reviewer(desk, request)
                    if name:
                        await desk.job(name, caller)
                    said = Vote(
                        kind=kind,
                        piece=name or "",
                        reason=why or "",
                        text=(edited or "") if kind == "edit" else "",
                        project=caller.project,
                        rater=caller.person,
                    )
                    await asyncio.to_thread(_votes(desk).add, said)
                except (Fault, WenfangError) as error:
                    return failed(plain(error)), gr.skip(), gr.skip()
                words = {"approve": t("approved"), "reject": t("rejected"), "edit": t("kept")}
                return html(words[kind]), await waiting(name, request), ""  # its reason alone

        return vote

    chosen.change(show, chosen, [piece, text])
    for button, kind in ((approve, "approve"), (reject, "reject"), (edit, "edit")):
        button.click(voting(kind), [chosen, reason, text], [told, chosen, reason])
    for often in (desk.on_load, desk.on_turn):
        often(waiting, chosen, chosen)


def _choose(desk: Desk) -> None:
    shown = gr.State([])
    with gr.Row():
        left = gr.HTML(
            empty(
                t("Two pieces are needed"),
                t("Make two of one kind, for instance with two seeds; then say which is better. "
                  "The order is drawn by lot and kept with your choice."),
            )
        )  # fmt: skip
        right = gr.HTML("")
    with gr.Row():
        choose_left = gr.Button(t("The left one is better"))
        choose_none = gr.Button(t("Neither"))
        choose_right = gr.Button(t("The right one is better"))
        another = gr.Button(t("Show two others"))
    told = gr.HTML("")

    async def first_pair(names: list[str], request: gr.Request) -> tuple[Any, Any, Any]:
        return (gr.skip(), gr.skip(), gr.skip()) if names else await pair(request)

    async def pair(request: gr.Request) -> tuple[Any, Any, Any]:
        with speaking(desk.language):
            jobs = await pieces_of(desk, desk.caller(request))
            alike = _alike(jobs)
            if not alike:
                return [], gr.skip(), gr.skip()
            lot = secrets.SystemRandom()
            two = lot.sample(lot.choice(alike), 2)
            caller = desk.caller(request)
            first, second = [piece_html(await desk.piece(job, caller)) for job in two]
            return [job.id for job in two], first, second

    def choosing(place: int) -> Any:
        async def choose(names: list[str], request: gr.Request) -> tuple[str, Any, Any, Any]:
            with speaking(desk.language):
                try:
                    caller = _reviewer(desk, request)
                    chosen = names[place] if place >= 0 and names else ""
                    said = Vote(
                        kind="choice",
                        piece=chosen,
                        candidates=tuple(names),
                        chosen=chosen,
                        project=caller.project,
                        rater=caller.person,
                    )
                    await asyncio.to_thread(_votes(desk).add, said)
                except (Fault, WenfangError) as error:
                    return failed(plain(error)), gr.skip(), gr.skip(), gr.skip()
                return html(t("kept")), *await pair(request)

        return choose

    outputs = [told, shown, left, right]
    for button, place in ((choose_left, 0), (choose_none, -1), (choose_right, 1)):
        button.click(choosing(place), shown, outputs)
    another.click(pair, None, [shown, left, right])
    for often in (desk.on_load, desk.on_turn):
        often(first_pair, shown, [shown, left, right])


def _alike(jobs: Sequence[Job]) -> list[list[Job]]:
    """Pieces that differ in their seeds alone; where there are none, pieces of one kind."""
    for key in (_asked, lambda job: job.subject):
        found: dict[str, list[Job]] = {}
        for job in jobs:
            found.setdefault(key(job), []).append(job)
        if twice := [group for group in found.values() if len(group) > 1]:
            return twice
    return []


def _asked(job: Job) -> str:
    """What a job was asked for, without its seed."""
    request: dict[str, Any] = {**job.request, "seeds": None}
    with suppress(ValueError, TypeError):
        request["text"] = {**json.loads(str(request.get("text"))), "seed": None}
    return f"{job.subject} {json.dumps(request, sort_keys=True)}"


def _rules(desk: Desk) -> None:
    needed = gr.Checkbox(
        label=t("Publish nothing before it is approved"),
        info=t("Until then only reviewers can open the files of a piece."),
    )
    told = gr.HTML("")

    async def read(request: gr.Request) -> bool:
        project = desk.caller(request).project
        return await asyncio.to_thread(_votes(desk).needs_approval, project)

    async def write(value: bool, request: gr.Request) -> tuple[bool, str]:
        with speaking(desk.language):
            try:
                caller = _reviewer(desk, request)
                votes = _votes(desk)
                await asyncio.to_thread(votes.set_approval, caller.project, needed=value)
            except (Fault, WenfangError) as error:
                return await read(request), failed(plain(error))
            return value, html(t("kept"))

    needed.input(write, needed, [needed, told])
    desk.on_load(read, None, needed)
