"""A poster for a venue: a field of shapes, the name, one line, and the facts with small signs.

The sheet is four squares wide. Above stands a motif of such squares, a large one with the sign of
the kind of venue and small ones by chance of the seed; below, on plain ground, the words. The foot
(`quiet_box`) stays free, because a visible label is put there later.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image

from wenfang.compose.motif import Palette, draw_motif, draw_sign
from wenfang.compose.paper import Colour, stream
from wenfang.compose.shapes import Sheet, Type, box, broken, disc, width_of
from wenfang.errors import MediaError
from wenfang.media.fonts import missing_glyphs
from wenfang.media.paths import Paths
from wenfang.media.recolour import recoloured
from wenfang.media.traced import traced

WIDTH, HEIGHT, QUIET = 1240, 1754, 172
MARGIN, TILE = 96, 310
MOST_TILES = 3  # rows of squares
HEAD, LINE_STEP, FOOT = 194, 54, 30  # what words leave free about them, in all; below the facts
A4_WIDTH_POINTS = 595.276
MEASURE = WIDTH - 2 * MARGIN
MOST_FACTS = 6
WORD_CHARACTERS = 120  # of a name, a line or a fact

EYEBROW = Type(size_px=27, weight="bold", tracking=0.2)
LINE = Type(size_px=41)
LABEL = Type(size_px=19, weight="bold", tracking=0.14)
NAME_SIZES, CUT_SIZES = tuple(range(176, 60, -4)), tuple(range(120, 40, -4))
NAME_HEIGHTS, NAME_LEADING = (330, 250, 170), 1.08
VALUE_SIZES, VALUE_LEADING = (34, 32, 30, 28), 1.14
# How many cells a row may have, by the number of facts; the best first.
ACROSS = {1: (1,), 2: (2, 1), 3: (3, 2, 1), 4: (2,), 5: (3, 2), 6: (3, 2)}
SIGN = 62  # side of a fact's sign
ROW = 112  # height of a row of facts whose values have one line
# Devanagari to Myanmar, Khmer and Mongolian.
JOINED = (("\u0900", "\u109f"), ("\u1780", "\u18af"))
HAN = "\u2e80"  # from here on, scripts that are divided without a hyphen

PALETTES: dict[str, Palette] = {
    "clay": Palette(paper=(247, 240, 229), ink=(43, 33, 29), deep=(142, 58, 42),
                    bright=(226, 164, 84), soft=(223, 203, 178), quiet=(104, 90, 80)),
    "harbour": Palette(paper=(242, 245, 241), ink=(20, 38, 44), deep=(24, 86, 102),
                       bright=(240, 176, 62), soft=(176, 206, 205), quiet=(78, 96, 100)),
    "moss": Palette(paper=(246, 244, 232), ink=(34, 42, 30), deep=(58, 92, 56),
                    bright=(222, 142, 74), soft=(200, 210, 172), quiet=(88, 98, 78)),
    "plum": Palette(paper=(249, 242, 239), ink=(44, 28, 42), deep=(108, 42, 88),
                    bright=(234, 138, 100), soft=(226, 194, 204), quiet=(106, 84, 100)),
    "night": Palette(paper=(24, 28, 40), ink=(245, 240, 228), deep=(236, 180, 82),
                     bright=(214, 92, 70), soft=(62, 74, 104), quiet=(176, 180, 192)),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PosterFact:
    """A fact to show: its slot (for the sign), a label, and its value as people read it."""

    slot: str
    label: str
    value: str


@dataclass(frozen=True, kw_only=True)
class PosterText:
    """The words of a poster; `kind` is "restaurant", "pub", "coffee shop" or ""."""

    name: str
    eyebrow: str
    line: str
    kind: str = ""
    facts: tuple[PosterFact, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Poster:
    """A finished poster, to be had as pixels and as PDF."""

    sheet: Sheet
    palette: str

    def picture(self) -> Image.Image:
        """RGB pixels, WIDTH x HEIGHT."""
        return self.sheet.picture()

    def pdf(self) -> bytes:
        """A page as wide as A4, paths only."""
        return self.sheet.pdf(A4_WIDTH_POINTS)


def quiet_box() -> tuple[int, int, int, int]:
    """Left, top, right, bottom in px of the band at the foot that holds nothing."""
    return 0, HEIGHT - QUIET, WIDTH, HEIGHT


def palette_of(seed: int, palette: str = "") -> str:
    """The named palette, or one by chance of the seed."""
    names = list(PALETTES)
    return palette or names[int(stream(seed, 60).integers(len(names)))]


@dataclass(frozen=True, kw_only=True)
class PosterPicture:
    """A picture in place of the sign of the kind of venue; `own`: in colours of its own."""

    image: Image.Image
    own: bool = False


def compose_poster(
    text: PosterText, seed: int, palette: str = "", picture: PosterPicture | None = None
) -> Poster:
    """The poster of some words; the same words, seed, palette and picture give the same one.

    picture  is traced to paths, and brought to the palette's colours unless it keeps its own
    raises   MediaError for words without ink, too many facts, or a character that no font has
    """
    _require(text)
    chosen = palette_of(seed, palette)
    colours = PALETTES[chosen]
    sheet = Sheet(width_px=WIDTH, height_px=HEIGHT)
    sheet.fill(box(0, 0, WIDTH, HEIGHT), colours.paper)
    lines = _cut(text.line, LINE, MEASURE) if text.line else []
    rows = _rows(text.facts)
    facts_top = HEIGHT - QUIET - FOOT - sum(row.height for row in rows)
    above = facts_top - HEAD - len(lines) * LINE_STEP
    name, tall = _name_and_field(text.name, above)
    spare = above - name.height - tall * TILE
    sign = _drawing(picture, colours) if picture else text.kind
    draw_motif(sheet, colours, sign, [fact.slot + ":" + fact.value for fact in text.facts],
               seed, tall)  # fmt: skip
    y = _head(sheet, colours, text.eyebrow, tall * TILE, spare)
    y = _name(sheet, colours, name, y)
    _lines(sheet, colours, lines, y)
    _facts(sheet, colours, rows, facts_top)
    return Poster(sheet=sheet, palette=chosen)


def _drawing(picture: PosterPicture, colours: Palette) -> Paths:
    palette = (colours.deep, colours.bright, colours.paper)
    return traced(picture.image if picture.own else recoloured(picture.image, palette))


def _name_and_field(text: str, room: float) -> tuple[_Name, int]:
    """The name and the field's rows of squares; a smaller name, where it makes room for two."""
    for height in NAME_HEIGHTS:
        name = _fitted_name(text, height)
        rows = int((room - name.height) // TILE)
        if rows > 1:
            return name, min(rows, MOST_TILES)
    return _fitted_name(text, NAME_HEIGHTS[0]), 1


def _require(text: PosterText) -> None:
    said = [text.name, text.eyebrow, text.line]
    said += [part for fact in text.facts for part in (fact.label, fact.value)]
    if not text.name.strip() or len(text.facts) > MOST_FACTS:
        raise MediaError("a poster holds a name and up to {most} facts", most=MOST_FACTS)
    longest = max(said, key=len)
    if len(longest) > WORD_CHARACTERS:
        raise MediaError(
            "{name} has {count} characters; at most {most} fit",
            name=longest[:30], count=len(longest), most=WORD_CHARACTERS,
        )  # fmt: skip
    require_letters("".join(said))


def require_letters(text: str) -> None:
    """Raise MediaError for characters that no font has, or that need more than being put in a row.

    Arabic, Hebrew and the scripts of South and South-East Asia join, turn or stack their letters.
    """
    joined = "".join(dict.fromkeys(one for one in text if _is_joined(one)))
    if joined:
        raise MediaError(
            "a poster cannot set {characters}: letters that join or run from right to left; "
            "write them in others",
            characters=joined,
        )
    lacking = missing_glyphs(text, "sans")
    if lacking:
        raise MediaError(
            "no installed font can draw {characters}; install a wider one "
            "(Debian: fonts-cns11643-kai) or change the text",
            characters=lacking,
        )


def _is_joined(character: str) -> bool:
    leftwards = unicodedata.bidirectional(character) in ("R", "AL", "AN")
    return leftwards or any(first <= character <= last for first, last in JOINED)


@dataclass(frozen=True, kw_only=True)
class _Name:
    """The name's lines at the largest size at which they fit."""

    lines: list[str]
    size: int

    @property
    def type(self) -> Type:
        return Type(size_px=self.size, style="serif", weight="bold", tracking=-0.012)

    @property
    def height(self) -> float:
        return len(self.lines) * self.size * NAME_LEADING

    def fits(self, height: float) -> bool:
        wide = max(width_of(line, self.type) for line in self.lines)
        return wide <= MEASURE and self.height <= height


def _fitted_name(text: str, height: float) -> _Name:
    """Whole words down to the smallest size; a word that is wider even so is cut."""
    for size in NAME_SIZES:
        how = _Name(lines=[], size=size).type
        name = _Name(lines=broken(text, how, MEASURE), size=size)
        if name.fits(height):
            return name
    for size in CUT_SIZES:
        how = _Name(lines=[], size=size).type
        name = _Name(lines=_cut(text, how, MEASURE), size=size)
        if name.fits(height):
            break
    return name


def _cut(text: str, how: Type, room: float) -> list[str]:
    """`text` in lines no wider than `room`; words that are wider are divided, evenly."""
    parts = [part for word in text.split() for part in _parts(word, how, room)]
    return broken(" ".join(parts), how, room)


def _parts(word: str, how: Type, room: float) -> list[str]:
    """A word in the fewest even parts that fit, with hyphens between letters that are no Han."""
    for count in range(1, len(word) + 1):
        ends = [round(len(word) * number / count) for number in range(count + 1)]
        parts = [
            word[first:last] + _hyphen(word[last - 1 : last + 1]) for first, last in pairwise(ends)
        ]
        if all(width_of(part, how) <= room for part in parts):
            break
    return parts


def _hyphen(pair: str) -> str:
    """What stands at the end of a line that ends between the two characters of `pair`."""
    latin = len(pair) == 2 and pair.isalpha() and max(pair) < HAN
    return "-" if latin else ""


def _head(sheet: Sheet, colours: Palette, eyebrow: str, top: float, spare: float) -> float:
    """The line of capitals above the name; the y at which the name may begin."""
    y = top + 78 + min(130.0, max(0.0, spare) * 0.45)
    if eyebrow:
        sheet.fill(box(MARGIN, y - 17, 54, 6), colours.bright)
        sheet.words(eyebrow.upper(), (MARGIN + 78, y - 4), EYEBROW, colours.deep)
    return y + 20


def _name(sheet: Sheet, colours: Palette, name: _Name, y: float) -> float:
    for number, line in enumerate(name.lines):
        y += name.size * NAME_LEADING * (1.0 if number else 0.86)
        # Large letters have air on their left side; they are hung by a fraction of an em.
        sheet.words(line, (MARGIN - 0.03 * name.size, y), name.type, colours.ink)
    return y + name.size * 0.26


def _lines(sheet: Sheet, colours: Palette, lines: list[str], y: float) -> None:
    for number, line in enumerate(lines):
        sheet.words(line, (MARGIN, y + LINE_STEP * (number + 1) + 2), LINE, colours.quiet)


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A fact with its left edge and its value in lines of one size."""

    fact: PosterFact
    left: float
    lines: list[str]
    size: int


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Cells side by side; their labels stand on one line."""

    cells: list[_Cell]

    @property
    def height(self) -> float:
        most = max(len(cell.lines) for cell in self.cells)
        return ROW + (most - 1) * self.cells[0].size * VALUE_LEADING


def _rows(facts: tuple[PosterFact, ...]) -> list[_Row]:
    """As many cells a row as their values allow; all values in one size.

    One line each, if it can be; else two; else as many as the longest takes, its words cut.
    """
    if not facts:
        return []
    ways = [
        (across, size, lines)
        for lines in (1, 2)
        for across in ACROSS[len(facts)]
        for size in (VALUE_SIZES if lines == 1 else VALUE_SIZES[2:])
    ]
    for across, size, lines in ways:
        cells = _cells(facts, across, size, broken)
        if all(_fits(cell, lines, _room(across)) for cell in cells):
            break
    else:
        across = ACROSS[len(facts)][-1]
        cells = _cells(facts, across, VALUE_SIZES[-1], _cut)
    return [_Row(cells=cells[at : at + across]) for at in range(0, len(cells), across)]


Break = Callable[[str, Type, float], list[str]]


def _cells(facts: tuple[PosterFact, ...], across: int, size: int, in_lines: Break) -> list[_Cell]:
    how, room = Type(size_px=size), _room(across)
    return [
        _Cell(
            fact=fact,
            left=MARGIN + number % across * MEASURE / across,
            lines=in_lines(fact.value, how, room),
            size=size,
        )
        for number, fact in enumerate(facts)
    ]


def _room(across: int) -> float:
    """Width for a value of one of `across` cells in a row."""
    return MEASURE / across - SIGN - 20 - (32 if across > 1 else 0)


def _fits(cell: _Cell, most: int, room: float) -> bool:
    how = Type(size_px=cell.size)
    return len(cell.lines) <= most and max(width_of(line, how) for line in cell.lines) <= room


def _facts(sheet: Sheet, colours: Palette, rows: list[_Row], top: float) -> None:
    if rows:
        sheet.fill(box(MARGIN, top - 34, MEASURE, 2), colours.soft)
    for row in rows:
        for cell in row.cells:
            _fact(sheet, colours, cell, top)
        top += row.height


def _fact(sheet: Sheet, colours: Palette, cell: _Cell, top: float) -> None:
    """The sign stands beside the label and the first line of the value."""
    middle = top + ROW / 2 - 12
    sheet.fill(disc(cell.left + SIGN / 2, middle, SIGN / 2), colours.deep)
    draw_sign(sheet, colours, cell.fact.slot, cell.fact.value, (cell.left + SIGN / 2, middle))
    x = cell.left + SIGN + 20
    y = middle - (29 + cell.size * VALUE_LEADING) / 2 + 17
    sheet.words(cell.fact.label.upper(), (x, y), LABEL, colours.quiet)
    y += 8
    for line in cell.lines:
        y += cell.size * VALUE_LEADING
        sheet.words(line, (x, y), Type(size_px=cell.size), colours.ink)


def contrast_pairs(palette: str) -> list[tuple[Colour, Colour]]:
    """Every colour of words, with the ground that it stands on."""
    one = PALETTES[palette]
    return [(one.ink, one.paper), (one.quiet, one.paper), (one.deep, one.paper),
            (one.paper, one.deep)]  # fmt: skip
