"""A curve as a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from wenfang.language import t
from wenfang.studio.look import FAINT, INK, LINE, SEAL

WIDE, HIGH, EDGE_X, EDGE_Y = 620, 232, 52, 26
TOP = 42  # below the two names


def curve_svg(
    points: Sequence[tuple[float, float]], label: str, held: Sequence[tuple[float, float]] = ()
) -> str:
    """An SVG of y by x, its extremes written at the edges; at least one row has two points.

    held  the same of what was set aside, as a second line with a name
    """
    every = [*points, *held]
    xs, ys = [x for x, _ in every], [y for _, y in every]
    least_x, most_x, least_y, most_y = min(xs), max(xs), min(ys), max(ys)
    wide, high = WIDE - EDGE_X - 10, HIGH - EDGE_Y - TOP

    def line(of: Sequence[tuple[float, float]], colour: str) -> str:
        places = " ".join(
            f"{EDGE_X + (x - least_x) / (most_x - least_x or 1) * wide:.1f},"
            f"{HIGH - EDGE_Y - (y - least_y) / (most_y - least_y or 1) * high:.1f}"
            for x, y in of
        )
        return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'

    bottom = HIGH - EDGE_Y
    words = [
        (EDGE_X - 6, TOP + 5, "end", FAINT, f"{most_y:.3g}"),
        (EDGE_X - 6, bottom, "end", FAINT, f"{least_y:.3g}"),
        (EDGE_X, HIGH - 8, "start", FAINT, f"{least_x:g}"),
        (WIDE - 10, HIGH - 8, "end", FAINT, f"{most_x:g}"),
    ]
    if len(points) > 1:
        words.append((WIDE - 10, 14, "end", SEAL, t("loss while learning")))
    if len(held) > 1:
        words.append((WIDE - 10, 32, "end", INK, t("loss on what was set aside")))
    texts = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="13" fill="{colour}">'
        f"{escape(word)}</text>"
        for x, y, anchor, colour, word in words
    )
    rows = ((points, SEAL), (held, INK))
    lines = "".join(line(row, colour) for row, colour in rows if len(row) > 1)
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDE} {HIGH}" width="100%">'
        f'<path d="M{EDGE_X} {TOP}V{bottom}H{WIDE - 10}" fill="none" stroke="{LINE}"/>'
        f"{lines}{texts}</svg>"
    )
