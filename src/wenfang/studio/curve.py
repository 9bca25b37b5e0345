"""A curve as a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from wenfang.studio.look import FAINT, LINE, SEAL

WIDE, HIGH, EDGE_X, EDGE_Y = 620, 220, 52, 26


def curve_svg(points: Sequence[tuple[float, float]], label: str) -> str:
    """An SVG of y by x, its extremes written at the edges."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    least_x, most_x, least_y, most_y = min(xs), max(xs), min(ys), max(ys)
    wide, high = WIDE - EDGE_X - 10, HIGH - 2 * EDGE_Y

    def place(x: float, y: float) -> str:
        across = (x - least_x) / (most_x - least_x or 1)
        up = (y - least_y) / (most_y - least_y or 1)
        return f"{EDGE_X + across * wide:.1f},{HIGH - EDGE_Y - up * high:.1f}"

    line = " ".join(place(x, y) for x, y in points)
    bottom = HIGH - EDGE_Y
    words = (
        (EDGE_X - 6, EDGE_Y + 5, "end", f"{most_y:.3g}"),
        (EDGE_X - 6, bottom, "end", f"{least_y:.3g}"),
        (EDGE_X, HIGH - 8, "start", f"{least_x:g}"),
        (WIDE - 10, HIGH - 8, "end", f"{most_x:g}"),
    )
    texts = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="12" fill="{FAINT}">{word}</text>'
        for x, y, anchor, word in words
    )
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDE} {HIGH}" width="100%">'
        f'<path d="M{EDGE_X} {EDGE_Y}V{bottom}H{WIDE - 10}" fill="none" stroke="{LINE}"/>'
        f'<polyline points="{line}" fill="none" stroke="{SEAL}" stroke-width="2"/>{texts}</svg>'
    )
