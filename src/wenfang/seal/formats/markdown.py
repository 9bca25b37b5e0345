"""Markdown: the map `AIGC:` in the front matter, and a paragraph at the end or the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wenfang.seal.formats.contract import Drawn, Format, Insertion, Marking, Trace, insert
from wenfang.seal.formats.text import (
    body_start,
    decode,
    draw_where_seen,
    line_at,
    line_at_end,
    measure_lines,
    newline,
    trace_text,
)
from wenfang.seal.label import parse_label
from wenfang.seal.layers import Layer

_MAPPING_LINE = re.compile(r"""\s*(#.*)?$|[ \t]+\S|- |[\w"'.-][^:]*:(\s|$)""")
_AIGC_LINE = re.compile(r"""["']?AIGC["']?[ \t]*:[ \t]*(.*)$""")
_ENTRY = re.compile(r"""[ \t]+["']?(\w+)["']?[ \t]*:[ \t]*(.*?)[ \t]*$""")
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
# HTML blocks that run over blank lines and hide what is in them (CommonMark 0.31, section 4.6).
_HIDING = (
    (re.compile(r" {0,3}<!--"), "-->"),
    (re.compile(r" {0,3}<\?"), "?>"),
    (re.compile(r" {0,3}<!\[CDATA\["), "]]>"),
    (re.compile(r" {0,3}<![A-Za-z]"), ">"),
    (re.compile(r" {0,3}<(?:script|style|textarea|pre)(?=[\s>]|$)", re.IGNORECASE), "</"),
)


def front_matter(text: str) -> tuple[int, int, list[str]] | None:
    """(start, end, lines) of the front matter's inside, or None; offsets in characters.

    A first block between `---` lines that is no YAML map is a text with rules, not front matter.
    """
    start = 1 if text.startswith("\ufeff") else 0
    opening = re.compile(r"---[ \t]*\r?\n").match(text, start)
    if not opening:
        return None
    closing = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE).search(text, opening.end())
    if not closing:
        return None
    lines = text[opening.end() : closing.start()].splitlines()
    if not all(_MAPPING_LINE.match(line) for line in lines):
        return None
    return opening.end(), closing.end(), lines


def visible_lines(text: str) -> list[str]:
    """Lines of the body that a renderer shows, without emphasis, code and hidden blocks."""
    found = front_matter(text)
    body = text[found[1] :] if found else text.removeprefix("\ufeff")
    shown: list[str] = []
    fence, until = "", ""
    for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if until:
            until = "" if until in line else until
        elif fence:
            fence = "" if _closes(line, fence) else fence
        elif match := _FENCE.match(line):
            fence = match[1]
        elif opened := [(m.end(), end) for mark, end in _HIDING if (m := mark.match(line))]:
            position, end = opened[0]
            until = "" if end in line[position:] else end
        elif line.strip():
            shown.append(line.strip(" \t*_#>"))
    return shown


def _closes(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and set(bare) == {fence[0]} and line[:4].strip() != ""


def _draw(payload: bytes, marking: Marking) -> Drawn:
    settings = marking.settings
    text = decode(payload)
    found = front_matter(text)
    line = f"*{settings.line}*"
    if found:
        inside = Insertion(offset=len(text[: found[1]].encode()), content=b"")
        start = line_at(payload, inside.offset, line)
        start = Insertion(offset=start.offset, content=newline(payload) * 2 + start.content)
    else:
        start = line_at(payload, body_start(payload), line)
    end = line_at_end(payload, line)
    choices = [start, end] if settings.position == "start" else [end, start]
    facts: dict[str, object] = {"form": "line", "words": settings.line}
    return draw_where_seen(payload, choices, visible_lines, facts)


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """The map as first entry of the front matter, which is made where there is none."""
    data = drawn.data
    text, end = data.decode("utf-8"), newline(data).decode()
    block = "".join(f'  {key}: "{value}"{end}' for key, value in label.items())
    block = f"AIGC:{end}{block}"
    if found := front_matter(text):
        offset = len(text[: found[0]].encode())
        return insert(drawn, Insertion(offset=offset, content=block.encode()))
    content = f"---{end}{block}---{end}{end}".encode()
    return insert(drawn, Insertion(offset=body_start(data), content=content))


def _strip(data: bytes) -> bytes:
    """The text without the `AIGC` entries of its front matter."""
    text = data.decode("utf-8", "replace")
    found = front_matter(text)
    if not found or not _labels(data):
        return data
    kept: list[str] = []
    inside = False
    for line in text[found[0] : found[1]].splitlines(keepends=True):
        inside = bool(_AIGC_LINE.match(line)) or (inside and bool(_ENTRY.match(line)))
        kept += [] if inside else [line]
    return (text[: found[0]] + "".join(kept) + text[found[1] :]).encode()


def _labels(data: bytes) -> list[object]:
    """Every `AIGC` entry at the top of the front matter: a block map, or JSON on its line."""
    found = front_matter(data.decode("utf-8", "replace"))
    labels: list[object] = []
    for number, line in enumerate(found[2] if found else []):
        match = _AIGC_LINE.match(line)
        if match:
            after = found[2][number + 1 :] if found else []
            labels.append(parse_label(match[1]) if match[1].strip() else _block_map(after))
    return labels


def _block_map(lines: list[str]) -> object:
    """The indented `key: value` lines that follow; a repeated key makes it no map."""
    values: dict[str, object] = {}
    for line in lines:
        entry = _ENTRY.match(line)
        if not entry:
            break
        if entry[1] in values:
            return line
        values[entry[1]] = _scalar(entry[2])
    return values


def _scalar(text: str) -> object:
    """A YAML scalar as far as it matters here: quoted is text, bare digits are a number."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return int(text) if text.isascii() and text.isdigit() else text


def _words(data: bytes) -> str:
    return "\n".join(visible_lines(data.decode("utf-8", "replace")))


def _trace(data: bytes, search: bool) -> Trace:
    return trace_text(_words(data))


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    return measure_lines(data, visible_lines)


MARKDOWN = Format(
    name="markdown",
    media_type="text/markdown",
    suffixes=(".md", ".markdown"),
    credential="sidecar",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    trace=_trace,
    words=_words,
    strip=_strip,
)
