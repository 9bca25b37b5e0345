"""Sealing SVG: words as paths, a label that XML readers find, and drawings that mean harm."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import resvg_py
from PIL import Image, ImageDraw

from wenfang.errors import MediaError, SealError
from wenfang.media.draw import font
from wenfang.media.outlines import outline
from wenfang.seal import LabelSettings
from wenfang.seal.formats import Drawn, Marking, without
from wenfang.seal.formats.svg import SVG
from wenfang.seal.label import new_label

SETTINGS = LabelSettings(watermark=False)
MARKING = Marking(settings=SETTINGS, pointer="0123456789ab")
LABEL = new_label(SETTINGS, "a" * 64)
NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'


def drawing(content: str, attributes: str = 'width="600" height="400"') -> bytes:
    return f"<svg {NAMESPACE} {attributes}>{content}</svg>".encode()


def sealed(content: bytes) -> Drawn:
    assert SVG.write is not None
    return SVG.write(SVG.draw(content, MARKING), LABEL)


def test_an_svg_reader_finds_the_label_in_the_only_metadata_element() -> None:
    for before in ("", "<metadata/>", "<metadata><a xmlns='urn:x'>kept</a></metadata>"):
        done = sealed(drawing(f"{before}<rect width='90' height='90'/>"))
        root = ElementTree.fromstring(done.data)
        space = {"s": "http://www.w3.org/2000/svg", "t": "http://www.tc260.org.cn/ns/AIGC/1.0/"}
        assert len(root.findall("s:metadata", space)) == 1
        found = root.findall("s:metadata//t:AIGC", space)
        assert [json.loads(one.text or "") for one in found] == [LABEL]
        assert ("kept" in done.data.decode()) == ("kept" in before)
        assert SVG.labels(done.data) == [LABEL]


def test_the_label_of_a_drawing_keeps_off_its_subject() -> None:
    subject = "<g stroke='#333'>" + "".join(
        f"<path d='M{400 + 5 * number} 200l40 200'/>" for number in range(40)
    )
    drawn = SVG.draw(drawing(subject + "</g>"), MARKING)
    assert drawn.visible["form"] == "bottom-left"


GROUNDS = {
    "light": "<rect width='100%' height='100%' fill='#fdf6e3'/>",
    "dark": "<rect width='100%' height='100%' fill='#123'/>",
    "middling": "<rect width='100%' height='100%' fill='#777'/>",
    "transparent": "<circle cx='99' cy='99' r='60' fill='#c33'/>",
    "striped": "<pattern id='p' width='9' height='9' patternUnits='userSpaceOnUse'>"
    "<path d='M0 0h5v9h-5z'/></pattern><rect width='100%' height='100%' fill='url(#p)'/>",
}
FRAMES = {
    "plain": 'width="600" height="400"',
    "centimetres": 'width="12cm" height="8cm"',
    "scaled": 'viewBox="0 0 100 80" width="600" height="400"',
    "cut": 'viewBox="0 0 100 80" width="600" height="400" preserveAspectRatio="xMinYMax slice"',
    "stretched": 'viewBox="-9 -9 100 80" width="600" height="300" preserveAspectRatio="none"',
    "proportions": 'viewBox="100 200 3000 2000"',
    "wide": 'viewBox="0 0 60 40" width="100%" fill-rule="evenodd" stroke="red"',
}


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("frame", FRAMES)
def test_the_words_stand_out_in_another_rendering_of_the_drawing(ground: str, frame: str) -> None:
    content = drawing(GROUNDS[ground], FRAMES[frame])
    done = sealed(content)
    assert SVG.measure(done.data, done.visible).status == "good"
    # In the whole picture, rendered on white at 600 px: the label's pixels are those that differ.
    pair = []
    for data in (content, done.data):
        png = resvg_py.svg_to_bytes(
            svg_string=data.decode(), width=600, dpi=96, background="white", skip_system_fonts=True
        )
        pair.append(Image.open(io.BytesIO(png)).convert("L"))
    if done.visible["form"] == "footer":
        assert pair[1].height > pair[0].height
        return
    old, new = (np.asarray(one, np.int16) for one in pair)
    rows = np.flatnonzero((np.abs(old - new) > 60).any(axis=1))
    assert rows[-1] - rows[0] + 1 >= 0.05 * min(new.shape)


@pytest.mark.parametrize("content", [
    drawing("<rect width='9' height='9'/>"),
    drawing("", 'viewBox="0 0 16 16"'),
    f"<svg {NAMESPACE} width='300' height='200'/>".encode(),
    f"<svg {NAMESPACE}><path d='M5 5h700v500z'/></svg >\n<!-- end -->\n".encode(),
    f"\ufeff<?xml version='1.0'?>\r\n<!-- <svg> -->\r\n<svg\n {NAMESPACE}\n></svg>".encode(),
    b'<s:svg xmlns:s="http://www.w3.org/2000/svg" width="16" height="16"><s:metadata/></s:svg>',
])  # fmt: skip
def test_a_drawing_without_its_labels_is_the_payload_again(content: bytes) -> None:
    done = sealed(content)
    assert done.inserted is not None
    assert without(done.data, [span.to_json() for span in done.inserted]) == content
    assert SVG.measure(done.data, done.visible).status == "good"
    assert SVG.starts is not None
    assert SVG.starts(done.data)


def test_screen_readers_and_searches_find_the_words() -> None:
    root = ElementTree.fromstring(sealed(drawing("")).data)
    group = root[-1]
    assert group.get("role") == "img"
    assert group.get("aria-label") == SETTINGS.line
    assert group[0].tag.endswith("title")
    assert group[0].text == SETTINGS.line


def test_a_style_sheet_of_the_drawing_does_not_hide_the_label() -> None:
    sheet = "<style>g{opacity:0;display:none}path,rect{fill:white;stroke:white}</style>"
    done = sealed(drawing(sheet))
    assert SVG.measure(done.data, done.visible).status == "good"


def test_a_hidden_or_covered_label_in_a_drawing_is_seen() -> None:
    done = sealed(drawing(GROUNDS["light"]))
    cover = b"<rect width='100%' height='100%' fill='#fdf6e3'/></svg>"
    for changed in (
        done.data.replace(b"</svg>", cover),
        done.data.replace(b"opacity:1!important", b"opacity:.1!important"),
        re.sub(rb"<g role.*</g>", b"", done.data),
    ):
        assert changed != done.data
        assert SVG.measure(changed, done.visible).status == "unlabelled"


@pytest.mark.parametrize("hostile", [
    "<script>document.documentElement.lastChild.remove()</script>",
    "<g onload='alert(1)'/>",
    "<image href='file:///etc/hostname' width='9' height='9'/>",
    "<use href='https://example.org/a.svg#b'/>",
    "<style>@import url(https://example.org/a.css);</style>",
    "<rect fill='url(https://example.org/a.svg#p)'/>",
    "<rect style='fill:u\\72l(https://example.org/a.svg#p)'/>",
    "<a href='javascript:alert(1)'><rect/></a>",
    "<foreignObject><iframe xmlns='http://www.w3.org/1999/xhtml' src='x'/></foreignObject>",
])  # fmt: skip
def test_a_drawing_that_runs_or_loads_something_is_refused(hostile: str) -> None:
    with pytest.raises(SealError, match="take it out"):
        SVG.draw(drawing(hostile), MARKING)


def test_links_pictures_inside_and_parts_of_itself_are_no_harm() -> None:
    png = "data:image/png;base64,iVBORw0KGgo="
    content = (
        f"<a href='https://example.org'><rect id='r' width='9' height='9'/></a>"
        f"<use href='#r'/><image href='{png}'/><rect fill='url( &quot;#p&quot; )'/>"
    )
    assert SVG.draw(drawing(content), MARKING).visible["form"] == "bottom-right"


LAUGHS = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 9))


@pytest.mark.parametrize("broken", [
    f"<!DOCTYPE svg [<!ENTITY l0 'ha'>{LAUGHS}]><svg {NAMESPACE}><text>&l8;</text></svg>".encode(),
    b"<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><svg>&x;</svg>",
    drawing("<g>" * 5000 + "</g>" * 5000),
    drawing("<g>"),
    drawing("", 'width="0" height="9"'),
    drawing("", 'width="1e300" height="1e300"'),
    drawing("", 'viewBox="0 0 nan 9"'),
    "<svg xmlns='http://www.w3.org/2000/svg'>中</svg>".encode("gb18030"),
    b"<?xml version='1.0' encoding='ISO-8859-1'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    b"<html/>", b"\x1f\x8b\x08", b"", b"\0" * 99,
])  # fmt: skip
def test_a_drawing_that_cannot_be_read_is_refused_in_one_line(broken: bytes) -> None:
    with pytest.raises((SealError, MediaError)) as caught:
        SVG.draw(broken, MARKING)
    assert "\n" not in str(caught.value)
    assert isinstance(SVG.labels(broken), list)
    facts = {"colour": [0, 0, 0], "glyphs": [[1, 1, 9, 9]]}
    assert SVG.measure(broken, facts).status == "unknown"


def test_a_drawing_that_would_render_for_minutes_is_given_up() -> None:
    slow = (
        "<filter id='f'><feTurbulence baseFrequency='.01' numOctaves='100000'/></filter>"
        "<rect filter='url(#f)' width='600' height='400'/>"
    )
    facts = {"colour": [0, 0, 0], "glyphs": [[9, 9, 99, 99]]}
    assert SVG.measure(drawing(slow), facts).status == "unknown"


@pytest.mark.parametrize(("form", "other"), [
    ("<TC260:AIGC>{}</TC260:AIGC>", "<b/>"),
    ("<TC260:AIGC/>", ""),
    ("<a><TC260:AIGC>x<TC260:AIGC>y</TC260:AIGC></TC260:AIGC></a>", "<c TC260:AIGC = '{}'/>"),
])  # fmt: skip
def test_labels_that_a_drawing_brings_are_taken_out(form: str, other: str) -> None:
    space = 'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"'
    content = drawing(f"<metadata {space}>{form}{other}</metadata><rect/>")
    assert SVG.strip is not None
    assert SVG.labels(content)
    bare = SVG.strip(content)
    assert SVG.labels(bare) == []
    assert b"AIGC" not in bare.replace(space.encode(), b"")
    assert b"<rect/>" in bare
    assert SVG.strip(bare) == bare


def test_outlines_have_the_height_asked_for_and_lie_in_their_boxes() -> None:
    line = outline("AI生成", 40)
    assert min(bottom - top for _, top, _, bottom in line.glyphs) == pytest.approx(40)
    points = [point for command in line.commands for point in command.points]
    assert min(x for x, _ in points) >= -0.5
    assert max(x for x, _ in points) <= line.width + 0.5
    assert {command.verb for command in line.commands} <= {
        "moveTo", "lineTo", "curveTo", "closePath",
    }  # fmt: skip
    twice = line.placed(5, 7, 2)
    assert (twice.width, twice.height) == (line.width * 2, line.height * 2)
    with pytest.raises(MediaError):
        outline("  ", 40)


def test_outlines_render_as_the_font_draws_them() -> None:
    line = outline("生成", 200)
    size = f'width="{line.width}" height="{line.height}"'
    svg = f'<svg {NAMESPACE} {size}><path d="{line.path_data}"/></svg>'
    png = resvg_py.svg_to_bytes(svg_string=svg, background="white", skip_system_fonts=True)
    left, top, right, bottom = line.glyphs[0]
    ours = Image.open(io.BytesIO(png)).convert("L")
    ours = ours.crop((round(left), round(top), round(right), round(bottom)))
    face = font(200, "生成", style="sans")
    cell = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(cell).text((30, 0), "生", fill=0, font=face)
    box = cell.point(lambda level: 255 - level).getbbox()
    theirs = cell.crop(box).resize(ours.size)
    difference = np.abs(np.asarray(ours, np.int16) - np.asarray(theirs, np.int16))
    assert difference.mean() < 16
