"""The studio's face: ink on rice paper, one accent of seal red, one scale of type, no gradients."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

# The same as in studio.css.
PAPER, SHEET, INK, FAINT, LINE = "#f6f1e7", "#fdfbf6", "#1e1b18", "#5e574e", "#d8cfbf"
SEAL, SEAL_DARK = "#a3231c", "#7d1a15"
FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "sans-serif")


def theme() -> gr.themes.Base:
    """Gradio's own colours and shapes in ours; every font is one of this machine's."""
    found: Any = gr.themes.Base(
        font=list(FONTS),
        font_mono=["Noto Sans Mono CJK SC", "monospace"],
        radius_size=gr.themes.sizes.radius_sm,
        text_size=gr.themes.sizes.text_md,
    )
    plain = {
        "body_background_fill": PAPER,
        "body_text_color": INK,
        "body_text_color_subdued": FAINT,
        "background_fill_primary": SHEET,
        "background_fill_secondary": PAPER,
        "block_background_fill": SHEET,
        "block_border_color": LINE,
        "block_label_background_fill": SHEET,
        "block_label_text_color": FAINT,
        "block_title_text_color": INK,
        "block_info_text_color": FAINT,
        "block_shadow": "none",
        "border_color_primary": LINE,
        "border_color_accent": SEAL,
        "color_accent": SEAL,
        "color_accent_soft": "#f3e2dd",
        "input_background_fill": "#ffffff",
        "input_border_width": "1px",
        "input_border_color": LINE,
        "input_border_color_focus": SEAL,
        "input_placeholder_color": "#756d62",
        "input_shadow_focus": "none",
        "button_primary_background_fill": SEAL,
        "button_primary_background_fill_hover": SEAL_DARK,
        "button_primary_border_color": SEAL,
        "button_primary_text_color": "#ffffff",
        "button_secondary_background_fill": SHEET,
        "button_secondary_background_fill_hover": PAPER,
        "button_secondary_border_color": LINE,
        "button_secondary_text_color": INK,
        "checkbox_background_color_selected": SEAL,
        "checkbox_border_color_selected": SEAL,
        "checkbox_label_background_fill": SHEET,
        "checkbox_label_background_fill_selected": "#f3e2dd",
        "checkbox_label_text_color_selected": INK,
        "slider_color": SEAL,
        "link_text_color": SEAL,
        "link_text_color_hover": SEAL_DARK,
        "link_text_color_visited": SEAL_DARK,
        "loader_color": SEAL,
        "table_even_background_fill": SHEET,
        "table_odd_background_fill": PAPER,
        "table_border_color": LINE,
    }
    # A sheet of paper is not dark at night: both modes look the same.
    both = plain | {f"{name}_dark": value for name, value in plain.items() if _has_dark(name)}
    made: gr.themes.Base = found.set(**both)
    return made


def _has_dark(name: str) -> bool:
    return f"{name}_dark" in gr.themes.Base.set.__code__.co_varnames


CSS = Path(__file__).with_name("studio.css").read_text("utf-8")


def html(content: str) -> str:
    """Our own markup in the studio's type."""
    return f'<div class="wf">{content}</div>'


def empty(head: str, words: str) -> str:
    """What stands where nothing is yet, and what to do about it."""
    return f'<div class="wf-empty"><strong>{escape(head)}</strong>{escape(words)}</div>'


def failed(words: str) -> str:
    """One line that says what went wrong."""
    return f'<div class="wf"><p class="wf-error" role="alert">{escape(words)}</p></div>'


def bar(share: float, words: str) -> str:
    """How far something is."""
    percent = round(100 * min(1.0, max(0.0, share)))
    return (
        f'<div class="wf-sheet wf" role="status">{escape(words)}'
        f'<div class="wf-bar" role="progressbar" aria-valuenow="{percent}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-label="{escape(words)}"><div style="width:{percent}%"></div>'
        "</div></div>"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """Rows of markup that is escaped already."""
    top = "".join(f"<th scope='col'>{escape(one)}</th>" for one in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wf-scroll" tabindex="0"><table><tr>{top}</tr>{body}</table></div>'
