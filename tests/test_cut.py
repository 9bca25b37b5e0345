"""Given film cut, joined, made faster and put into other shapes; picture and sound stay in step."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from film_files import (
    HEIGHT,
    RATE,
    WIDTH,
    Numbered,
    click_times,
    clicks,
    file_of,
    film,
    number_of,
    numbered,
    numbers,
)
from wenfang.compose.cut import (
    Join,
    Silences,
    at_rate,
    at_speed,
    joined,
    parts_at,
    trimmed,
    without_silence,
)
from wenfang.compose.reel import count_of, since
from wenfang.compose.reframe import cropped, fitted, placed
from wenfang.errors import ConfigError, MediaError
from wenfang.media.audio import Sound
from wenfang.media.video import Caption, Film, Frame, decode
from wenfang.media.video_encoding import encode

FPS = 25


def in_step(made: Film, marked: list[int], at_s: list[float]) -> None:
    """Frames that tell these numbers and the beeps of the sound come together, at these times."""
    assert made.sound is not None
    shown = numbers(made)
    seen = [shown.index(one) / float(made.fps) for one in marked]
    assert seen == pytest.approx(at_s, abs=1 / float(made.fps) + 1e-9)
    assert click_times(made.sound) == pytest.approx(seen, abs=1 / float(made.fps))
    as_long(made)


def as_long(made: Film) -> None:
    """The sound lasts as long as the frames, to a sample."""
    assert made.sound is not None
    wanted = round(count_of(made) * made.sound.sample_rate_hz / made.fps)
    assert len(made.sound.samples) == wanted
    assert sum(1 for _ in made.frames) == count_of(made)


def beeping(count: int, marked: list[int], **options: int) -> Film:
    """A film in which a beep begins with each of these frames."""
    return film(count, sound=clicks(count / FPS, [one / FPS for one in marked], **options))


# --- trim


def test_a_part_has_the_frames_the_sound_and_the_captions_of_its_time() -> None:
    said = tuple(Caption(text=f"{one}", start_s=one, end_s=one + 0.5) for one in range(4))
    given = replace(beeping(100, [10, 40, 60, 90]), captions=said)
    made = trimmed(given, 1.2, 3.0)
    assert numbers(made) == list(range(30, 75))
    in_step(made, [40, 60], [0.4, 1.2])
    found = [(one.text, round(one.start_s, 3), round(one.end_s, 3)) for one in made.captions]
    assert found == [("1", 0.0, 0.3), ("2", 0.8, 1.3)]


def test_a_cut_at_uneven_times_is_made_at_whole_frames_in_picture_and_sound() -> None:
    made = trimmed(beeping(100, [40, 60]), 1.213, 2.977)
    assert numbers(made) == list(range(30, 74))
    in_step(made, [40, 60], [0.4, 1.2])


def test_without_an_end_the_rest_is_kept_and_a_late_end_is_the_films() -> None:
    assert numbers(trimmed(film(50), 1.0)) == list(range(25, 50))
    assert numbers(trimmed(film(50), 1.0, 99.0)) == list(range(25, 50))


@pytest.mark.parametrize(("start_s", "end_s", "words"), [
    (1.0, 0.5, "no meaning"), (1.0, 1.0, "no meaning"), (-1.0, 1.0, "no meaning"),
    (float("nan"), 1.0, "no meaning"), (0.0, float("inf"), "no meaning"),
    (7.0, 9.0, "no frame of a film of 2.0 s"), (1.0, 1.001, "no frame"),
])  # fmt: skip
def test_times_without_a_meaning_are_refused(start_s: float, end_s: float, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        trimmed(film(50), start_s, end_s)


def test_a_film_without_a_frame_is_refused_by_every_change() -> None:
    empty = Film(frames=[], fps=Fraction(FPS), sound=clicks(1, [0.5]))
    for change in (trimmed, without_silence):
        with pytest.raises(MediaError, match="without a frame"):
            change(empty)
    changes: tuple[Callable[[], Film], ...] = (
        lambda: at_speed(empty, 2), lambda: joined([empty]), lambda: cropped(empty, "1:1"),
        lambda: fitted(empty, "1:1"), lambda: joined([film(), empty]),
    )  # fmt: skip
    for made in changes:
        with pytest.raises(MediaError, match="without a frame"):
            made()


def test_frames_that_can_be_gone_through_only_once_are_refused() -> None:
    once = Film(frames=(one for one in Numbered(50)), fps=Fraction(FPS))
    with pytest.raises(MediaError, match="only once"):
        list(trimmed(once, 0.0, 1.0).frames)


# --- speed


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0, 4.0])
def test_at_another_speed_picture_sound_and_captions_stay_together(speed: float) -> None:
    said = (Caption(text="one", start_s=1.0, end_s=2.0),)
    given = replace(beeping(100, [24, 60]), captions=said)
    made = at_speed(given, speed)
    assert count_of(made) == round(100 / speed)
    as_long(made)
    shown = numbers(made)
    assert shown == [int((place + 0.5) * speed) for place in range(len(shown))]
    assert made.sound is not None
    # WSOLA moves pieces by up to 12 ms.
    wanted = [24 / FPS / speed, 60 / FPS / speed]
    assert click_times(made.sound)[0] == pytest.approx(wanted[0], abs=1 / FPS)
    assert click_times(made.sound)[-1] == pytest.approx(wanted[1], abs=1 / FPS)
    assert (made.captions[0].start_s, made.captions[0].end_s) == pytest.approx(
        (1 / speed, 2 / speed)
    )


def test_another_speed_keeps_the_pitch_of_a_long_sound_and_of_its_seams() -> None:
    from wenfang.compose import cut

    time = np.arange(20 * 8000) / 8000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[:, None]
    given = film(20 * FPS, sound=Sound(samples=tone, sample_rate_hz=8000))
    whole = at_speed(given, 1.5)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cut, "STRETCHED_S", 5.0)
        parts = at_speed(given, 1.5)
    for made in (whole, parts):
        assert made.sound is not None
        heard = made.sound.samples[800:-800, 0]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        assert spectrum.argmax() * 8000 / len(heard) == pytest.approx(440, abs=2)
        as_long(made)
    assert given.sound is not None
    assert np.array_equal(given.sound.samples, tone)  # what is given is not written into


@pytest.mark.parametrize("speed", [0.0, float("nan"), float("inf"), 100.0, -1.0, 0.1])
def test_a_speed_that_cannot_be_played_is_refused_with_and_without_sound(speed: float) -> None:
    for given in (film(50), beeping(50, [10])):
        with pytest.raises(MediaError, match="cannot be played"):
            at_speed(given, speed)


# --- silence


def speech(*parts: tuple[float, bool], rate_hz: int = RATE) -> Sound:
    """Noise where somebody speaks, silence where nobody does."""
    random = np.random.Generator(np.random.Philox(key=3))
    waves = [
        random.standard_normal(round(seconds * rate_hz)) * (0.1 if spoken else 0)
        for seconds, spoken in parts
    ]
    return Sound(samples=np.concatenate(waves).astype(np.float32)[:, None], sample_rate_hz=rate_hz)


def test_where_nobody_is_heard_picture_and_sound_are_cut_together() -> None:
    sound = speech((1.0, False), (1.0, True), (2.0, False), (1.0, True), (0.3, False), (0.7, True),
                   (2.0, False))  # fmt: skip
    made = without_silence(film(200, sound=sound), Silences(margin_s=0.2, least_s=0.6))
    shown = numbers(made)
    # 0.8 to 2.2 s, then 3.8 to 6.2 s with the short silence; frames 20-55 and 95-155.
    assert shown == [*range(20, 55), *range(95, 155)]
    as_long(made)
    assert made.sound is not None
    loud = np.abs(made.sound.samples[:, 0]).reshape(-1, RATE // FPS).max(axis=1) > 0.02
    talking = [25 <= one < 50 or 100 <= one < 125 or 132 <= one < 150 for one in shown]
    assert np.mean(loud == np.array(talking)) > 0.97


def test_short_silences_stay_at_the_ends_as_well() -> None:
    sound = speech((0.4, False), (1.0, True), (0.4, False))
    assert count_of(without_silence(film(45, sound=sound), Silences(least_s=0.6))) == 45
    assert count_of(without_silence(film(45, sound=sound), Silences(least_s=0.3))) == 45 - 12


def test_a_sound_shorter_or_longer_than_the_picture_becomes_as_long() -> None:
    for seconds in (1.0, 1.99, 5.0):
        given = film(50, sound=clicks(seconds, [0.4]))
        for made in (
            trimmed(given), at_speed(given, 2.0), joined([given, given]),
            at_rate(given, Fraction(30)), without_silence(given),
        ):  # fmt: skip
            as_long(made)


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100])
def test_silence_is_found_where_it_is_at_every_sample_rate(rate_hz: int) -> None:
    given = film(250 * 3, sound=speech((28.0, True), (1.0, False), (1.0, True), rate_hz=rate_hz))
    made = without_silence(given, Silences(margin_s=0.1))
    assert count_of(made) == pytest.approx(750 - 20, abs=2)
    left = sum(1 for _ in made.frames)
    assert left == count_of(made)
    frames = list(made.frames)
    jump = next(
        place for place in range(1, left)
        if (number_of(frames[place]) - number_of(frames[place - 1])) % 256 != 1
    )  # fmt: skip
    assert jump / FPS == pytest.approx(28.1, abs=0.05)


def test_a_seam_in_the_sound_does_not_click() -> None:
    time = np.arange(4 * RATE) / RATE
    hum = 0.05 * np.sin(2 * np.pi * 57 * time + 0.4)  # below the threshold beside the voice
    voice = 0.9 * np.sin(2 * np.pi * 200 * time) * ((time < 1) | (time > 3))
    given = film(100, sound=Sound(
        samples=(hum + voice).astype(np.float32)[:, None], sample_rate_hz=RATE
    ))  # fmt: skip
    asked = Silences(below_db=-20, margin_s=0.113, cross_s=0.02)
    soft, hard = (without_silence(given, one) for one in (asked, replace(asked, cross_s=0.0)))
    assert soft.sound is not None
    assert hard.sound is not None
    assert len(soft.sound.samples) == len(hard.sound.samples)
    seam = round((1 + 0.12) * RATE)
    around = slice(seam - RATE // 100, seam + RATE // 50)
    jumps = [np.abs(np.diff(one.sound.samples[around, 0])).max() for one in (soft, hard)]  # type: ignore[union-attr]
    assert jumps[0] < 0.002
    assert jumps[1] > 5 * jumps[0]


def test_captions_move_with_what_was_cut_and_those_in_silence_are_gone() -> None:
    sound = speech((1.0, True), (2.0, False), (1.0, True))
    said = (
        Caption(text="first", start_s=0.5, end_s=1.0),
        Caption(text="nobody", start_s=1.5, end_s=2.5),
        Caption(text="second", start_s=3.0, end_s=4.0),
    )
    made = without_silence(film(100, sound=sound, captions=said), Silences(margin_s=0.2))
    assert [(one.text, round(one.start_s, 2)) for one in made.captions] == [
        ("first", 0.5), ("second", 1.4),
    ]  # fmt: skip


def test_without_a_sound_or_without_anything_heard_there_is_nothing_to_cut_by() -> None:
    with pytest.raises(MediaError, match="has no sound"):
        without_silence(film(50))
    with pytest.raises(MediaError, match="nothing is heard"):
        without_silence(film(50, sound=clicks(2, [])))


@pytest.mark.parametrize(("name", "value"), [
    ("least_s", -1.0), ("margin_s", float("nan")), ("cross_s", 99.0), ("below_db", 0.0),
    ("below_db", float("nan")),
])  # fmt: skip
def test_silences_without_a_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match="silence"):
        Silences(**{name: value})


# --- join


def test_films_follow_each_other_with_their_sounds_and_captions() -> None:
    said = (Caption(text="hello", start_s=0.2, end_s=0.6),)
    parts = [replace(beeping(50, [10]), captions=said), replace(beeping(30, [20]), captions=said)]
    made = joined(parts)
    assert numbers(made) == [*range(50), *range(30)]
    as_long(made)
    assert made.sound is not None
    assert click_times(made.sound) == pytest.approx([0.4, 2.8], abs=0.01)
    assert [one.start_s for one in made.captions] == pytest.approx([0.2, 2.2])


def test_a_film_cut_and_joined_again_is_the_film() -> None:
    given = beeping(100, [10, 40, 60, 90])
    made = joined(parts_at(given, [0.9, 1.0, 2.5]))
    assert numbers(made) == list(range(100))
    in_step(made, [10, 40, 60, 90], [0.4, 1.6, 2.4, 3.6])
    assert given.sound is not None
    assert made.sound is not None
    assert np.abs(given.sound.samples - made.sound.samples).mean() < 1e-4


def test_a_film_without_sound_is_silent_beside_one_with_sound() -> None:
    made = joined([film(50), beeping(50, [10], channels=2), film(25)])
    as_long(made)
    assert made.sound is not None
    assert made.sound.samples.shape[1] == 2
    assert click_times(made.sound) == pytest.approx([2.4], abs=0.01)
    assert joined([film(50), film(25)]).sound is None


def test_sounds_of_other_rates_and_channels_become_one() -> None:
    slow = film(50, sound=clicks(2, [1.0], rate_hz=16_000))
    made = joined([beeping(50, [25], channels=2), slow])
    assert made.sound is not None
    assert made.sound.sample_rate_hz == RATE
    assert click_times(made.sound) == pytest.approx([1.0, 3.0], abs=0.01)
    assert np.array_equal(made.sound.samples[RATE * 2 :, 0], made.sound.samples[RATE * 2 :, 1])


def test_films_of_other_rates_keep_their_length_and_stay_in_step() -> None:
    thirty = film(60, fps=30, sound=clicks(2, [1.0]))
    slow = film(20, fps=10, sound=clicks(2, [1.5]))
    made = joined([beeping(50, [25]), thirty, slow])
    shown = numbers(made)
    assert made.fps == FPS
    assert len(shown) == 150
    as_long(made)
    assert made.sound is not None
    beeps = [1.0, 3.0, 5.5]
    assert click_times(made.sound) == pytest.approx(beeps, abs=0.01)
    for beep, number in zip(beeps, (25, 30, 15), strict=True):
        assert abs(shown[round(beep * FPS)] - number) <= 1
    again = joined([film(50), film(50)], Join(fps=Fraction(30_000, 1001)))
    assert count_of(again) == 120


@pytest.mark.parametrize("rates", [(25, 30), (30, 25), (24, 60), (60, 24), (10, 25)])
def test_at_another_rate_no_frame_is_off_by_more_than_one(rates: tuple[int, int]) -> None:
    made = at_rate(film(200, fps=rates[0]), Fraction(rates[1]))
    for place, number in enumerate(numbers(made)):
        assert abs(number / rates[0] - place / rates[1]) <= 1 / min(rates)
    assert count_of(made) / made.fps == pytest.approx(200 / rates[0], abs=1 / rates[1])


def test_films_dissolve_into_each_other_in_picture_and_sound() -> None:
    black, white = (np.full((48, 64, 3), level, np.uint8) for level in (0, 240))
    noise = speech((2.0, True))
    parts = [Film(frames=[one] * 50, fps=Fraction(FPS), sound=noise) for one in (black, white)]
    made = joined(parts, Join(dissolve_s=0.4))
    levels = [int(one.mean()) for one in made.frames]
    assert len(levels) == 90
    assert levels[:40] == [0] * 40
    assert levels[50:] == [240] * 40
    assert np.diff(levels[39:51]) == pytest.approx([240 / 11] * 11, abs=1.5)
    as_long(made)
    assert made.sound is not None
    power = (made.sound.samples[:, 0] ** 2).reshape(-1, RATE // FPS).mean(axis=1)
    # The noises are one and the same here, shifted, so that their powers add up.
    assert power[40:50].mean() == pytest.approx(power[:40].mean(), rel=0.15)


def test_every_place_of_a_chain_can_be_begun_at() -> None:
    parts = [film(20), film(30), film(25)]
    for asked in (Join(), Join(dissolve_s=0.4)):
        frames = joined(parts, asked).frames
        every = list(frames)
        for first in range(len(every) + 1):
            later = list(since(frames, first))
            assert len(later) == len(every) - first
            assert all(map(np.array_equal, later, every[first:]))


def test_captions_of_films_that_dissolve_do_not_stand_over_each_other() -> None:
    first = film(50, captions=(Caption(text="one", start_s=1.0, end_s=2.0),))
    second = film(50, captions=(Caption(text="two", start_s=0.0, end_s=1.0),))
    made = joined([first, second], Join(dissolve_s=0.4))
    times = [time for one in made.captions for time in (one.start_s, one.end_s)]
    assert times == pytest.approx([1.0, 1.6, 1.6, 2.6])


@pytest.mark.parametrize("fill", ["bars", "blur", "crop"])
def test_a_film_of_another_shape_is_fitted_into_the_first(fill: str) -> None:
    tall = Film(frames=[np.full((96, 40, 3), 200, np.uint8)] * 10, fps=Fraction(FPS))
    made = list(joined([film(10), tall], Join(fill=fill)).frames)  # type: ignore[arg-type]
    assert {one.shape for one in made} == {(HEIGHT, WIDTH, 3)}
    last = made[-1]
    assert abs(int(last[24, 32, 0]) - 200) < 3
    side = {"bars": 0, "blur": 120, "crop": 200}[fill]
    assert abs(int(last[24, 4, 0]) - side) < 6


def test_the_whole_has_the_size_asked_and_odd_sides_become_even() -> None:
    made = joined([film(5, size=(63, 47)), film(5)])
    assert {one.shape for one in made.frames} == {(48, 64, 3)}
    made = joined([film(5), film(5)], Join(size=(120, 90)))
    assert [one.shape for one in made.frames] == [(90, 120, 3)] * 10


def test_joining_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(MediaError, match="0 films"):
        joined([])
    with pytest.raises(MediaError, match=r"film 2 lasts 0\.4 s, too short"):
        joined([film(50), film(10), film(50)], Join(dissolve_s=0.5))
    long = film(1000, fps=1)
    with pytest.raises(MediaError, match="joined film would last"):
        joined([long, long])
    for wrong in ({"dissolve_s": -1.0}, {"dissolve_s": float("nan")}, {"fps": Fraction(0)}):
        with pytest.raises(ConfigError):
            Join(**wrong)
    with pytest.raises(ConfigError, match="pixels cannot be made"):
        joined([film(5)], Join(size=(100_000, 100_000)))
    with pytest.raises(ConfigError, match="no way to fill"):
        joined([film(5)], Join(size=(80, 80), fill="stretch"))  # type: ignore[arg-type]


# --- shape


@pytest.mark.parametrize(("shape", "size"), [
    ("1:1", (180, 180)), ("9:16", (100, 180)), ("16:9", (320, 180)), ("4:5", (144, 180)),
    ("2.39:1", (320, 132)), ("21:9", (320, 136)),
])  # fmt: skip
def test_a_crop_has_the_shape_asked_and_even_sides(shape: str, size: tuple[int, int]) -> None:
    made = list(cropped(film(3, size=(320, 180)), shape).frames)
    assert {(one.shape[1], one.shape[0]) for one in made} == {size}


def test_a_crop_keeps_what_is_in_its_focus() -> None:
    y, x = np.mgrid[:180, :320]
    ramp = np.stack((x * 255 // 319, y * 255 // 179, x * 0), axis=2).astype(np.uint8)
    given = Film(frames=[ramp], fps=Fraction(FPS))
    for focus, left in ((0.0, 0), (0.5, 70), (0.4, 38), (1.0, 140)):
        (made,) = cropped(given, "1:1", (focus, 0.5)).frames
        assert np.array_equal(made, ramp[:, left : left + 180])
    (made,) = cropped(given, "4:1", (0.5, 1.0)).frames
    assert np.array_equal(made, ramp[100:])


def test_a_fitted_film_is_whole_on_a_ground_of_its_own() -> None:
    random = np.random.Generator(np.random.Philox(key=1))
    noise = random.integers(0, 256, (90, 160, 3)).astype(np.uint8)
    given = Film(frames=[noise], fps=Fraction(FPS))
    (made,) = fitted(given, "1:1").frames
    assert made.shape == (160, 160, 3)
    assert np.array_equal(made[35:125], noise)
    ground = made[:33].astype(float)
    assert 40 < ground.mean() < 110  # of the same light, but darker
    assert np.abs(np.diff(ground, axis=1)).mean() < 2  # and soft
    (bars,) = fitted(given, "1:1", "bars").frames
    assert not bars[:35].any()
    assert np.array_equal(bars[35:125], noise)
    (upright,) = fitted(given, "9:16").frames
    assert upright.shape == (160, 90, 3)


@pytest.mark.parametrize("shape", ["", "16", "16:0", "0:9", "-1:1", "nan:1", "a:b", "100:1"])
def test_a_shape_that_is_none_is_refused(shape: str) -> None:
    for change in (cropped, fitted):
        with pytest.raises(ConfigError, match="no shape of a film"):
            change(film(3), shape)


def test_a_focus_outside_the_frame_is_refused() -> None:
    for focus in ((1.2, 0.5), (0.5, -0.1), (float("nan"), 0.5)):
        with pytest.raises(ConfigError, match="nowhere in the frame"):
            cropped(film(3), "1:1", focus)
    with pytest.raises(ConfigError, match="too little is left"):
        cropped(film(3), "1:8")


def test_a_film_already_of_the_size_is_left_alone() -> None:
    given = film(3)
    assert placed(given, (WIDTH, HEIGHT)) is given


# --- all together


@dataclass(frozen=True)
class Watched:
    """Frames that tell how many of them are held at the same time."""

    count: int
    held: list[int]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame]:
        now = [0]

        def gone() -> None:
            now[0] -= 1

        for number in range(self.count):
            frame: NDArray[np.uint8] = numbered(number).copy()
            now[0] += 1
            self.held[0] = max(self.held[0], now[0])
            weakref.finalize(frame, gone)
            yield frame


def test_a_long_film_is_never_in_memory() -> None:
    held = [0]
    sound = speech((40.0, True), (5.0, False), (35.0, True), rate_hz=8000)
    given = Film(frames=Watched(2000, held), fps=Fraction(FPS), sound=sound)
    part = trimmed(without_silence(given), 5.0, 70.0)
    made = joined([at_speed(cropped(part, "1:1"), 1.5), film(50)], Join(dissolve_s=0.5))
    count = sum(1 for _ in made.frames)
    assert count == count_of(made)
    assert 0 < held[0] < 12


def test_the_same_cuts_give_the_same_frames_twice() -> None:
    made = joined([at_speed(film(40), 2.0), fitted(film(20), "1:1")], Join(dissolve_s=0.2))
    assert all(map(np.array_equal, made.frames, made.frames))


def test_a_file_is_cut_joined_written_and_read_again_in_step() -> None:
    given = decode(file_of("mp4", "libx264", beeps=(0.4, 1.6)))
    made = joined([trimmed(given, 1.2), trimmed(given, 0.2, 0.8)])
    again = decode(encode(made, "mp4"))
    shown = numbers(again)
    assert shown == [*range(30, 50), *range(5, 20)]
    assert again.sound is not None
    # AAC's frames spread a beep a little.
    assert click_times(again.sound, 0.3) == pytest.approx([0.4, 1.0], abs=0.04)
