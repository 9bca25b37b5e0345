"""Where a film changes its scene: hard cuts, found by how much more changes there than around.

Fades, dissolves, pans, flashes and shaking change much, but for several frames. What changes is
told by colours, pixels and edges of small frames. Weights and bounds were chosen on films drawn
from photographs, so that more is missed than found where nothing is.

N frames
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wenfang.compose.cut import parts_at
from wenfang.errors import ConfigError
from wenfang.media.video import Film, Frame

Floats = NDArray[np.floating]

SEEN_PX = 180  # of the shorter side; the pixels between are not looked at, for speed
WIDTH, HEIGHT = 48, 27
LIGHT_BINS, COLOUR_BINS = 24, 16
WEIGHTS = np.array([0.5, 2.0, 0.2])  # of colours, pixels and edges, each 0..1
FAINT = 0.02  # of an edge, which noise draws as well
NEAR_S, LEAST_NEAR = 0.12, 2  # around a cut, where nothing may change as much
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """What counts as a change of scene.

    min_scene_s  nothing shorter is a scene; of changes too near to each other the greater counts
    least        how much must change, about 0 to 3
    ratio        how many times as much as in any frame near by
    """

    min_scene_s: float = 0.6
    least: float = 0.2
    ratio: float = 2.0

    def __post_init__(self) -> None:
        for name, value, most in (
            ("min_scene_s", self.min_scene_s, 600.0),
            ("least", self.least, 3.0),
            ("ratio", self.ratio, 100.0),
        ):
            if not isfinite(value) or not 0 <= value <= most:
                raise ConfigError("{name} of a scene is {value}; give 0 to {most}",
                                  name=name, value=value, most=most)  # fmt: skip


def scene_changes(film: Film, asked: Scenes | None = None) -> tuple[float, ...]:
    """When a new scene begins, in seconds, the first scene not counted."""
    asked = asked or Scenes()
    changes = _changes(film.frames)
    if not len(changes):
        return ()
    fps, count = float(film.fps), len(changes) + 1
    near = max(LEAST_NEAR, round(NEAR_S * fps))
    padded = np.pad(changes, near)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * near + 1).copy()
    around[:, near] = 0
    sudden = changes >= asked.ratio * around.max(axis=1, initial=0)
    candidates = np.flatnonzero(sudden & (changes >= asked.least) & (changes > 0))
    least = max(1, round(asked.min_scene_s * fps))
    edges = [0, count]
    for place in candidates[np.argsort(-changes[candidates], kind="stable")].tolist():
        if all(abs(place + 1 - edge) >= least for edge in edges):
            edges.append(place + 1)
    return tuple(float(edge / film.fps) for edge in sorted(edges)[1:-1])


def scenes(film: Film, asked: Scenes | None = None) -> list[Film]:
    """The film cut where its scene changes."""
    return parts_at(film, scene_changes(film, asked))


class _Look(NamedTuple):
    """What is compared of a frame."""

    colours: NDArray[np.float64]
    pixels: Floats  # (HEIGHT, WIDTH, 3) in 0..1
    edges: Floats


def _changes(frames: Iterable[Frame]) -> NDArray[np.float64]:
    """(N - 1,) how much each frame differs from the one before it."""
    found = []
    before, seen = None, None
    for frame in frames:
        if frame is seen:  # a frame that is held
            found.append(0.0)
            continue
        look = _look(frame)
        if before is not None:
            found.append(_apart(before, look))
        before, seen = look, frame
    return np.array(found, np.float64)


def _look(frame: Frame) -> _Look:
    from PIL import Image

    step = max(1, min(frame.shape[0] // SEEN_PX, frame.shape[1] // SEEN_PX))
    sparse = np.ascontiguousarray(frame[::step, ::step])
    small = Image.fromarray(sparse).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32) / 255
    light = pixels @ LUMA
    colours = np.concatenate((
        _histogram(light, 0, 1, LIGHT_BINS),
        _histogram(pixels[..., 2] - light, -0.5, 0.5, COLOUR_BINS),
        _histogram(pixels[..., 0] - light, -0.5, 0.5, COLOUR_BINS),
    ))  # fmt: skip
    down, right = np.diff(light, axis=0)[:, :-1], np.diff(light, axis=1)[:-1]
    return _Look(colours, pixels, np.abs(down) + np.abs(right))


def _histogram(values: Floats, low: float, high: float, bins: int) -> NDArray[np.float64]:
    """(bins,) shares; a value between two middles counts for both, so that little moves little."""
    places = np.clip((values.ravel() - low) / (high - low) * bins - 0.5, 0, bins - 1.001)
    lower = places.astype(np.int64)
    upper = places - lower
    counts = np.bincount(lower, 1 - upper, bins) + np.bincount(lower + 1, upper, bins)
    return np.asarray(counts / values.size)


def _apart(one: _Look, other: _Look) -> float:
    colours = np.abs(one.colours - other.colours).sum() / 6
    pixels = np.abs(one.pixels - other.pixels).mean()
    drawn = one.edges.sum() + other.edges.sum() + FAINT * one.edges.size
    edges = np.abs(one.edges - other.edges).sum() / drawn
    return float(WEIGHTS @ np.array([colours, pixels, edges]))
