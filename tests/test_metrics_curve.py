"""The loss curve: valid SVG, everything inside, axes that can be read."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from wenfang.metrics.curve import HEIGHT_PX, WIDTH_PX, loss_curve_svg, smooth, ticks

RUN: list[dict[str, Any]] = [
    {"step": step, "loss": 2 + 4 * math.exp(-step / 60) + 0.2 * math.sin(step * 1.7), "per_s": 9e5}
    for step in range(10, 510, 10)
] + [{"step": step, "val_loss": 2.3 + 4 * math.exp(-step / 60)} for step in (250, 500)]
NAME = "{http://www.w3.org/2000/svg}"


def drawn(metrics: list[dict[str, Any]]) -> ElementTree.Element:
    return ElementTree.fromstring(loss_curve_svg(metrics))


def words(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{NAME}text")]


@pytest.mark.parametrize(
    "metrics",
    [
        RUN,
        [],
        RUN[:1],
        [{"step": 5, "val_loss": 1.5}],
        [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 3.0}],
        [{"step": 1, "loss": math.nan}, {"step": 2, "loss": math.inf}],
        [{"step": 1, "loss": -3e6}, {"step": 9_000_000, "loss": 1e-9}],
        [{"step": 1, "a<b_loss": 1.0, "val_loss": 2.0}],
    ],
)
def test_everything_is_drawn_inside_the_picture(metrics: list[dict[str, Any]]) -> None:
    root = drawn(metrics)
    numbers = [
        float(n) for e in root.iter(f"{NAME}polyline") for n in re.split("[ ,]", e.attrib["points"])
    ]
    places = list(zip(numbers[::2], numbers[1::2], strict=True))
    places += [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter(f"{NAME}circle")]
    places += [(float(e.attrib["x"]), float(e.attrib["y"])) for e in root.iter(f"{NAME}text")]
    assert places
    assert all(0 <= x <= WIDTH_PX and 0 <= y <= HEIGHT_PX for x, y in places)


def test_training_is_a_light_line_and_a_smoothed_one_and_validation_points() -> None:
    root = drawn(RUN)
    light, smoothed = list(root.iter(f"{NAME}polyline"))
    assert light.attrib["stroke-opacity"] == "0.45"
    assert len(light.attrib["points"].split()) == len(smoothed.attrib["points"].split()) == 50
    assert len(list(root.iter(f"{NAME}circle"))) == 2 + 1  # and the legend's mark


def test_axes_and_legend_are_named() -> None:
    said = words(drawn(RUN))
    assert {"step", "loss (nats)", "training loss", "validation loss"} <= set(said)
    assert {"0", "100", "500", "2", "5"} <= set(said)
    assert "per_s" not in said


def test_a_lower_loss_is_drawn_lower_and_a_later_step_further_right() -> None:
    root = drawn([{"step": 10, "val_loss": 3.0}, {"step": 20, "val_loss": 1.0}])
    first, second, _ = [
        (float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter(f"{NAME}circle")
    ]
    assert second[0] > first[0]
    assert second[1] > first[1]


def test_a_run_of_two_phases_has_a_line_for_each() -> None:
    root = drawn([{"step": step, "maker_loss": 1.0, "judge_loss": 2.0} for step in (1, 2, 3)])
    assert len(list(root.iter(f"{NAME}polyline"))) == 4
    assert {"maker_loss", "judge_loss"} <= set(words(root))


def test_a_long_run_makes_no_large_file() -> None:
    assert len(loss_curve_svg([{"step": n, "loss": 1 / (n + 1)} for n in range(50_000)])) < 60_000


def test_smoothing_keeps_a_slope_and_calms_noise() -> None:
    slope = [(float(n), 0.5 * n) for n in range(200)]
    assert smooth(slope) == slope
    calm = smooth([(float(n), float(n % 2)) for n in range(400)])
    assert max(abs(loss - 0.5) for _, loss in calm[20:-20]) < 0.1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 500, [0, 100, 200, 300, 400, 500]),
        (1.4, 6.1, [2, 3, 4, 5, 6]),
        (0.0, 0.7, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(
    low: float, high: float, expected: list[float]
) -> None:
    assert ticks(low, high, 8) == pytest.approx(expected)
