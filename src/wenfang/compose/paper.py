"""Grounds to set text on: paper, letter paper and ink wash, all drawn from seeded noise.

A ground is float32 (H, W, 3) in 0..255; it is rounded once, at the very end, after grain has been
added, so that slow gradients show no bands. Lengths are given in units of `scale`, which is 1 at a
width of 1240 px, so that one seed gives the same picture at every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Plane = NDArray[np.float32]
Colour = tuple[int, int, int]


def stream(seed: int, part: int) -> np.random.Generator:
    """The random numbers of one part of a picture, independent of the other parts."""
    return np.random.Generator(np.random.Philox(key=seed % 2**64, counter=[0, 0, 0, part]))


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The sheet to be drawn: its size in px and the seed of all its noise."""

    width_px: int
    height_px: int
    seed: int

    @property
    def scale(self) -> float:
        """Pixels per unit of design; 1 at the width of 1240 px."""
        return self.width_px / 1240

    def cloud(self, part: int, across: int, down: int) -> Plane:
        """Smooth noise (H, W) of mean 0 and deviation about 1, with `across` x `down` knots."""
        knots = stream(self.seed, part).standard_normal((down + 1, across + 1), np.float32)
        return self.stretch(knots)

    def stretch(self, knots: Plane) -> Plane:
        """A small plane smoothly enlarged to the sheet."""
        size = (self.width_px, self.height_px)
        grown = Image.fromarray(knots).resize(size, Image.Resampling.BICUBIC)
        return np.asarray(grown, np.float32)

    def down(self) -> Plane:
        """(H, 1), 0 at the top edge and 1 at the bottom edge."""
        return np.linspace(0, 1, self.height_px, dtype=np.float32)[:, None]


def tinted(tone: Colour, light: Plane) -> Plane:
    """A ground (H, W, 3) of one tone whose lightness varies by `light`, in levels of 255."""
    ground: Plane = np.add(np.asarray(tone, np.float32), light[..., None], dtype=np.float32)
    return ground


def texture(sheet: Sheet) -> Plane:
    """Lightness of handmade paper in levels: mottle, laid pulp, fibres and a gentle vignette."""
    mottle = 1.5 * sheet.cloud(1, 5, 7) + 0.9 * sheet.cloud(2, 40, 56)
    # Pulp settles along the mould, so the finer cloud is longer than it is high.
    pulp = 0.9 * sheet.cloud(3, 160, 520)
    light: Plane = mottle + pulp + fibres(sheet) - 9.0 * vignette(sheet)
    return light


def vignette(sheet: Sheet) -> Plane:
    """0 in the middle of the sheet, rising smoothly to 1 in its corners."""
    across = np.linspace(-1, 1, sheet.width_px, dtype=np.float32)[None, :]
    reach = (across**2 + (2 * sheet.down() - 1) ** 2) / 2
    return np.asarray(reach**2, np.float32)


def fibres(sheet: Sheet, count: int = 520) -> Plane:
    """Thin curved fibres, some lighter and some darker than the pulp, in levels."""
    rng = stream(sheet.seed, 4)
    plane = Image.new("L", (sheet.width_px, sheet.height_px), 128)
    draw = ImageDraw.Draw(plane)
    starts = rng.uniform((-0.02, -0.02), (1.02, 1.02), (count, 2))
    turns = rng.normal(0, 0.22, (count, 7)).cumsum(axis=1) + rng.uniform(0, 2 * np.pi, (count, 1))
    steps = rng.gamma(2.0, 5.5, count) * sheet.scale
    # Lines are never thinner than a pixel, so on small sheets they are fainter instead.
    depths = rng.normal(0, 26 * min(1.0, sheet.scale), count)
    for start, angles, step, depth in zip(starts, turns, steps, depths, strict=True):
        path = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1) * step, axis=0)
        points = path + start * (sheet.width_px, sheet.height_px)
        draw.line([tuple(point) for point in points.tolist()], fill=int(128 + depth), width=1)
    soft = plane.filter(ImageFilter.GaussianBlur(0.7 * sheet.scale))
    return (np.asarray(soft, np.float32) - 128) * 0.32


def grain(sheet: Sheet) -> Plane:
    """Fine noise of about one level: the tooth of the paper, and the dither of its gradients."""
    shape = (sheet.height_px, sheet.width_px)
    return 1.15 * stream(sheet.seed, 5).standard_normal(shape, np.float32)


def finished(ground: Plane) -> Image.Image:
    """The ground as an RGB image, rounded and clipped."""
    return Image.fromarray(np.clip(ground + 0.5, 0, 255).astype(np.uint8), "RGB")


def xuan(sheet: Sheet) -> Plane:
    """Raw xuan paper: warm, almost white."""
    return tinted((249, 243, 229), texture(sheet))


def letter(sheet: Sheet) -> Plane:
    """Letter paper: a little deeper in tone, as if it had lain in a drawer."""
    return tinted((247, 239, 220), texture(sheet))


def dusk(sheet: Sheet) -> Plane:
    """Evening: paper washed from warm light into grey, a pale moon, three ranges in mist."""
    down = sheet.down()
    drift = 0.03 * sheet.cloud(11, 3, 5)
    fall = np.clip(down + drift, 0, 1)[..., None]
    stops = (0.0, 0.42, 0.72, 1.0)
    tones: tuple[Colour, ...] = ((226, 222, 214), (240, 231, 214), (236, 222, 203), (243, 235, 221))
    ground = np.concatenate(
        [np.interp(fall, stops, [tone[band] for tone in tones]) for band in range(3)], axis=2
    ).astype(np.float32)
    ground = moon(sheet, ground)
    for nearness in range(3):
        ground = mountains(sheet, ground, nearness)
    return ground + (0.8 * texture(sheet))[..., None]


def moon(sheet: Sheet, ground: Plane) -> Plane:
    """A disc left lighter than the wash around it, with a soft edge."""
    rng = stream(sheet.seed, 12)
    centre_x = sheet.width_px * rng.uniform(0.12, 0.15)
    centre_y = sheet.height_px * rng.uniform(0.09, 0.11)
    # Its halo is nothing below a third of the sheet.
    sky = ground[: sheet.height_px // 3]
    rows, columns = np.ogrid[: len(sky), : sheet.width_px]
    away = np.hypot(columns - centre_x, rows - centre_y).astype(np.float32) / (74 * sheet.scale)
    disc = np.clip((1.0 - away) * 45, 0, 1)
    halo = np.exp(-((away / 2.6) ** 2)) * 0.35
    light = (disc * 0.75 + halo * (1 - disc)).astype(np.float32)[..., None]
    sky += (np.asarray((252, 247, 234), np.float32) - sky) * light
    return ground


def ridge(rng: np.random.Generator, width: int, roughness: float) -> Plane:
    """Height (W,) of a range, mean 0: octaves of noise, folded so that the crests are sharp."""
    line = np.zeros(width, np.float32)
    for octave in range(7):
        knots = rng.normal(0, 1, 3 * 2**octave + 2)
        places = np.linspace(0, len(knots) - 1, width)
        wave = np.interp(places, np.arange(len(knots)), knots)
        line += (wave if octave < 1 else 0.6 - np.abs(wave)) * roughness**octave
    return np.asarray(line - line.mean(), np.float32)


def smoothed(line: Plane, reach: int) -> Plane:
    """A line (W,) averaged twice over `reach` points to either side."""
    kernel = np.full(2 * reach + 1, 1 / (2 * reach + 1), np.float32)
    for _ in range(2):
        line = np.convolve(np.pad(line, reach, "edge"), kernel, "valid")
    return np.asarray(line, np.float32)


def mountains(sheet: Sheet, ground: Plane, nearness: int) -> Plane:
    """Wash one range over the ground; its foot dissolves into mist. 0 is the farthest."""
    rng = stream(sheet.seed, 20 + nearness)
    base = (0.735, 0.785, 0.832)[nearness] * sheet.height_px
    height = (88, 72, 50)[nearness] * sheet.scale
    crest = base - height * ridge(rng, sheet.width_px, 0.5)
    top = max(0, int(crest.min()) - 1)
    rows = np.arange(top, sheet.height_px, dtype=np.float32)[:, None]
    under = (rows - crest[None, :]) / sheet.scale
    body = np.clip(under / 1.6, 0, 1)
    # Mist keeps to the broad shape of the range; following every crag it would hang in streaks.
    broad = (rows - smoothed(crest, round(70 * sheet.scale))[None, :]) / sheet.scale
    mist = np.exp(-np.clip(broad + 14, 0, None) / (105, 88, 58)[nearness])
    wash = body * mist * (0.20, 0.30, 0.40)[nearness]
    wash *= 1 + 0.12 * sheet.cloud(30 + nearness, 14, 20)[top:]
    ink = np.asarray(((128, 134, 142), (104, 112, 122), (84, 92, 102))[nearness], np.float32)
    land = ground[top:]
    land += (ink - land) * np.clip(wash, 0, 1)[..., None]
    return ground
