"""Scores: what MIDI files say of parts, tempo, metre and key, and the same written again."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wenfang.errors import MediaError
from wenfang.media.midi import DEFAULT_TEMPO_US, NOTE_ON, Event, Midi, Note, write_midi
from wenfang.media.score import TICKS, Key, Metre, Part, Score, read_score, write_score


def note(start: int, length: int, pitch: int) -> Note:
    return Note(start_ticks=start * TICKS, duration_ticks=length * TICKS, pitch=pitch, velocity=80)


SONG = Score(
    title="春江",
    tempos=((0, 600_000), (4 * TICKS, 300_000)),
    metres=((0, Metre(beats=3)), (6 * TICKS, Metre(beats=6, unit=8))),
    keys=((0, Key(tonic=10)), (3 * TICKS, Key(tonic=7, minor=True))),
    parts=(
        Part(name="Soprano", program=52, notes=(note(0, 1, 70), note(1, 1, 70), note(4, 4, 72))),
        Part(name="Bass", program=43, notes=(note(0, 8, 46),)),
        Part(name="", drums=True, notes=(note(0, 1, 36),)),
    ),
)


def test_a_score_is_read_as_it_was_written() -> None:
    data = write_score(SONG)
    assert read_score(data) == SONG
    assert write_score(SONG) == data


def test_another_reader_finds_the_same() -> None:
    midi = mido.MidiFile(file=io.BytesIO(write_score(SONG)))
    kinds = {one.type: one for track in midi.tracks for one in track}
    assert midi.length == pytest.approx(SONG.duration_s)
    assert kinds["key_signature"].key in ("Bb", "Gm")
    assert (kinds["time_signature"].numerator, kinds["time_signature"].denominator) == (6, 8)


def test_time_follows_the_tempo() -> None:
    assert SONG.seconds_at(2 * TICKS) == pytest.approx(1.2)
    assert SONG.duration_s == pytest.approx(4 * 0.6 + 4 * 0.3)
    assert SONG.at_tempo(120).duration_s == pytest.approx(4.0)
    for bpm in (0.0, -60.0, 1e6, float("nan")):
        with pytest.raises(MediaError, match="cannot be played"):
            SONG.at_tempo(bpm)


@given(st.integers(0, 11), st.booleans())
def test_a_key_is_told_by_its_name_and_by_its_sharps(tonic: int, minor: bool) -> None:
    key = Key(tonic=tonic, minor=minor)
    assert Key.parse(str(key)) == key
    assert -5 <= key.sharps <= 6
    song = replace(SONG, keys=((0, key),))
    assert read_score(write_score(song)).keys == song.keys


@pytest.mark.parametrize(
    ("text", "tonic", "minor"),
    [
        ("G", 7, False),
        ("f# m", 6, True),
        ("降E大调", 3, False),
        ("升f小调", 6, True),
        ("Bb maj", 10, False),
    ],
)
def test_keys_are_read_in_both_languages(text: str, tonic: int, minor: bool) -> None:
    assert Key.parse(text) == Key(tonic=tonic, minor=minor)


@pytest.mark.parametrize("text", ["", "H", "C dorian", "C##", "五"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(MediaError, match="is no key"):
        Key.parse(text)


@pytest.mark.parametrize("text", ["", "4", "4/5", "0/4", "99/4"])
def test_what_is_no_metre_is_refused(text: str) -> None:
    with pytest.raises(MediaError, match="is no metre"):
        Metre.parse(text)


def test_transposing_moves_notes_and_keys_and_no_drums() -> None:
    moved = SONG.transposed(2)
    assert [key.tonic for _, key in moved.keys] == [0, 9]
    assert [part.notes[0].pitch for part in moved.parts] == [72, 48, 36]
    with pytest.raises(MediaError, match="leaves what MIDI can write"):
        SONG.transposed(60)


def midi(*tracks: tuple[Event, ...], form: int = 1, beat: int | None = 96) -> bytes:
    division = None if beat else 0xE728  # 25 frames a second, 40 ticks each
    return write_midi(Midi(format=form, ticks_per_beat=beat, division=division, tracks=tracks))


def struck(tick: int, pitch: int = 60) -> Event:
    return Event(tick=tick, status=NOTE_ON, data=bytes((pitch, 90)))


def test_a_file_without_notes_is_refused() -> None:
    with pytest.raises(MediaError, match=r"a\.mid has no notes"):
        read_score(midi(()), "a.mid")


def test_pieces_one_after_another_are_refused() -> None:
    with pytest.raises(MediaError, match="format 2"):
        read_score(midi((struck(0),), (struck(0),), form=2))


def test_a_thousand_tracks_are_refused() -> None:
    with pytest.raises(MediaError, match="1000 parts with notes, the limit is 64"):
        read_score(midi(*[(struck(0), struck(96, 61))] * 1000))


def test_a_hanging_note_ends_with_its_track_and_none_is_without_length() -> None:
    off = Event(tick=384, status=0x80, data=bytes((60, 0)))
    score = read_score(midi((struck(0), struck(0, 64), off)))
    assert {(one.pitch, one.duration_ticks) for one in score.parts[0].notes} == {
        (60, 4 * TICKS),
        (64, 4 * TICKS),
    }
    alone = read_score(midi((struck(0),)))
    assert alone.parts[0].notes[0].duration_ticks == 1


def test_frames_of_film_are_seconds() -> None:
    off = Event(tick=2000, status=0x80, data=bytes((60, 0)))
    score = read_score(midi((struck(0), off), beat=None))
    assert score.tempos == ((0, DEFAULT_TEMPO_US),)
    assert score.duration_s == pytest.approx(2.0)


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_or_read(tail: bytes) -> None:
    with contextlib.suppress(MediaError):
        read_score(write_score(SONG)[:60] + tail)
