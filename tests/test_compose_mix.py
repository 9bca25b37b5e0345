"""Mixes: exact length, one loudness, no peak above the ceiling, and music that gives way."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wenfang.compose.mix import RATE_HZ, Mix, Track, joined, limited, mix
from wenfang.errors import MediaError
from wenfang.media.audio import Sound
from wenfang.media.loudness import SILENCE_LUFS, loudness_lufs, true_peak_dbtp

PLAIN = Mix(lufs=None, peak_dbtp=0.0)


def tone(
    seconds: float = 4.0, frequency_hz: float = 440.0, level: float = 0.2, rate_hz: int = RATE_HZ
) -> Sound:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = level * np.sin(2 * np.pi * frequency_hz * t)
    return Sound(samples=wave.astype(np.float32)[:, None], sample_rate_hz=rate_hz)


def measured_by_ffmpeg(sound: Sound) -> tuple[float, float]:
    """Loudness in LUFS and true peak in dBTP, as FFmpeg's ebur128 tells them."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sound.sample_rate_hz, format="flt", layout="stereo",
        time_base=Fraction(1, sound.sample_rate_hz),
    )  # fmt: skip
    meter, sink = graph.add("ebur128", "peak=true:metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound.samples.reshape(1, -1)), format="flt", layout="stereo"
    )
    frame.sample_rate, frame.pts = sound.sample_rate_hz, 0
    source.push(frame)
    source.push(None)
    told: dict[str, Any] = {}
    while True:
        try:
            told = dict(sink.pull().metadata) or told
        except (av.BlockingIOError, av.EOFError):
            break
    peaks = [float(told[f"lavfi.r128.true_peaks_ch{side}"]) for side in (0, 1)]
    return float(told["lavfi.r128.I"]), 20 * float(np.log10(max(peaks)))


def level_db(samples: NDArray[Any]) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 3.0), st.integers(1, 3))
def test_a_mix_is_as_loud_as_asked_and_no_peak_is_above(seed: int, level: float, kind: int) -> None:
    rng = np.random.default_rng(seed)
    beats = np.zeros(RATE_HZ * 6)
    beats[:: RATE_HZ // kind] = 8 * level  # clicks far above the rest
    wave = np.convolve(beats, np.exp(-np.arange(2000) / 300), "same")
    wave += level * rng.normal(0, 0.1, len(wave))
    samples = np.stack([wave, np.roll(wave, 40)], axis=1).astype(np.float32)
    made = mix([Track(sound=Sound(samples=samples, sample_rate_hz=RATE_HZ))])
    loudness, peak = measured_by_ffmpeg(made)
    assert loudness == pytest.approx(-14, abs=0.5)
    assert peak <= -1 + 0.05
    assert loudness_lufs(made.samples, RATE_HZ) == pytest.approx(loudness, abs=0.1)
    assert true_peak_dbtp(made.samples) == pytest.approx(peak, abs=0.1)


@pytest.mark.parametrize("seconds", [0.01, 1.0, 3.3337, 10.0])
def test_a_mix_is_exactly_as_long_as_asked(seconds: float) -> None:
    made = mix([Track(sound=tone(4.0), start_s=0.5)], Mix(duration_s=seconds))
    assert len(made.samples) == round(seconds * RATE_HZ)


def test_without_a_length_a_mix_ends_with_its_last_track() -> None:
    tracks = [Track(sound=tone(2.0), start_s=3.0), Track(sound=tone(1.0, rate_hz=8000))]
    assert mix(tracks).duration_s == pytest.approx(5.0)


def test_tracks_add_up_at_their_places_and_gains() -> None:
    one, other = tone(2.0), tone(1.0, 700)
    made = mix([Track(sound=one), Track(sound=other, start_s=0.75, gain_db=-6)], PLAIN)
    wanted = one.samples.astype(np.float64).repeat(2, axis=1)
    first = round(0.75 * RATE_HZ)
    wanted[first : first + RATE_HZ] += 10 ** (-6 / 20) * other.samples
    assert np.abs(made.samples - wanted).max() < 1e-6


def test_what_lies_outside_is_cut() -> None:
    early = mix([Track(sound=tone(2.0), start_s=-1.5)], replace(PLAIN, duration_s=1.0))
    assert np.abs(early.samples[: RATE_HZ // 2 - 1]).max() > 0.1
    assert not early.samples[RATE_HZ // 2 :].any()
    late = mix([Track(sound=tone(2.0), start_s=5.0)], replace(PLAIN, duration_s=1.0))
    assert not late.samples.any()


def test_panning_keeps_power_and_moves_it_aside() -> None:
    for pan in (-1.0, -0.4, 0.0, 0.7, 1.0):
        made = mix([Track(sound=tone(1.0), pan=pan)], PLAIN).samples
        assert (made**2).sum() == pytest.approx(2 * (tone(1.0).samples ** 2).sum(), rel=1e-3)
    left = mix([Track(sound=tone(1.0), pan=-1.0)], PLAIN).samples
    assert np.abs(left[:, 1]).max() < 1e-6


def test_fades_begin_and_end_in_silence() -> None:
    made = mix([Track(sound=tone(3.0), fade_in_s=1.0, fade_out_s=1.0)], PLAIN).samples[:, 0]
    tenth = RATE_HZ // 10
    assert np.abs(made[:100]).max() < 0.001
    assert np.abs(made[-100:]).max() < 0.001
    middle = np.abs(made[RATE_HZ : 2 * RATE_HZ]).max()
    assert middle == pytest.approx(0.2, abs=0.001)
    assert np.abs(made[tenth : 2 * tenth]).max() < middle


def test_music_gives_way_to_speech_and_comes_back() -> None:
    music = Track(sound=tone(12.0, 200.0, 0.3), ducked_db=12.0)
    speech = Track(sound=tone(2.0, 900.0, 1e-9), start_s=5.0, speech=True)
    made = mix([music, speech], PLAIN).samples

    def at(seconds: float) -> float:
        first = round(seconds * RATE_HZ)
        return level_db(made[first : first + RATE_HZ // 10]) - level_db(music.sound.samples)

    assert at(1.0) == pytest.approx(0, abs=0.1)
    assert at(6.0) == pytest.approx(-12, abs=0.1)
    assert at(5.0) == pytest.approx(-12, abs=0.5)  # lowered before the first word
    assert at(10.0) == pytest.approx(0, abs=0.1)
    steps = np.diff([at(one) for one in np.arange(7.2, 9.0, 0.1)])
    assert (steps > -0.1).all()
    assert steps.max() < 4


@pytest.mark.parametrize("pan", [-1.0, 1.0])
def test_speech_from_one_side_lowers_the_music_too(pan: float) -> None:
    speech = Track(sound=tone(2.0, 900.0, 1e-9), start_s=2.0, speech=True, pan=pan)
    made = mix([Track(sound=tone(6.0, 200.0, 0.3), ducked_db=12.0), speech], PLAIN).samples
    before, under = (made[at * RATE_HZ : (at + 1) * RATE_HZ] for at in (0, 3))
    assert level_db(under) < level_db(before) - 8


def test_a_pause_of_speech_does_not_bring_the_music_back() -> None:
    words = np.concatenate([tone(0.6).samples, np.zeros((RATE_HZ // 2, 1), np.float32)] * 4)
    speech = Track(sound=Sound(samples=words, sample_rate_hz=RATE_HZ), speech=True, gain_db=-200)
    made = mix([Track(sound=tone(8.0, 200.0), ducked_db=10.0), speech], PLAIN).samples
    blocks = made[RATE_HZ // 2 : 3 * RATE_HZ].reshape(-1, RATE_HZ // 10, 2)
    levels = [level_db(block) for block in blocks]
    assert max(levels) - min(levels) < 0.2


def test_silence_stays_silent() -> None:
    quiet = Sound(samples=np.zeros((RATE_HZ, 2), np.float32), sample_rate_hz=RATE_HZ)
    made = mix([Track(sound=quiet)])
    assert not made.samples.any()
    assert true_peak_dbtp(made.samples) == SILENCE_LUFS


def test_the_same_tracks_give_the_same_mix() -> None:
    tracks = [Track(sound=tone(3.0), speech=True), Track(sound=tone(3.0, 90), ducked_db=9)]
    assert np.array_equal(mix(tracks).samples, mix(tracks).samples)


def test_what_is_below_the_ceiling_is_left_as_it_is() -> None:
    samples = tone(1.0).samples.astype(np.float64)
    assert np.array_equal(limited(samples, 0.9, RATE_HZ), samples.astype(np.float32))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gain_db": float("nan")}, "track 1: gain_db is nan"),
        ({"pan": 1.5}, "track 1: pan is 1.5"),
        ({"fade_in_s": -1.0}, "track 1: fade_in_s is -1"),
        ({"start_s": float("inf")}, "track 1: start_s is inf"),
    ],
)
def test_numbers_without_a_meaning_are_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(MediaError, match=said):
        mix([replace(Track(sound=tone(1.0)), **change)])  # type: ignore[arg-type]


def test_what_cannot_be_mixed_is_refused() -> None:
    broken = tone(1.0)
    broken.samples[5] = np.nan
    with pytest.raises(MediaError, match="no numbers"):
        mix([Track(sound=broken)])
    with pytest.raises(MediaError, match="nothing to mix"):
        mix([])
    with pytest.raises(MediaError, match="too many"):
        mix([Track(sound=tone(0.1))] * 101)
    for seconds in (0.0, -1.0, 4000.0):
        with pytest.raises(MediaError, match="cannot be made"):
            mix([Track(sound=tone(1.0))], Mix(duration_s=seconds))
    with pytest.raises(MediaError, match="no number"):
        mix([Track(sound=tone(1.0))], Mix(duration_s=float("nan")))


def test_a_cross_fade_shares_its_time_and_keeps_power() -> None:
    rng = np.random.default_rng(0)
    one, other = (
        Sound(samples=rng.normal(0, 0.1, (RATE_HZ, 1)).astype(np.float32), sample_rate_hz=RATE_HZ)
        for _ in range(2)
    )
    whole = joined([one, other], 0.5)
    assert whole.duration_s == pytest.approx(1.5)
    shared = whole.samples[RATE_HZ // 2 : RATE_HZ]
    assert level_db(shared) == pytest.approx(level_db(one.samples), abs=0.3)
    assert joined([one]).duration_s == 1.0
    with pytest.raises(MediaError, match="nothing to join"):
        joined([])
