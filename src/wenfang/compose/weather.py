"""What falls through a shot: petals, leaves, snow, rain, and lights that float; one film layer.

Each particle's place is a function of the time alone, so that any frame can be drawn by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from wenfang.compose.film import Colour, Paint, Running, Screen, required
from wenfang.compose.paper import stream
from wenfang.config import nearest
from wenfang.errors import ConfigError

Numbers = NDArray[np.float64]
FINE = 8  # sprites are drawn so many times as large
TURNS, TUMBLES = 16, 5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of thing that falls; speeds and sizes in shares of the screen's shorter side.

    count    on a screen of 16:9
    fall     downwards a second, from the slowest to the fastest; negative rises
    drift    to the right a second
    sway     how far it swings to either side
    size     from the smallest to the largest
    tones    colours, one each by chance
    strength 0..1 of its cover
    """

    count: int
    fall: tuple[float, float]
    drift: float
    sway: float
    size: tuple[float, float]
    tones: tuple[Colour, ...]
    strength: float = 1.0


KINDS = {
    "petals": Kind(count=38, fall=(0.055, 0.12), drift=0.05, sway=0.03, size=(0.011, 0.022),
                   tones=((244, 190, 198), (238, 164, 178), (250, 214, 216))),
    "leaves": Kind(count=20, fall=(0.07, 0.14), drift=0.06, sway=0.05, size=(0.022, 0.036),
                   tones=((186, 82, 46), (208, 128, 52), (150, 62, 44))),
    "snow": Kind(count=130, fall=(0.06, 0.15), drift=0.02, sway=0.02, size=(0.004, 0.013),
                 tones=((255, 255, 255),), strength=0.92),
    "rain": Kind(count=150, fall=(1.3, 2.1), drift=-0.16, sway=0.0, size=(0.035, 0.07),
                 tones=((238, 243, 244),), strength=0.42),
    "glow": Kind(count=26, fall=(-0.03, 0.012), drift=0.012, sway=0.05, size=(0.006, 0.012),
                 tones=((255, 224, 140), (246, 240, 180))),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Weather:
    """A layer of falling things; ConfigError for a kind that is none.

    kind     a name of KINDS
    from_s   how long it has been falling already, so that several shots have one weather
    """

    kind: str
    seed: int = 0
    from_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                "no weather is named {name}; did you mean {close}?",
                name=self.kind,
                close=nearest(self.kind, KINDS) or ", ".join(KINDS),
            )

    def begin(self, screen: Screen) -> Running:
        """See `Layer`."""
        return _Falling(self, screen)


class _Falling:
    def __init__(self, weather: Weather, screen: Screen) -> None:
        self.weather, self.kind, self.screen = weather, KINDS[weather.kind], screen
        drawn = stream(weather.seed, 70)
        short = screen.short_px
        count = round(self.kind.count * max(screen.size) / short / (16 / 9))
        # The nearer ones are larger, faster and fewer.
        near = drawn.uniform(0, 1, count) ** 1.6
        low, high = self.kind.size
        self.sizes = (low + (high - low) * near) * short
        slow, fast = self.kind.fall
        self.falls = (slow + (fast - slow) * near) * short * drawn.uniform(0.85, 1.15, count)
        self.drifts = self.kind.drift * short * drawn.uniform(0.5, 1.5, count)
        self.starts = drawn.uniform(0, 1, (count, 2))
        self.phases = drawn.uniform(0, 2 * np.pi, (count, 3))
        self.swings = drawn.uniform(0.5, 1.3, count)
        self.tones = drawn.integers(len(self.kind.tones), size=count)
        self.sprites = _sprites(weather.kind, tuple(np.rint(self.sizes).astype(int).tolist()))

    def at(self, time_s: float) -> Paint:
        time = time_s + self.weather.from_s
        margin = self.sizes.max() + 2
        width, height = (side + 2 * margin for side in self.screen.size)
        sway = np.sin(time * self.swings + self.phases[:, 0]) * self.kind.sway
        x = self.starts[:, 0] * width + self.drifts * time + sway * self.screen.short_px
        y = self.starts[:, 1] * height + self.falls * time
        places = np.stack((x % width - margin, y % height - margin), axis=1)
        if self.weather.kind == "rain":
            return partial(self._rain, places)
        return partial(self._paint, places, time)

    def _paint(self, places: Numbers, time: float, canvas: Image.Image | None) -> Image.Image:
        under = required(canvas)
        for number, (x, y) in enumerate(places.tolist()):
            cover = self._sprite(number, time)
            left, top = round(x - cover.width / 2), round(y - cover.height / 2)
            tone = self.kind.tones[self.tones[number]]
            under.paste(tone, (left, top, left + cover.width, top + cover.height), cover)
        return under

    def _sprite(self, number: int, time: float) -> Image.Image:
        drawn = self.sprites[round(float(self.sizes[number]))]
        _, turn, tumble = self.phases[number]
        speed = self.swings[number]
        if self.weather.kind == "glow":  # brighter and fainter, each in its own time
            light = 0.35 + 0.65 * (0.5 + 0.5 * np.sin(time * speed * 1.7 + tumble)) ** 2
            return drawn[min(len(drawn) - 1, int(light * len(drawn)))]
        if len(drawn) == 1:
            return drawn[0]
        turned = int((turn / (2 * np.pi) + time * 0.09 * speed) * TURNS) % TURNS
        flat = abs(np.cos(tumble + time * 1.1 * speed))
        return drawn[turned * TUMBLES + min(TUMBLES - 1, int(flat * TUMBLES))]

    def _rain(self, places: Numbers, canvas: Image.Image | None) -> Image.Image:
        """Streaks on a mask of the whole screen, longer and brighter the nearer they are."""
        under = required(canvas)
        mask = Image.new("L", under.size, 0)
        pen = ImageDraw.Draw(mask)
        lean = self.drifts / self.falls
        strengths = 90 + 165 * self.sizes / self.sizes.max()
        for number, (x, y) in enumerate(places.tolist()):
            length = float(self.sizes[number])
            level = round(float(strengths[number]) * self.kind.strength)
            pen.line((x, y, x - length * float(lean[number]), y - length), fill=level, width=1)
        under.paste(self.kind.tones[0], (0, 0, *under.size), mask)
        return under


def _sprites(name: str, sizes: tuple[int, ...]) -> dict[int, list[Image.Image]]:
    """For each size the masks of a thing as it turns, or as it grows brighter."""
    kind = KINDS[name]
    if name == "rain":
        return {}
    return {size: _drawn(name, max(2, size), kind.strength) for size in sorted(set(sizes))}


def _drawn(name: str, size: int, strength: float) -> list[Image.Image]:
    if name == "snow":
        return [_soft_disc(size, strength, 0.12)]
    if name == "glow":
        return [_light(size, strength * (level + 1) / 8) for level in range(8)]
    outline = _petal() if name == "petals" else _leaf()
    return [
        _turned(outline, size, turn * 2 * np.pi / TURNS, (tumble + 1) / TUMBLES, strength)
        for turn in range(TURNS)
        for tumble in range(TUMBLES)
    ]


def _soft_disc(size: int, strength: float, softness: float) -> Image.Image:
    side = size + 2
    mask = Image.new("L", (side * FINE, side * FINE), 0)
    edge = (0.5 + softness) * size * FINE / 2 + FINE
    box = (edge, edge, side * FINE - edge, side * FINE - edge)
    ImageDraw.Draw(mask).ellipse(box, fill=round(255 * strength))
    soft = mask.filter(ImageFilter.GaussianBlur(softness * size * FINE))
    return soft.resize((side, side), Image.Resampling.BOX)


def _light(size: int, strength: float) -> Image.Image:
    """A small core in a wide halo."""
    side = size * 6
    away = np.hypot(*np.meshgrid(*[(np.arange(side) + 0.5 - side / 2) / (size / 2)] * 2))
    cover = np.clip(1.3 - away, 0, 1) + 0.4 * np.exp(-((away / 2.4) ** 2))
    cover *= np.clip(6 - away, 0, 1)
    return Image.fromarray(np.rint(np.clip(cover, 0, 1) * 255 * strength).astype(np.uint8))


def _petal() -> Numbers:
    """(N, 2) points of a petal of length 1 about the origin, notched at its wide end."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x = 0.5 * np.cos(angle)
    y = 0.34 * np.sin(angle) * (0.62 + 0.76 * (x + 0.5))
    notch = np.exp(-(np.minimum(angle, 2 * np.pi - angle) ** 2) / 0.02)
    return np.stack((x - 0.12 * notch, y), axis=1)


def _leaf() -> Numbers:
    """(N, 2) points of a pointed leaf of length 1 with a short stalk, about the origin."""
    along = np.linspace(-0.5, 0.5, 30)
    half = 0.24 * np.cos(np.pi * along) * (1 - 0.5 * along)
    upper = np.stack((along, half), axis=1)
    lower = np.stack((along[::-1], -half[::-1]), axis=1)
    stalk = np.array([(-0.5, 0.012), (-0.66, 0.03), (-0.66, 0.0), (-0.5, -0.012)])
    return np.concatenate((upper, lower, stalk))


def _turned(outline: Numbers, size: int, angle: float, flat: float, strength: float) -> Image.Image:
    side = round(size * 1.4) + 2
    points = outline * (size, size * flat)
    sine, cosine = np.sin(angle), np.cos(angle)
    turned = points @ np.array([(cosine, sine), (-sine, cosine)]) + side / 2
    mask = Image.new("L", (side * FINE, side * FINE), 0)
    pixels = [(float(x), float(y)) for x, y in turned * FINE]
    ImageDraw.Draw(mask).polygon(pixels, fill=round(255 * strength * (0.72 + 0.28 * flat)))
    return mask.resize((side, side), Image.Resampling.BOX)
