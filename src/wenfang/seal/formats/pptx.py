"""Presentations: a text box with the words in a corner of every slide, and a custom property."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from wenfang.errors import SealError
from wenfang.language import t
from wenfang.media.contrast import contrast
from wenfang.seal.formats.contract import Drawn, Format, Marking, visible_layer
from wenfang.seal.formats.legible import CONTRAST, INK, PAPER, hex_colour
from wenfang.seal.formats.markup import BrokenError, Element, append_to, scan, spliced
from wenfang.seal.formats.opc import (
    Package,
    broken,
    is_package_with,
    open_package,
    package_words,
    property_labels,
    strip_property,
    write_property,
)
from wenfang.seal.label import LabelSettings, is_label_line
from wenfang.seal.layers import Layer

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
SHARE = 0.05  # of the slide's short side: the letters' size
EMU_PER_POINT = 12_700
MAX_SLIDES = 2_000
_NAME = "AI label"
_TREE = ("sld", "cSld", "spTree")
_SHAPE = (*_TREE, "sp")
_BOX = (*_SHAPE, "spPr")
_BODY = (*_SHAPE, "txBody")
_PARAGRAPH = (*_BODY, "p")
_RUN = (*_PARAGRAPH, "r")

Box = tuple[int, int, int, int]  # left, top, width, height in EMU


@dataclass(frozen=True, kw_only=True)
class Slides:
    """A presentation's slides: names of their parts in order, and their size in EMU."""

    names: tuple[str, ...]
    width: int
    height: int

    @property
    def short_side(self) -> int:
        """The shorter of both sides in EMU."""
        return min(self.width, self.height)


@dataclass(frozen=True, kw_only=True)
class TextBox:
    """A shape with text: where it is, its lowest letters in points, and how it stands out."""

    text: str
    hidden: bool
    box: Box | None
    points: float
    contrast: float


def _slides(package: Package) -> Slides:
    main = package.main_part()
    found = scan(package.read(main), lambda path: path[-1] in ("sldId", "sldSz"))
    size = next((one.attributes for one in found if one.name == "sldSz"), {})
    folder, name = posixpath.split(main)
    targets = {
        one.attributes.get("Id"): package.resolve(main, one.attributes.get("Target", ""))
        for one in package.relations(posixpath.join(folder, "_rels", f"{name}.rels"))
    }
    names = [targets.get(_relation(one)) for one in found if one.name == "sldId"]
    return Slides(
        names=tuple(one for one in names if one is not None and one in package.names),
        width=_whole(size.get("cx")),
        height=_whole(size.get("cy")),
    )


def _relation(slide: Element) -> str:
    """The relationship's number; `id` alone is the slide's own."""
    values = (value for key, value in slide.attributes.items() if key.endswith(" id"))
    return next(values, "")


def _whole(text: str | None) -> int:
    """A whole number of EMU; BrokenError for anything else."""
    try:
        value = int(text or "", 10)
    except ValueError:
        raise BrokenError from None
    if not abs(value) < 1 << 31:
        raise BrokenError
    return value


def _draw(payload: bytes, marking: Marking) -> Drawn:
    settings = marking.settings
    package = open_package(payload, "pptx")
    try:
        slides = _slides(package)
        if not 0 < len(slides.names) <= MAX_SLIDES:
            raise SealError(
                "the pptx to publish has no slide, or more than {count}; the label needs one",
                count=MAX_SLIDES,
            )
        if slides.short_side < 72 * EMU_PER_POINT:
            raise SealError("the slides are under an inch; the label needs larger ones")
        points = math.ceil(SHARE * slides.short_side / EMU_PER_POINT)
        parts = {name: _marked(package.read(name), slides, points, settings)
                 for name in dict.fromkeys(slides.names)}  # fmt: skip
        data = package.with_parts(parts)
    except BrokenError:
        raise broken("pptx") from None
    facts: dict[str, object] = {
        "form": "text box",
        "words": settings.line,
        "slides": len(parts),
        "points": points,
    }
    return Drawn(data=data, inserted=None, visible=facts)


def _marked(xml: bytes, slides: Slides, points: int, settings: LabelSettings) -> bytes:
    """A slide with the label as its topmost shape."""
    found = scan(xml, _placed)
    tree = next((one for one in found if one.path == _TREE), None)
    if tree is None:
        raise BrokenError
    boxes = [box for box in map(_box, _pairs(found)) if box is not None]
    numbers = [one.attributes.get("id", "") for one in found if one.name == "cNvPr"]
    free = max([1, *(int(one) for one in numbers if one.isdecimal() and len(one) < 9)]) + 1
    box = _freest(slides, points, settings, boxes)
    shape = _shape(tree.namespace, free, box, points, settings.line)
    tail = [one for one in found if one.path == (*_TREE, "extLst")]
    if tail:
        return spliced(xml, [(tail[-1].start, tail[-1].start, shape)])
    return spliced(xml, [append_to(xml, tree, shape)])


def _placed(path: tuple[str, ...]) -> bool:
    """What the free place for the label depends on."""
    if path[:3] != _TREE:
        return False
    inside = len(path) <= 7 and path[-1] in ("off", "ext") and path[-2] == "xfrm"
    return path == _TREE or path == (*_TREE, "extLst") or path[-1] == "cNvPr" or inside


def _pairs(found: list[Element]) -> Iterator[tuple[Element, Element]]:
    """(offset, extent) of every shape that states them; that of the tree itself aside."""
    for one, two in pairwise(found):
        if (one.name, two.name) == ("off", "ext") and one.path[3] != "grpSpPr":
            yield one, two


def _box(pair: tuple[Element, Element]) -> Box | None:
    place, extent = pair[0].attributes, pair[1].attributes
    try:
        return (
            _whole(place.get("x")),
            _whole(place.get("y")),
            _whole(extent.get("cx")),
            _whole(extent.get("cy")),
        )
    except BrokenError:
        return None


def _freest(slides: Slides, points: int, settings: LabelSettings, boxes: list[Box]) -> Box:
    """The corner in which the label covers least of the shapes that say where they are."""
    letters = sum(1.05 if ord(one) > 0x2E80 else 0.72 for one in settings.line)
    em = points * EMU_PER_POINT
    width = min(round((letters + 0.8) * em), slides.width)
    height, gap = round(em * 1.5), round(em * 0.4)
    left, right = gap, max(0, slides.width - width - gap)
    top, bottom = gap, max(0, slides.height - height - gap)
    corners = [(right, bottom), (left, bottom), (right, top), (left, top)]
    if settings.position == "start":
        corners = corners[2:] + corners[:2]
    choices = [(x, y, width, height) for x, y in corners]
    return min(choices, key=lambda box: sum(_overlap(box, one) for one in boxes))


def _overlap(one: Box, two: Box) -> int:
    across = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
    down = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    return max(0, across) * max(0, down)


def _shape(namespace: str, number: int, box: Box, points: int, line: str) -> bytes:
    drawing = (
        "http://purl.oclc.org/ooxml/drawingml/main"
        if "purl.oclc.org" in namespace
        else "http://schemas.openxmlformats.org/drawingml/2006/main"
    )
    left, top, width, height = box
    return (
        f'<p:sp xmlns:p="{namespace}" xmlns:a="{drawing}"><p:nvSpPr>'
        f'<p:cNvPr id="{number}" name="{_NAME}" descr="{escape(line)}"/>'
        '<p:cNvSpPr txBox="1"/><p:nvPr userDrawn="1"/></p:nvSpPr><p:spPr>'
        f'<a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{width}" cy="{height}"/></a:xfrm>'
        f'<a:prstGeom prst="rect"><a:avLst/></a:prstGeom>{_fill(PAPER)}</p:spPr>'
        '<p:txBody><a:bodyPr wrap="none" lIns="0" tIns="0" rIns="0" bIns="0" anchor="ctr">'
        '<a:noAutofit/></a:bodyPr><a:lstStyle/><a:p><a:pPr algn="ctr"><a:buNone/></a:pPr>'
        f'<a:r><a:rPr lang="zh-CN" altLang="en-US" sz="{points * 100}">{_fill(INK)}</a:rPr>'
        f"<a:t>{escape(line)}</a:t></a:r></a:p></p:txBody></p:sp>"
    ).encode()


def _fill(colour: str) -> str:
    return f'<a:solidFill><a:srgbClr val="{colour}"/></a:solidFill>'


_SEEN = {
    _SHAPE,
    (*_SHAPE, "nvSpPr", "cNvPr"),
    (*_BOX, "xfrm", "off"),
    (*_BOX, "xfrm", "ext"),
    (*_BOX, "solidFill", "srgbClr"),
    (*_RUN, "rPr"),
    (*_RUN, "rPr", "solidFill", "srgbClr"),
    (*_RUN, "t"),
}


def text_boxes(xml: bytes) -> Iterator[TextBox]:
    """The shapes of a slide that have text and say how large it is; those in groups are left."""
    inside: list[Element] = []
    for one in scan(xml, _SEEN.__contains__):
        if one.path != _SHAPE:
            inside.append(one)
            continue
        found = _text_box(inside)
        inside = []
        if found is not None:
            yield found


def _text_box(inside: list[Element]) -> TextBox | None:
    by_path = {path: [one for one in inside if one.path == path] for path in _SEEN}
    text = "".join(one.text for one in by_path[(*_RUN, "t")]).strip()
    sizes = [one.attributes.get("sz", "") for one in by_path[(*_RUN, "rPr")]]
    if not text or not all(one.isdecimal() and len(one) < 7 for one in sizes):
        return None
    inks = _colours(by_path[(*_RUN, "rPr", "solidFill", "srgbClr")])
    grounds = _colours(by_path[(*_BOX, "solidFill", "srgbClr")])
    pairs = list(_pairs([*by_path[(*_BOX, "xfrm", "off")], *by_path[(*_BOX, "xfrm", "ext")]]))
    names = by_path[(*_SHAPE, "nvSpPr", "cNvPr")]
    return TextBox(
        text=text,
        hidden=any(one.attributes.get("hidden") in ("1", "true") for one in names),
        box=_box(pairs[0]) if pairs else None,
        points=min((int(one) / 100 for one in sizes), default=0.0),
        # Without a plate of its own the ground under a text is not known.
        contrast=min((contrast(a, b) for a in inks for b in grounds), default=1.0),
    )


def _colours(found: list[Element]) -> list[tuple[int, int, int]]:
    colours = (hex_colour(one.attributes.get("val", "")) for one in found)
    return [one for one in colours if one is not None]


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    """The first slide's label; labels on the others are counted."""
    try:
        package = Package.of(data)
        slides = _slides(package)
        if not 0 < len(slides.names) <= MAX_SLIDES or slides.short_side <= 0:
            raise BrokenError
        found = _labels_on(package.read(slides.names[0]))
    except BrokenError:
        return visible_layer("unknown", t("the {name} cannot be read", name="pptx"))
    if not found:
        return visible_layer("unlabelled", t("no visible label was found on the first slide"))
    best = max(found, key=lambda one: (not one.hidden, one.contrast >= CONTRAST, one.points))
    share = best.points * EMU_PER_POINT / slides.short_side
    facts = {
        "words": best.text,
        "points": best.points,
        "share": round(share, 4),
        "contrast": round(best.contrast, 2),
    }
    if best.hidden or share < SHARE or best.contrast < CONTRAST or not _inside(best.box, slides):
        finding = t("the visible label is hidden, too small or too faint to read")
        return visible_layer("unlabelled", finding, facts)
    return visible_layer("good", t("visible label: {words}", words=best.text), facts)


def _labels_on(xml: bytes) -> list[TextBox]:
    return [one for one in text_boxes(xml) if is_label_line(one.text)]


def _inside(box: Box | None, slides: Slides) -> bool:
    """Whether a shape lies on the slide."""
    if box is None:
        return False
    left, top, width, height = box
    across = left >= 0 and left + width <= slides.width
    return across and top >= 0 and top + height <= slides.height


PPTX = Format(
    name="pptx",
    media_type=MEDIA_TYPE,
    suffixes=(".pptx",),
    credential="sidecar",
    draw=_draw,
    write=write_property,
    labels=property_labels,
    measure=_measure,
    starts=lambda data: is_package_with(data, "ppt/"),
    strip=strip_property,
    words=package_words,
)
