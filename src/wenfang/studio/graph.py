"""A lineage as a drawing: what a piece came from, layer by layer, sources on the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any
from unicodedata import east_asian_width

from wenfang.language import t
from wenfang.studio.look import FAINT, INK, LINE, PAPER, SEAL, SHEET
from wenfang.studio.naming import node_name

WIDE, HIGH, GAP_X, GAP_Y, EDGE = 168, 44, 40, 14, 8
NAME_CHARACTERS = 20


def lineage_svg(manifests: Sequence[Mapping[str, Any]], asset: str) -> str:
    """An SVG that reads from left to right.

    manifests  records, as `Lineage.to_json` has them
    """
    nodes = {
        str(one["id"]): {**one, "inputs": [str(link["id"]) for link in one["inputs"]]}
        for one in manifests
    }
    depth = _depths(nodes, asset)
    columns: dict[int, list[str]] = {}
    for name in depth:
        columns.setdefault(depth[name], []).append(name)
    deepest = max(columns)
    places: dict[str, tuple[int, int]] = {}
    for level, names in columns.items():
        for row, name in enumerate(names):
            x = EDGE + (deepest - level) * (WIDE + GAP_X)
            places[name] = x, EDGE + row * (HIGH + GAP_Y)
    wide = 2 * EDGE + (deepest + 1) * WIDE + deepest * GAP_X
    high = 2 * EDGE + max(map(len, columns.values())) * (HIGH + GAP_Y) - GAP_Y
    lines = "".join(
        _line(places[source], places[name])
        for name in depth
        for source in nodes.get(name, {}).get("inputs", ())
        if source in places
    )
    boxes = "".join(_box(places[name], nodes.get(name), name == asset) for name in depth)
    label = escape(t("what it was made from"))
    return (
        f'<div class="wf-scroll" tabindex="0"><svg role="img" aria-label="{label}" '
        f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        f'font-family="inherit">{lines}{boxes}</svg></div>'
    )


def _depths(nodes: Mapping[str, Mapping[str, Any]], asset: str) -> dict[str, int]:
    """How many steps lie at most between each node and the asset."""
    depth = {asset: 0}
    waiting = [asset]
    while waiting:
        name = waiting.pop()
        for source in nodes.get(name, {}).get("inputs", ()):
            if depth.get(source, -1) < depth[name] + 1:
                depth[source] = depth[name] + 1
                waiting.append(source)
    return depth


def _line(source: tuple[int, int], target: tuple[int, int]) -> str:
    x, y = source[0] + WIDE, source[1] + HIGH // 2
    end_x, end_y = target[0], target[1] + HIGH // 2
    middle = (x + end_x) // 2
    path = f"M{x} {y}C{middle} {y} {middle} {end_y} {end_x} {end_y}"
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.5"/>'


def _box(place: tuple[int, int], node: Mapping[str, Any] | None, first: bool) -> str:
    x, y = place
    if node is None:
        name, below = t("not in this store"), ""
    else:
        name = str(node["name"])
        below = " · ".join(filter(None, (node_name(str(node["kind"])), node.get("licence"))))
    edge = SEAL if first else LINE
    fill = SHEET if node else PAPER
    return (
        f"<g><title>{escape(name)} {escape(below)}</title>"
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="3" fill="{fill}" '
        f'stroke="{edge}"/>'
        f'<text x="{x + 10}" y="{y + 19}" font-size="14" fill="{INK}">{_short(name)}</text>'
        f'<text x="{x + 10}" y="{y + 35}" font-size="12" fill="{FAINT}">{_short(below)}</text></g>'
    )


def _short(text: str) -> str:
    """As much of a name as its box holds; a Chinese character is as wide as two others."""
    wide = list(accumulate(2 if east_asian_width(one) in "WF" else 1 for one in text))
    if not wide or wide[-1] <= NAME_CHARACTERS:
        return escape(text)
    return escape(text[: sum(one < NAME_CHARACTERS for one in wide)] + "…")
