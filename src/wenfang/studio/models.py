"""Models: what is here, under which licence, with which numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gradio as gr

from wenfang.errors import WenfangError
from wenfang.language import speaking, t
from wenfang.server.faults import Fault
from wenfang.studio.desk import Desk, plain
from wenfang.studio.look import empty, failed

FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)  # of a card, for programs


def models_page(desk: Desk) -> None:
    """The page: a list on the left, a card on the right."""
    with gr.Row():
        with gr.Column(scale=2, min_width=220):
            chosen = gr.Radio([], label=t("Models"), elem_classes="wf-list")
            again = gr.Button(t("Look again"), size="sm")
        with gr.Column(scale=5):
            card = gr.Markdown(
                t("Choose a model to read its card: what it does, what it learnt from, what it "
                  "cannot do, and its numbers."),
                elem_classes="wf-card",
            )  # fmt: skip

    async def listed() -> Any:
        with speaking(desk.language):
            found = await desk.ask("models", {})
            names = [(_line(one), one["name"]) for one in found]
            return gr.update(choices=names)

    async def shown(name: str) -> str:
        with speaking(desk.language):
            if not name:
                return empty(t("No model is chosen"), "")
            try:
                found = await desk.ask("models", {})
                card = FRONT.sub("", str(await desk.ask("card", {"model": name})), count=1)
                return "".join(_facts(one) for one in found if one["name"] == name) + card
            except (Fault, WenfangError) as error:
                return failed(plain(error))

    again.click(listed, None, chosen)
    chosen.change(shown, chosen, card)
    desk.on_load(listed, None, chosen)
    desk.on_turn(listed, None, chosen)


def _facts(entry: Mapping[str, Any]) -> str:
    """What a card begins with in the language of the page; the card itself is in English."""
    rows = [
        (t("what it does"), t(str(entry["summary"]))),
        (t("licence"), str(entry["licence"] or t("unknown"))),
        (t("parameters"), f"{entry['parameters'] or 0:,}"),
    ]
    lines = "".join(f"| {name} | {value} |\n" for name, value in rows)
    return f"| | |\n|---|---|\n{lines}\n"


def _line(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']} · {(entry['parameters'] or 0) / 1e6:.1f} M"
