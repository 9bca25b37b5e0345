"""A finished piece as people see it: its words, pictures, sounds, checks and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from wenfang.language import t
from wenfang.studio.look import html
from wenfang.studio.naming import check_name

PICTURES = (".png", ".jpg", ".webp", ".gif", ".svg")
PLAYERS = {".wav": "audio", ".mp3": "audio", ".ogg": "audio", ".mp4": "video", ".webm": "video"}
SMALLER = "-web"  # the same picture for pages; the other one is for print
STILL, STILLS = "still.webp", ("still.webp", "sheet.jpg")  # of a film, shown by its player
SHORT_CHARACTERS = 400
SHOWN_PICTURES = 4  # of a piece, which are the same in other shapes
SHOWN_MADE = 16  # of single things, which are different ones
VERDICTS = {"pass": "✓", "note": "·", "warn": "!", "repair": "✗", "block": "✗"}


def piece_html(piece: Mapping[str, Any]) -> str:
    """What `/v1/pieces/{id}` tells, as a page.

    piece  id, text, asked (the words that it was asked for by), read_as (the words that were drawn
           instead), files (name, url, bytes), checks
    """
    text, asked = str(piece.get("text") or ""), str(piece.get("asked") or "")
    files = list(piece.get("files") or ())
    parts = []
    if text:
        long = " long" if len(text) > SHORT_CHARACTERS else ""
        parts.append(f'<p class="wf-text{long}">{escape(text)}</p>')
    elif asked:
        parts.append(f'<p class="wf-text long">{escape(asked)}</p>')
    if read_as := piece.get("read_as"):
        told = t("the model did not learn by these words; the nearest that it knows are drawn: "
                 "{words}", words=read_as)  # fmt: skip
        parts.append(f'<p class="faint">{escape(told)}</p>')
    if waits := piece.get("waits"):
        parts.append(f'<p class="wf-error">{escape(str(waits))}</p>')
    parts.append(_media(files, SHOWN_MADE if piece.get("kind") == "generate" else SHOWN_PICTURES))
    parts.append(badges_html(piece.get("checks") or ()))
    parts.append(_files(files, str(piece.get("id") or "")))
    return html(f'<div class="wf-sheet">{"".join(parts)}</div>')


def _media(files: Sequence[Mapping[str, Any]], most: int) -> str:
    """Players and pictures: of pictures the first `most`, of a sound in two formats one."""
    found, pictures = "", 0
    urls = {str(one["name"]): escape(str(one["url"])) for one in files}
    several = sum(Path(one).suffix.lower() in PLAYERS for one in urls) > 1
    filmed = STILL in urls and any(PLAYERS.get(Path(one).suffix) == "video" for one in urls)
    for name, url in urls.items():
        path = Path(name)
        suffix = path.suffix.lower()
        if path.with_stem(f"{path.stem}{SMALLER}").name in urls:
            continue
        if suffix == ".wav" and path.with_suffix(".mp3").name in urls:
            continue
        if (player := PLAYERS.get(suffix)) is not None:
            poster = f' poster="{urls[STILL]}"' if filmed and player == "video" else ""
            found += f'<{player} controls preload="metadata" src="{url}"{poster} '
            found += f'aria-label="{escape(name)}"></{player}>'
            if several:
                found += f"<small>{escape(path.stem)}</small>"
        elif suffix in PICTURES and pictures < most and not (filmed and name in STILLS):
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
    verdict, name = str(check["verdict"]), check_name(str(check["name"]))
    evidence = escape(" ".join(check.get("evidence") or ()))
    return (
        f'<li class="wf-badge {escape(verdict)}" title="{evidence}">'
        f"{VERDICTS.get(verdict, '·')} {escape(name)}</li>"
    )


def _files(files: Sequence[Mapping[str, Any]], name: str) -> str:
    if not files:
        return ""
    rows = "".join(
        f'<li><a href="{escape(str(one["url"]))}" download="{escape(str(one["name"]))}">'
        f"{escape(str(one['name']))}</a><small>{size(int(one.get('bytes') or 0))}</small></li>"
        for one in files
    )
    every = escape(t("all of them, with what proves them (zip)"))
    rows += f'<li><a href="/studio/files/{escape(name)}/all.zip" download>{every}</a></li>'
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
