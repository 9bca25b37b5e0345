"""A sheet of filled paths: the same drawing as SVG, as PDF and as pixels.

Text becomes paths too, so that no reader needs the font. Lengths are in px from the upper left
corner, y downwards; every path is filled by the nonzero rule.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image

from wenfang.errors import MediaError
from wenfang.media.fonts import Style, Weight, covers, installed
from wenfang.media.outlines import Command, decimal
from wenfang.media.paths import Colour, Path_, Paths
from wenfang.media.svg import read_svg
from wenfang.media.svg_view import render, view_of

# Control points of a quarter circle of radius 1 by one cubic curve (error 0.03 %).
KAPPA = 0.5522847498
# Kerning in em of capital pairs that stand far apart in every roman face.
KERN = {
    **dict.fromkeys(("AV", "AW", "AY", "VA", "WA", "YA", "LT", "LY", "LV", "PA", "TA", "AT"),
                    -0.07),
    **dict.fromkeys(("Va", "Ve", "Vo", "Wa", "We", "Wo", "Ya", "Ye", "Yo", "Ta", "Te", "To", "Tr",
                     "P.", "P,", "T.", "F.", "Fa", "Tu", "Ty"), -0.06),
}  # fmt: skip
# Loaded together: opening a large collection of faces takes half a second.
USUAL = "".join(map(chr, (*range(32, 127), 163, 8211, 8217)))
_OPERATORS = {"moveTo": "m", "lineTo": "l", "curveTo": "c", "closePath": "h"}


@dataclass(frozen=True, kw_only=True)
class Type:
    """How words are set; `tracking` is space between characters in em."""

    size_px: float
    style: Style = "sans"
    weight: Weight = "regular"
    tracking: float = 0.0


@dataclass(kw_only=True)
class Sheet(Paths):
    """Paths and their colours, the first lowest; words become paths too."""

    def words(self, text: str, at: tuple[float, float], how: Type, colour: Colour) -> float:
        """One line from its left end on the baseline; the x at which it ends."""
        path, width = lettering(text, how)
        self.fill(moved(path, *at), colour)
        return at[0] + width

    def picture(self, scale: float = 1.0) -> Image.Image:
        """The drawing in RGB pixels."""
        drawing = read_svg(self.svg().encode(), "poster")
        region = (0.0, 0.0, self.width_px, self.height_px)
        return render(drawing, view_of(drawing), region, scale, seconds=10).convert("RGB")

    def pdf(self, width_points: float) -> bytes:
        """The drawing as a PDF of one page (ISO 32000-1), paths only, without a clock."""
        scale = width_points / self.width_px
        height = self.height_px * scale
        lines = [f"{scale:.6f} 0 0 {-scale:.6f} 0 {height:.4f} cm"]
        for path, colour in self.shapes:
            lines.append(" ".join(f"{level / 255:.4f}" for level in colour) + " rg")
            lines += [_pdf_operator(one) for one in path]
            lines.append("f")
        return _pdf_file("\n".join(lines).encode(), width_points, height)


def _pdf_operator(one: Command) -> str:
    numbers = [f"{decimal(x)} {decimal(y)}" for x, y in one.points]
    return " ".join([*numbers, _OPERATORS[one.verb]])


def _pdf_file(content: bytes, width: float, height: float) -> bytes:
    packed = zlib.compress(content, 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.4f} {height:.4f}] "
        "/Resources << >> /Contents 4 0 R >>".encode(),
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
    ]
    out, places = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, one in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
        + table
        + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, len(out))
    )


def moved(path: Path_, x: float, y: float, scale: float = 1.0) -> Path_:
    """A path at another size and place."""
    return tuple(one.placed(scale, x, y) for one in path)


def polygon(*points: tuple[float, float]) -> Path_:
    """A closed path through points."""
    return (
        Command(verb="moveTo", points=points[:1]),
        *(Command(verb="lineTo", points=(point,)) for point in points[1:]),
        Command(verb="closePath"),
    )


def box(left: float, top: float, width: float, height: float) -> Path_:
    """A rectangle."""
    right, bottom = left + width, top + height
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def sector(x: float, y: float, radius: float, start: int, quarters: int) -> Path_:
    """A pie of 1 to 4 quarters about (x, y); `start` 0 is to the right, and it turns clockwise."""
    steps = [Command(verb="moveTo", points=(_around(x, y, radius, start),))]
    for quarter in range(start, start + quarters):
        (ax, ay), (bx, by) = (_unit(quarter), _unit(quarter + 1))
        inner = (
            (x + radius * (ax + KAPPA * bx), y + radius * (ay + KAPPA * by)),
            (x + radius * (bx + KAPPA * ax), y + radius * (by + KAPPA * ay)),
            (x + radius * bx, y + radius * by),
        )
        steps.append(Command(verb="curveTo", points=inner))
    if quarters < 4:
        steps.append(Command(verb="lineTo", points=((x, y),)))
    return (*steps, Command(verb="closePath"))


def _unit(quarter: int) -> tuple[float, float]:
    return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[quarter % 4]


def _around(x: float, y: float, radius: float, quarter: int) -> tuple[float, float]:
    across, down = _unit(quarter)
    return x + radius * across, y + radius * down


def disc(x: float, y: float, radius: float) -> Path_:
    """A circle."""
    return sector(x, y, radius, 0, 4)


def rounded(left: float, top: float, width: float, height: float, radius: float) -> Path_:
    """A rectangle with round corners."""
    right, bottom, pull = left + width, top + height, radius * (1 - KAPPA)
    corners = (
        ((right - radius, top), (right - pull, top), (right, top + pull), (right, top + radius)),
        ((right, bottom - radius), (right, bottom - pull), (right - pull, bottom),
         (right - radius, bottom)),
        ((left + radius, bottom), (left + pull, bottom), (left, bottom - pull),
         (left, bottom - radius)),
        ((left, top + radius), (left, top + pull), (left + pull, top), (left + radius, top)),
    )  # fmt: skip
    steps = [Command(verb="moveTo", points=((left + radius, top),))]
    for first, *curve in corners:
        steps.append(Command(verb="lineTo", points=(first,)))
        steps.append(Command(verb="curveTo", points=tuple(curve)))
    return (*steps, Command(verb="closePath"))


def regular(x: float, y: float, radius: float, corners: int, inner: float = 0.0) -> Path_:
    """A regular polygon with a corner at the top; with `inner` radius, a star."""
    count = corners * (2 if inner else 1)
    points = []
    for number in range(count):
        reach = inner if inner and number % 2 else radius
        angle = 2 * math.pi * number / count - math.pi / 2
        points.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    return polygon(*points)


@lru_cache(maxsize=1024)
def lettering(text: str, how: Type) -> tuple[Path_, float]:
    """One line as a path whose origin is the left end of its baseline, and its advance in px.

    Every character is of the first font that has it; raises MediaError where none has.
    """
    glyphs = {one: _shape(one, how.style, how.weight) for one in dict.fromkeys(text)}
    steps, x = list[Command](), 0.0
    for place, character in enumerate(text):
        commands, advance = glyphs[character]
        steps += [one.placed(how.size_px, x, 0.0) for one in commands]
        kern = KERN.get(text[place : place + 2], 0.0)
        x += (advance + how.tracking + kern) * how.size_px
    return tuple(steps), x - (how.tracking * how.size_px if text else 0.0)


def _shape(character: str, style: Style, weight: Weight) -> tuple[Path_, float]:
    path, face = _face(character, style, weight)
    return _glyphs(path, face, USUAL if character in USUAL else character)[character]


def width_of(text: str, how: Type) -> float:
    """Advance in px of one line."""
    return lettering(text, how)[1]


@lru_cache(maxsize=4096)
def _face(character: str, style: Style, weight: Weight) -> tuple[Path, int]:
    for path, face in installed(style, weight):
        if covers(path, face.index, character):
            return path, face.index
    raise MediaError(
        "no installed font can draw {characters}; install a wider one "
        "(Debian: fonts-cns11643-kai) or change the text",
        characters=character,
    )


class _Recorder(BasePen):  # type: ignore[misc]  # the library has no types
    """Steps in em, y downwards."""

    def __init__(self, shapes: object, em: float) -> None:
        super().__init__(shapes)
        self.em = em
        self.commands: list[Command] = []

    def _step(self, verb: Any, *points: tuple[float, float]) -> None:
        turned = tuple((x / self.em, -y / self.em) for x, y in points)
        self.commands.append(Command(verb=verb, points=turned))

    def _moveTo(self, pt: tuple[float, float]) -> None:  # noqa: N802 - the library's name
        self._step("moveTo", pt)

    def _lineTo(self, pt: tuple[float, float]) -> None:  # noqa: N802
        self._step("lineTo", pt)

    def _curveToOne(  # noqa: N802
        self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]
    ) -> None:
        self._step("curveTo", pt1, pt2, pt3)

    def _closePath(self) -> None:  # noqa: N802
        self._step("closePath")


@lru_cache(maxsize=1024)
def _glyphs(path: Path, index: int, characters: str) -> Mapping[str, tuple[Path_, float]]:
    """Paths and advances in em of characters of one face."""
    try:
        with TTFont(path, fontNumber=index, lazy=True) as font:
            names, shapes = font.getBestCmap(), font.getGlyphSet()
            em = float(font["head"].unitsPerEm)
            return {one: _glyph(shapes, names.get(ord(one)), em) for one in characters}
    except (OSError, TTLibError, KeyError, AssertionError) as fault:
        raise MediaError(
            "{path} is not a font that can be read; remove it or reinstall its package", path=path
        ) from fault


def _glyph(shapes: Mapping[str, Any], name: str | None, em: float) -> tuple[Path_, float]:
    if name is None:  # a space or a mark that needs no ink
        return (), 0.25
    recorder = _Recorder(shapes, em)
    shapes[name].draw(recorder)
    return tuple(recorder.commands), shapes[name].width / em


def broken(text: str, how: Type, width_px: float) -> list[str]:
    """`text` in lines no wider than `width_px`, as few as can be and then as even as can be.

    A word that is wider by itself stands alone in its line.
    """
    words = text.split()
    best = _greedy(words, how, width_px)
    low, high = max((width_of(word, how) for word in words), default=0.0), width_px
    while high - low > 2.0:
        middle = (low + high) / 2
        found = _greedy(words, how, middle)
        if len(found) <= len(best):
            best, high = found, middle
        else:
            low = middle
    return best


def _greedy(words: Sequence[str], how: Type, width_px: float) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, how) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
