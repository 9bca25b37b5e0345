"""Where a film changes its scene: cuts are found; pans, fades, flashes and noise are none."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from film_files import clicks, film
from wenfang.compose.cut import joined
from wenfang.compose.reel import count_of
from wenfang.compose.scene import Scenes, scene_changes, scenes
from wenfang.errors import ConfigError
from wenfang.media.video import Film, Frame, decode
from wenfang.media.video_encoding import encode

FPS = 25
HEIGHT, WIDTH = 90, 160
Floats = NDArray[np.float64]


@lru_cache
def picture(key: int) -> Floats:
    """Soft blots in some colours, three times as wide as a frame."""
    random = np.random.Generator(np.random.Philox(key=key))
    coarse = random.random((7, 19, 3)) * random.uniform(0.5, 1.0, 3) + random.uniform(-0.2, 0.2, 3)
    down = np.linspace(0, 5.999, HEIGHT)
    across = np.linspace(0, 17.999, 3 * WIDTH)
    top, left = down.astype(int), across.astype(int)
    y, x = (down - top)[:, None, None], (across - left)[None, :, None]
    rows = coarse[top] * (1 - y) + coarse[top + 1] * y
    whole = rows[:, left] * (1 - x) + rows[:, left + 1] * x
    return np.asarray(np.clip(whole, 0, 1) * 255)


def view(key: int, left_px: float = 0.0, light: float = 1.0, noise: int = 0) -> Frame:
    """A frame of a picture, some px to the right."""
    first = round(left_px) % (2 * WIDTH)
    seen = picture(key)[:, first : first + WIDTH] * light
    if noise:
        random = np.random.Generator(np.random.Philox(key=noise))
        seen = seen + random.normal(0, 6, seen.shape)
    return np.clip(seen, 0, 255).astype(np.uint8)


def shown(frames: Sequence[Frame]) -> Film:
    return Film(frames=frames, fps=Fraction(FPS))


def still(key: int, count: int = 25) -> list[Frame]:
    return [view(key, noise=100 * key + one + 1) for one in range(count)]


def pan(key: int, count: int = 25, step: float = 6.0) -> list[Frame]:
    begun = max(0.0, -step * count)
    return [view(key, begun + one * step, noise=one + 1) for one in range(count)]


def cuts(frames: Sequence[Frame], asked: Scenes | None = None) -> list[int]:
    return [round(one * FPS) for one in scene_changes(shown(frames), asked)]


def test_hard_cuts_are_found_to_the_frame() -> None:
    frames = [*still(1, 30), *still(2, 20), *pan(3, 40), *still(4, 25)]
    assert cuts(frames) == [30, 50, 90]


def test_a_cut_between_two_moving_shots_is_found() -> None:
    assert cuts([*pan(1, 30), *pan(2, 30, -4.0), *pan(3, 30, 9.0)]) == [30, 60]


@pytest.mark.parametrize("step", [1.0, 6.0, 16.0])
def test_a_pan_is_no_change_of_scene(step: float) -> None:
    assert cuts([*still(1, 20), *pan(1, 40, step)]) == []


def test_a_fade_and_a_dissolve_are_no_hard_cuts() -> None:
    away = [view(1, light=1 - one / 10) for one in range(11)]
    back = [view(2, light=one / 10) for one in range(11)]
    assert cuts([*still(1), *away, *back, *still(2)]) == []
    mixed = [
        (view(1) * (1 - one / 11) + view(2) * (one / 11)).astype(np.uint8) for one in range(1, 11)
    ]
    assert cuts([*still(1), *mixed, *still(2)]) == []


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_change_of_scene(length: int) -> None:
    flash = [np.full((HEIGHT, WIDTH, 3), 250, np.uint8)] * length
    assert cuts([*still(1), *flash, *still(1)]) == []


def test_noise_and_a_small_thing_that_appears_are_no_change_of_scene() -> None:
    frames = still(1, 50)
    for frame in frames[25:]:
        frame[40:50, 60:80] = 255
    assert cuts(frames) == []


def test_frames_that_are_shown_twice_do_not_hide_or_make_a_cut() -> None:
    frames = [one for one in [*pan(1, 20), *pan(2, 20)] for _ in range(2)]
    assert cuts(frames) == [40]


def test_of_changes_too_near_to_each_other_the_greater_counts() -> None:
    faint = [(one // 2 + view(1) // 2).astype(np.uint8) for one in still(2, 8)]
    frames = [*still(1, 30), *faint, *still(3, 30)]
    assert cuts(frames) == [38]
    assert cuts(frames, Scenes(min_scene_s=0.2)) == [30, 38]
    assert cuts([*still(1, 5), *still(2, 30)]) == []  # nor is a beginning a scene
    assert cuts([*still(1, 5), *still(2, 30)], Scenes(min_scene_s=0.2)) == [5]


def test_a_film_is_cut_into_scenes_with_their_sound() -> None:
    frames = [*still(1, 30), *still(2, 20), *still(3, 40)]
    given = Film(frames=frames, fps=Fraction(FPS), sound=clicks(3.6, [0.5, 1.6, 3.0]))
    found = scenes(given)
    assert [count_of(one) for one in found] == [30, 20, 40]
    assert all(one.sound is not None for one in found)
    again = list(joined(found).frames)
    assert all(map(np.array_equal, again, frames))
    assert [one.sound.duration_s for one in found if one.sound] == pytest.approx([1.2, 0.8, 1.6])


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_cuts_are_found_in_a_written_film_at_another_rate(kind: str) -> None:
    frames = [*still(1, 30), *pan(2, 30), *still(3, 30)]
    given = Film(frames=frames, fps=Fraction(30_000, 1001))
    found = scene_changes(decode(encode(given, kind)))  # type: ignore[arg-type]
    assert found == pytest.approx([30 * 1.001 / 30, 60 * 1.001 / 30], abs=0.002)


def test_short_films_have_one_scene() -> None:
    assert scene_changes(film(1)) == ()
    assert scene_changes(film(2)) == ()
    assert [count_of(one) for one in scenes(film(3))] == [3]


@pytest.mark.parametrize(("name", "value"), [
    ("min_scene_s", -1.0), ("min_scene_s", float("nan")), ("least", 9.0), ("ratio", float("inf")),
])  # fmt: skip
def test_settings_without_a_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Scenes(**{name: value})
