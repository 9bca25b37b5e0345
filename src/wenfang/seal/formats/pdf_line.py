"""The line of words on a PDF's page: one drawing that pages share, and its measures taken again.

The letters are outlines, so no font is needed where the page is read; over them stands the same
text, invisible, for those who search, copy or listen. A plate of its own colour lies under them.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wenfang.media.contrast import contrast
from wenfang.media.outlines import Box, Command, Outline, outline
from wenfang.seal.formats.legible import INK, PAPER, Colour, hex_colour
from wenfang.seal.formats.pdf_file import PdfFile
from wenfang.seal.formats.pdf_objects import (
    Dictionary,
    Name,
    PdfFault,
    Real,
    Ref,
    Stream,
    number_of,
)
from wenfang.seal.formats.pdf_update import Update

LETTER_POINTS = 8.0  # height of the lowest letter's ink on a page of up to PAGE_POINTS
PAGE_POINTS = 600.0  # short side; the label grows with larger pages
SEPARATOR = " · "  # between words on one line, as in LabelSettings.line
MARGIN_POINTS = 12.0
MAX_DRAWING_BYTES = 1 << 18
_OPERATORS = {"moveTo": "m", "lineTo": "l", "curveTo": "c", "closePath": "h"}
_NUMBER = rb"-?\d{1,7}(?:\.\d{1,8})?"
_PLACED = re.compile(
    rb"(?:Q\s+){1,32}q\s+((?:" + _NUMBER + rb"\s+){6})cm\s+/([A-Za-z0-9]{1,32})\s+Do\s+Q\s*"
)
_FILL = rb"((?:" + _NUMBER + rb"\s+){3})rg\s+"
_DRAWING = re.compile(
    _FILL
    + rb"((?:"
    + _NUMBER
    + rb"\s+){4})re\s+f\s+"
    + _FILL
    + rb"([-\d.mlch\s]+)\sf\s+(BT.*ET)\s*",
    re.DOTALL,
)
_SHOWN = re.compile(rb"<([0-9A-Fa-f]+)> Tj")
_MAPPED = re.compile(rb"<([0-9A-Fa-f]{2})> <([0-9A-Fa-f]{4,8})>")


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """The words as a form, with the size that it takes at scale 1 in points."""

    form: Ref
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A page as it is seen: its crop, turned.

    matrix  from points right of and above the lower left corner as seen, to the page's own
    """

    matrix: tuple[float, float, float, float, float, float]
    width: float
    height: float
    unit: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The label as it is drawn on a page."""

    words: str
    letter_points: float
    contrast: float
    inside: bool


def drawing(update: Update, lines: Sequence[Sequence[str]]) -> Drawing:
    """Add the words as a form XObject: lines of words, centred under each other."""
    rows = [_row(words) for words in lines]
    pad = LETTER_POINTS * 0.55
    width = max(row.width for row in rows) + 2 * pad
    height = sum(row.height for row in rows) + pad * (len(rows) + 1)
    paths, texts, top = list[str](), list[str](), height - pad
    texts_of = [SEPARATOR.join(words) for words in lines]
    font, shown = _font(update, list(zip(texts_of, rows, strict=True)))
    for row, text in zip(rows, shown, strict=True):
        left = (width - row.width) / 2
        paths += _path(row, left, top)
        place = f"1 0 0 1 {_short(left)} {_short(top - row.height)} Tm"
        texts.append(f"{place} <{text.hex()}> Tj")
        top -= row.height + pad
    content = "\n".join(
        [
            f"{_levels(PAPER)} rg 0 0 {_short(width)} {_short(height)} re f",
            f"{_levels(INK)} rg",
            *paths,
            "f",
            f"BT /F {_short(LETTER_POINTS)} Tf 3 Tr",
            *texts,
            "ET",
        ]
    )
    fonts = Dictionary([(b"F", font)])
    head = [
        (b"Type", Name(b"XObject")),
        (b"Subtype", Name(b"Form")),
        (b"BBox", [0, 0, Real(_short(width).encode()), Real(_short(height).encode())]),
        (b"Resources", Dictionary([(b"Font", fonts)])),
    ]
    form = update.add(packed(content.encode(), head))
    return Drawing(form=form, width=width, height=height)


def _row(words: Sequence[str]) -> Outline:
    """Words side by side with a dot between them, centred on the line's height."""
    parts = [outline(word, LETTER_POINTS) for word in words]
    height, gap, dot = max(part.height for part in parts), LETTER_POINTS * 0.6, LETTER_POINTS * 0.15
    commands, glyphs, x = list[Command](), list[Box](), 0.0
    for place, part in enumerate(parts):
        if place:
            box = (x + gap, (height - dot) / 2, x + gap + dot, (height + dot) / 2)
            commands += _square(box)
            glyphs.append(box)
            x += 2 * gap + dot
        placed = part.placed(x, (height - part.height) / 2)
        commands += placed.commands
        glyphs += placed.glyphs
        x += part.width
    return Outline(commands=tuple(commands), width=x, height=height, glyphs=tuple(glyphs))


def _square(box: Box) -> list[Command]:
    left, top, right, bottom = box
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    steps = [Command(verb="lineTo", points=(corner,)) for corner in corners[1:]]
    return [Command(verb="moveTo", points=corners[:1]), *steps, Command(verb="closePath")]


def packed(content: bytes, head: Iterable[tuple[bytes, object]] = ()) -> Stream:
    """A deflated stream."""
    pairs = [*head, (b"Filter", Name(b"FlateDecode"))]
    return Stream(Dictionary(pairs), zlib.compress(content, 9))


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _levels(colour: str) -> str:
    levels = hex_colour(colour) or (0, 0, 0)
    return " ".join(f"{level / 255:.3f}" for level in levels)


def _path(row: Outline, left: float, top: float) -> list[str]:
    """An outline as path operators; y grows upwards here."""
    steps = []
    for step in row.commands:
        numbers = [value for x, y in step.points for value in (left + x, top - y)]
        steps.append(" ".join([*map(_short, numbers), _OPERATORS[step.verb]]))
    return steps


def _font(update: Update, rows: Sequence[tuple[str, Outline]]) -> tuple[Ref, list[bytes]]:
    """A font without ink that gives each letter its width and its character; codes by line."""
    widths, characters, codes = list[float](), list[str](), list[bytes]()
    for line, row in rows:
        first = len(characters) + 1
        widths += _widths(line, row)
        characters += line
        codes.append(bytes(range(first, len(characters) + 1)))
    empty = update.add(Stream(Dictionary(), b"1000 0 d0"))
    glyph = Name(b"blank")
    return update.add(
        Dictionary(
            [
                (b"Type", Name(b"Font")),
                (b"Subtype", Name(b"Type3")),
                (b"FontBBox", [0, 0, 1000, 1000]),
                (b"FontMatrix", [Real(b"0.001"), 0, 0, Real(b"0.001"), 0, 0]),
                (b"CharProcs", Dictionary([(glyph, empty)])),
                (
                    b"Encoding",
                    Dictionary(
                        [
                            (b"Type", Name(b"Encoding")),
                            (b"Differences", [1, *([glyph] * len(characters))]),
                        ]
                    ),
                ),
                (b"FirstChar", 1),
                (b"LastChar", len(characters)),
                (b"Widths", [round(width / LETTER_POINTS * 1000) for width in widths]),
                (b"ToUnicode", update.add(packed(_character_map(characters)))),
                (b"Resources", Dictionary()),
            ]
        )
    ), codes


def _widths(line: str, row: Outline) -> list[float]:
    """Points from the start of each character to that of the next; spaces fill the gaps."""
    boxes, edges, right = iter(row.glyphs), list[float](), 0.0
    for character in line:
        box = None if character.isspace() else next(boxes, None)
        edges.append(right if box is None else box[0])
        right = right if box is None else box[2]
    return [two - one for one, two in pairwise([*edges, row.width])]


def _character_map(characters: Sequence[str]) -> bytes:
    entries = "\n".join(
        f"<{code:02X}> <{character.encode('utf-16-be').hex().upper()}>"
        for code, character in enumerate(characters, 1)
    )
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<00> <FF>\nendcodespacerange\n"
        f"{len(characters)} beginbfchar\n{entries}\nendbfchar\n"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()


def frame(file: PdfFile, page: Dictionary) -> Frame:
    """A page as it is seen; PdfFault where its boxes are not four numbers that span something."""
    media = _rectangle(file, page.get(b"MediaBox")) or (0.0, 0.0, 612.0, 792.0)
    crop = _rectangle(file, page.get(b"CropBox")) or media
    left, low = max(media[0], crop[0]), max(media[1], crop[1])
    right, high = min(media[2], crop[2]), min(media[3], crop[3])
    turn, unit = file.get(page.get(b"Rotate")), file.get(page.get(b"UserUnit"))
    width, height = right - left, high - low
    if not (0 < width < 1e6 and 0 < height < 1e6):
        raise PdfFault("page box")
    quarter = turn // 90 % 4 if isinstance(turn, int) else 0
    matrix = (
        (1.0, 0.0, 0.0, 1.0, left, low),
        (0.0, 1.0, -1.0, 0.0, right, low),
        (-1.0, 0.0, 0.0, -1.0, right, high),
        (0.0, -1.0, 1.0, 0.0, left, high),
    )[quarter]
    if quarter % 2:
        width, height = height, width
    scale = number_of(unit) if unit is not None else 1.0
    return Frame(matrix=matrix, width=width, height=height, unit=scale if scale > 0 else 1.0)


def _rectangle(file: PdfFile, value: object) -> tuple[float, float, float, float] | None:
    edges = file.get(value)
    if edges is None:
        return None
    if not isinstance(edges, list) or len(edges) != 4:
        raise PdfFault("page box")
    a, b, c, d = (number_of(file.get(one)) for one in edges)
    if not all(map(math.isfinite, (a, b, c, d))):
        raise PdfFault("page box")
    return min(a, c), min(b, d), max(a, c), max(b, d)


def scale_on(seen: Frame) -> float:
    """How large the label is on a page, so that it stays legible on large ones."""
    return max(1.0, min(seen.width, seen.height) * seen.unit / PAGE_POINTS) / seen.unit


def placing(seen: Frame, words: Drawing, name: bytes, *, top: bool) -> bytes | None:
    """The content that puts the label on a page, centred at its foot or top; None without room."""
    scale = scale_on(seen)
    width, height, margin = words.width * scale, words.height * scale, MARGIN_POINTS * scale
    if width > seen.width or height > seen.height * 0.5:
        return None
    margin = min(margin, (seen.height - height) / 4)
    x = (seen.width - width) / 2
    y = seen.height - height - margin if top else margin
    a, b, c, d, e, f = seen.matrix
    numbers = (a * scale, b * scale, c * scale, d * scale, a * x + c * y + e, b * x + d * y + f)
    return (
        b"Q\nq "
        + " ".join(f"{one:.4f}" for one in numbers).encode()
        + b" cm /"
        + name
        + (b" Do Q\n")
    )


def look(file: PdfFile, page: Dictionary) -> Seen | None:
    """The label that is drawn last on a page; None if what is drawn last is something else."""
    contents = file.get(page.get(b"Contents"))
    last = file.get(contents[-1]) if isinstance(contents, list) and contents else None
    found = _PLACED.fullmatch(_bounded(file, last).strip())
    if found is None:
        return None
    resources = file.dictionary(page.get(b"Resources"))
    form = file.get(file.dictionary(resources.get(b"XObject")).get(found[2]))
    if not isinstance(form, Stream) or b"OC" in form.dictionary:
        return None
    parts = _DRAWING.fullmatch(_bounded(file, form))
    if parts is None:
        return None
    matrix = _numbers(found[1])
    plate, letters = _numbers(parts[2]), parts[4]
    words, lines = _read(file, form, parts[5])
    scale = math.hypot(matrix[0], matrix[1])
    rows = _heights(letters, plate, lines)
    seen = frame(file, page)
    return Seen(
        words=words,
        letter_points=round(min(rows, default=0.0) * scale * seen.unit, 2),
        contrast=contrast(_colour(parts[3]), _colour(parts[1])),
        inside=_inside(seen, matrix, plate),
    )


def _bounded(file: PdfFile, value: object) -> bytes:
    if not isinstance(value, Stream) or len(value.raw) > MAX_DRAWING_BYTES:
        return b""
    content = file.decoded(value)
    return content if len(content) <= MAX_DRAWING_BYTES else b""


def _numbers(text: bytes) -> list[float]:
    return [float(one) for one in text.split()]


def _colour(text: bytes) -> Colour:
    red, green, blue = (min(255, max(0, round(one * 255))) for one in _numbers(text))
    return red, green, blue


def _heights(letters: bytes, plate: list[float], lines: int) -> list[float]:
    """The height of each line of ink: the paths' extent in equal bands of the plate."""
    ys: list[float] = []
    for step in letters.replace(b"h", b" ").splitlines():
        ys += [float(one) for one in step.split()[1::2] if one not in (b"m", b"l", b"c")]
    band = plate[3] / max(1, lines)
    rows = [[y for y in ys if low * band <= y < (low + 1) * band] for low in range(lines)]
    return [max(row) - min(row) if row else 0.0 for row in rows]


def _read(file: PdfFile, form: Stream, text: bytes) -> tuple[str, int]:
    """The words that a reader of text finds in the form, and the number of lines."""
    fonts = file.dictionary(file.dictionary(form.dictionary.get(b"Resources")).get(b"Font"))
    font = file.dictionary(fonts.get(b"F"))
    mapped = _bounded(file, file.get(font.get(b"ToUnicode")))
    characters = {
        int(code, 16): bytes.fromhex(value.decode()).decode("utf-16-be", "replace")
        for code, value in _MAPPED.findall(mapped)
    }
    shown = [codes for codes in _SHOWN.findall(text) if len(codes) % 2 == 0][:16]
    lines = [
        "".join(characters.get(code, "") for code in bytes.fromhex(codes.decode()))
        for codes in shown
    ]
    return " ".join(lines)[:200], len(lines)


def _inside(seen: Frame, matrix: list[float], plate: list[float]) -> bool:
    """Whether the plate's corners lie on the page."""
    a, b, c, d, e, f = matrix
    p, q, r, s, left, low = seen.matrix
    for x, y in ((plate[0], plate[1]), (plate[0] + plate[2], plate[1] + plate[3])):
        across, up = a * x + c * y + e - left, b * x + d * y + f - low
        right, above = p * across + q * up, r * across + s * up
        if not (-0.5 <= right <= seen.width + 0.5 and -0.5 <= above <= seen.height + 0.5):
            return False
    return True
