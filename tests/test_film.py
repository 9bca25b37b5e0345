"""Shots become frames: views move, words come in time, films dissolve; errors are told."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wenfang.compose.film import (
    Clip,
    Ink,
    Inset,
    Screen,
    Shot,
    Sticker,
    Still,
    View,
    filmed,
    shot_starts,
)
from wenfang.compose.weather import KINDS, Weather
from wenfang.errors import ConfigError, MediaError
from wenfang.media.audio import Sound
from wenfang.media.video import Caption, Film, Kind, decode
from wenfang.media.video_encoding import encode
from wenfang.seal import Payload, Provenance, Sealer, emit
from wenfang.store import Manifest

SCREEN = Screen(width_px=64, height_px=48, fps=10)
RED, BLUE = (200, 30, 30), (30, 30, 200)


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> Still:
    return Still(image=Image.new("RGB", size, colour))


def test_shots_dissolve_into_each_other_and_the_length_is_exact() -> None:
    shots = [
        Shot(layers=(plain(RED),), duration_s=2.0, dissolve_s=1.0),
        Shot(layers=(plain(BLUE),), duration_s=2.0),
    ]
    assert shot_starts(shots) == [0.0, 1.0, 3.0]
    sound = Sound(samples=np.zeros((8_000, 1), np.float32), sample_rate_hz=8_000)
    film = filmed(shots, SCREEN, sound)
    frames = [one[0, 0] for one in film.frames]
    assert len(frames) == 30
    assert film.sound is not None
    assert film.sound.duration_s == 3.0
    assert tuple(frames[9]) == RED
    assert tuple(frames[20]) == BLUE
    reds = [int(one[0]) for one in frames[10:20]]
    assert reds == sorted(reds, reverse=True)
    assert 100 < reds[5] < 130


def test_a_view_moves_evenly_and_stays_inside() -> None:
    across = np.tile(np.linspace(0, 255, 200, dtype=np.uint8)[None, :, None], (150, 1, 3))
    moving = Still(
        image=Image.fromarray(across),
        begins=View(x=0.0, zoom=2.0),
        ends=View(x=1.0, zoom=2.0),
        duration_s=2.0,
        easing="even",
    )
    film = filmed([Shot(layers=(moving,), duration_s=2.0)], SCREEN)
    levels = [float(one.mean()) for one in film.frames]
    steps = np.diff(levels)
    assert levels[0] == pytest.approx(64, abs=4)
    assert levels[-1] == pytest.approx(191, abs=10)
    assert (steps >= 0).all()
    assert View(x=9, y=-3, zoom=4).box((100, 100), (64, 48)) == (75.0, 0.0, 100.0, 18.75)


@pytest.mark.parametrize("reveal", ["fade", "down", "right", "left"])
def test_ink_comes_and_goes_in_its_time(reveal: str) -> None:
    ink = Ink(
        cover=Image.new("L", (20, 20), 255), at=(10, 10), colour=(255, 255, 255), start_s=0.5,
        end_s=1.5, fade_s=0.4, leave_s=0.2, reveal=reveal, soft_px=2,  # type: ignore[arg-type]
    )  # fmt: skip
    film = filmed([Shot(layers=(plain((0, 0, 0)), ink), duration_s=2.0)], SCREEN)
    shown = [one[10:30, 10:30].mean() for one in film.frames]
    assert shown[4] == 0
    assert 0 < shown[7] < 255
    assert shown[12] == 255
    assert shown[19] == 0
    half = list(film.frames)[7].astype(float)[10:30, 10:30, 0]
    upper, lower = half[:10].mean(), half[10:].mean()
    left, right = half[:, :10].mean(), half[:, 10:].mean()
    assert {"fade": upper == lower == left, "down": upper > lower, "right": left > right,
            "left": right > left}[reveal]  # fmt: skip


def test_progress_follows_given_times() -> None:
    ink = Ink(cover=Image.new("L", (4, 40), 255), at=(0, 0), colour=(255, 255, 255), reveal="down",
              progress=((0.0, 0.0), (0.5, 0.5), (1.5, 0.5), (2.0, 1.0)), soft_px=1)  # fmt: skip
    film = filmed([Shot(layers=(plain((0, 0, 0)), ink), duration_s=2.2)], SCREEN)
    rows = [int((one[:40, 0, 0] > 128).sum()) for one in film.frames]
    assert rows[0] == 0
    assert rows[6] == rows[14] == pytest.approx(20, abs=1)
    assert rows[20] == 40


def clip(count: int = 20) -> Film:
    frames = [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(count)]
    return Film(frames=frames, fps=Fraction(10))


def test_a_clip_runs_in_its_own_time_and_its_last_frame_stays() -> None:
    shot = Shot(layers=(Clip(film=clip(), from_s=1.0),), duration_s=1.5)
    film = filmed([shot], SCREEN)
    for _ in range(2):  # a film can be gone through again
        levels = [int(one[0, 0, 0]) for one in film.frames]
        assert levels[:10] == [10 * number for number in range(10, 20)]
        assert levels[10:] == [190] * 5
    faster = filmed([shot], Screen(width_px=64, height_px=48, fps=20))
    assert [int(one[0, 0, 0]) for one in faster.frames][:4] == [100, 100, 110, 110]


def test_a_picture_in_the_picture() -> None:
    inset = Inset(layer=Clip(film=clip()), box=(40, 4, 20, 16), start_s=0.5, end_s=1.5, fade_s=0.0)
    frames = list(filmed([Shot(layers=(plain(RED), inset), duration_s=2.0)], SCREEN).frames)
    assert tuple(frames[2][10, 50]) == RED
    assert tuple(frames[7][10, 50]) == (20, 20, 20)
    assert tuple(frames[7][30, 10]) == RED
    assert tuple(frames[17][10, 50]) == RED


def test_a_sticker_keeps_its_transparency() -> None:
    image = Image.new("RGBA", (10, 10), (0, 255, 0, 0))
    image.paste((0, 255, 0, 255), (0, 0, 5, 10))
    sticker = Sticker(image=image, at=(20, 20), fade_s=0.0)
    frame = next(iter(filmed([Shot(layers=(plain(RED), sticker), duration_s=0.5)], SCREEN).frames))
    assert tuple(frame[25, 22]) == (0, 255, 0)
    assert tuple(frame[25, 28]) == RED


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_weather_moves_and_is_the_same_again(kind: str) -> None:
    screen = Screen(width_px=160, height_px=90, fps=10)
    layers = (plain((60, 70, 90), (160, 90)), Weather(kind=kind, seed=3))
    film = filmed([Shot(layers=layers, duration_s=1.0)], screen)
    frames, again = list(film.frames), list(film.frames)
    assert all(np.array_equal(one, other) for one, other in zip(frames, again, strict=True))
    touched = [float((np.abs(one.astype(int) - (60, 70, 90)).sum(2) > 12).mean()) for one in frames]
    assert 0.0005 < np.mean(touched) < 0.35
    assert not np.array_equal(frames[0], frames[5])
    same = (layers[0], Weather(kind=kind, seed=3, from_s=0.5))
    later = filmed([Shot(layers=same, duration_s=0.4)], screen)
    assert np.array_equal(next(iter(later.frames)), frames[5])  # one weather in two shots


def test_what_is_encoded_is_in_step_and_keeps_its_captions() -> None:
    rate = 48_000
    click = np.zeros((2 * rate, 2), np.float32)
    click[rate : rate + 480] = 0.9
    shots = [
        Shot(layers=(plain((0, 0, 0)),), duration_s=1.0),
        Shot(layers=(plain((255, 255, 255)),), duration_s=1.0),
    ]
    words = (Caption(text="一二", start_s=0.2, end_s=0.9),)
    film = filmed(shots, Screen(width_px=64, height_px=48, fps=25),
                  Sound(samples=click, sample_rate_hz=rate), words)  # fmt: skip
    kinds: tuple[Kind, ...] = ("mp4", "webm")
    for kind in kinds:
        data = encode(film, kind)
        assert data == encode(film, kind)
        back = decode(data)
        assert [one.text for one in back.captions] == ["一二"]
        white = next(n for n, one in enumerate(back.frames) if one.mean() > 128) / 25
        assert back.sound is not None
        loud = np.abs(back.sound.samples).max(axis=1) > 0.2
        heard = float(np.argmax(loud)) / back.sound.sample_rate_hz
        assert abs(white - heard) <= 0.04


def test_what_makes_no_film_is_told() -> None:
    with pytest.raises(MediaError, match=r"a film of 0\.0 s"):
        filmed([], SCREEN)
    with pytest.raises(MediaError, match="fills the screen"):
        list(filmed([Shot(layers=(), duration_s=1)], SCREEN).frames)
    with pytest.raises(MediaError, match="dissolves longer"):
        filmed([Shot(layers=(plain(RED),), duration_s=1, dissolve_s=1.0)] * 2, SCREEN)
    with pytest.raises(MediaError, match="without a frame"):
        list(filmed([Shot(layers=(Clip(film=clip(0)),), duration_s=1)], SCREEN).frames)
    with pytest.raises(ConfigError, match="did you mean snow"):
        Weather(kind="snows")
    with pytest.raises(MediaError, match="give a later end"):
        Caption(text="x", start_s=2, end_s=1)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_film_is_sealed_as_an_animation(home: Path, tmp_path: Path, suffix: str) -> None:
    frames = [np.full((160, 240, 3), (40 + 20 * n, 60, 90), np.uint8) for n in range(6)]
    film = Film(frames=frames, fps=Fraction(8))
    kind = f"image/{suffix[1:]}"
    core = Manifest(kind="asset", name=f"a{suffix}", media_type=kind)
    path = tmp_path / f"a{suffix}"
    sealed = emit(Payload(media_type=kind, data=film), path, Provenance(manifest=core),
                  Sealer.at(home))  # fmt: skip
    assert sealed.verdict.outcome == "good"
    with Image.open(path) as shown:
        assert getattr(shown, "n_frames", 1) == 6
        lengths = []
        for number in range(6):
            shown.seek(number)
            shown.load()
            lengths.append(shown.info["duration"])
    assert sum(lengths) == pytest.approx(750, abs=35)  # GIF counts hundredths
    large = Film(frames=[np.zeros((4000, 4000, 3), np.uint8)] * 3, fps=Fraction(8))
    with pytest.raises(MediaError, match="too many to label"):
        emit(Payload(media_type=kind, data=large), path, Provenance(manifest=core),
             Sealer.at(home))  # fmt: skip
