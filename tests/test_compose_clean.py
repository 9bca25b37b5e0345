"""Given sound: silence, noise, speed and loudness."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wenfang.compose.clean import (
    at_speed,
    denoised,
    normalised,
    parts_between,
    silences,
    trimmed,
    without_silences,
)
from wenfang.errors import MediaError
from wenfang.media.audio import Sound
from wenfang.media.loudness import loudness_lufs

RATE = 24_000


def sound(*parts: tuple[float, float], rate_hz: int = RATE, channels: int = 1) -> Sound:
    """(seconds, frequency) one after the other; a frequency of 0 is silence."""
    waves = [
        0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate_hz)) / rate_hz)
        for seconds, frequency in parts
    ]
    wave = np.concatenate(waves).astype(np.float32)
    return Sound(samples=np.stack([wave] * channels, axis=1), sample_rate_hz=rate_hz)


GIVEN = sound((0.8, 0), (1.0, 300), (1.0, 0), (0.5, 500), (0.2, 0), (0.5, 700), (0.6, 0))


def loudest_hz(samples: NDArray[np.float32], rate_hz: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate_hz / len(samples))


def test_silences_are_found_where_they_are() -> None:
    found = silences(GIVEN)
    wanted = [(0, 0.8), (1.8, 2.8), (4.0, 4.6)]
    assert len(found) == 3
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, abs=0.021)


def test_ends_are_trimmed_and_the_middle_stays() -> None:
    assert trimmed(GIVEN).duration_s == pytest.approx(3.2 + 0.1, abs=0.03)
    silent = sound((1.0, 0))
    for change in (trimmed, without_silences):
        with pytest.raises(MediaError, match="nothing is heard"):
            change(silent)


def test_long_silences_become_short_and_short_ones_stay() -> None:
    assert without_silences(GIVEN).duration_s == pytest.approx(2.2 + 0.15 + 2 * 0.075, abs=0.05)


def test_a_sound_is_cut_by_silence() -> None:
    parts = parts_between(GIVEN, least_s=0.5)
    assert [round(one.duration_s, 1) for one in parts] == [1.1, 1.3]
    assert loudest_hz(parts[0].samples[:, 0]) == pytest.approx(300, abs=3)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_another_speed_keeps_the_pitch(speed: float, channels: int) -> None:
    given = sound((2.0, 440), channels=channels)
    made = at_speed(given, speed)
    assert made.duration_s == pytest.approx(2.0 / speed, abs=0.002)
    middle = made.samples[RATE // 5 : -RATE // 5, 0]
    assert loudest_hz(middle) == pytest.approx(440, abs=4)
    # No piece cancels another: the level stays.
    blocks = middle[: len(middle) // 480 * 480].reshape(-1, 480)
    levels = np.sqrt((blocks**2).mean(axis=1))
    assert levels.min() > 0.8 * levels.max()


def test_speeds_without_a_meaning_are_refused() -> None:
    for speed in (0.0, 9.0, float("nan")):
        with pytest.raises(MediaError, match="cannot be played"):
            at_speed(GIVEN, speed)
    with pytest.raises(MediaError, match="has no meaning"):
        denoised(GIVEN, 2.0)


def test_noise_goes_and_what_sounds_stays() -> None:
    clean = sound((1.0, 0), (2.0, 440), (1.0, 0))
    rng = np.random.default_rng(0)
    noisy = clean.samples + rng.normal(0, 0.02, clean.samples.shape).astype(np.float32)
    made = denoised(Sound(samples=noisy, sample_rate_hz=RATE)).samples

    def level(samples: NDArray[np.float32], start_s: float, end_s: float) -> float:
        part = samples[round(start_s * RATE) : round(end_s * RATE)]
        return float(np.sqrt((part**2).mean()))

    assert level(made, 0.1, 0.8) < 0.25 * level(noisy, 0.1, 0.8)
    assert level(made, 1.3, 2.7) == pytest.approx(level(clean.samples, 1.3, 2.7), rel=0.05)
    off = level(made - clean.samples, 1.3, 2.7)
    assert off < 0.6 * level(noisy - clean.samples, 1.3, 2.7)
    untouched = denoised(Sound(samples=noisy, sample_rate_hz=RATE), 0.0).samples
    assert np.abs(untouched - noisy).max() < 1e-5


def test_one_loudness() -> None:
    made = normalised(sound((3.0, 440)), lufs=-20.0)
    assert loudness_lufs(made.samples, RATE) == pytest.approx(-20, abs=0.1)


def test_silences_do_not_drift_at_rates_whose_steps_are_no_whole_number() -> None:
    rate = 11_025
    tone = np.sin(np.arange(rate) * 0.3)[:, None].astype(np.float32)
    quiet = np.zeros((rate, 1), np.float32)
    long = Sound(samples=np.concatenate([tone, quiet] * 60), sample_rate_hz=rate)
    starts = [start_s for start_s, _ in silences(long)]
    assert len(starts) == 60
    assert starts[-1] == pytest.approx(119.0, abs=0.02)
