"""Computed sounds: found by words, as long and as loud as asked, and loops without a seam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import wenfang as wf
from conftest import Call
from wenfang.compose.effects import EFFECTS, EffectOptions, find_effect, sound_of
from wenfang.compose.mix import RATE_HZ
from wenfang.errors import BriefError, ConfigError
from wenfang.media.loudness import loudness_lufs, true_peak_dbtp

GOING_ON = sorted(name for name, one in EFFECTS.items() if not one.once)


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_every_effect_sounds_as_long_and_loud_as_asked(name: str) -> None:
    sound = sound_of(name, EffectOptions(seconds=2.5), 3)
    assert len(sound.samples) == round(2.5 * RATE_HZ)
    assert np.isfinite(sound.samples).all()
    assert true_peak_dbtp(sound.samples) <= -0.99
    assert np.array_equal(sound.samples, sound_of(name, EffectOptions(seconds=2.5), 3).samples)
    if name not in ("click", "heartbeat"):  # mostly silence, or mostly below what loudness hears
        assert loudness_lufs(sound.samples, RATE_HZ) == pytest.approx(-19, abs=0.6)


@pytest.mark.parametrize("name", ["rain", "wind", "sea", "fire", "stream", "bed"])
def test_weather_loops_without_a_seam(name: str) -> None:
    sound = sound_of(name, EffectOptions(seconds=3.0, loop=True))
    twice = np.concatenate([sound.samples, sound.samples])[:, 0]
    steps = np.abs(np.diff(twice))
    seam = len(sound.samples)
    assert steps[seam - 3 : seam + 3].max() <= np.quantile(steps, 0.9999)


@pytest.mark.parametrize("name", ["rain", "fire", "applause", "chime"])
def test_a_seed_makes_another_of_its_kind(name: str) -> None:
    one, other = (sound_of(name, EffectOptions(seconds=1.0), seed).samples for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_intensity_is_heard() -> None:
    def bright(name: str, intensity: float) -> float:
        sound = sound_of(name, EffectOptions(seconds=3.0, intensity=intensity))
        return loudness_lufs(sound.samples, RATE_HZ)

    for name in ("rain", "wind", "sea", "fire"):
        assert bright(name, 1.0) > bright(name, 0.0) + 5


def test_pitch_moves_what_has_one() -> None:
    for semitones in (0.0, 12.0):
        sound = sound_of("tone", EffectOptions(seconds=1.0, pitch=semitones, loop=True))
        loudest = np.abs(np.fft.rfft(sound.samples[:, 0])).argmax()
        assert loudest == pytest.approx(440 * 2 ** (semitones / 12), abs=1)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rain", "rain"),
        ("a quiet beach at night", "sea"),
        ("雨打芭蕉", "rain"),
        ("江水", "stream"),
        ("寺里的钟声", "bell"),
        ("风铃", "chime"),
        ("Gentle WIND in the trees", "wind"),
        ("鼓掌", "applause"),
    ],
)
def test_effects_are_found_in_both_languages(text: str, name: str) -> None:
    assert find_effect(text) == name


@pytest.mark.parametrize("text", ["", "a brainy idea", "😀"])
def test_what_names_no_effect_is_refused(text: str) -> None:
    with pytest.raises(BriefError, match="no effect is named"):
        find_effect(text)


def test_settings_without_a_meaning_are_refused() -> None:
    for name, value in (("seconds", -1.0), ("seconds", 1e4), ("intensity", 2.0), ("pitch", 99.0)):
        with pytest.raises(ConfigError, match=f"settings.{name}"):
            EffectOptions(**{name: value})  # type: ignore[arg-type]


def test_an_effect_is_sealed_and_made_again(call: Call) -> None:
    told = call(
        "generate", "effects", "rain on the roof", "--set", "seconds=3", "-o", "a.flac", "--json"
    ).json  # fmt: skip
    assert told["generated"][0]["effect"] == "rain"
    assert wf.verify(Path("a.flac"))[0].exit_code == 0
    assert [one.outcome for one in wf.replay(Path("a.flac"))] == ["identical"]
