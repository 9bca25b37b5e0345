"""SVG: the words as paths in a corner, the metadata label as XMP in `<metadata>`.

The words are outlines, so no font is needed to see them, with a title for screen readers and for a
search. Bytes are only put in between: the drawing itself stays as it was. A small one gets a
footer, for which its view box is made larger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from wenfang.errors import MediaError, SealError
from wenfang.language import keyed, t
from wenfang.seal.formats.contract import (
    Drawn,
    Format,
    Insertion,
    Marking,
    insert,
    visible_layer,
)
from wenfang.seal.formats.xmp import NAMESPACE, xmp_element, xmp_labels
from wenfang.seal.label import parse_label
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from PIL import Image

    from wenfang.media.outlines import Box, Outline
    from wenfang.media.svg import Drawing, Tag
    from wenfang.media.svg_view import View
    from wenfang.seal.picture import Colour, Measured

LIMIT_BYTES = 16 << 20
# A drawing that says no size is shown in any; as small ones are not, its short side counts as this.
UNSIZED_PX = 160.0
SLACK = 1.06  # pixels round a glyph's height down by up to one row in forty
GLYPH_ROWS = 40  # pixel rows of a glyph when it is measured
OVERVIEW_PX = 1200
# Whatever style sheet the drawing has, the label stays as drawn.
_SEEN = "display:inline!important;visibility:visible!important;opacity:1!important;"
_FLAT = (
    "fill-opacity:1!important;fill-rule:nonzero!important;stroke:none!important;"
    "filter:none!important;mask:none!important;clip-path:none!important"
)
_NAME = re.compile(rb"<([^\s/>]+)")


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """The label in px of the picture.

    view   how the drawing is shown; the label's px are those of it
    words  the outlines where they stand
    box    around all of them
    size   of the picture with its label: larger than the view where there is a footer
    left   how far the drawing moves right in it
    """

    form: str
    view: View
    words: tuple[Outline, ...]
    box: Box
    size: tuple[float, float]
    left: float = 0.0

    @property
    def rim(self) -> float:
        """Width of a plate around the words."""
        from wenfang.seal.picture import PAD

        return PAD * min(bottom - top for one in self.words for _, top, _, bottom in one.glyphs)


def _draw(content: object, marking: Marking) -> Drawn:
    from wenfang.media.svg import read_svg
    from wenfang.media.svg_view import view_of
    from wenfang.seal.picture import AIMS

    if not isinstance(content, bytes):
        raise SealError("an SVG to publish is given as the bytes of its file")
    drawing = read_svg(content)
    if drawing.refused:
        raise SealError(
            "the SVG runs or loads something ({what}), so nobody can say what it will show; "
            "take it out or embed it",
            what=drawing.refused,
        )
    view = view_of(drawing, UNSIZED_PX)
    image, scale = _overview(drawing, view)
    placed = _place(image, scale, view, marking.settings.words)
    for aim in AIMS:
        ink, plate = _colours(drawing, placed, image, scale, aim)
        drawn = _insert_label(
            content, drawing, placed, _group(drawing, placed, marking, ink, plate)
        )
        facts = _facts(placed, marking, ink, plate)
        share, found = _measured(drawn.data, facts, seconds=10)
        if found.contrast >= AIMS[0]:
            break
    facts |= {"glyph_share": round(share, 4), "contrast": round(found.contrast, 2)}
    return Drawn(
        data=drawn.data,
        inserted=drawn.inserted,
        visible=facts,
        watermark={"none": keyed("a drawing of lines and areas holds no watermark")},
    )


def _overview(drawing: Drawing, view: View) -> tuple[Image.Image, float]:
    """The whole drawing, text in this machine's fonts, and its pixels for one px."""
    from wenfang.media.svg_view import render

    scale = min(4.0, OVERVIEW_PX / max(view.width, view.height))
    region = (0.0, 0.0, view.width, view.height)
    return render(drawing, view, region, scale, fonts=True, seconds=10), scale


def _place(image: Image.Image, scale: float, view: View, lines: Sequence[str]) -> _Placed:
    """The words side by side in the freest corner, else under each other, else in a footer."""
    from wenfang.seal.picture import (
        GLYPH_SHARE,
        LEGIBLE_PX,
        MARGIN,
        MAX_SHARE_OF_HEIGHT,
        MAX_SHARE_OF_WIDTH,
        freest_corner,
    )

    height = SLACK * max(LEGIBLE_PX, GLYPH_SHARE * min(view.width, view.height))
    small = not view.fixed and view.scale[0] > 1
    for arranged in (("   ".join(lines),), tuple(lines)):
        words, width, high = _set(arranged, height, indent=1.0)
        fits = (
            width <= MAX_SHARE_OF_WIDTH * view.width and high <= MAX_SHARE_OF_HEIGHT * view.height
        )
        if small or not fits:
            continue
        margin = MARGIN * height
        pixels = (max(1, round(width * scale)), max(1, round(high * scale)))
        form, _ = freest_corner([image], pixels, round(margin * scale))
        left = margin if form.endswith("left") else view.width - width - margin
        top = margin if form.startswith("top") else view.height - high - margin
        box = (left, top, left + width, top + high)
        moved = tuple(one.placed(left, top) for one in words)
        return _Placed(form=form, view=view, words=moved, box=box, size=(view.width, view.height))
    return _footer(view, lines)


def _set(lines: Sequence[str], height: float, indent: float) -> tuple[list[Outline], float, float]:
    """Lines under each other from (0, 0), and the width and height of all.

    indent: share of the free width that stands left of a shorter line; 1 is flush right
    """
    from wenfang.media.outlines import outline

    rows = [outline(line, height) for line in lines]
    width, top = max(row.width for row in rows), 0.0
    words = []
    for row in rows:
        words.append(row.placed((width - row.width) * indent, top))
        top += row.height + 0.45 * height
    return words, width, top - 0.45 * height


def _footer(view: View, lines: Sequence[str]) -> _Placed:
    """The words below the drawing, which may make the picture wider too."""
    from wenfang.seal.picture import GLYPH_SHARE, LEGIBLE_PX, MARGIN

    height = SLACK * LEGIBLE_PX
    while True:
        words, width, high = _set(lines, height, indent=0.5)
        margin = MARGIN * height
        size = (max(view.width, width + 2 * margin), view.height + high + 2 * margin)
        needed = SLACK * GLYPH_SHARE * min(size)
        if height >= needed:
            break
        height = 1.01 * needed
    left, top = (size[0] - width) / 2, view.height + margin
    shift = (size[0] - view.width) / 2
    # The drawing stays where its coordinates say, so all is told from its corner.
    return _Placed(
        form="footer",
        view=view,
        words=tuple(one.placed(left - shift, top) for one in words),
        box=(left - shift, top, left - shift + width, top + high),
        size=size,
        left=shift,
    )


def _colours(
    drawing: Drawing, placed: _Placed, image: Image.Image, scale: float, aim: float
) -> tuple[Colour, Colour | None]:
    """Ink and plate; a footer is paper, and what may change under the words gets a plate."""
    from PIL import Image

    from wenfang.seal.picture import PAPER, choose_colours

    if placed.form == "footer":
        return choose_colours([Image.new("RGB", (1, 1), PAPER)], aim, plate=True)
    left, top, right, bottom = placed.box
    rim = placed.rim
    edges = (
        (left - rim) * scale,
        (top - rim) * scale,
        (right + rim) * scale,
        (bottom + rim) * scale,
    )
    x, y = (max(0, min(int(edges[one]), image.size[one] - 1)) for one in (0, 1))
    region = image.crop((x, y, max(x + 1, round(edges[2])), max(y + 1, round(edges[3]))))
    return choose_colours([region], aim, plate=drawing.changing)


def _group(
    drawing: Drawing, placed: _Placed, marking: Marking, ink: Colour, plate: Colour | None
) -> bytes:
    """The label as a group of paths in px, turned into the drawing's units."""
    p, words = drawing.prefix, escape(marking.settings.line)
    view = placed.view
    x, y = view.unit(0.0, 0.0)
    matrix = " ".join(f"{one:.9g}" for one in (1 / view.scale[0], 0, 0, 1 / view.scale[1], x, y))
    grounds = "" if plate is None else "".join(_grounds(p, placed, plate))
    paths = "".join(
        f'<{p}path style="{_SEEN}fill:{_hex(ink)}!important;{_FLAT}" fill="{_hex(ink)}" '
        f'd="{one.path_data}"/>'
        for one in placed.words
    )
    group = (
        f'<{p}g role="img" aria-label="{words}" transform="matrix({matrix})" '
        f'pointer-events="none" style="{_SEEN}filter:none!important">'
        f"<{p}title>{words}</{p}title>{grounds}{paths}</{p}g>\n"
    )
    return group.encode()


def _grounds(p: str, placed: _Placed, plate: Colour) -> list[str]:
    """The plate under the words; for a footer all of the picture that is not the drawing."""
    style = f'style="{_SEEN}fill:{_hex(plate)}!important;{_FLAT}" fill="{_hex(plate)}"'

    def area(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> str:
        numbers = zip(("x", "y", "width", "height", "rx"),
                      (left, top, right - left, bottom - top, radius), strict=True)  # fmt: skip
        sizes = "".join(f' {key}="{one:.6g}"' for key, one in numbers if key != "rx" or one)
        return f"<{p}rect{sizes} {style}/>"

    if placed.form != "footer":
        left, top, right, bottom = placed.box
        rim = placed.rim
        return [area(left - rim, top - rim, right + rim, bottom + rim, rim / 2)]
    width, height = placed.view.width, placed.view.height
    beside, below = placed.left, placed.size[1]
    # One px beyond the edges, so that no seam of half-covered pixels shows.
    areas = [area(-beside - 1, height, width + beside + 1, below + 1)]
    if beside > 0:
        areas.append(area(-beside - 1, -1, 0, height + 1))
        areas.append(area(width, -1, width + beside + 1, height + 1))
    return areas


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _insert_label(data: bytes, drawing: Drawing, placed: _Placed, group: bytes) -> Drawn:
    """The group as the last thing drawn; before it, where needed, the size of the picture."""
    blank, root, name = Drawn(data=data, inserted=(), visible={}), drawing.root, drawing.prefix
    if root.empty:
        drawn = _open(blank, root, group + f"</{name}svg>".encode())
    else:
        drawn = insert(blank, Insertion(offset=drawing.closing, content=group))
    sizes, missing = _sizes(drawing, placed), b""
    for key in sorted(sizes, key=lambda one: -root.values.get(one, (0, 0))[0]):
        value = sizes[key].encode()
        if key in root.values:
            start, end = root.values[key]
            drawn = insert(drawn, Insertion(offset=start, content=value, replaces=end - start))
        else:
            missing += b' %s="%s"' % (key.encode(), value)
    if missing:
        behind_name = root.start + len(f"<{name}svg")
        drawn = insert(drawn, Insertion(offset=behind_name, content=missing))
    return drawn


def _open(drawn: Drawn, tag: Tag, content: bytes) -> Drawn:
    """An element without content, `<a/>`, gets this content and its own end tag."""
    drawn = insert(drawn, Insertion(offset=tag.end, content=content))
    return insert(drawn, Insertion(offset=tag.end - 2, content=b"", replaces=1))


def _sizes(drawing: Drawing, placed: _Placed) -> dict[str, str]:
    """Attributes of the root that must change: for a footer, or where no size was said at all."""
    view, (width, height) = placed.view, placed.size
    said = {"width", "height"} <= drawing.attributes.keys()
    unsized = "viewBox" not in drawing.attributes and not said
    if placed.form != "footer" and not unsized:
        return {}
    x, y = view.unit(-placed.left, 0.0)
    box = (x, y, width / view.scale[0], height / view.scale[1])
    sizes = {"viewBox": " ".join(f"{one:.9g}" for one in box)}
    if view.fixed:
        sizes |= {"width": f"{width:.9g}", "height": f"{height:.9g}"}
    return sizes


def _facts(
    placed: _Placed, marking: Marking, ink: Colour, plate: Colour | None
) -> dict[str, object]:
    """What a reader needs; boxes in the drawing's own units."""
    glyphs = [glyph for one in placed.words for glyph in one.glyphs]
    return {
        "form": placed.form,
        "words": " ".join(marking.settings.words),
        "box": _in_units(placed.view, placed.box),
        "glyphs": [_in_units(placed.view, glyph) for glyph in glyphs],
        "colour": list(ink),
        "plate": plate is not None,
    }


def _in_units(view: View, box: Box) -> list[float]:
    corners = (*view.unit(box[0], box[1]), *view.unit(box[2], box[3]))
    return [float(f"{one:.9g}") for one in corners]


def _measured(data: bytes, recorded: Mapping[str, Any], seconds: int) -> tuple[float, Measured]:
    """Height of the glyphs as share of the short side, and what their pixels show.

    raises MediaError; KeyError, TypeError or ValueError for a record that cannot be used
    """
    from wenfang.media.svg import read_svg
    from wenfang.media.svg_view import render, view_of
    from wenfang.seal.picture import measure_picture

    drawing = read_svg(data)
    view = view_of(drawing, UNSIZED_PX)
    boxes = [_in_px(view, glyph) for glyph in recorded["glyphs"]]
    red, green, blue = (int(level) for level in recorded["colour"])
    low = min(bottom - top for _, top, _, bottom in boxes)
    scale, edge = GLYPH_ROWS / low, low / 4
    left, top = min(one[0] for one in boxes) - edge, min(one[1] for one in boxes) - edge
    width = max(one[2] for one in boxes) + edge - left
    height = max(one[3] for one in boxes) + edge - top
    image = render(drawing, view, (left, top, width, height), scale, seconds=seconds)
    glyphs = [
        (int((a - left) * scale), int((b - top) * scale), -int((left - c) * scale // 1),
         -int((top - d) * scale // 1))
        for a, b, c, d in boxes
    ]  # fmt: skip
    found = measure_picture(image, glyphs, (red, green, blue))
    return found.glyph_height_px / scale / min(view.width, view.height), found


def _in_px(view: View, box: Sequence[float]) -> Box:
    """A recorded box in px; ValueError if it is none or lies outside the picture."""
    a, b, c, d = (float(one) for one in box)
    left, right = ((one - view.origin[0]) * view.scale[0] for one in (a, c))
    top, bottom = ((one - view.origin[1]) * view.scale[1] for one in (b, d))
    inside = -0.01 <= left < right <= view.width * 1.0001 + 0.01
    if not inside or not -0.01 <= top < bottom <= view.height * 1.0001 + 0.01:
        raise ValueError("glyphs")
    return left, top, right, bottom


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    from wenfang.seal.formats.raster import judge_visible

    if not recorded:
        return visible_layer("unknown", t("nothing says where the visible label is"))
    try:
        share, found = _measured(data, recorded, seconds=1)
    except MediaError as error:
        return visible_layer("unknown", str(error))
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
        return visible_layer("unknown", t("the record of the visible label is not readable"))
    return judge_visible(recorded, share, found)


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """The label in the drawing's own metadata element, or in a new one at its start."""
    from wenfang.media.svg import read_svg

    drawing = read_svg(drawn.data)
    element, tag = xmp_element(label), drawing.metadata
    if tag is None:
        whole = f"<{drawing.prefix}metadata>{element}</{drawing.prefix}metadata>"
        return insert(drawn, Insertion(offset=drawing.root.end, content=whole.encode()))
    if not tag.empty:
        return insert(drawn, Insertion(offset=tag.end, content=element.encode()))
    found = _NAME.match(drawn.data, tag.start)
    name = found[1] if found else b"metadata"
    return _open(drawn, tag, element.encode() + b"</" + name + b">")


def _labels(data: bytes) -> list[object]:
    if len(data) > LIMIT_BYTES or b"AIGC" not in data:
        return []
    return [parse_label(text) for text in xmp_labels(data)]


def _strip(data: bytes) -> bytes:
    """The drawing without the AIGC elements and attributes that it brings."""
    from wenfang.media.svg import elements_of

    spans = elements_of(data, NAMESPACE, "AIGC") if b"AIGC" in data else []
    for start, end in sorted(spans, reverse=True):
        data = data[:start] + data[end:]
    return data


def _starts(data: bytes) -> bool:
    """An SVG has no magic: its root element is the first, behind comments and declarations."""
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(b"<"):
        return False
    bare = re.sub(rb"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>\[]*>", b"", head, flags=re.DOTALL).lstrip()
    return re.match(rb"<([A-Za-z_][\w.-]*:)?svg[\s/>]", bare) is not None


SVG = Format(
    name="svg",
    media_type="image/svg+xml",
    suffixes=(".svg",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    starts=_starts,
    strip=_strip,
)
