"""Plain text: a line of its own at the end or the start; the metadata label is a sidecar."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from wenfang.errors import SealError
from wenfang.language import t
from wenfang.seal.formats.contract import (
    Drawn,
    Format,
    Insertion,
    Marking,
    Trace,
    insert,
    visible_layer,
)
from wenfang.seal.label import is_label_line
from wenfang.seal.layers import Layer

Lines = Callable[[str], list[str]]
MAX_TRACED_CHARACTERS = 100_000


def decode(payload: bytes) -> str:
    """The text of a payload; SealError where it is not UTF-8."""
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SealError(
            "the text to publish is not UTF-8 (byte {offset}); convert it first",
            offset=error.start,
        ) from None


def newline(payload: bytes) -> bytes:
    """The line end that the text uses; a line feed where it has none."""
    return b"\r\n" if b"\r\n" in payload else b"\n"


def body_start(payload: bytes) -> int:
    """Where text begins behind a byte-order mark."""
    return len(codecs.BOM_UTF8) if payload.startswith(codecs.BOM_UTF8) else 0


def line_at_end(payload: bytes, line: str) -> Insertion:
    """The label as last paragraph."""
    end = newline(payload)
    if len(payload) == body_start(payload):
        gap = b""
    else:
        gap = end if payload.endswith((b"\n", b"\r")) else end + end
    return Insertion(offset=len(payload), content=gap + line.encode() + end)


def line_at(payload: bytes, offset: int, line: str) -> Insertion:
    """The label as a paragraph that begins at `offset`."""
    return Insertion(offset=offset, content=line.encode() + newline(payload) * 2)


def draw_where_seen(
    payload: bytes, choices: list[Insertion], lines: Lines, facts: dict[str, object]
) -> Drawn:
    """The first of `choices` whose label a reader of the format sees; SealError if none is.

    A label after an unclosed comment or code fence would be in the file and yet not be seen.
    """
    blank = Drawn(data=payload, inserted=(), visible=facts)
    before = sum(map(is_label_line, lines(decode(payload))))
    for choice in choices:
        drawn = insert(blank, choice)
        if sum(map(is_label_line, lines(drawn.data.decode("utf-8")))) > before:
            return drawn
    raise SealError("no place in the text shows the visible label; close its open elements")


def all_lines(text: str) -> list[str]:
    """The lines of a plain text that are not blank."""
    return [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]


def edge_lines(text: str) -> list[str]:
    """The first and the last three lines that are not blank, where a label must stand."""
    found = all_lines(text)
    return found if len(found) <= 6 else [*found[:3], *found[-3:]]


def measure_lines(data: bytes, lines: Lines) -> Layer:
    """The visible layer of a text: its label line as found by a reader of the format."""
    try:
        seen = [line for line in lines(data.decode("utf-8")) if is_label_line(line)]
    except UnicodeDecodeError:
        return visible_layer("unknown", t("the text is not UTF-8"))
    if not seen:
        return visible_layer("unlabelled", t("no visible label was found in the text"))
    return visible_layer("good", t("visible label: {words}", words=seen[-1]), {"words": seen[-1]})


def plain_words(data: bytes) -> str:
    """The text of a plain text."""
    return data.decode("utf-8", "replace")


def trace_text(text: str) -> Trace:
    """The watermark in a text, label lines left out."""
    from wenfang.media.text_marks import find_mark

    lines = text[:MAX_TRACED_CHARACTERS].splitlines(keepends=True)
    found = find_mark("".join(line for line in lines if not is_label_line(line)))
    facts = {"tokens": found.tokens, "z": round(found.z, 2)}
    return Trace(pointer=None, p_value=found.p_value, facts=facts)


def _trace(data: bytes, search: bool) -> Trace:
    return trace_text(data.decode("utf-8", "replace"))


def _draw(payload: bytes, marking: Marking) -> Drawn:
    settings = marking.settings
    choices = [line_at_end(payload, settings.line)]
    start = line_at(payload, body_start(payload), settings.line)
    choices.insert(0 if settings.position == "start" else 1, start)
    facts: dict[str, object] = {"form": "line", "words": settings.line}
    return draw_where_seen(payload, choices, all_lines, facts)


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    return measure_lines(data, edge_lines)


def _no_labels(data: bytes) -> list[object]:
    return []


TEXT = Format(
    name="text",
    media_type="text/plain",
    suffixes=(".txt",),
    credential="sidecar",
    draw=_draw,
    write=None,
    labels=_no_labels,
    measure=_measure,
    trace=_trace,
    words=plain_words,
)
