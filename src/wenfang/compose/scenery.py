"""Scenery for verse, washed in ink: sky, sun or moon, ranges in mist, water, and what falls there.

What a poem's words name decides the hour, the season and the weather; the rest is chance of the
seed. A drawing is float32 (H, W, 3) in 0..255 until it is rounded once, as in `paper`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from wenfang.compose.paper import (
    Colour,
    Plane,
    Sheet,
    finished,
    grain,
    ridge,
    smoothed,
    stream,
    texture,
)


@dataclass(frozen=True, kw_only=True)
class Hour:
    """The light: tones of the sky from above down to the horizon, of the ranges, and of the disc.

    far, near  ink of the farthest and of the nearest range
    mist       what ranges dissolve into
    ink        of words that are set on it
    disc       of sun or moon; None: neither is seen
    """

    sky: tuple[Colour, Colour, Colour]
    far: Colour
    near: Colour
    mist: Colour
    ink: Colour
    disc: Colour | None
    halo: float = 0.35


HOURS = {
    "day": Hour(sky=((225, 231, 230), (240, 240, 231), (248, 243, 230)), far=(150, 164, 168),
                near=(84, 98, 100), mist=(247, 243, 232), ink=(34, 34, 36), disc=None),
    "dawn": Hour(sky=((214, 224, 228), (243, 228, 218), (250, 232, 214)), far=(168, 166, 176),
                 near=(98, 104, 112), mist=(250, 238, 226), ink=(44, 36, 40),
                 disc=(255, 246, 232)),
    "dusk": Hour(sky=((196, 190, 190), (236, 204, 172), (246, 216, 178)), far=(152, 134, 136),
                 near=(78, 70, 78), mist=(246, 222, 194), ink=(48, 34, 32),
                 disc=(226, 104, 72), halo=0.45),
    "night": Hour(sky=((20, 27, 44), (38, 50, 72), (74, 88, 108)), far=(54, 68, 90),
                  near=(17, 23, 35), mist=(92, 106, 124), ink=(240, 234, 218),
                  disc=(250, 244, 226), halo=0.5),
    "winter": Hour(sky=((168, 177, 190), (198, 206, 214), (228, 232, 235)), far=(166, 176, 188),
                   near=(104, 116, 130), mist=(238, 241, 243), ink=(26, 30, 38), disc=None),
    "rain": Hour(sky=((176, 186, 188), (204, 210, 206), (222, 224, 216)), far=(146, 158, 160),
                 near=(86, 100, 102), mist=(222, 225, 219), ink=(30, 36, 38), disc=None),
}  # fmt: skip
# Which words ask for what; the first that any word names.
ASKED_HOURS = (
    ("winter", "雪冰霜冬寒梅"),
    ("night", "月夜星宵燈灯烛燭夢梦"),
    ("rain", "雨"),
    ("dusk", "秋暮夕晚落歸归別别愁楓枫"),
    ("dawn", "春曉晓朝晨早花桃杏櫻樱"),
)
ASKED_WEATHER = (
    ("snow", "雪"),
    ("rain", "雨"),
    ("leaves", "秋葉叶楓枫"),
    ("petals", "春花桃梅杏櫻樱蝶"),
    ("glow", "夏螢萤夜星燈灯"),
)
WATER_WORDS = "江水湖海河溪舟船潮波泉浪洲浦渡帆池漁渔流"
BIRD_WORDS = "雁鳥鸟鴉鸦鷗鸥燕鶴鹤天雲云飛飞遠远"


@dataclass(frozen=True, kw_only=True)
class Theme:
    """What is to be seen.

    hour     a name of HOURS
    weather  what falls: snow, rain, leaves, petals, glow, or "" for nothing
    water    whether a river or a lake lies before the ranges
    birds    whether a few of them fly there
    """

    hour: str = "day"
    weather: str = ""
    water: bool = False
    birds: bool = False


def theme_of(title: str, text: str = "") -> Theme:
    """What the words name; those of the title come before those of the text."""
    hour = _named(ASKED_HOURS, title) or _named(ASKED_HOURS, text) or "day"
    weather = _named(ASKED_WEATHER, title) or _named(ASKED_WEATHER, text)
    if hour == "winter" and weather == "rain":
        weather = "snow"
    both = title + text
    return Theme(
        hour=hour,
        weather=weather,
        water=any(one in both for one in WATER_WORDS),
        birds=any(one in both for one in BIRD_WORDS) and hour != "night",
    )


def _named(asked: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for name, words in asked if any(one in text for one in words)), "")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenery:
    """A drawn scenery, with the ink of words on it and where its sun or moon stands (0..1)."""

    image: Image.Image
    hour: Hour
    theme: Theme
    disc: tuple[float, float]


def draw_scenery(theme: Theme, size: tuple[int, int], seed: int) -> Scenery:
    """The scenery in px of `size`, the same for the same theme and seed."""
    hour = HOURS[theme.hour]
    sheet = Sheet(width_px=size[0], height_px=size[1], seed=seed)
    # Distances go by the longer side: a screen that stands shows as much land as one that lies.
    scale = max(size) / 1600
    horizon = round(size[1] * (0.70 if theme.water else 0.86))
    ground = _sky(sheet, hour)
    disc = _disc_at(sheet)
    if hour.disc:
        _lay_disc(ground, disc, hour, scale)
    if theme.birds:
        _lay_birds(ground, sheet, hour, scale)
    for nearness in range(4):
        _lay_range(ground, sheet, hour, nearness, horizon, scale)
    if theme.water:
        _lay_water(ground, sheet, hour, horizon, disc if hour.disc else None, scale)
        _lay_boat(ground, sheet, hour, horizon, scale)
    light = 0.55 if theme.hour == "night" else 0.8
    ground += (light * texture(sheet))[..., None] + grain(sheet)[..., None]
    return Scenery(image=finished(ground), hour=hour, theme=theme, disc=disc)


def _sky(sheet: Sheet, hour: Hour) -> Plane:
    down = np.clip(sheet.down() + 0.035 * sheet.cloud(11, 3, 4), 0, 1)
    tones = np.asarray(hour.sky, np.float32)
    bands = [np.interp(down, (0.0, 0.5, 0.85), tones[:, band]) for band in range(3)]
    ground = np.stack(bands, axis=2).astype(np.float32)
    # Long thin clouds, hardly lighter than the sky.
    cloud = np.clip(sheet.cloud(12, 4, 26) - 0.6, 0, 2) * np.clip(1 - 1.2 * sheet.down(), 0, 1)
    ground += (np.asarray(hour.mist, np.float32) - ground) * (0.16 * cloud)[..., None]
    return ground


def _disc_at(sheet: Sheet) -> tuple[float, float]:
    """Left of the middle or, on a screen that stands, high: where no words are set."""
    drawn = stream(sheet.seed, 13)
    standing = sheet.height_px > sheet.width_px
    low, high = (0.1, 0.14) if standing else (0.2, 0.32)
    return float(drawn.uniform(0.15, 0.3)), float(drawn.uniform(low, high))


def _lay_disc(ground: Plane, disc: tuple[float, float], hour: Hour, scale: float) -> None:
    height, width = ground.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    away = np.hypot(columns - disc[0] * width, rows - disc[1] * height) / (62 * scale)
    away = away.astype(np.float32)
    body = np.clip((1 - away) * 40, 0, 1) * 0.95
    halo = np.exp(-((away / 3.2) ** 2)) * hour.halo * 0.6 + np.exp(-away / 5) * hour.halo * 0.3
    light = np.maximum(body, halo)[..., None]
    ground += (np.asarray(hour.disc, np.float32) - ground) * light


def _lay_birds(ground: Plane, sheet: Sheet, hour: Hour, scale: float) -> None:
    """A loose line of small birds, each two strokes."""
    drawn = stream(sheet.seed, 14)
    fine = 4
    height, width = ground.shape[:2]
    span = (round(width * 0.3), round(height * 0.2))
    mask = Image.new("L", (span[0] * fine, span[1] * fine), 0)
    pen = ImageDraw.Draw(mask)
    for number in range(int(drawn.integers(5, 9))):
        x = (0.1 + 0.1 * number + drawn.normal() * 0.02) * span[0]
        y = (0.75 - 0.07 * number + drawn.normal() * 0.04) * span[1]
        wing = scale * drawn.uniform(7, 10)
        for side in (-1, 1):
            points = [(x, y), (x + side * wing * 0.5, y - wing * 0.42),
                      (x + side * wing, y - wing * 0.2)]  # fmt: skip
            pen.line([(a * fine, b * fine) for a, b in points], fill=210,
                     width=max(2, round(1.5 * scale * fine)), joint="curve")  # fmt: skip
    cover = np.asarray(mask.resize(span, Image.Resampling.BOX), np.float32) / 255
    top, left = round(height * 0.12), round(width * 0.42)
    area = ground[top : top + span[1], left : left + span[0]]
    ink = np.asarray(hour.near, np.float32)
    area += (ink - area) * (cover[: area.shape[0], : area.shape[1]] * 0.8)[..., None]


def _lay_range(
    ground: Plane, sheet: Sheet, hour: Hour, nearness: int, horizon: int, scale: float
) -> None:
    """One range over the ground; its foot dissolves into mist. 0 is the farthest, 3 the nearest."""
    drawn = stream(sheet.seed, 20 + nearness)
    height, width = ground.shape[:2]
    share = nearness / 3
    base = horizon - (150, 108, 62, 8)[nearness] * scale
    rises = (96, 86, 66, 34)[nearness] * scale
    crest = base - rises * ridge(drawn, width, (0.5, 0.5, 0.48, 0.46)[nearness])
    # A range falls towards the edges or towards the middle, so that there is a way through.
    across = np.linspace(-1, 1, width, dtype=np.float32) - float(drawn.uniform(-0.5, 0.5))
    fall = across**2 if nearness % 2 == 0 else 0.55 - across**2
    crest = crest + np.asarray(fall, np.float32) * rises * 0.9
    top = int(max(0, crest.min() - 1))
    rows = np.arange(top, height, dtype=np.float32)[:, None]
    body = np.clip((rows - crest[None]) / (1.5 * scale), 0, 1)
    # Mist keeps to the broad shape of the range; following every crag it would hang in streaks.
    broad = (rows - smoothed(crest, max(2, round(70 * scale)))[None]) / scale
    depth = np.exp(-np.clip(broad + 12, 0, None) / (104, 96, 84, 120)[nearness])
    far, near = np.asarray(hour.far, np.float32), np.asarray(hour.near, np.float32)
    tone = far * (1 - share) + near * share
    mottle = 1 + 0.1 * sheet.cloud(30 + nearness, 14, 18)[top:]
    wash = np.clip(body * depth * (0.62, 0.7, 0.78, 0.9)[nearness] * mottle, 0, 1)
    land = ground[top:]
    # What mist swallows is lighter than the range and than what lies behind it.
    veil = body * (1 - depth) * (0.35, 0.4, 0.42, 0.3)[nearness]
    land += (np.asarray(hour.mist, np.float32) - land) * veil[..., None]
    land += (tone - land) * wash[..., None]


def _lay_water(
    ground: Plane,
    sheet: Sheet,
    hour: Hour,
    horizon: int,
    disc: tuple[float, float] | None,
    scale: float,
) -> None:
    """Still water: what stands above it upside down, pressed flat and broken by ripples."""
    height, width = ground.shape[:2]
    depth = height - horizon
    drawn = stream(sheet.seed, 41)
    rows = np.arange(depth)
    source = np.clip(horizon - 1 - np.rint(rows / 0.62).astype(int), 0, height - 1)
    near = (rows / depth).astype(np.float32)
    waves = smoothed(drawn.normal(0, 1, depth).astype(np.float32), 1) * (1 + 9 * near) * scale
    columns = np.arange(width)
    shifted = np.clip(columns[None] + np.rint(waves).astype(int)[:, None], 0, width - 1)
    mirrored = ground[source[:, None], shifted]
    sky = np.asarray(hour.sky[1], np.float32) * 0.6 + np.asarray(hour.sky[0], np.float32) * 0.4
    keep = (0.72 - 0.5 * near)[:, None, None]
    water = mirrored * keep + sky * (1 - keep)
    # Bands of light, closer to each other the farther they are.
    along = np.log1p(np.arange(depth) / (6 * scale)) * 34
    bands = np.sin(along + sheet.cloud(42, 6, 3)[horizon:].T)
    water += (bands.T * (1.5 + 3 * near)[:, None])[..., None]
    if disc and hour.disc:
        _glitter(water, disc[0] * width, hour, drawn, scale)
    edge = np.clip(rows / (10 * scale), 0, 1).astype(np.float32)[:, None, None]
    mist = np.asarray(hour.mist, np.float32)
    water += (mist - water) * (0.4 * (1 - edge) + 0.1)
    ground[horizon:] = water


def _glitter(
    water: Plane, centre_px: float, hour: Hour, drawn: np.random.Generator, scale: float
) -> None:
    """The way of light under a moon or a sun: short strokes, wider and rarer as they come near."""
    depth, width = water.shape[:2]
    mask = Image.new("L", (width, depth), 0)
    pen = ImageDraw.Draw(mask)
    for _ in range(round(420 * width / (1600 * scale))):
        near = float(drawn.uniform(0, 1)) ** 1.5
        y = near * depth
        x = centre_px + float(drawn.normal()) * (16 + 90 * near) * scale
        half = float(drawn.uniform(4, 10 + 26 * near)) * scale
        level = int(drawn.uniform(60, 190) * (1 - 0.6 * near))
        pen.line([(x - half, y), (x + half, y)], fill=level, width=max(1, round(1.6 * scale)))
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(1.1 * scale)), np.float32) / 255
    water += (np.asarray(hour.disc, np.float32) - water) * (soft * 0.8)[..., None]


def _lay_boat(ground: Plane, sheet: Sheet, hour: Hour, horizon: int, scale: float) -> None:
    """A flat boat with somebody in it, and its shadow in the water."""
    drawn = stream(sheet.seed, 43)
    height, width = ground.shape[:2]
    fine, reach = 4, round(110 * scale)
    mask = Image.new("L", (reach * fine, reach * fine), 0)
    pen = ImageDraw.Draw(mask)
    unit = reach * fine / 110

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * unit, y * unit) for x, y in points]

    pen.polygon(at((10, 52), (24, 57), (78, 57), (98, 49), (84, 64), (30, 65)), fill=255)
    pen.polygon(at((44, 57), (48, 42), (52, 39), (57, 43), (60, 57)), fill=255)  # who sits there
    pen.polygon(at((43, 41), (52, 33), (61, 41)), fill=255)  # the straw hat
    pen.line(at((57, 46), (92, 28)), fill=255, width=round(1.3 * unit))  # rod
    small = np.asarray(mask.resize((reach, reach), Image.Resampling.BOX), np.float32) / 255
    below = np.zeros_like(small)
    foot = round(65 * scale)
    mirror = small[:foot][::-1]
    room = min(len(below) - foot, len(mirror))
    below[foot : foot + room] = mirror[:room] * np.linspace(0.4, 0.05, room)[:, None]
    cover = np.maximum(small * 0.92, below.astype(np.float32))
    left = round(width * float(drawn.uniform(0.2, 0.4)))
    top = min(height - reach, horizon + round(float(drawn.uniform(4, 20)) * scale))
    area = ground[top : top + reach, left : left + reach]
    dark = np.asarray(hour.near, np.float32) * 0.8
    area += (dark - area) * cover[: area.shape[0], : area.shape[1], None]
