"""Verify: drop any file, and read what it says about itself, layer by layer."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from wenfang.errors import WenfangError
from wenfang.language import speaking, t
from wenfang.server.faults import Fault
from wenfang.studio.desk import Desk, plain
from wenfang.studio.look import empty, failed, html
from wenfang.studio.naming import layer_name

SIGNS = {"good": "✓", "tampered": "✗", "unlabelled": "✗", "foreign": "?", "unknown": "?"}


def verify_page(desk: Desk) -> None:
    """The page."""
    with gr.Row():
        with gr.Column(scale=2):
            file = gr.File(label=t("A file: picture, text, sound, film, document or zip"))
        with gr.Column(scale=3):
            found = gr.HTML(
                empty(
                    t("What does a file say about itself?"),
                    t("Drop one here. You will read whether it was sealed here, whether it was "
                      "changed since, and which labels it carries. Nothing leaves this machine."),
                )
            )  # fmt: skip

    async def verified(path: str | None) -> str:
        with speaking(desk.language):
            if not path:
                return empty(t("What does a file say about itself?"), t("Drop one here."))
            try:
                verdicts = await desk.ask("verify", {"paths": [path]})
            except (Fault, WenfangError) as error:
                return failed(plain(error))
            return "".join(verdict_html(one) for one in verdicts)

    file.change(verified, file, found)


def verdict_html(verdict: dict[str, Any]) -> str:
    """What one file says about itself, layer by layer."""
    good = "pass" if verdict["exit_code"] == 0 else "bad"
    layers = "".join(
        f"<tr><td>{SIGNS.get(str(one['status']), '·')}</td>"
        f"<td>{escape(layer_name(str(one['name'])))}</td>"
        f"<td>{escape(str(one['finding']))}</td></tr>"
        for one in verdict["layers"]
    )
    return html(
        f'<div class="wf-sheet"><h2>{escape(Path(str(verdict["path"])).name)}</h2>'
        f'<p><span class="wf-badge {good}">{escape(str(verdict["summary"]))}</span></p>'
        f'<div class="wf-scroll" tabindex="0"><table>{layers}</table></div></div>'
    )
