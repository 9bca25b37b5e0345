"""Scores as sound: the loudness, the places, the room, and a clear word where no instrument is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import resvg_py

from tiny_music import piece
from wenfang.compose.mix import Mix
from wenfang.compose.perform import (
    ARRANGEMENTS,
    CHURCH,
    DRY,
    TAIL_S,
    find_arrangement,
    in_room,
    perform,
)
from wenfang.errors import ConfigError, DependencyError, MediaError
from wenfang.media import soundfont
from wenfang.media.audio import Sound
from wenfang.media.loudness import loudness_lufs, true_peak_dbtp
from wenfang.media.midi import Note
from wenfang.media.piano_roll import piano_roll
from wenfang.media.score import TICKS, Part, Score
from wenfang.media.soundfont import Playing

SCORE = piece(2).score(120)


@pytest.mark.parametrize("name", sorted(ARRANGEMENTS))
def test_every_arrangement_is_as_loud_as_asked(name: str) -> None:
    sound = perform(SCORE, ARRANGEMENTS[name])
    assert loudness_lufs(sound.samples, sound.sample_rate_hz) == pytest.approx(-14, abs=0.5)
    assert true_peak_dbtp(sound.samples) <= -1 + 0.01
    assert np.isfinite(sound.samples).all()
    # It ends in silence, after the last note has died away.
    assert SCORE.duration_s < sound.duration_s < SCORE.duration_s + TAIL_S + 1.5
    assert np.abs(sound.samples[-100:]).max() < 0.01


def test_the_same_seed_plays_the_same_and_another_not() -> None:
    one, same, other = (perform(SCORE, ARRANGEMENTS["piano"], seed).samples for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_highest_part_sits_on_the_left() -> None:
    parts = SCORE.parts
    alone = [
        replace(SCORE, parts=(*(replace(p, notes=()) for p in parts if p is not kept), kept))
        for kept in (parts[0], parts[3])
    ]
    wide = replace(ARRANGEMENTS["piano"], room=DRY, width=0.9)
    both = perform(replace(SCORE, parts=(parts[0], parts[3])), wide).samples
    assert np.abs(both[:, 0]).sum() != np.abs(both[:, 1]).sum()
    for one in alone:  # who plays alone sits in the middle
        sides = (perform(one, wide).samples.astype(np.float64) ** 2).sum(axis=0)
        assert sides[0] / sides[1] == pytest.approx(1, abs=0.5)


def test_a_part_asks_for_a_length() -> None:
    sound = perform(SCORE, ARRANGEMENTS["harp"], asked=Mix(duration_s=3.0))
    assert sound.duration_s == pytest.approx(3.0)


def test_notes_of_a_score_are_heard_at_their_pitch() -> None:
    note = Note(start_ticks=0, duration_ticks=4 * TICKS, pitch=69, velocity=90)
    sound = soundfont.play([Playing(notes=[(0.0, 2.0, note)], program=73)])[0]
    spectrum = np.abs(np.fft.rfft(sound.samples[: 2 * soundfont.RATE_HZ, 0]))
    loudest = spectrum.argmax() / 2
    assert min(abs(loudest - 440 * times) for times in (1, 2)) < 8


def test_parts_that_play_at_once_sound_as_each_alone() -> None:
    parts = [
        Playing(
            notes=[
                (0.5 * number, 1.0, Note(start_ticks=0, duration_ticks=1, pitch=48 + number + step))
                for step in (0, 7, 12)
            ],
            program=program,
            drums=not program,
        )
        for number, program in enumerate((52, 48, 0, 19, 73))
    ]
    alone = [soundfont.play([part])[0].samples for part in parts]
    for _ in range(3):
        together = soundfont.play(parts)
        assert len({len(sound.samples) for sound in together}) > 1
        for sound, samples in zip(together, alone, strict=True):
            assert np.array_equal(sound.samples, samples)
            assert np.abs(samples).max() > 0.001


def test_a_note_that_is_struck_again_is_heard_to_its_end() -> None:
    notes = [
        Note(start_ticks=start * TICKS, duration_ticks=length * TICKS, pitch=69, velocity=90)
        for start, length in ((0, 1), (1, 1), (2, 8))
    ]
    score = Score(parts=(Part(program=73, notes=tuple(notes)),)).at_tempo(120)
    own = replace(ARRANGEMENTS["own"], room=DRY, slowing=0.0, looseness_s=0.04)
    for seed in range(4):
        samples = perform(score, own, seed).samples[:, 0]
        held = samples[round(3.5 * 48_000) : round(4.5 * 48_000)]
        begun = samples[round(0.1 * 48_000) : round(0.4 * 48_000)]
        assert np.sqrt((held**2).mean()) > 0.3 * np.sqrt((begun**2).mean())


def test_a_room_adds_what_falls_away() -> None:
    click = np.zeros((48_000 * 2, 2), np.float32)
    click[1000] = 0.5
    wet = in_room(Sound(samples=click, sample_rate_hz=48_000), CHURCH).samples
    assert np.allclose(wet[:1500], click[:1500], atol=1e-6)
    early, late = (np.abs(wet[first : first + 4800]).mean() for first in (6000, 60_000))
    assert early > 3 * late > 0


def test_a_score_without_notes_or_of_an_hour_is_refused() -> None:
    with pytest.raises(MediaError, match="no notes to play"):
        perform(Score(parts=(Part(),)), ARRANGEMENTS["piano"])
    endless = Note(start_ticks=0, duration_ticks=TICKS * 7200, pitch=60)
    with pytest.raises(MediaError, match="lasts 3600 s"):
        perform(Score(parts=(Part(notes=(endless,)),)), ARRANGEMENTS["piano"])
    with pytest.raises(ConfigError, match="did you mean strings"):
        find_arrangement("string")


def test_a_missing_soundfont_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(soundfont, "FOLDERS", (str(tmp_path),))
    monkeypatch.delenv(soundfont.VARIABLE, raising=False)
    with pytest.raises(DependencyError, match="apt-get install fluid-soundfont-gm"):
        soundfont.find_soundfont()
    monkeypatch.setenv(soundfont.VARIABLE, str(tmp_path / "a.sf2"))
    with pytest.raises(MediaError, match="is not there"):
        soundfont.find_soundfont()
    (tmp_path / "a.sf2").write_bytes(b"RIFF0000WAVE")
    with pytest.raises(MediaError, match="is no soundfont"):
        soundfont.find_soundfont()


def test_a_piano_roll_shows_every_note() -> None:
    drawn = piano_roll(replace(SCORE, title="<春江>"))
    assert drawn.count('rx="2" fill=') == sum(len(part.notes) for part in SCORE.parts) + 4
    assert "&lt;春江&gt;, C major" in drawn
    assert bytes(resvg_py.svg_to_bytes(svg_string=drawn)).startswith(b"\x89PNG")
    with pytest.raises(MediaError, match="no pitched notes"):
        piano_roll(Score(parts=(Part(drums=True, notes=SCORE.parts[0].notes),)))
