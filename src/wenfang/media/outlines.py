"""Text as vector paths, so that words in a drawing need no font where they are read.

The outlines come from an installed font. Lengths are in px of the caller's choosing; the origin is
the upper left corner of the line's ink and y grows downwards, as in SVG (turn it for PDF).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from fontTools.pens.basePen import BasePen
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont, TTLibError

from wenfang.errors import MediaError
from wenfang.media.fonts import Style, covers, installed, missing_glyphs

Verb = Literal["moveTo", "lineTo", "curveTo", "closePath"]
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

SPACING_EM = 0.06  # between characters, as the label on pixels has it
LETTERS: dict[Verb, str] = {"moveTo": "M", "lineTo": "L", "curveTo": "C", "closePath": "Z"}
_RUN = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]+")


@dataclass(frozen=True, kw_only=True)
class Command:
    """One step of a path: a move or line to a point, a cubic curve's three points, or its end."""

    verb: Verb
    points: tuple[Point, ...] = ()

    def placed(self, scale: float, x: float, y: float) -> Command:
        """The step at another size and then moved by (x, y)."""
        points = tuple((scale * a + x, scale * b + y) for a, b in self.points)
        return Command(verb=self.verb, points=points)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One line of text as filled paths (rule: nonzero), and the box of each glyph's ink."""

    commands: tuple[Command, ...]
    width: float
    height: float
    glyphs: tuple[Box, ...]

    def placed(self, x: float, y: float, scale: float = 1.0) -> Outline:
        """The line with its upper left corner at (x, y), `scale` times as large."""
        return Outline(
            commands=tuple(one.placed(scale, x, y) for one in self.commands),
            width=self.width * scale,
            height=self.height * scale,
            glyphs=tuple(
                (a * scale + x, b * scale + y, c * scale + x, d * scale + y)
                for a, b, c, d in self.glyphs
            ),
        )

    @property
    def path_data(self) -> str:
        """The `d` attribute of an SVG path, absolute, to a hundredth of the smallest stroke."""
        digits = 2 if self.height >= 10 else 4
        return "".join(_svg(command, digits) for command in self.commands)


@dataclass(frozen=True, kw_only=True)
class _Glyph:
    """A character in em, y downwards from the baseline; no box for a space."""

    commands: tuple[Command, ...]
    box: Box | None
    advance: float


def _svg(command: Command, digits: int) -> str:
    numbers = (decimal(one, digits) for one in chain.from_iterable(command.points))
    return LETTERS[command.verb] + " ".join(numbers)


def decimal(number: float, digits: int = 2) -> str:
    """Without needless digits."""
    return f"{round(number, digits):.{digits}f}".rstrip("0").rstrip(".")


def outline(text: str, height_px: float, style: Style = "sans") -> Outline:
    """One line of text in which every letter's ink is at least `height_px` high.

    Latin and Chinese runs have each their own size and are centred on the line's height.

    raises DependencyError if no font is installed; MediaError if none has all characters of a run,
    or if the text has no ink
    """
    sets = ((run, _glyphs(run, text, style)) for run in _RUN.findall(text))
    cells = [cell for run, found in sets for cell in _cells(run, found, height_px)]
    boxes = [_scaled(glyph.box, size) for glyph, size in cells if glyph.box is not None]
    if not boxes or height_px <= 0:
        raise MediaError("a text without ink has no outline; give words and a height above 0")
    height = max(bottom - top for _, top, _, bottom in boxes)
    commands, glyphs, x = list[Command](), list[Box](), 0.0
    for glyph, size in cells:
        if glyph.box is not None:
            left, top, right, bottom = _scaled(glyph.box, size)
            y = (height - (bottom - top)) / 2 - top
            commands += [one.placed(size, x, y) for one in glyph.commands]
            glyphs.append((x + left, y + top, x + right, y + bottom))
        x += (glyph.advance + SPACING_EM) * size
    start, end = min(box[0] for box in glyphs), max(box[2] for box in glyphs)
    line = Outline(commands=tuple(commands), width=end - start, height=height, glyphs=tuple(glyphs))
    return line.placed(-start, 0)


def _cells(run: str, found: dict[str, _Glyph], height_px: float) -> Iterator[tuple[_Glyph, float]]:
    """(glyph, size of the em in px) of each character; punctuation may be lower than the height."""
    inked = [(one, found[one].box) for one in run]
    heights = {one: box[3] - box[1] for one, box in inked if box is not None}
    letters = [height for one, height in heights.items() if one.isalnum()] or [*heights.values()]
    size_px = height_px / min(letters) if letters else height_px
    return ((found[one], size_px) for one in run)


def _scaled(box: Box, size: float) -> Box:
    return (box[0] * size, box[1] * size, box[2] * size, box[3] * size)


def _glyphs(run: str, text: str, style: Style) -> dict[str, _Glyph]:
    """The run's characters in one face; with the whole text's if the face has them, to open once.

    raises MediaError if no installed face has all of the run
    """
    for path, face in installed(style):
        if covers(path, face.index, run):
            both = text if covers(path, face.index, text) else run
            return _load(path, face.index, "".join(sorted(set(both))))
    raise MediaError(
        "no installed font can draw {characters}; install a wider one "
        "(Debian: fonts-cns11643-kai) or change the text",
        characters=missing_glyphs(run, style) or run,
    )


class _Recorder(BasePen):  # type: ignore[misc]  # the library has no types
    """Steps in em, y downwards; the base class turns quadratic curves into cubic ones."""

    def __init__(self, shapes: object, em: float) -> None:
        super().__init__(shapes)
        self.em = em
        self.commands: list[Command] = []

    def _step(self, verb: Verb, *points: Point) -> None:
        turned = tuple((x / self.em, -y / self.em) for x, y in points)
        self.commands.append(Command(verb=verb, points=turned))

    def _moveTo(self, pt: Point) -> None:  # noqa: N802 - the library's name, as are the next
        self._step("moveTo", pt)

    def _lineTo(self, pt: Point) -> None:  # noqa: N802
        self._step("lineTo", pt)

    def _curveToOne(self, pt1: Point, pt2: Point, pt3: Point) -> None:  # noqa: N802
        self._step("curveTo", pt1, pt2, pt3)

    def _closePath(self) -> None:  # noqa: N802
        self._step("closePath")


@lru_cache(maxsize=64)
def _load(path: Path, index: int, characters: str) -> dict[str, _Glyph]:
    """Glyphs of one face; opening a Chinese collection takes about half a second."""
    try:
        with TTFont(path, fontNumber=index, lazy=True) as font:
            names, shapes = font.getBestCmap(), font.getGlyphSet()
            em = float(font["head"].unitsPerEm)
            return {one: _glyph(shapes, names.get(ord(one)), em) for one in characters}
    except (OSError, TTLibError, KeyError, AssertionError) as fault:
        raise MediaError(
            "{path} is not a font that can be read; remove it or reinstall its package", path=path
        ) from fault


def _glyph(shapes: Mapping[str, Any], name: str | None, em: float) -> _Glyph:
    """A character's steps and box; one that needs no ink and has no glyph is a narrow space."""
    if name is None:
        return _Glyph(commands=(), box=None, advance=0.25)
    recorder, bounds = _Recorder(shapes, em), BoundsPen(shapes)
    shapes[name].draw(recorder)
    shapes[name].draw(bounds)
    advance = shapes[name].width / em
    if bounds.bounds is None:
        return _Glyph(commands=(), box=None, advance=advance)
    left, low, right, high = (edge / em for edge in bounds.bounds)
    box = (left, -high, right, -low)
    return _Glyph(commands=tuple(recorder.commands), box=box, advance=advance)
