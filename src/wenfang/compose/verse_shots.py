"""A quatrain as shots: its title and its lines written on scenery as they are read, and its card.

Columns stand from right to left; each character appears when its syllable is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from wenfang.compose.captions import Said
from wenfang.compose.film import Ink, Layer, Screen, Shot, Sticker, Still, View
from wenfang.compose.scenery import Scenery
from wenfang.compose.stamp import stamp_mask
from wenfang.compose.weather import Weather
from wenfang.media.draw import Lettering, column_height, draw_vertical, fills_cell
from wenfang.media.image import resize
from wenfang.media.video import Caption

RED = (176, 40, 30)
CARD_AFTER_S, CARD_DISSOLVE_S, END_S = 0.7, 1.4, 1.0  # after the last line; of fading out
TITLE_AT_S, TITLE_S, STAMP_AT_S = 0.7, 1.7, 2.5
MOST_TITLE_CELLS = 8  # in one column
OVERSCAN = 1.25  # how much larger than the screen scenery is drawn, for a view that moves


@dataclass(frozen=True, kw_only=True)
class VerseText:
    """What is shown, and when it is read.

    lines      with their stops
    syllables  when each is heard, of title and lines
    aside      beside the title: what it is (a form, a name)
    """

    title: Said
    lines: tuple[Said, ...]
    syllables: tuple[tuple[float, float], ...] = ()
    aside: str = ""
    seal: str = ""


def scenery_size(screen: Screen) -> tuple[int, int]:
    """Size in px at which scenery for a screen is drawn."""
    return round(screen.width_px * OVERSCAN), round(screen.height_px * OVERSCAN)


def verse_shots(
    text: VerseText, scenery: Scenery, card: Image.Image, screen: Screen, duration_s: float
) -> list[Shot]:
    """Two shots of `duration_s` together: the verse on its scenery, then the card."""
    card_at = min(text.lines[-1].end_s + CARD_AFTER_S, duration_s - CARD_DISSOLVE_S - END_S)
    seed = sum(map(ord, text.title.text))
    first_s = card_at + CARD_DISSOLVE_S
    moving = Still(
        image=scenery.image,
        begins=View(x=0.5, y=0.56, zoom=1.14),
        ends=View(x=0.5, y=0.5, zoom=1.0),
        duration_s=first_s,
        easing="even",
    )
    layers: list[Layer] = [moving]
    if scenery.theme.weather:
        layers.append(Weather(kind=scenery.theme.weather, seed=seed))
    layers += _title(text, scenery, screen)
    layers += _columns(text, scenery, screen, first_s)
    verse = Shot(layers=tuple(layers), duration_s=first_s, dissolve_s=CARD_DISSOLVE_S)
    last_s = duration_s - card_at
    shown: list[Layer] = [_card(card, scenery, screen, last_s)]
    if scenery.theme.weather:
        shown.append(Weather(kind=scenery.theme.weather, seed=seed, from_s=card_at))
    shown.append(_fade_out(screen, scenery, last_s))
    return [verse, Shot(layers=tuple(shown), duration_s=last_s)]


def captions_in(text: VerseText) -> tuple[Caption, ...]:
    """The title and the lines as a track of words."""
    return tuple(
        Caption(text=one.text, start_s=one.start_s, end_s=one.end_s)
        for one in (text.title, *text.lines)
    )


def _title(text: VerseText, scenery: Scenery, screen: Screen) -> list[Layer]:
    """The title in one column or two, what it is beside it, and the seal below that."""
    title = text.title.text
    short = screen.short_px
    tall = screen.height_px > screen.width_px
    cells = min(len(title), MOST_TITLE_CELLS)
    size = min(short * 0.125, screen.height_px * (0.5 if tall else 0.66) / max(cells, 3))
    large = Lettering(size_px=size, repertoire=_repertoire(title), tracking=0.08)
    gone_s = text.lines[0].start_s - 0.7
    right = screen.width_px * (0.5 if tall else 0.68) + size * 0.6
    top = screen.height_px * (0.2 if tall else 0.14)
    parts = [title[at : at + MOST_TITLE_CELLS] for at in range(0, len(title), MOST_TITLE_CELLS)]
    layers: list[Layer] = []
    for number, part in enumerate(parts):
        begun = TITLE_AT_S + number * TITLE_S * 0.6
        centre = right - number * size * 1.3
        progress = ((begun, 0.0), (begun + TITLE_S, 1.0))
        layers += _column(part, (centre, top), large, scenery,
                          progress, (begun, gone_s))  # fmt: skip
    beside = right - len(parts) * size * 1.3 + size * 0.25
    small = Lettering(size_px=size * 0.34, repertoire=_repertoire(text.aside), tracking=0.2)
    low = top + size * 0.2
    if text.aside:
        progress = ((STAMP_AT_S - 0.8, 0.0), (STAMP_AT_S, 1.0))
        layers += _column(text.aside, (beside, low), small, scenery,
                          progress, (STAMP_AT_S - 0.8, gone_s))  # fmt: skip
        low += column_height(text.aside, small) + size * 0.3
    if text.seal:
        layers.append(_seal(text.seal, (beside, low), round(size * 0.52), gone_s))
    return layers


def _seal(characters: str, at: tuple[float, float], side: int, end_s: float) -> Sticker:
    height = side if len(characters) != 2 else round(side * 1.5)
    cover = stamp_mask(characters, (side, height), seed=1)
    alpha = Image.fromarray(np.rint(cover * 245).astype(np.uint8))
    image = Image.new("RGBA", alpha.size, (*RED, 0))
    image.putalpha(alpha)
    place = (round(at[0] - side / 2), round(at[1]))
    return Sticker(image=image, at=place, start_s=STAMP_AT_S, end_s=end_s, fade_s=0.45)


def _columns(text: VerseText, scenery: Scenery, screen: Screen, until_s: float) -> list[Layer]:
    """The lines as columns from right to left."""
    tall = screen.height_px > screen.width_px
    cells = max(len(line.text) for line in text.lines)
    room = screen.height_px * (0.56 if tall else 0.76)
    size = min(screen.short_px * (0.1 if tall else 0.095), room / (cells * 1.1))
    repertoire = _repertoire("".join(line.text for line in text.lines))
    lettering = Lettering(size_px=size, repertoire=repertoire, tracking=0.1)
    pitch = min(size * 1.75, screen.width_px * 0.86 / len(text.lines))
    width = pitch * (len(text.lines) - 1)
    right = (screen.width_px + width) / 2 if tall else screen.width_px * 0.9
    square = screen.height_px == screen.width_px
    top = screen.height_px * (0.22 if tall else 0.12 if square else 0.11)
    layers: list[Layer] = []
    for number, line in enumerate(text.lines):
        centre = right - number * pitch
        layers += _column(line.text, (centre, top), lettering, scenery,
                          _progress(line, text.syllables), (line.start_s, until_s))  # fmt: skip
    return layers


def _progress(
    line: Said, syllables: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], ...]:
    """How far a column is written when each syllable has begun and ended."""
    cells = max(1, len(line.text))
    found = [(line.start_s, 0.0)]
    own = [one for one in syllables if line.start_s - 0.05 <= one[0] < line.end_s]
    for number, (begun, ended) in enumerate(own):
        found.append((max(found[-1][0], begun), number / cells))
        found.append((max(found[-1][0], ended), (number + 1) / cells))
    last = max(found[-1][0], line.end_s)
    return (*found, (last + 0.4, 1.0))


def _column(
    words: str,
    at: tuple[float, float],
    lettering: Lettering,
    scenery: Scenery,
    progress: tuple[tuple[float, float], ...],
    seen: tuple[float, float],
) -> list[Layer]:
    """A column from its top, first a veil in the tone of the sky, which keeps it legible."""
    size = lettering.size_px
    pad = round(size * 0.6)
    width, height = round(size * 1.2) + 2 * pad, round(column_height(words, lettering)) + 2 * pad
    cover = Image.new("L", (width, height), 0)
    draw_vertical(cover, (width / 2, pad), words, lettering)
    veil = cover.filter(ImageFilter.MaxFilter(2 * round(size * 0.04) + 1))
    veil = veil.filter(ImageFilter.GaussianBlur(size * 0.16)).point(lambda level: level * 0.62)
    tone = scenery.hour.sky[1]
    place = (round(at[0] - width / 2), round(at[1] - pad))
    ink = Ink(
        cover=cover,
        at=place,
        colour=scenery.hour.ink,
        start_s=seen[0],
        end_s=seen[1],
        leave_s=0.8,
        reveal="down",
        progress=progress,
        soft_px=round(size * 0.9),
    )
    return [replace(ink, cover=veil, colour=tone), ink]


def _repertoire(text: str) -> str:
    return "".join(filter(fills_cell, text))


def _card(card: Image.Image, scenery: Scenery, screen: Screen, duration_s: float) -> Still:
    """The card with its shadow on the scenery out of focus, coming slowly nearer."""
    size = scenery_size(screen)
    # Blurred at a quarter of its size: the same to the eye and sixteen times as fast.
    small = resize(scenery.image, size[0] // 4, size[1] // 4).filter(ImageFilter.GaussianBlur(7))
    ground = small.resize(size, Image.Resampling.BICUBIC)
    scale = min(size[1] * 0.86 / card.height, size[0] * 0.82 / card.width)
    sheet = resize(card.convert("RGB"), round(card.width * scale), round(card.height * scale))
    left, top = (size[0] - sheet.width) // 2, (size[1] - sheet.height) // 2
    shade = Image.new("L", size, 0)
    drop = round(size[1] * 0.012)
    shade.paste(150, (left, top + drop, left + sheet.width, top + drop + sheet.height))
    reach = max(2, round(size[1] * 0.014))
    ground.paste((16, 14, 14), (0, 0, *size), shade.filter(ImageFilter.GaussianBlur(reach)))
    ground.paste(sheet, (left, top))
    return Still(
        image=ground, begins=View(zoom=1.0), ends=View(zoom=1.07), duration_s=duration_s,
        easing="even",
    )  # fmt: skip


def _fade_out(screen: Screen, scenery: Scenery, duration_s: float) -> Ink:
    """The whole screen goes to the tone of the upper sky."""
    return Ink(
        cover=Image.new("L", screen.size, 255),
        at=(0, 0),
        colour=scenery.hour.sky[0],
        start_s=duration_s - END_S,
        end_s=duration_s,
        fade_s=END_S,
    )
