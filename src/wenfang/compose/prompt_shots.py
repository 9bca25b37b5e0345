"""Some words as a short film: written on scenery that they name, while the view moves over it.

Chinese of a few characters stands in columns from right to left; everything else in lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw, ImageFilter

from wenfang.compose.film import Ink, Layer, Screen, Shot, Still, View
from wenfang.compose.scenery import Scenery, Theme, theme_of
from wenfang.compose.weather import Weather
from wenfang.errors import BriefError, MediaError
from wenfang.media.draw import (
    STOPS,
    Lettering,
    column_height,
    draw_horizontal,
    draw_vertical,
    fills_cell,
    line_width,
    missing_glyphs,
    wrap,
)
from wenfang.media.fonts import needs_ink

MOST_CHARACTERS = 400
WRITTEN_SHARE = 0.45  # of the film until all words stand there
BEGIN_S, LEAVE_S, END_S = 0.4, 0.8, 0.8  # before words come; of their going; of fading out
MOST_COLUMNS, COLUMN_CELLS = 5, 9
# Sizes of letters in shares of the shorter side, the largest that fits.
SIZES = (0.105, 0.09, 0.078, 0.068, 0.058, 0.05, 0.043, 0.037)
LINE_PITCH, WIDE_SHARE, HIGH_SHARE = 1.55, 0.8, 0.52
# What English words are among the Chinese ones that scenery knows.
ENGLISH = {
    "snow": "雪", "snowy": "雪", "ice": "冰", "frost": "霜", "winter": "冬", "cold": "寒",
    "moon": "月", "moonlight": "月", "night": "夜", "star": "星", "stars": "星", "lamp": "燈",
    "lantern": "燈", "lanterns": "燈", "candle": "燭", "dream": "夢", "rain": "雨", "rainy": "雨",
    "storm": "雨", "drizzle": "雨", "autumn": "秋", "fall": "秋", "sunset": "暮", "dusk": "暮",
    "evening": "晚", "farewell": "別", "maple": "楓", "spring": "春", "dawn": "曉", "sunrise": "曉",
    "morning": "朝", "flower": "花", "flowers": "花", "blossom": "花", "blossoms": "花",
    "cherry": "櫻", "peach": "桃", "plum": "梅", "leaf": "葉", "leaves": "葉", "butterfly": "蝶",
    "summer": "夏", "firefly": "螢", "fireflies": "螢", "river": "江", "water": "水", "lake": "湖",
    "sea": "海", "ocean": "海", "stream": "溪", "boat": "舟", "ship": "船", "sail": "帆",
    "wave": "波", "waves": "波", "pond": "池", "fishing": "漁", "goose": "雁", "geese": "雁",
    "bird": "鳥", "birds": "鳥", "gull": "鷗", "swallow": "燕", "crane": "鶴", "sky": "天",
    "cloud": "雲", "clouds": "雲",
}  # fmt: skip
# What is heard where a theme shows it; the first that it has.
UNDER = (("weather", "rain", "rain"), ("water", True, "stream"), ("weather", "glow", "crickets"),
         ("hour", "winter", "wind"), ("weather", "leaves", "wind"))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Written:
    """Words as they stand on a screen.

    lines     from the top, or columns from the right
    standing  whether they are columns
    """

    lines: tuple[str, ...]
    lettering: Lettering
    standing: bool


def theme_of_prompt(text: str) -> Theme:
    """What words name, in Chinese or English."""
    words = re.findall(r"[a-z]+", text.casefold())
    return theme_of(text + "".join(ENGLISH.get(word, "") for word in words))


def ambience_of(theme: Theme) -> str:
    """The effect that is heard where such scenery is; "" for none."""
    heard = (name for what, value, name in UNDER if getattr(theme, what) == value)
    return next(heard, "")


def written(text: str, screen: Screen) -> Written:
    """How words are set; BriefError for none, too many, or such as cannot be drawn."""
    text = " ".join(text.split())
    if not text or len(text) > MOST_CHARACTERS:
        raise BriefError(
            "a film shows its prompt, which has {count} characters; give 1 to {most}",
            count=len(text),
            most=MOST_CHARACTERS,
        )
    if not text.isprintable() or not any(map(needs_ink, text)):
        raise BriefError("the prompt has nothing to show, or signs that cannot be; give words")
    if lacking := missing_glyphs(text):
        raise BriefError(
            "no installed font can draw {characters}; leave them out of the prompt",
            characters=lacking[:20],
        )
    columns = _columns(text)
    if columns:
        return _standing(columns, screen)
    for size in SIZES:
        lettering = Lettering(size_px=size * screen.short_px, style="kai")
        try:
            lines = wrap(text, lettering, screen.width_px * WIDE_SHARE)
        except MediaError:  # a word is wider than the screen
            continue
        if len(lines) * LINE_PITCH * lettering.size_px <= screen.height_px * HIGH_SHARE:
            return Written(lines=tuple(lines), lettering=lettering, standing=False)
    raise BriefError("the prompt is too long to be read on the screen; shorten it")


def _columns(text: str) -> list[str]:
    """Chinese as columns, by its stops; none where it does not fit, or is no Chinese."""
    bare = text.replace(" ", "")
    if not all(map(fills_cell, bare)):
        return []
    parts = re.split(f"[{re.escape(''.join(STOPS))}]+", bare)
    columns = [
        part[first : first + COLUMN_CELLS]
        for part in parts
        for first in range(0, len(part), COLUMN_CELLS)
    ]
    return columns if len(columns) <= MOST_COLUMNS else []


def _standing(columns: Sequence[str], screen: Screen) -> Written:
    longest = max(map(len, columns))
    size = min(screen.short_px * 0.13, screen.height_px * 0.62 / (longest * 1.1))
    size = min(size, screen.width_px * 0.8 / (len(columns) * 1.75))
    lettering = Lettering(size_px=size, repertoire="".join(columns), tracking=0.1)
    return Written(lines=tuple(columns), lettering=lettering, standing=True)


def prompt_shots(text: Written, scenery: Scenery, screen: Screen, duration_s: float) -> list[Shot]:
    """One shot of `duration_s`: the scenery, what falls there, and the words."""
    seed = sum(map(ord, "".join(text.lines)))
    near, far = View(x=0.5, y=0.58, zoom=1.16), View(x=0.5, y=0.5, zoom=1.0)
    begins, ends = (near, far) if seed % 2 else (far, near)
    layers: list[Layer] = [
        Still(image=scenery.image, begins=begins, ends=ends, duration_s=duration_s, easing="even")
    ]
    if scenery.theme.weather:
        layers.append(Weather(kind=scenery.theme.weather, seed=seed))
    layers += _words(text, scenery, screen, duration_s)
    layers.append(
        Ink(
            cover=Image.new("L", screen.size, 255),
            at=(0, 0),
            colour=scenery.hour.sky[0],
            start_s=duration_s - END_S,
            end_s=duration_s,
            fade_s=END_S,
        )
    )
    return [Shot(layers=tuple(layers), duration_s=duration_s)]


def _words(text: Written, scenery: Scenery, screen: Screen, duration_s: float) -> list[Layer]:
    """Line after line, each in its share of the time."""
    lengths = [max(1, len(line)) for line in text.lines]
    room = duration_s * WRITTEN_SHARE - BEGIN_S
    layers: list[Layer] = []
    begun = BEGIN_S
    for number, length in enumerate(lengths):
        ended = begun + room * length / sum(lengths)
        cover, at = _cover(text, number, screen)
        ink = Ink(
            cover=cover,
            at=at,
            colour=scenery.hour.ink,
            start_s=begun,
            end_s=duration_s - END_S - LEAVE_S / 2,
            leave_s=LEAVE_S,
            reveal="down" if text.standing else "right",
            progress=((begun, 0.0), (ended, 1.0)),
            soft_px=round(text.lettering.size_px * 1.2),
        )
        layers += [replace(ink, cover=_veil(cover, text), colour=scenery.hour.sky[1]), ink]
        begun = ended
    return layers


def _cover(text: Written, number: int, screen: Screen) -> tuple[Image.Image, tuple[int, int]]:
    """The ink of a line with room around it, and where it lies on the screen."""
    line, lettering = text.lines[number], text.lettering
    size = lettering.size_px
    pad = round(size * 0.6)
    count = len(text.lines)
    if text.standing:
        pitch = size * 1.75
        width, height = round(size * 1.2) + 2 * pad, round(column_height(line, lettering)) + 2 * pad
        cover = Image.new("L", (width, height), 0)
        draw_vertical(cover, (width / 2, pad), line, lettering)
        tallest = max(column_height(one, lettering) for one in text.lines)
        centre = screen.width_px / 2 + pitch * ((count - 1) / 2 - number)
        top = (screen.height_px * 0.94 - tallest) / 2
        return cover, (round(centre - width / 2), round(top - pad))
    width = round(line_width(line, lettering)) + 2 * pad
    cover = Image.new("L", (width, round(size * 1.5) + 2 * pad), 0)
    draw_horizontal(ImageDraw.Draw(cover), (pad, pad + size), line, lettering)
    top = screen.height_px * 0.44 - count * LINE_PITCH * size / 2 + number * LINE_PITCH * size
    return cover, (round((screen.width_px - width) / 2), round(top - pad))


def _veil(cover: Image.Image, text: Written) -> Image.Image:
    """In the tone of the sky, behind the letters, which keeps them legible on a dark range."""
    size = text.lettering.size_px
    veil = cover.filter(ImageFilter.MaxFilter(2 * round(size * 0.04) + 1))
    veil = veil.filter(ImageFilter.GaussianBlur(size * 0.16))
    return veil.point(lambda level: level * 0.7)
