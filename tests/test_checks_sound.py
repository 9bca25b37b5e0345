"""Technical checks of sound, each with what it passes and what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from wenfang.checks import SOUND, Material, judge
from wenfang.checks.sound import sound_clipping, sound_loudness, sound_silence
from wenfang.compose.mix import Mix, levelled
from wenfang.media.audio import Sound

RATE = 48_000


def sound(samples: np.ndarray) -> Sound:
    return Sound(samples=samples.astype(np.float32)[:, None], sample_rate_hz=RATE)


def tone(seconds: float, level: float = 0.2) -> np.ndarray:
    return np.asarray(level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE))


GOOD = levelled(sound(tone(3.0)), Mix())


def test_a_clean_sound_passes_all() -> None:
    report = judge(Material(sound=GOOD), SOUND)
    assert report.verdict.decision == "pass"
    assert [check.verdict for check in report.checks] == ["pass"] * 3


def test_clipping_is_found_and_a_single_peak_is_none() -> None:
    clipped = np.clip(tone(1.0, 1.5), -1, 1)
    found = sound_clipping(Material(sound=sound(clipped)))
    assert found.verdict == "repair"
    assert found.value is not None
    assert found.value > 0.3
    peaked = tone(1.0)
    peaked[[100, 2000]] = 1.0
    assert sound_clipping(Material(sound=sound(peaked))).value == 0.0


def test_a_long_silence_is_found_and_pauses_are_none() -> None:
    parted = np.concatenate([tone(1.0), np.zeros(5 * RATE), tone(1.0)])
    found = sound_silence(Material(sound=sound(parted)))
    assert found.verdict == "repair"
    assert found.value == pytest.approx(5.0, abs=0.05)
    paused = np.concatenate([tone(1.0), np.zeros(2 * RATE), tone(1.0)])
    assert sound_silence(Material(sound=sound(paused))).verdict == "pass"
    nothing = sound_silence(Material(sound=sound(np.zeros(6 * RATE))))
    assert nothing.value == pytest.approx(6.0)


def test_loudness_is_that_of_the_rest() -> None:
    for level, verdict in ((0.01, "repair"), (0.0, "repair")):
        found = sound_loudness(Material(sound=sound(tone(2.0, level))))
        assert found.verdict == verdict
        assert found.evidence
    assert sound_loudness(Material(sound=GOOD)).verdict == "pass"


def test_without_a_sound_nothing_is_measured() -> None:
    for check in (sound_clipping, sound_silence, sound_loudness):
        assert check(Material()).verdict == "note"


def test_a_policy_sets_another_line() -> None:
    material = Material(sound=GOOD, thresholds={"sound_loudness": 0.0001})
    assert sound_loudness(material).threshold == 0.0001
