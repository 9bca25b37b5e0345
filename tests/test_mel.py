"""Log-mels and the way back: what a picture tells of a sound, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tiny_sounds import word
from wenfang.errors import ConfigError, MediaError
from wenfang.media.audio import Sound
from wenfang.media.mel import (
    SPEECH,
    Levels,
    MelScale,
    heard_frames,
    mel_decibels,
    mel_picture,
    sound_of,
)

RATE_HZ = SPEECH.rate_hz


def tone(hertz: float, seconds: float = 0.5, loud: float = 0.5) -> Sound:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    samples = (loud * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    return Sound(samples=samples[:, None], sample_rate_hz=RATE_HZ)


def pitch_hz(sound: Sound) -> float:
    heard = sound.samples[1000:3000, 0] * np.hanning(2000)
    return float(np.abs(np.fft.rfft(heard, 16_384)).argmax() * RATE_HZ / 16_384)


def apart_db(one: Levels, other: Levels, above_db: float) -> float:
    """Root mean square of the decibels between two pictures, where the first is loud."""
    first, second = mel_decibels(one), mel_decibels(other)
    return float(np.sqrt(np.square(first - second)[first > above_db].mean()))


@pytest.mark.parametrize("hertz", [200.0, 1000.0, 3000.0])
def test_a_tone_is_one_bright_line_and_comes_back_at_its_pitch(hertz: float) -> None:
    picture = mel_picture(tone(hertz))
    assert picture.shape == (48, 48)
    assert picture.max() == 255
    # The bands' middles, the lowest at the bottom of the picture.
    low, high = (2595 * np.log10(1 + edge / 700) for edge in (50.0, 4000.0))
    mels = np.linspace(low, high, 50)[1:-1]
    middles = 700 * (10 ** (mels / 2595) - 1)
    brightest = middles[::-1][picture[:, 10].argmax()]
    assert abs(brightest - hertz) <= 0.06 * hertz
    assert not picture[:, 35:].any()  # half a second is 31.25 frames, a window reaches on
    assert abs(pitch_hz(sound_of(picture)) - hertz) <= 0.03 * hertz + 4


def test_what_is_loud_in_a_spoken_word_comes_back_within_a_decibel() -> None:
    picture = mel_picture(word("1 low", 0.6, np.random.default_rng(1)))
    back, hardly = (mel_picture(sound_of(picture, rounds=rounds)) for rounds in (60, 1))
    assert apart_db(picture, back, -25) < 1
    assert apart_db(picture, back, -40) < 3.5
    assert apart_db(picture, hardly, -25) > 4


def test_loudness_is_not_told_and_silence_is_black() -> None:
    loud, faint = (mel_picture(tone(500, loud=one)) for one in (0.9, 0.0009))
    assert np.abs(loud.astype(int) - faint).max() <= 1
    silence = Sound(samples=np.zeros((800, 1), np.float32), sample_rate_hz=RATE_HZ)
    assert not mel_picture(silence).any()
    assert not sound_of(mel_picture(silence)).samples.any()


def test_a_sound_fills_its_picture_and_peaks_below_full_scale() -> None:
    sound = sound_of(mel_picture(tone(700)))
    assert len(sound.samples) == SPEECH.samples == 48 * 128
    assert sound.duration_s == SPEECH.duration_s
    assert float(np.abs(sound.samples).max()) == pytest.approx(0.9)


def test_the_same_picture_gives_the_same_sound() -> None:
    picture = mel_picture(word("2 high", 0.5, np.random.default_rng(2)))
    assert sound_of(picture).samples.tobytes() == sound_of(picture.copy()).samples.tobytes()


def test_what_is_heard_begins_and_ends_with_its_frames_and_a_haze_is_nothing() -> None:
    picture = np.full((48, 48), 20, np.uint8)  # 55 dB below white
    assert heard_frames(picture) == slice(0, 48)
    picture[30, 5], picture[10, 20] = 255, 60
    assert heard_frames(picture) == slice(5, 21)
    assert heard_frames(mel_picture(tone(500, seconds=0.25))).stop == 17


def test_two_channels_are_mixed() -> None:
    one = tone(600)
    both = replace(one, samples=np.repeat(one.samples, 2, axis=1))
    assert np.array_equal(mel_picture(both), mel_picture(one))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MediaError, match=r"8000 Hz and 1\.00 s .* at most 0\.768 s at 8000 Hz"):
        mel_picture(tone(500, seconds=1.0))
    with pytest.raises(MediaError, match="this sound of 16000 Hz"):
        mel_picture(replace(tone(500), sample_rate_hz=16_000))
    with pytest.raises(MediaError, match="48x47 is no log-mel"):
        sound_of(np.zeros((48, 47), np.uint8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": 0},
        {"side": 100_000},
        {"hop": 100},
        {"hop": 512},
        {"window": 1024},
        {"lowest_hz": 4000.0},
        {"range_db": 0.0},
        {"transform": 2**20},
    ],
)
def test_a_scale_that_cannot_be_computed_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="this mel scale cannot be computed"):
        replace(SPEECH, **wrong)  # type: ignore[arg-type]


def test_another_scale_has_its_own_size() -> None:
    scale = MelScale(side=16, hop=64, window=256, transform=256, rate_hz=16_000)
    assert scale.duration_s == 16 * 64 / 16_000
    noise = np.random.default_rng(0).normal(size=(700, 1)).astype(np.float32) * 0.1
    picture = mel_picture(Sound(samples=noise, sample_rate_hz=16_000), scale)
    assert picture.shape == (16, 16)
    assert not picture[:, -1].any()
