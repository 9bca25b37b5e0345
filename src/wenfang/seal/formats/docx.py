"""Word documents: a paragraph with the words at the end or the start, and a custom property."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

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

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

HALF_POINTS = 20
LEAST_POINTS = 8.0
_BODY = ("document", "body")
_PARAGRAPH = (*_BODY, "p")
_RUN = (*_PARAGRAPH, "r")
_LOOKS = ("vanish", "webHidden", "sz", "color", "shd")
_EDGE = 3  # the label stands among so many paragraphs at either end


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A paragraph of the body with text: what it says, and the worst of how its runs look.

    points    lowest size; None where no run states one
    contrast  of ink that a run states against its shade or a white page
    """

    text: str
    hidden: bool
    points: float | None
    contrast: float

    @property
    def legible(self) -> bool:
        """Shown, large enough and in a colour that stands out."""
        sized = self.points is None or self.points >= LEAST_POINTS
        return not self.hidden and sized and self.contrast >= CONTRAST


def _paragraph(settings: LabelSettings, namespace: str) -> bytes:
    return (
        f'<w:p xmlns:w="{namespace}"><w:pPr><w:spacing w:before="240" w:after="120"/>'
        '<w:jc w:val="center"/></w:pPr><w:r><w:rPr><w:rFonts w:hint="eastAsia"/>'
        f'<w:vanish w:val="0"/><w:color w:val="{INK}"/><w:sz w:val="{HALF_POINTS}"/>'
        f'<w:szCs w:val="{HALF_POINTS}"/><w:shd w:val="clear" w:color="auto" w:fill="{PAPER}"/>'
        f'</w:rPr><w:t xml:space="preserve">{escape(settings.line)}</w:t></w:r></w:p>'
    ).encode()


def _draw(payload: bytes, marking: Marking) -> Drawn:
    settings = marking.settings
    package = open_package(payload, "docx")
    try:
        name = package.main_part()
        xml = package.read(name)
        marked = spliced(xml, [_edit(xml, settings)])
        data = package.with_parts({name: marked})
        if not any(one.legible and one.text == settings.line for one in _edges(marked)):
            raise BrokenError
    except BrokenError:
        raise broken("docx") from None
    facts: dict[str, object] = {
        "form": "paragraph",
        "words": settings.line,
        "points": HALF_POINTS / 2,
    }
    return Drawn(data=data, inserted=None, visible=facts)


def _edit(xml: bytes, settings: LabelSettings) -> tuple[int, int, bytes]:
    """The paragraph as first thing of the body, or last before the layout of its last section."""
    found = scan(xml, lambda path: path[:2] == _BODY and len(path) <= 3)
    body = next((one for one in found if one.path == _BODY), None)
    if body is None:
        raise BrokenError
    paragraph = _paragraph(settings, body.namespace)
    if settings.position == "start" and body.inside < body.inside_end:
        return body.inside, body.inside, paragraph
    layout = [one for one in found if one.path == (*_BODY, "sectPr")]
    if layout:
        return layout[-1].start, layout[-1].start, paragraph
    return append_to(xml, body, paragraph)


def _wanted(path: tuple[str, ...]) -> bool:
    if path[:3] != _PARAGRAPH:
        return False
    shown = path == (*_RUN, "t") or (path[:-1] == (*_RUN, "rPr") and path[-1] in _LOOKS)
    return path == _PARAGRAPH or shown


def paragraphs(xml: bytes) -> list[Paragraph]:
    """The paragraphs of the body that have text; those in tables and boxes are left out."""
    found: list[Paragraph] = []
    texts, looks = list[str](), list[Element]()
    for one in scan(xml, _wanted):
        if one.name == "t":
            texts.append(one.text)
        elif one.name != "p":
            looks.append(one)
        else:
            text = "".join(texts).strip()
            if text:
                found.append(_seen(text, looks))
            texts, looks = [], []
    return found


def _seen(text: str, looks: list[Element]) -> Paragraph:
    values = [(one.name, one.attributes) for one in looks]
    sizes = [
        int(value["val"]) / 2
        for name, value in values
        if name == "sz" and value.get("val", "").isdecimal() and len(value["val"]) < 6
    ]
    inks = [hex_colour(value.get("val", "")) for name, value in values if name == "color"]
    shades = [hex_colour(value.get("fill", "")) for name, value in values if name == "shd"]
    grounds = [one for one in shades if one is not None] or [(255, 255, 255)]
    pairs = [contrast(ink, ground) for ink in inks if ink is not None for ground in grounds]
    off = ("0", "false", "off")
    return Paragraph(
        text=text,
        hidden=any(
            name in ("vanish", "webHidden") and value.get("val", "1") not in off
            for name, value in values
        ),
        points=min(sizes, default=None),
        contrast=min(pairs, default=21.0),
    )


def _edges(xml: bytes) -> list[Paragraph]:
    """The first and the last paragraphs with text, where a label must stand."""
    found = paragraphs(xml)
    return found if len(found) <= 2 * _EDGE else [*found[:_EDGE], *found[-_EDGE:]]


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    try:
        package = Package.of(data)
        found = [
            one for one in _edges(package.read(package.main_part())) if is_label_line(one.text)
        ]
    except BrokenError:
        return visible_layer("unknown", t("the {name} cannot be read", name="docx"))
    if not found:
        return visible_layer("unlabelled", t("no visible label was found in the text"))
    best = max(found, key=lambda one: (one.legible, one.points or LEAST_POINTS))
    facts = {"words": best.text, "points": best.points, "contrast": round(best.contrast, 2)}
    if not best.legible:
        finding = t("the visible label is hidden, too small or too faint to read")
        return visible_layer("unlabelled", finding, facts)
    return visible_layer("good", t("visible label: {words}", words=best.text), facts)


DOCX = Format(
    name="docx",
    media_type=MEDIA_TYPE,
    suffixes=(".docx",),
    credential="sidecar",
    draw=_draw,
    write=write_property,
    labels=property_labels,
    measure=_measure,
    starts=lambda data: is_package_with(data, "word/"),
    strip=strip_property,
    words=package_words,
)
