"""A finished piece as people see it: its words, pictures, sounds, checks and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from wenfang.language import t
from wenfang.studio.look import html

PICTURES = (".png", ".jpg", ".webp", ".gif", ".svg")
PLAYERS = {".wav": "audio", ".mp3": "audio", ".ogg": "audio", ".mp4": "video", ".webm": "video"}
SMALLER = "-web"  # the same picture for pages; the other one is for print
SHORT_CHARACTERS = 400
SHOWN_PICTURES = 4
VERDICTS = {"pass": "✓", "note": "·", "warn": "!", "repair": "✗", "block": "✗"}


def piece_html(piece: Mapping[str, Any]) -> str:
    """What `/v1/pieces/{id}` tells, as a page.

    piece  id, text, files (name, url, bytes), checks, scenario
    """
    text = str(piece.get("text") or "")
    files = list(piece.get("files") or ())
    parts = []
    if text:
        long = " long" if len(text) > SHORT_CHARACTERS else ""
        parts.append(f'<p class="wf-text{long}">{escape(text)}</p>')
    parts.append(_media(files))
    parts.append(badges_html(piece.get("checks") or ()))
    parts.append(_files(files))
    return html(f'<div class="wf-sheet">{"".join(parts)}</div>')


def _media(files: Sequence[Mapping[str, Any]]) -> str:
    """Players and pictures; of files that are the same in other shapes, the first few."""
    found, pictures = "", 0
    names = {str(one["name"]) for one in files}
    for one in files:
        path = Path(str(one["name"]))
        if path.with_stem(f"{path.stem}{SMALLER}").name in names:
            continue
        name, url = str(one["name"]), escape(str(one["url"]))
        suffix = Path(name).suffix.lower()
        if (player := PLAYERS.get(suffix)) is not None:
            label = escape(name)
            found += f'<{player} controls preload="metadata" src="{url}" aria-label="{label}">'
            found += f"</{player}>"
        elif suffix in PICTURES and pictures < SHOWN_PICTURES:
            pictures += 1
            words = escape(t("picture {name}", name=name))
            found += f'<img src="{url}" alt="{words}" loading="lazy">'
    return found


def badges_html(checks: Sequence[Mapping[str, Any]]) -> str:
    """One badge a check, its verdict said in a sign and in a word."""
    if not checks:
        return ""
    rows = "".join(map(_badge, checks))
    return f'<h3>{escape(t("Checks"))}</h3><ul class="wf-badges">{rows}</ul>'


def _badge(check: Mapping[str, Any]) -> str:
    verdict, name = str(check["verdict"]), str(check["name"]).replace("_", " ")
    evidence = escape(" ".join(check.get("evidence") or ()))
    return (
        f'<li class="wf-badge {escape(verdict)}" title="{evidence}">'
        f"{VERDICTS.get(verdict, '·')} {escape(name)}</li>"
    )


def _files(files: Sequence[Mapping[str, Any]]) -> str:
    if not files:
        return ""
    rows = "".join(
        f'<li><a href="{escape(str(one["url"]))}" download="{escape(str(one["name"]))}">'
        f"{escape(str(one['name']))}</a><small>{size(int(one.get('bytes') or 0))}</small></li>"
        for one in files
    )
    return f'<h3>{escape(t("Sealed files"))}</h3><ul class="wf-files">{rows}</ul>'


def size(count_bytes: int) -> str:
    """Bytes for people."""
    if not count_bytes:
        return ""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
