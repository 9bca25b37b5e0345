"""Where everything on a card stands: vertical Chinese columns or centred Latin lines.

All lengths are in px at the design width of 1240; the drawing multiplies them by its scale. The
layout knows nothing of paper or ink, and decides without chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wenfang.errors import MediaError
from wenfang.media.draw import Lettering, column_height, line_width, wrap

WIDTH, HEIGHT = 1240, 1754
QUIET = 172
"""Height of the band at the foot that stays free of ink: a visible label stands there."""

TITLE_LIMIT = 30
LINES_LIMIT = 24
SMALLEST_BODY = 30.0
SEAL_SHAPES = ((88.0, 88.0), (72.0, 126.0), (108.0, 108.0), (108.0, 108.0))
"""Width and height of a seal of one, two, three and four characters."""
SIGNATURE_SIZE = 44.0

PAUSES = frozenset("，、；：,;:")
ENDS = frozenset("。！？．.!?")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A line of letters. Vertical: (x, y) is the axis and the top; else the left and baseline."""

    text: str
    x: float
    y: float
    lettering: Lettering
    vertical: bool


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A small mark of punctuation beside a column: a ring at a sentence's end, else a dot."""

    x: float
    y: float
    radius: float
    hollow: bool


@dataclass(frozen=True, kw_only=True)
class Box:
    """A place on the card."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Everything that is placed on a card."""

    runs: tuple[Run, ...]
    stops: tuple[Stop, ...] = ()
    rules_x: tuple[float, ...] = ()
    seal: Box | None = None


@dataclass(frozen=True, kw_only=True)
class Matter:
    """The words to be placed, checked and stripped; an empty string is left out."""

    title: str
    lines: tuple[str, ...]
    signature: str
    date: str
    seal: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The area for text.

    reach: the height that short lines are opened to
    fewest_columns: how many equal columns its rules make at the least (0: no rules)
    """

    left: float = 130.0
    top: float = 236.0
    right: float = 1110.0
    bottom: float = 1496.0
    reach: float = 980.0
    fewest_columns: int = 0


PICTURE_MOST, PICTURE_LEAST, PICTURE_GAP = 340.0, 170.0, 54.0


def picture_box(placed: Layout) -> Box:
    """A square under the columns of text, in their middle and clear of the foot and the seal.

    raises MediaError where the text leaves no room
    """
    size = max(run.lettering.size_px for run in placed.runs)
    text = [run for run in placed.runs if run.lettering.size_px == size]
    top = max(run.y + column_height(run.text, run.lettering) for run in text) + PICTURE_GAP
    middle = (min(run.x for run in text) + max(run.x for run in text)) / 2
    side = min(PICTURE_MOST, HEIGHT - QUIET - PICTURE_GAP / 2 - top)
    if placed.seal:
        side = min(side, 2 * (middle - placed.seal.left - placed.seal.width - PICTURE_GAP / 2))
    if side < PICTURE_LEAST:
        raise MediaError("the text leaves no room for a picture; shorten it or leave that out")
    return Box(left=middle - side / 2, top=top, width=side, height=side)


def check_matter(matter: Matter) -> None:
    """Raise MediaError if there is nothing to set, or more than a card holds."""
    if not matter.lines:
        raise MediaError("a card needs at least one line of text; give lines")
    if len(matter.lines) > LINES_LIMIT:
        raise MediaError(
            "a card holds {most} lines, not {count}; shorten the text or use more cards",
            most=LINES_LIMIT, count=len(matter.lines),
        )  # fmt: skip


def title_columns(title: str) -> list[str]:
    """The title in one column, or halved into two when it is long.

    raises MediaError past TITLE_LIMIT characters
    """
    if len(title) > TITLE_LIMIT:
        raise MediaError(
            "the title has {count} characters, a vertical card holds {most}; shorten it",
            count=len(title), most=TITLE_LIMIT,
        )  # fmt: skip
    if len(title) <= 14:
        return [title] if title else []
    middle = (len(title) + 1) // 2
    # A space near the middle is a better place to break than the middle itself.
    spaces = [at for at, char in enumerate(title) if char in " 　" and abs(at - middle) <= 4]
    cut = min(spaces, key=lambda at: abs(at - middle), default=middle)
    return [title[:cut].strip(), title[cut:].strip()]


def without_stops(line: str) -> tuple[str, list[tuple[int, bool]]]:
    """The line without its stops, and after how many characters each stood (True: an end)."""
    kept, stops = "", []
    for character in line:
        if character in PAUSES | ENDS:
            stops.append((len(kept), character in ENDS))
        else:
            kept += character
    return kept, stops


def tallest(lines: list[str]) -> float:
    """Height of the tallest column in em, without tracking."""
    return max(column_height(line, Lettering(size_px=100)) for line in lines) / 100


def vertical_layout(matter: Matter, frame: Frame, stops: str, body: Lettering) -> Layout:
    """Columns from right to left: title, text, signature with the seal under it.

    stops: "none" | "small" | "full", how punctuation is set
    body: style and weight of the letters; the size follows from the text
    """
    check_matter(matter)
    titles = title_columns(matter.title)
    cut = [without_stops(line) for line in matter.lines]
    lines = list(matter.lines) if stops == "full" else [line for line, _marks in cut]
    signed = bool(matter.signature or matter.date or matter.seal)
    axes, step = _axes(len(titles), len(lines), signed, frame)
    body = _body_lettering(lines, step, frame, body)
    runs = _title_runs(titles, axes, body, frame)
    first = len(titles)
    marks: list[Stop] = []
    for axis, line, (_line, found) in zip(axes[first:], lines, cut, strict=False):
        runs.append(Run(text=line, x=axis, y=frame.top, lettering=body, vertical=True))
        if stops == "small":
            marks += _small_stops(line, found, axis, frame.top, body)
    rules = _rules(axes, step) if frame.fewest_columns else ()
    if not signed:
        return Layout(runs=tuple(runs), stops=tuple(marks), rules_x=rules)
    lowest = frame.top + column_height(max(lines, key=len), body)
    signature, seal = _signature(matter, axes[-1], lowest, frame, body)
    return Layout(
        runs=(*runs, *signature),
        stops=tuple(marks),
        rules_x=rules,
        seal=seal,
    )


def _axes(titles: int, lines: int, signed: bool, frame: Frame) -> tuple[list[float], float]:
    """The x of each column from right to left, and the distance between columns of text."""
    width = frame.right - frame.left
    if frame.fewest_columns:
        count = max(frame.fewest_columns, titles + lines + signed)
        step = width / count
        axes = [frame.right - step * (at + 0.5) for at in range(titles + lines)]
        return ([*axes, frame.left + step / 2] if signed else axes), step
    # Title and signature are small, so they stand a little closer; two titles closer still.
    gaps = [0.62] * (titles - 1) + [0.96] * bool(titles) + [1.0] * (lines - 1) + [0.98] * signed
    step = min(172.0, (width - 120) / max(1.0, sum(gaps)))
    x = WIDTH / 2 + sum(gaps) * step / 2
    axes = [x]
    for gap in gaps:
        x -= gap * step
        axes.append(x)
    return axes, step


def _body_lettering(lines: list[str], step: float, frame: Frame, body: Lettering) -> Lettering:
    """The size that the columns' distance and the frame's height allow, and the space between."""
    ems = tallest(lines)
    longest = max(max(len(line) for line in lines), 1)
    height = frame.bottom - frame.top - 250
    size = min(step * 0.69, height / (ems + 0.12 * (longest - 1)), 120.0)
    if size < SMALLEST_BODY:
        raise MediaError(
            "the text is too long for a card: its letters would be {size_px} px; "
            "shorten or break the longest line",
            size_px=round(size),
        )
    # Short lines are opened so that poems of five and of seven fill the sheet alike.
    room = (frame.reach / size - ems) / max(1, longest - 1)
    # Without rules the columns must stay farther apart than the characters of one column.
    widest = 0.8 if frame.fewest_columns else 0.42
    tracking = min(widest, max(0.12, room))
    return replace(body, size_px=size, tracking=tracking)


def _title_runs(titles: list[str], axes: list[float], body: Lettering, frame: Frame) -> list[Run]:
    """The title's columns, smaller than the text, begun a little lower than it."""
    if not titles:
        return []
    top = frame.top + 0.30 * body.size_px
    room = frame.bottom - top
    size = min(0.62 * body.size_px, 66.0) if len(titles) == 1 else 0.46 * body.size_px
    size = max(size, 26.0)
    tracking = 0.22 if len(titles) == 1 else 0.16
    ems = max(tallest([title]) + tracking * len(title) for title in titles)
    lettering = replace(body, size_px=min(size, room / ems), tracking=tracking)
    if len(titles) == 1:
        return [Run(text=titles[0], x=axes[0], y=top, lettering=lettering, vertical=True)]
    return [
        Run(text=title, x=axis, y=top, lettering=lettering, vertical=True)
        for axis, title in zip(axes, titles, strict=False)
    ]


def _small_stops(
    line: str, found: list[tuple[int, bool]], axis: float, top: float, body: Lettering
) -> list[Stop]:
    """Marks to the lower right of the characters that they follow."""
    marks = []
    for after, is_end in found:
        if after:
            bottom = top + column_height(line[:after], body)
            marks.append(
                Stop(
                    x=axis + 0.58 * body.size_px,
                    y=bottom + 0.01 * body.size_px,
                    radius=(0.085 if is_end else 0.05) * body.size_px,
                    hollow=is_end,
                )
            )
    return marks


def _rules(axes: list[float], step: float) -> tuple[float, ...]:
    """The lines between equal columns over the whole frame, outer borders excluded."""
    first = axes[0] + step / 2
    count = round((first - axes[-1]) / step + 0.5)
    return tuple(first - step * at for at in range(1, count))


def _signature(
    matter: Matter, axis: float, lowest: float, frame: Frame, body: Lettering
) -> tuple[list[Run], Box | None]:
    """Date and name at the lower left, standing on the seal."""
    size = min(SIGNATURE_SIZE, max(32.0, 0.46 * body.size_px))
    bottom = min(frame.bottom, max(lowest + 210, frame.top + 760))
    if frame.fewest_columns:
        bottom = frame.bottom
    seal = seal_box(matter.seal, axis, bottom)
    y = seal.top - 0.62 * size if seal else bottom
    runs: list[Run] = []
    for text, share in ((matter.signature, 1.0), (matter.date, 0.84)):
        if not text:
            continue
        room = y - frame.top
        lettering = replace(body, size_px=size * share, tracking=0.16)
        height = column_height(text, lettering)
        if height > room:
            raise MediaError(
                "the signature and date are too long for a card; shorten {text}", text=text
            )
        runs.append(Run(text=text, x=axis, y=y - height, lettering=lettering, vertical=True))
        y -= height + 0.9 * size
    return runs, seal


def seal_box(characters: str, axis: float, bottom: float) -> Box | None:
    """Where the seal stands: two characters share a tall seal, others a square one."""
    if not characters:
        return None
    width, height = SEAL_SHAPES[min(len(characters), len(SEAL_SHAPES)) - 1]
    return Box(left=axis - width / 2, top=bottom - height, width=width, height=height)


def horizontal_layout(matter: Matter, frame: Frame, body: Lettering) -> Layout:
    """Centred lines from top to bottom: title, text, signature, date, seal."""
    check_matter(matter)
    width = frame.right - frame.left - 80
    room = frame.bottom - frame.top
    seal = seal_box(matter.seal, WIDTH / 2, 0)
    seal_height = seal.height if seal else 0.0
    size = _fitting_size(matter, width, room - seal_height, body)
    rows = _rows(matter, width, size, body)
    height = sum(row[1] for row in rows) + seal_height
    # The optical centre of a sheet lies a little above its middle.
    y = frame.top + max(0.0, (room - height) * 0.42)
    runs = []
    for text, advance, lettering in rows:
        y += advance
        if text:
            left = WIDTH / 2 - line_width(text, lettering) / 2
            runs.append(Run(text=text, x=left, y=y, lettering=lettering, vertical=False))
    return Layout(runs=tuple(runs), seal=seal_box(matter.seal, WIDTH / 2, y + seal_height))


def _rows(
    matter: Matter, width: float, size: float, body: Lettering
) -> list[tuple[str, float, Lettering]]:
    """(text, distance of its baseline from the one before, lettering) of every row."""
    text = replace(body, size_px=size)
    head = replace(body, size_px=size * 1.42, tracking=0.015)
    small = replace(body, size_px=size * 0.76, tracking=0.03)
    rows: list[tuple[str, float, Lettering]] = []
    for row in wrap(matter.title, head, width) if matter.title else []:
        rows.append((row, head.size_px * 1.28, head))
    for number, line in enumerate(matter.lines):
        for turn, row in enumerate(wrap(line, text, width) if line else [""]):
            opening = 2.5 if number == 0 and turn == 0 and rows else 1.0
            lead = size * (1.85 if turn == 0 else 1.32)
            rows.append((row, lead * opening, text))
    for order, row in enumerate(part for part in (matter.signature, matter.date) if part):
        rows.append((row, size * (2.9 if order == 0 else 1.3), small))
    if matter.seal:
        rows.append(("", size * 1.25, text))
    return rows


def _fitting_size(matter: Matter, width: float, room: float, body: Lettering) -> float:
    """The size of letters in px: the largest that needs no line broken, else the largest at all.

    raises MediaError if the text does not fit at SMALLEST_BODY
    """
    widest = max(line_width(line, replace(body, size_px=100)) / 100 for line in matter.lines)
    for size in range(58, 37, -1):
        if widest * size <= width and _fits(matter, width, room, size, body):
            return size
    for size in range(46, int(SMALLEST_BODY) - 1, -2):
        if _fits(matter, width, room, size, body):
            return size
    raise MediaError(
        "the text is too long for a card: it does not fit at {size_px} px; shorten it",
        size_px=round(SMALLEST_BODY),
    )


def _fits(matter: Matter, width: float, room: float, size: float, body: Lettering) -> bool:
    try:
        rows = _rows(matter, width, size, body)
    except MediaError:
        return False
    return sum(advance for _text, advance, _lettering in rows) <= room
