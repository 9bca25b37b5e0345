"""What commands print: tables as aligned text, verdicts, JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from wenfang.language import t


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def width(text: str) -> int:
    """Columns that a text takes on a terminal; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> None:
    """Rows in aligned columns."""
    lines = [list(head), *map(list, rows)] if head else [list(row) for row in rows]
    if not lines:
        return
    widths = [max(width(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [cell + " " * (wide - width(cell)) for cell, wide in zip(line, widths, strict=True)]
        print("  ".join(cells).rstrip())


def size(count_bytes: int) -> str:
    """A number of bytes for people."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def verdicts(found: Iterable[Any], *, layers: bool) -> None:
    """One line a file, and one a layer if asked."""
    for verdict in found:
        print(f"{outcomes()[verdict.outcome]}  {verdict.path}: {verdict.summary}")
        if layers:
            table(
                [
                    (f"    {layer.name}", outcomes().get(layer.status, layer.status), layer.finding)
                    for layer in verdict.layers
                ]
            )


def outcomes() -> dict[str, str]:
    """A sign and a word for each outcome of a file and for each status of a layer."""
    return {
        "good": "✓ " + t("good"),
        "tampered": "✗ " + t("tampered"),
        "not ours": "? " + t("not ours"),
        "cannot tell": "? " + t("cannot tell"),
        "foreign": "? " + t("not ours"),
        "unlabelled": "– " + t("not labelled"),
        "unknown": "? " + t("cannot tell"),
    }
