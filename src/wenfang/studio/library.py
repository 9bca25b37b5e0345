"""Library: the pieces that were made; look, compare, trace, verify, and make again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from wenfang.engine.queueing import files_of
from wenfang.engine.wording import outcome_name
from wenfang.errors import WenfangError
from wenfang.language import speaking, t
from wenfang.server.faults import Fault
from wenfang.studio.desk import Desk, plain
from wenfang.studio.graph import lineage_svg
from wenfang.studio.look import bar, empty, failed, html, table
from wenfang.studio.pieces import piece_html
from wenfang.studio.shelf import pieces_of, subjects_of, title_of
from wenfang.studio.verify import verdict_html


def library_page(desk: Desk) -> None:
    """The page."""
    with gr.Row(elem_classes="wf-end"):
        words = gr.Textbox(label=t("Search"), scale=3)
        subject = gr.Dropdown([(t("everything"), "")], value="", label=t("Only of"), scale=2)
        look = gr.Button(t("Search"), scale=1)
    with gr.Row():
        one = gr.Dropdown([], label=t("Piece"), scale=1)
        other = gr.Dropdown([], label=t("Compare with"), scale=1)
    with gr.Row():
        trace = gr.Button(t("What it was made from"))
        check = gr.Button(t("Verify"))
        again = gr.Button(t("Make again and compare"))
    told = gr.HTML("")
    newest = gr.State("")
    with gr.Row():
        left = gr.HTML(
            empty(
                t("The library is empty"),
                t("What you create or make stands here, with its checks and its files. Begin with "
                  "the first page."),
            )
        )  # fmt: skip
        right = gr.HTML("")

    async def turn(asked: str, only: str | None, known: str, request: gr.Request) -> Any:
        """What came since the page was looked at last; otherwise what is looked at stays."""
        last = await pieces_of(desk, desk.caller(request), asked or "", only or "")
        if [job.id for job in last[:1]] == [known]:
            return (gr.skip(),) * 4
        return await search(asked, only, request)

    async def search(asked: str, only: str | None, request: gr.Request) -> Any:
        with speaking(desk.language):
            caller = desk.caller(request)
            every = await pieces_of(desk, caller)
            found = await pieces_of(desk, caller, asked or "", only or "")
            choices = [(title_of(job), job.id) for job in found]
            subjects = [(t("everything"), ""), *subjects_of(every)]
            first = choices[0][1] if choices else None
            return (
                gr.update(choices=choices, value=first),
                gr.update(choices=[(t("nothing"), ""), *choices], value=""),
                gr.update(choices=subjects),
                first or "",
            )

    async def show(name: str | None, request: gr.Request) -> Any:
        with speaking(desk.language):
            if not name:
                return empty(t("Nothing is found"), t("Look for other words, or for everything."))
            try:
                caller = desk.caller(request)
                return piece_html(await desk.piece(await desk.job(name, caller), caller))
            except (Fault, WenfangError) as error:
                return failed(plain(error))

    async def show_other(name: str | None, request: gr.Request) -> Any:
        return await show(name, request) if name else ""

    pages = [one, other, subject, newest]
    look.click(search, [words, subject], pages)
    words.submit(search, [words, subject], pages)
    one.change(show, one, left)
    one.change(lambda: "", None, told, show_progress="hidden")  # it was of another piece
    other.change(show_other, other, right)
    trace.click(_tracing(desk), one, told)
    check.click(_verifying(desk), one, told)
    again.click(_replaying(desk), one, told)
    desk.on_load(search, [words, subject], pages)
    desk.on_turn(turn, [words, subject, newest], pages)


async def _files(desk: Desk, name: str, request: gr.Request) -> list[Path]:
    """The files of a piece of the caller's project; Fault 404 where it has none."""
    files = files_of(await desk.job(name, desk.caller(request)))
    if not files:
        raise Fault(404, t("this piece has no files"))
    return files


def _tracing(desk: Desk) -> Any:
    async def trace(name: str | None, request: gr.Request) -> str:
        with speaking(desk.language):
            if not name:
                return failed(t("choose a piece first"))
            try:
                files = await _files(desk, name, request)
                found = await desk.ask("lineage", {"asset": str(files[0])})
            except (Fault, WenfangError) as error:
                return failed(plain(error))
            rows = [[licence, ", ".join(names)] for licence, names in found["licences"].items()]
            drawn = lineage_svg(found["manifests"], found["asset"])
            return html(drawn + (table([t("licence"), t("of")], rows) if rows else ""))

    return trace


def _verifying(desk: Desk) -> Any:
    async def check(name: str | None, request: gr.Request) -> str:
        with speaking(desk.language):
            if not name:
                return failed(t("choose a piece first"))
            try:
                files = await _files(desk, name, request)
                verdicts = await desk.ask("verify", {"paths": list(map(str, files))})
            except (Fault, WenfangError) as error:
                return failed(plain(error))
            return "".join(verdict_html(one) for one in verdicts)

    return check


def _replaying(desk: Desk) -> Any:
    @desk.speaks
    async def again(name: str | None, request: gr.Request) -> Any:
        if not name:
            yield failed(t("choose a piece first"))
            return
        yield bar(0.0, t("making it again from its manifest"))
        try:
            desk.require_maker(desk.caller(request))
            files = await _files(desk, name, request)
            found = await desk.ask("replay", {"folder": str(files[0].parent), "batched": True})
        except (Fault, WenfangError) as error:
            yield failed(plain(error))
            return
        rows = [
            [str(one["path"]).rsplit("/", 1)[-1], outcome_name(str(one["outcome"])),
             str(one["finding"])]
            for one in found
        ]  # fmt: skip
        yield html(table([t("file"), t("made again"), t("what was found")], rows))

    return again
