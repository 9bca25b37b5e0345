"""A poster for a venue: a field of shapes, the name, one line, and the facts with small signs.

The sheet is four squares wide. Above stands a motif of such squares, a large one with the sign of
the kind of venue and small ones by chance of the seed; below, on plain ground, the words. The foot
(`quiet_box`) stays free, because a visible label is put there later.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from wenfang.compose.motif import Palette, draw_motif, draw_sign
from wenfang.compose.paper import Colour, stream
from wenfang.compose.shapes import Sheet, Type, box, broken, disc, width_of
from wenfang.errors import MediaError
from wenfang.media.fonts import missing_glyphs

WIDTH, HEIGHT, QUIET = 1240, 1754, 172
MARGIN, TILE = 96, 310
A4_WIDTH_POINTS = 595.276
MEASURE = WIDTH - 2 * MARGIN
MOST_FACTS = 6
WORD_CHARACTERS = 120  # of a name, a line or a fact

EYEBROW = Type(size_px=27, weight="bold", tracking=0.2)
LINE = Type(size_px=41)
LABEL = Type(size_px=19, weight="bold", tracking=0.14)
NAME_SIZES = tuple(range(176, 60, -4))
NAME_HEIGHT, NAME_LEADING = 330, 1.08
VALUE_SIZES = (34, 32, 30, 28)
SIGN = 62  # side of a fact's sign
ROW = 112

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


def compose_poster(text: PosterText, seed: int, palette: str = "") -> Poster:
    """The poster of some words; the same words, seed and palette give the same one.

    raises MediaError for words without ink, too many facts, or a character that no font has
    """
    _require(text)
    chosen = palette_of(seed, palette)
    colours = PALETTES[chosen]
    sheet = Sheet(width_px=WIDTH, height_px=HEIGHT)
    sheet.fill(box(0, 0, WIDTH, HEIGHT), colours.paper)
    name = _fitted_name(text.name)
    lines = broken(text.line, LINE, MEASURE) if text.line else []
    rows = _rows(text.facts)
    foot = HEIGHT - QUIET - 30
    facts_top = foot - len(rows) * ROW
    words = 96 + len(name.lines) * name.size * NAME_LEADING + len(lines) * 54 + 96
    room = (facts_top if rows else foot) - words
    tall = max(1, min(3, int(room // TILE)))
    draw_motif(sheet, colours, text.kind, [fact.slot + ":" + fact.value for fact in text.facts],
               seed, tall)  # fmt: skip
    y = _head(sheet, colours, text.eyebrow, tall * TILE, room - tall * TILE)
    y = _name(sheet, colours, name, y)
    _lines(sheet, colours, lines, y)
    _facts(sheet, colours, rows, facts_top)
    return Poster(sheet=sheet, palette=chosen)


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
    lacking = missing_glyphs("".join(said), "sans")
    if lacking:
        raise MediaError(
            "no installed font can draw {characters}; install a wider one "
            "(Debian: fonts-cns11643-kai) or change the text",
            characters=lacking,
        )


@dataclass(frozen=True, kw_only=True)
class _Name:
    """The name's lines at the largest size at which they fit."""

    lines: list[str]
    size: int

    @property
    def type(self) -> Type:
        return Type(size_px=self.size, style="serif", weight="bold", tracking=-0.012)


def _fitted_name(text: str) -> _Name:
    for size in NAME_SIZES:
        name = _Name(lines=[], size=size)
        lines = broken(text, name.type, MEASURE)
        wide = max(width_of(line, name.type) for line in lines)
        if wide <= MEASURE and len(lines) * size * NAME_LEADING <= NAME_HEIGHT:
            return _Name(lines=lines, size=size)
    # One word longer than the sheet is wide is cut where it must be.
    smallest = _Name(lines=[], size=NAME_SIZES[-1])
    return _Name(lines=_cut(text, smallest.type), size=NAME_SIZES[-1])


def _cut(text: str, how: Type) -> list[str]:
    lines = [""]
    for character in text:
        if width_of(lines[-1] + character, how) > MEASURE:
            lines.append("")
        lines[-1] += character
    return [line.strip() for line in lines]


def _head(sheet: Sheet, colours: Palette, eyebrow: str, top: float, spare: float) -> float:
    """The line of capitals above the name; the y at which the name may begin."""
    y = top + 78 + min(60.0, max(0.0, spare) * 0.4)
    if eyebrow:
        sheet.fill(box(MARGIN, y - 17, 54, 6), colours.bright)
        sheet.words(eyebrow.upper(), (MARGIN + 78, y - 4), EYEBROW, colours.deep)
    return y + 20


def _name(sheet: Sheet, colours: Palette, name: _Name, y: float) -> float:
    for line in name.lines:
        y += name.size * NAME_LEADING * (0.86 if line is name.lines[0] else 1.0)
        # Large letters have air on their left side; they are hung by a fraction of an em.
        sheet.words(line, (MARGIN - 0.03 * name.size, y), name.type, colours.ink)
    return y + name.size * 0.26


def _lines(sheet: Sheet, colours: Palette, lines: list[str], y: float) -> None:
    for number, line in enumerate(lines):
        sheet.words(line, (MARGIN, y + 54 * (number + 1) - 6), LINE, colours.quiet)


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A fact with its value in lines of one size."""

    fact: PosterFact
    lines: list[str]
    size: int


def _rows(facts: tuple[PosterFact, ...]) -> list[list[_Cell]]:
    """Three cells a row, or two where a value is long; all values in one size."""
    if not facts:
        return []
    for across in (3, 2):
        room = MEASURE / across - SIGN - 52
        for size in VALUE_SIZES:
            cells = [_Cell(fact=one, lines=broken(one.value, Type(size_px=size), room), size=size)
                     for one in facts]  # fmt: skip
            most = 1 if across == 3 and size > VALUE_SIZES[2] else 2
            if all(_fits(cell, most, room) for cell in cells):
                return [cells[at : at + across] for at in range(0, len(cells), across)]
    return [cells[at : at + across] for at in range(0, len(cells), across)]


def _fits(cell: _Cell, most: int, room: float) -> bool:
    how = Type(size_px=cell.size)
    return len(cell.lines) <= most and max(width_of(line, how) for line in cell.lines) <= room


def _facts(sheet: Sheet, colours: Palette, rows: list[list[_Cell]], top: float) -> None:
    if not rows:
        return
    sheet.fill(box(MARGIN, top - 34, MEASURE, 2), colours.soft)
    across = 3 if max(map(len, rows)) > 2 else 2
    if len(rows) == 1:
        across = max(2, len(rows[0]))
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            left = MARGIN + column * MEASURE / across
            _fact(sheet, colours, cell, left, top + number * ROW)


def _fact(sheet: Sheet, colours: Palette, cell: _Cell, left: float, top: float) -> None:
    middle = top + ROW / 2 - 12
    sheet.fill(disc(left + SIGN / 2, middle, SIGN / 2), colours.deep)
    draw_sign(sheet, colours, cell.fact.slot, cell.fact.value, (left + SIGN / 2, middle))
    x = left + SIGN + 20
    block = 19 + 10 + len(cell.lines) * cell.size * 1.14
    y = middle - block / 2 + 17
    sheet.words(cell.fact.label.upper(), (x, y), LABEL, colours.quiet)
    for line in cell.lines:
        y += cell.size * 1.14 + (8 if line is cell.lines[0] else 0)
        sheet.words(line, (x, y), Type(size_px=cell.size), colours.ink)


def contrast_pairs(palette: str) -> list[tuple[Colour, Colour]]:
    """Every colour of words, with the ground that it stands on."""
    one = PALETTES[palette]
    return [(one.ink, one.paper), (one.quiet, one.paper), (one.deep, one.paper),
            (one.paper, one.deep)]  # fmt: skip
