"""MIDI files: what mido reads is what we read, and hostile bytes give one clear error."""

from __future__ import annotations

import io
import random
import time

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenfang.errors import MediaError
from wenfang.media import midi
from wenfang.media.midi import (
    END_OF_TRACK,
    META,
    TEMPO,
    TEXT,
    Event,
    Midi,
    Note,
    duration_s,
    notes,
    read_midi,
    tempos,
    write_midi,
)

HEADER = b"MThd\0\0\0\6\0\0\0\1\0\x60"


def file_of(body: bytes, header: bytes = HEADER) -> bytes:
    return header + b"MTrk" + len(body).to_bytes(4, "big") + body


def from_mido(file: mido.MidiFile) -> bytes:
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def message_bytes(event: Event) -> bytes:
    """As mido gives them: a meta event with its length, system exclusive without."""
    if event.meta is not None:
        return bytes((META, event.meta, len(event.data))) + event.data
    return bytes((event.status,)) + event.data


@pytest.fixture
def song() -> mido.MidiFile:
    """Two voices, tempo, text, a program, system exclusive, a bend, running status."""
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    first, second = mido.MidiTrack(), mido.MidiTrack()
    first += [
        mido.MetaMessage("set_tempo", tempo=400_000, time=0),
        mido.MetaMessage("text", text="AI", time=0),
        mido.Message("sysex", data=(1, 2, 3), time=5),
        mido.MetaMessage("set_tempo", tempo=800_000, time=955),
    ]
    second += [mido.Message("program_change", channel=3, program=7, time=0)]
    for step, pitch in enumerate((60, 64, 67, 72)):
        second.append(mido.Message("note_on", channel=3, note=pitch, velocity=90, time=step * 10))
        second.append(mido.Message("note_on", channel=3, note=pitch, velocity=0, time=240))
    second.append(mido.Message("pitchwheel", channel=3, pitch=-100, time=200_000))
    file.tracks += [first, second]
    return file


def test_events_are_those_that_mido_reads(song: mido.MidiFile) -> None:
    read = read_midi(from_mido(song))
    assert (read.format, read.ticks_per_beat, len(read.tracks)) == (1, 480, 2)
    for track, theirs in zip(read.tracks, song.tracks, strict=True):
        tick, expected = 0, []
        for message in theirs:
            tick += message.time
            expected.append((tick, bytes(message.bytes())))
        ours = [(event.tick, message_bytes(event)) for event in track]
        assert ours[: len(expected)] == expected
        assert track[-1].meta == END_OF_TRACK


def test_what_is_written_mido_reads_back_equal(song: mido.MidiFile) -> None:
    read = read_midi(from_mido(song))
    data = write_midi(read)
    again = mido.MidiFile(file=io.BytesIO(data))
    theirs = mido.MidiFile(file=io.BytesIO(from_mido(song)))
    assert [list(track) for track in again.tracks] == [list(track) for track in theirs.tracks]
    assert read_midi(data) == read
    assert write_midi(read_midi(data)) == data


def test_notes_have_starts_and_durations(song: mido.MidiFile) -> None:
    assert [note.pitch for note in notes(read_midi(from_mido(song)))] == [60, 64, 67, 72]
    first = notes(read_midi(from_mido(song)))[0]
    assert first == Note(
        start_ticks=0, duration_ticks=240, pitch=60, velocity=90, track=1, channel=3
    )


def test_seconds_follow_the_changes_of_tempo(song: mido.MidiFile) -> None:
    read = read_midi(from_mido(song))
    assert tempos(read) == ((0, 400_000), (960, 800_000))
    assert duration_s(read) == pytest.approx(mido.MidiFile(file=io.BytesIO(from_mido(song))).length)


def test_running_status_goes_on_after_a_meta_event() -> None:
    body = b"\0\x90\x3c\x40\x10\x3e\x40\0\xff\1\2AI\0\x40\x40\0\xff\x2f\0"
    track = read_midi(file_of(body)).tracks[0]
    assert [event.data[0] for event in track if event.status == 0x90] == [60, 62, 64]
    assert track[2] == Event(tick=16, status=META, meta=TEXT, data=b"AI")


def test_the_same_note_twice_ends_in_the_order_it_began() -> None:
    body = b"\0\x90\x3c\x40\5\x3c\x41\5\x80\x3c\0\5\x3c\0\5\x90\x3e\x40\7\xff\x2f\0"
    found = notes(read_midi(file_of(body)))
    assert [(n.start_ticks, n.duration_ticks, n.velocity) for n in found] == [
        (0, 10, 64), (5, 10, 65), (20, 7, 64)
    ]  # fmt: skip


def test_unknown_chunks_are_kept_and_film_time_is_understood() -> None:
    film = b"MThd\0\0\0\6\0\0\0\1\xe7\x28"  # 25 frames of 40 ticks
    data = file_of(b"\x83\x74\xff\x2f\0", film) + b"XFIH\0\0\0\2ab"
    read = read_midi(data)
    assert (read.ticks_per_beat, read.division, read.others) == (None, 0xE728, ((b"XFIH", b"ab"),))
    assert duration_s(read) == pytest.approx(0.5)
    assert write_midi(read) == data


def test_a_track_without_an_end_gets_one() -> None:
    track = (Event(tick=0, status=0x90, data=b"\x3c\x40"), Event(tick=9, status=0x80, data=b"<\0"))
    read = read_midi(write_midi(Midi(format=0, ticks_per_beat=96, tracks=(track,))))
    assert read.tracks[0][-1] == Event(tick=9, status=META, meta=END_OF_TRACK)


@pytest.mark.parametrize(
    "data",
    [
        HEADER,  # a track too few
        HEADER[:10],
        b"MThd\xff\xff\xff\xff" + HEADER[8:],
        file_of(b"\0\xff\x2f\0", b"MThd\0\0\0\6\0\3\0\1\0\x60"),  # format 3
        file_of(b"\0\xff\x2f\0", b"MThd\0\0\0\6\0\0\0\1\0\0"),  # no ticks in a beat
        file_of(b"\0\xff\x2f\0", b"MThd\0\0\0\4\0\0\0\1\0\x60"),
        file_of(b"\0\xff\x2f\0") + b"MTrk\x05\xf5\xe1\x00",  # a chunk of 100 MB
        file_of(b"\xff\xff\xff\xff\xff\x7f\xff\x2f\0"),  # a number without end
        file_of(b"\0\xff\1\xff\xff\xff\x7f"),  # a text of 256 MB
        file_of(b"\0\xf0\x83\xff\xff\x7f"),
        file_of(b"\0\x3c\x40"),  # running status of nothing
        file_of(b"\0\x90\x80\x40"),  # a data byte that is a status
        file_of(b"\0\xf8"),
        file_of(b"\0\x90\x3c"),
        file_of(b"\0"),
        file_of(b"\0\xff"),
    ],
)
def test_broken_bytes_are_one_clear_error(data: bytes) -> None:
    with pytest.raises(MediaError, match=r"song\.mid is a broken MIDI file"):
        read_midi(data, "song.mid")


def test_what_is_no_midi_file_is_named() -> None:
    with pytest.raises(MediaError, match="not a MIDI file"):
        read_midi(b"RIFF", "song.mid")
    with pytest.raises(MediaError, match="the limit is"):
        read_midi(HEADER + b"\0" * midi.LIMIT_BYTES)


def test_more_events_than_the_limit_are_refused_in_time() -> None:
    begun = time.monotonic()
    with pytest.raises(MediaError, match="events"):
        read_midi(file_of(b"\0\x90\x3c\x40" + b"\0\x3c\x40" * 2_000_000))
    with pytest.raises(MediaError):
        read_midi(b"MThd\0\0\0\6\0\1\xff\xff\0\x60" + b"MTrk\0\0\0\0" * 200_000)
    assert time.monotonic() - begun < 5


def test_ticks_that_go_backwards_are_not_written() -> None:
    track = (Event(tick=9, status=0xC0, data=b"\0"), Event(tick=3, status=0xC0, data=b"\0"))
    with pytest.raises(MediaError, match="backwards"):
        write_midi(Midi(format=0, ticks_per_beat=96, tracks=(track,)))


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(noise: bytes, framed: bool) -> None:
    try:
        read = read_midi(file_of(noise) if framed else noise)
    except MediaError:
        return
    assert read_midi(write_midi(read)).tracks[0][: len(read.tracks[0])] == read.tracks[0]
    notes(read)
    duration_s(read)


def test_mutated_files_are_read_or_refused(song: mido.MidiFile) -> None:
    data, chance = from_mido(song), random.Random(5)
    for _ in range(2_000):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            read = read_midi(bytes(changed[: chance.randint(len(data) // 2, len(data))]))
        except MediaError:
            continue
        notes(read)
        assert duration_s(read) >= 0


def test_tempo_events_of_another_size_are_passed_over() -> None:
    body = b"\0\xff\x51\3\0\0\0\0\xff\x51\1\7\x60\xff\x2f\0"
    assert tempos(read_midi(file_of(body))) == ((0, 500_000),)
    assert TEMPO == 0x51
