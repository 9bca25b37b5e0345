"""Films are decoded at the times that their files give: uneven rates, turns, late sounds.

And files that are damaged or claim too much.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from film_files import click_times, file_of, number_of, numbers, without
from wenfang.errors import MediaError
from wenfang.media.video import decode
from wenfang.media.video_encoding import encode
from wenfang.media.video_times import constant_rate, slot

UNEVEN = (0, 40, 80, 500, 540, 1000, 1040, 1080, 1120, 2600, 2640)
SLOWING = (*range(0, 1000, 20), *range(1000, 3000, 200))
KINDS = pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "libx264"), ("webm", "libvpx-vp9"), ("webm", "libvpx")]
)


@KINDS
@pytest.mark.parametrize("times", [UNEVEN, SLOWING, tuple(range(0, 2000, 40))])
def test_every_moment_shows_the_frame_that_the_file_shows_then(
    kind: str, codec: str, times: tuple[int, ...]
) -> None:
    film = decode(file_of(kind, codec, times))
    shown = numbers(film)
    assert len(shown) / film.fps == pytest.approx(times[-1] / 1000 + 0.04, abs=0.25)
    for place, number in enumerate(shown):
        at_ms = float(place / film.fps * 1000)
        half_ms = float(500 / film.fps) + 1
        begun = [one for one, time in enumerate(times) if time <= at_ms + half_ms]
        sure = [one for one, time in enumerate(times) if time <= at_ms - half_ms]
        assert max(sure, default=0) <= number <= begun[-1]


@KINDS
def test_no_frame_of_an_uneven_film_is_lost(kind: str, codec: str) -> None:
    assert sorted(set(numbers(decode(file_of(kind, codec, UNEVEN))))) == list(range(len(UNEVEN)))


@KINDS
@pytest.mark.parametrize("begins_s", [0.0, 0.4])
def test_what_is_heard_with_a_frame_is_heard_with_it_at_uneven_times(
    kind: str, codec: str, begins_s: float
) -> None:
    beeps = tuple(UNEVEN[one] / 1000 for one in (3, 5, 9))
    film = decode(file_of(kind, codec, UNEVEN, beeps, begins_s))
    assert film.sound is not None
    shown = numbers(film)
    seen = [shown.index(one) / float(film.fps) for one in (3, 5, 9)]
    assert click_times(film.sound) == pytest.approx(seen, abs=1 / float(film.fps))


def test_a_picture_that_begins_after_its_sound_stays_with_it() -> None:
    times = tuple(range(500, 2500, 40))
    film = decode(file_of("mp4", "libx264", times, (1.0, 2.0)))
    assert film.sound is not None
    assert click_times(film.sound) == pytest.approx([0.5, 1.5], abs=0.02)


def test_a_gap_in_the_sound_is_silence() -> None:
    data = file_of("webm", "libvpx-vp9", beeps=(0.2, 1.6))
    film = decode(without(data, "audio", 0.5, 1.5))
    assert film.sound is not None
    assert click_times(film.sound) == pytest.approx([0.2, 1.6], abs=0.03)


def test_the_last_frame_stays_while_something_is_heard() -> None:
    film = decode(file_of("webm", "libvpx-vp9", (0, 40, 80, 2000), (0.5, 1.9)))
    cut = decode(without(file_of("webm", "libvpx-vp9", beeps=(0.5, 1.9)), "video", 1.0, 9.0))
    assert cut.sound is not None
    shown = numbers(cut)
    assert len(shown) / cut.fps == pytest.approx(cut.sound.duration_s, abs=0.1)
    assert shown[-1] == shown[30]
    assert len(numbers(film)) / film.fps == pytest.approx(2.04, abs=0.05)


@pytest.mark.parametrize(("turn", "matrix"), [
    (0, (1, 0, 0, 1)), (1, (0, 1, -1, 0)), (2, (-1, 0, 0, -1)), (3, (0, -1, 1, 0)),
])  # fmt: skip
def test_a_turned_film_is_decoded_upright(turn: int, matrix: tuple[int, ...]) -> None:
    stored = list(decode(file_of("mp4", "libx264", UNEVEN)).frames)
    source = bytearray(file_of("mp4", "libx264", UNEVEN))
    a, b, c, d = (value << 16 for value in matrix)
    place = source.index(b"tkhd") + 44
    source[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    turned = list(decode(bytes(source)).frames)
    assert len(turned) == len(stored)
    for one, other in zip(turned, stored, strict=True):
        wanted = np.rot90(other, -turn)
        assert one.shape == wanted.shape
        assert np.abs(one.astype(int) - wanted).mean() < 4


@pytest.mark.parametrize(("kind", "codec", "options"), [
    ("mp4", "libx264", ("g=12", "bf=3", "x264-params=open-gop=1:scenecut=0")),
    ("mp4", "libx264", ("g=300", "bf=2")),
    ("webm", "libvpx-vp9", ("g=10",)),
    ("webm", "libvpx", ("g=10",)),
    ("mp4", "libx265", ("g=12", "x265-params=log-level=none:open-gop=1")),
    ("webm", "libsvtav1", ("g=12", "preset=10")),
])  # fmt: skip
@pytest.mark.parametrize("times", [tuple(range(0, 4000, 40)), (*UNEVEN, *range(2800, 6000, 40))])
def test_beginning_in_the_middle_gives_the_same_frames(
    kind: str, codec: str, options: tuple[str, ...], times: tuple[int, ...]
) -> None:
    frames: Any = decode(file_of(kind, codec, times, (), 0.0, options)).frames
    every = list(frames)
    assert len(every) == len(frames)
    for first in (0, 1, 13, 40, 61, 77, len(every) - 1):
        later = list(frames.since(first))
        assert len(later) == len(every) - first
        for one, other in zip(later, every[first:], strict=True):
            assert np.array_equal(one, other)
    assert list(frames.since(len(every))) == []


@pytest.mark.parametrize(("kind", "codec", "muxing"), [
    ("webm", "libvpx", ("live=1",)),
    ("mp4", "libx264", ("movflags=frag_keyframe+empty_moov",)),
    ("mp4", "libx264", ("movflags=frag_keyframe+empty_moov+default_base_moof",)),
])  # fmt: skip
def test_files_without_an_index_are_begun_in_the_middle_too(
    kind: str, codec: str, muxing: tuple[str, ...]
) -> None:
    data = file_of(kind, codec, tuple(range(0, 4000, 40)), (), 0.0, ("g=10",), muxing)
    frames: Any = decode(data).frames
    assert [number_of(one) for one in frames] == list(range(100))
    for first in (30, 75, 99):
        assert [number_of(one) for one in frames.since(first)] == list(range(first, 100))


# --- files that are not what they should be


@KINDS
def test_a_file_cut_short_gives_what_is_left_or_says_that_it_is_broken(
    kind: str, codec: str
) -> None:
    data = file_of(kind, codec, beeps=(0.5,))
    for share in (0.1, 0.3, 0.6, 0.9):
        try:
            shown = numbers(decode(data[: round(len(data) * share)]))
        except MediaError:
            continue
        assert 0 < len(shown) <= 51
        assert shown == sorted(shown)


def test_an_mp4_cut_short_says_that_it_is_broken() -> None:
    whole = encode(decode(file_of(beeps=(0.5,))), "mp4")  # its index stands at the front
    for missing in (200, 1000, len(whole) - 3000):
        with pytest.raises(MediaError, match=r"broken film|no picture"):
            list(decode(whole[:-missing]).frames)


def test_a_film_that_claims_three_hours_is_refused() -> None:
    data = bytearray(file_of().replace(b"edts", b"free"))  # it would show two seconds only
    place = data.index(b"stts") + 8
    count, samples, ticks = struct.unpack_from(">III", data, place)
    assert (count, samples) == (1, 50)
    struct.pack_into(">I", data, place + 8, ticks * 3 * 1800)
    with pytest.raises(MediaError, match="longer than 1800 s"):
        decode(bytes(data))


def test_frames_hours_apart_are_refused() -> None:
    with pytest.raises(MediaError, match="longer than 1800 s"):
        list(decode(file_of("webm", "libvpx-vp9", (0, 40, 3 * 3600 * 1000))).frames)


def test_a_film_of_one_frame_is_shown_as_long_as_its_file_says() -> None:
    film = decode(file_of("mp4", "libx264", (0,)))
    assert [number_of(one) for one in film.frames] == [0]


# --- rates


def even(rate: float, count: int = 200, digits: int = 3) -> Any:
    return np.round(np.arange(count) / rate, digits)


@pytest.mark.parametrize(("rate", "wanted"), [
    (25, Fraction(25)), (30, Fraction(30)), (24000 / 1001, Fraction(24000, 1001)),
    (12.5, Fraction(25, 2)), (60, Fraction(60)), (240, Fraction(240)), (0.5, Fraction(1, 2)),
])  # fmt: skip
def test_even_frames_keep_their_rate_though_times_are_rounded(
    rate: float, wanted: Fraction
) -> None:
    for told in ((Fraction(1000), None), (wanted, None), (None, Fraction(7))):
        assert constant_rate(even(rate), told) == wanted
    slots = [slot(one, wanted) for one in even(rate)]
    assert slots == list(range(200))


def test_a_rate_that_the_file_tells_wrongly_is_not_believed() -> None:
    assert constant_rate(even(30), (Fraction(25), Fraction(25))) == 30


def test_uneven_frames_get_the_rate_of_most_of_them() -> None:
    times = np.concatenate((even(30, 100), 10 + even(30, 100), 60 + even(2, 20)))
    assert constant_rate(times, (Fraction(7, 2),)) == 30
    slow = np.cumsum(np.array([3.0, 5, 4, 9, 2, 7]))
    assert constant_rate(slow, (None,)) == 25
    fast = np.concatenate((even(2000, 50, 5), 1 + even(3, 9)))
    assert constant_rate(fast, (None,)) == 60


def test_without_times_the_file_is_believed() -> None:
    assert constant_rate(np.zeros(1), (Fraction(1000), Fraction(50))) == 50
    assert constant_rate(np.zeros(3), (None, None)) == 25
