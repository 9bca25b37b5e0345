"""A venue's advertisement as shots in flat colours: the name, three facts, and where to come.

Words are set large, a shot at a time, in the colours of one palette; every shot has another ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from wenfang.compose.brand import mixed
from wenfang.compose.film import Ink, Inset, Layer, Screen, Shot, Sticker, Still, View
from wenfang.compose.motif import TILE, Palette, draw_motif, draw_sign
from wenfang.compose.paper import Colour
from wenfang.compose.shapes import Sheet, disc
from wenfang.errors import MediaError
from wenfang.media.draw import Lettering, draw_horizontal, ink_box, line_width, wrap
from wenfang.media.fonts import Style, Weight
from wenfang.media.image import resize
from wenfang.media.paths import Paths

DISSOLVE_S, COME_S, OUT_S = 0.3, 0.5, 0.5
MOTIF_ROWS = {False: 3, True: 2}  # of squares, on a screen that lies or stands
FINE = 4
LEADING, BOLD_LEADING = 1.3, 1.12
SMALLEST = 0.3  # of the size that words are asked to have


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What one shot shows, and until when in the film.

    kind   hook, fact or call
    small  above: the kind of venue, a fact's label
    large  the name, a fact's value
    line   below, in smaller letters
    slot   of a fact, for its sign
    """

    kind: str
    large: str
    end_s: float
    small: str = ""
    line: str = ""
    slot: str = ""
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Brand:
    """How it looks: colours, the sign of the kind of venue or a drawing, and chance."""

    palette: Palette
    sign: str | Paths
    told: tuple[str, ...]
    seed: int


def venue_shots(moments: Sequence[Moment], brand: Brand, screen: Screen) -> list[Shot]:
    """A shot for each moment; the last fades out."""
    shots = []
    begun = 0.0
    for number, one in enumerate(moments):
        last = number == len(moments) - 1
        over = 0.0 if last else DISSOLVE_S
        seconds = one.end_s - begun + over
        layers = _DRAWN[one.kind](one, brand, screen, number)
        if last:
            layers.append(_out(brand.palette.ink, screen, seconds))
        shots.append(Shot(layers=tuple(layers), duration_s=seconds, dissolve_s=over))
        begun = one.end_s
    return shots


def _hook(one: Moment, brand: Brand, screen: Screen, number: int) -> list[Layer]:
    """The motif at one side, and beside it kind, name and line."""
    colours, tall = brand.palette, screen.height_px >= screen.width_px
    motif = _motif(brand, tall)
    width, height = screen.size
    panel = (width, 2 * round(width / 4)) if tall else (2 * round(height / 3), height)
    grown = resize(motif, round(panel[0] * 1.15), round(panel[1] * 1.15))
    moving = Still(image=grown, begins=View(zoom=1.12), ends=View(zoom=1.0), duration_s=4.0)
    layers: list[Layer] = [
        Still(image=Image.new("RGB", screen.size, colours.paper)),
        Inset(layer=moving, box=(0, 0, *panel), fade_s=0.0),
    ]
    margin = screen.short_px * 0.085
    left = margin + (0.0 if tall else float(panel[0]))
    room = width - left - margin
    small = _Set(size=screen.short_px * 0.036, weight="bold", tracking=0.2)
    name = _Set(size=screen.short_px * 0.17, style="serif", weight="bold", most=4)
    line = _Set(size=screen.short_px * 0.058, most=4)
    # A label may stand at any edge: a fifth of the height stays free of words.
    free = height * (0.8 if not tall else 0.86) - (panel[1] if tall else 0.0)
    while (tallness := _hook_height(one, (small, name, line), room)) > free:
        name = replace(name, size=name.size * 0.94)
    top = (height - tallness) / 2 if not tall else panel[1] + (free - tallness) / 2 + margin / 2
    layers += _bar(colours.bright, (left, top + small.size * 0.45), screen, 0.15)
    x = left + screen.short_px * 0.11 if one.small else left
    found, _ = _words(one.small.upper(), (x, top), room, small, colours.deep, 0.25)
    layers += found
    top += small.size * 2.2
    found, low = _words(one.large, (left, top), room, name, colours.ink, 0.4)
    layers += found
    found, _ = _words(one.line, (left, low + line.size * 0.6), room, line, colours.quiet, 0.8)
    return layers + found


def _hook_height(one: Moment, how: tuple[_Set, _Set, _Set], room: float) -> float:
    """How high kind, name and line stand together."""
    small, name, line = how
    fitted, lines = _fitted(one.large, name, room)
    tallness = small.size * 2.2 + len(lines) * fitted.size * BOLD_LEADING
    if one.line:
        below, more = _fitted(one.line, line, room)
        tallness += line.size * 0.6 + len(more) * below.size * LEADING
    return tallness


def _fact(one: Moment, brand: Brand, screen: Screen, number: int) -> list[Layer]:
    """A fact's sign, large, with its label and its value."""
    colours, tall = brand.palette, screen.height_px >= screen.width_px
    width, height = screen.size
    grounds = (
        (colours.deep, colours.paper, colours.paper),
        (colours.soft, colours.ink, colours.deep),
        (colours.paper, colours.ink, colours.deep),
    )
    ground, words, small_words = grounds[(number - 1) % 3]
    dark = ground == colours.deep
    side = round(screen.short_px * (0.46 if tall else 0.5))
    centre = (width * 0.5, height * 0.3) if tall else (width * 0.26, height * 0.5)
    sign = _sign(one, colours, side, dark)
    place = (round(centre[0] - side / 2), round(centre[1] - side / 2))
    layers: list[Layer] = [
        _ground(ground, words, screen, number),
        Sticker(image=sign, at=place, start_s=0.05, fade_s=0.35),
    ]
    margin = screen.short_px * 0.085
    left = margin if tall else width * 0.47
    room = width - left - margin
    label = _Set(size=screen.short_px * 0.04, weight="bold", tracking=0.16, centred=tall)
    value = _Set(size=screen.short_px * 0.125, weight="bold", most=3, centred=tall)
    fitted, lines = _fitted(one.large, value, room)
    tallness = len(lines) * fitted.size * 1.2 + label.size * 2.2
    top = height * 0.56 if tall else (height - tallness) / 2
    found, low = _words(one.small.upper(), (left, top), room, label, small_words, 0.15)
    layers += found
    found, _ = _words(one.large, (left, low + label.size * 0.8), room, value, words, 0.3)
    return layers + found


def _call(one: Moment, brand: Brand, screen: Screen, number: int) -> list[Layer]:
    """What to do, the name, and where: light on the deep colour."""
    colours = brand.palette
    width, height = screen.size
    margin = screen.short_px * 0.1
    room = width - 2 * margin
    small = _Set(size=screen.short_px * 0.06, centred=True, most=2)
    name = _Set(size=screen.short_px * 0.17, style="serif", weight="bold", most=4, centred=True)
    fitted, lines = _fitted(one.large, name, room)
    tallness = len(lines) * fitted.size * 1.15 + 4.2 * small.size
    top = (height - tallness) / 2
    layers: list[Layer] = [_ground(colours.deep, colours.paper, screen, number)]
    found, low = _words(one.small, (margin, top), room, small, colours.soft, 0.15)
    layers += found
    found, low = _words(one.large, (margin, low + small.size * 0.5), room, name, colours.paper, 0.3)
    layers += found
    wide = screen.short_px * 0.14
    layers += _bar(colours.bright, (width / 2 - wide / 2, low + small.size * 0.7), screen, 0.7)
    found, _ = _words(one.line, (margin, low + small.size * 1.5), room, small, colours.soft, 0.8)
    return layers + found


_DRAWN = {"hook": _hook, "fact": _fact, "call": _call}


def _ground(colour: Colour, words: Colour, screen: Screen, number: int) -> Still:
    """Two large discs, hardly other than their ground, that come slowly nearer."""
    width, height = (round(side * 1.2) for side in screen.size)
    image = Image.new("RGB", (width, height), colour)
    pen = ImageDraw.Draw(image)
    places = (((0.95, 0.1), (0.1, 1.05)), ((0.08, 0.05), (1.0, 0.9)), ((0.9, 1.0), (0.05, 0.2)))
    for (x, y), share in zip(places[number % 3], (0.62, 0.4), strict=True):
        radius = share * max(width, height) / 2
        box = (x * width - radius, y * height - radius, x * width + radius, y * height + radius)
        pen.ellipse(box, fill=mixed(colour, words, 0.055))
    return Still(image=image, begins=View(zoom=1.0), ends=View(zoom=1.15), duration_s=4.0,
                 easing="even")  # fmt: skip


def _out(colour: Colour, screen: Screen, seconds: float) -> Ink:
    return Ink(cover=Image.new("L", screen.size, 255), at=(0, 0), colour=colour,
               start_s=seconds - OUT_S, end_s=seconds, fade_s=OUT_S)  # fmt: skip


def _bar(colour: Colour, at: tuple[float, float], screen: Screen, start_s: float) -> list[Layer]:
    size = (round(screen.short_px * 0.075), max(2, round(screen.short_px * 0.008)))
    if start_s > 0.5:
        size = (round(screen.short_px * 0.14), size[1])
    cover = Image.new("L", size, 255)
    return [Ink(cover=cover, at=(round(at[0]), round(at[1])), colour=colour, start_s=start_s,
                fade_s=COME_S, reveal="right", soft_px=8)]  # fmt: skip


def _motif(brand: Brand, tall: bool) -> Image.Image:
    """The sign of the venue over two squares, or beside four."""
    rows = MOTIF_ROWS[tall]
    sheet = Sheet(width_px=round(4 * TILE), height_px=round(rows * TILE))
    draw_motif(sheet, brand.palette, brand.sign, brand.told, brand.seed, rows)
    image = sheet.picture()
    if tall:
        return image
    # The large square stands at the left or at the right edge of the field.
    side = round(2 * TILE)
    left = image.crop((0, 0, side, image.height))
    right = image.crop((image.width - side, 0, image.width, image.height))
    return max((left, right), key=lambda part: _evenness(part, side))


def _evenness(part: Image.Image, side: int) -> int:
    """How many of the four corners of the upper square have its first colour."""
    corners = [part.getpixel((x, y)) for x in (4, side - 5) for y in (4, side - 5)]
    return corners.count(corners[0])


def _sign(one: Moment, colours: Palette, side: int, on_deep: bool) -> Image.Image:
    """A disc with a fact's sign, on transparent ground."""
    if on_deep:
        colours = replace(colours, paper=colours.deep, deep=colours.paper)
    sheet = Sheet(width_px=62, height_px=62)
    sheet.fill(disc(31, 31, 40), colours.deep)
    draw_sign(sheet, colours, one.slot, one.value, (31, 31))
    image = sheet.picture(scale=side / 62).resize((side, side), Image.Resampling.LANCZOS)
    mask = Image.new("L", (side * FINE, side * FINE), 0)
    ImageDraw.Draw(mask).ellipse((0, 0, side * FINE - 1, side * FINE - 1), fill=255)
    image.putalpha(mask.resize((side, side), Image.Resampling.BOX))
    return image


@dataclass(frozen=True, kw_only=True)
class _Set:
    """How words are set: size in px at most, in how many lines at most."""

    size: float
    style: Style = "sans"
    weight: Weight = "regular"
    tracking: float = 0.0
    most: int = 1
    centred: bool = False

    @property
    def lettering(self) -> Lettering:
        return Lettering(size_px=self.size, style=self.style, weight=self.weight,
                         tracking=self.tracking)  # fmt: skip


def _fitted(text: str, how: _Set, room: float) -> tuple[_Set, list[str]]:
    """The largest size down from the one asked for at which the words fit, and their lines."""
    size = how.size
    while size >= how.size * SMALLEST:
        found = replace(how, size=size)
        try:
            lines = wrap(text, found.lettering, room) if how.most > 1 else [text]
        except MediaError:  # one word is too wide
            lines = []
        wide = max((line_width(line, found.lettering) for line in lines), default=room + 1)
        if lines and len(lines) <= how.most and wide <= room:
            return found, lines
        size *= 0.94
    raise MediaError(
        "{name} is too long to be shown in a film; shorten it", name=text[:60]
    )  # fmt: skip


def _words(
    text: str, at: tuple[float, float], room: float, how: _Set, colour: Colour, start_s: float
) -> tuple[list[Layer], float]:
    """Lines from the upper left of the room, uncovered one after the other; where they end."""
    if not text:
        return [], at[1]
    fitted, lines = _fitted(text, how, room)
    leading = fitted.size * (BOLD_LEADING if fitted.weight == "bold" else LEADING)
    layers: list[Layer] = []
    y = at[1]
    for number, line in enumerate(lines):
        left, top, right, bottom = ink_box(line, fitted.lettering)
        pad = 4
        size = (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad)
        cover = Image.new("L", size, 0)
        draw_horizontal(ImageDraw.Draw(cover), (pad - left, pad - top), line, fitted.lettering)
        x = at[0] + ((room - (right - left)) / 2 - left if how.centred else 0.0)
        baseline = y + fitted.size * 0.86
        layers.append(
            Ink(
                cover=cover,
                at=(round(x + left - pad), round(baseline + top - pad)),
                colour=colour,
                start_s=start_s + 0.14 * number,
                fade_s=COME_S,
                reveal="right",
                soft_px=max(8, round(fitted.size * 1.5)),
            )
        )
        y += leading
    return layers, y
