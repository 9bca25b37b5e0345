"""A run's losses as a picture: one SVG written by hand, for a browser and for print."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from wenfang.language import t

WIDTH_PX, HEIGHT_PX = 720, 420
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 64, 20, 20, 52
MOST_POINTS = 1000
# Okabe and Ito's colours (2008), which colour-blind readers can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, GRID = "#333333", "#e4e4e4"

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The rectangle of values that is drawn: steps across, losses upwards."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        """Where a step is, in pixels from the left."""
        share = (step - self.first) / (self.last - self.first)
        return LEFT_PX + share * (WIDTH_PX - LEFT_PX - RIGHT_PX)

    def y(self, loss: float) -> float:
        """Where a loss is, in pixels from the top."""
        share = (self.high - loss) / (self.high - self.low)
        return TOP_PX + share * (HEIGHT_PX - TOP_PX - BOTTOM_PX)


def loss_curve_svg(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Losses by step as an SVG document.

    metrics  the entries of metrics.jsonl; what is named loss or …_loss becomes a light line and
             a smoothed one, what is named val_… and holds "loss" becomes points; other names
             and values that are not finite are left out
    """
    training = _series(metrics, lambda name: name == "loss" or name.endswith("_loss"))
    validation = _series(metrics, lambda name: name.startswith("val_") and "loss" in name)
    training = {name: points for name, points in training.items() if name not in validation}
    axes = _axes([point for points in (training | validation).values() for point in points])
    body = _grid(axes)
    legend: list[tuple[str, str, str]] = []
    for index, (name, points) in enumerate(training.items()):
        colour = COLOURS[index % len(COLOURS)]
        body += _training(axes, _thin(points), colour)
        legend.append((t("training loss") if name == "loss" else name, colour, "line"))
    for index, (name, points) in enumerate(validation.items(), start=len(training)):
        colour = COLOURS[index % len(COLOURS)]
        body += [_dot(axes.x(step), axes.y(loss), colour) for step, loss in _thin(points)]
        legend.append((t("validation loss") if name == "val_loss" else name, colour, "dot"))
    return _document([*body, *_legend(legend)])


def _series(
    metrics: Sequence[Mapping[str, Any]], wanted: Callable[[str], bool]
) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for entry in metrics:
        for name, value in entry.items():
            if wanted(name) and isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append((float(entry["step"]), float(value)))
    return found


def _thin(points: list[Point]) -> list[Point]:
    """At most MOST_POINTS means of neighbours: a long run must not make a large file."""
    size = -(-len(points) // MOST_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(g[-1][0], math.fsum(loss for _, loss in g) / len(g)) for g in groups]


def smooth(points: list[Point]) -> list[Point]:
    """Mean over a fortieth of the points around each one: a trailing mean would lag behind.

    Towards the ends the window shrinks on both sides alike.
    """
    result, half = [], len(points) // 80
    for index, (step, _) in enumerate(points):
        reach = min(half, index, len(points) - 1 - index)
        window = points[index - reach : index + reach + 1]
        result.append((step, math.fsum(loss for _, loss in window) / len(window)))
    return result


def _axes(points: list[Point]) -> Axes:
    steps = [step for step, _ in points] or [0.0]
    losses = [loss for _, loss in points] or [0.0, 1.0]
    low, high = min(losses), max(losses)
    margin = 0.05 * (high - low) or 0.5
    first = min(0.0, *steps)
    return Axes(first=first, last=max(first + 1, *steps), low=low - margin, high=high + margin)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`, at most `most`."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    gap = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    start, end = math.ceil(low / gap - 1e-9), math.floor(high / gap + 1e-9)
    return [number * gap for number in range(start, end + 1)]


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value / 1000:g}k"


def _grid(axes: Axes) -> list[str]:
    """Lines, numbers and names of both axes."""
    bottom, right = HEIGHT_PX - BOTTOM_PX, WIDTH_PX - RIGHT_PX
    parts = []
    for loss in ticks(axes.low, axes.high, 8):
        y = axes.y(loss)
        parts.append(_line(LEFT_PX, y, right, y, GRID))
        parts.append(_text(LEFT_PX - 8, y + 4, _number(loss), "end"))
    for step in ticks(axes.first, axes.last, 8):
        x = axes.x(step)
        parts.append(_line(x, bottom, x, bottom + 5, INK))
        parts.append(_text(x, bottom + 20, _number(step), "middle"))
    parts.append(_line(LEFT_PX, bottom, right, bottom, INK))
    parts.append(_line(LEFT_PX, TOP_PX, LEFT_PX, bottom, INK))
    parts.append(_text((LEFT_PX + right) / 2, HEIGHT_PX - 12, t("step"), "middle"))
    middle = (TOP_PX + bottom) / 2
    label = _text(16, middle, t("loss (nats)"), "middle")
    parts.append(f'<g transform="rotate(-90 16 {middle:.1f})">{label}</g>')
    return parts


def _training(axes: Axes, points: list[Point], colour: str) -> list[str]:
    return [
        _path(axes, points, colour, 'stroke-width="1" stroke-opacity="0.45"'),
        _path(axes, smooth(points), colour, 'stroke-width="2"'),
    ]


def _path(axes: Axes, points: list[Point], colour: str, style: str) -> str:
    places = " ".join(f"{axes.x(step):.1f},{axes.y(loss):.1f}" for step, loss in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" {style}/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}" stroke="#ffffff"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _legend(entries: list[tuple[str, str, str]]) -> list[str]:
    """Names beside their marks, in the corner that a falling curve leaves free."""
    parts, mark = [], WIDTH_PX - RIGHT_PX - 16
    for row, (name, colour, kind) in enumerate(entries):
        y = TOP_PX + 14 + 20 * row
        parts.append(_text(mark - 20, y + 4, name, "end"))
        if kind == "dot":
            parts.append(_dot(mark, y, colour))
        else:
            line = _line(mark - 12, y, mark + 12, y, colour)
            parts.append(line.replace("/>", ' stroke-width="2"/>'))
    return parts or [_text(WIDTH_PX / 2, HEIGHT_PX / 2, t("nothing measured yet"), "middle")]


def _document(body: list[str]) -> str:
    title = escape(t("Losses of a training run"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" '
        f'width="{WIDTH_PX}" height="{HEIGHT_PX}" role="img" font-family="sans-serif" '
        f'font-size="12" fill="{INK}">'
    )
    ground = f'<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" fill="#ffffff"/>'
    return "\n".join([head, f"<title>{title}</title>", ground, *body, "</svg>", ""])
