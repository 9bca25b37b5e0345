"""Standard MIDI Files: events with absolute ticks, read with bounds, written and read as notes.

Formats 0, 1 and 2, running status, meta and system-exclusive events, chunks of other kinds. No
length in a file is believed: it is held against the bytes that are there, a variable-length
number has four bytes at most, and the number of events is bounded, so that hostile bytes cost
neither time nor memory. The format is that of the Standard MIDI Files specification 1.0 (MMA).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from wenfang.errors import MediaError

LIMIT_BYTES = 8 * 1024 * 1024
LIMIT_EVENTS = 250_000  # a symphony has about 50,000
LIMIT_CHUNKS = 70_000  # the header counts tracks in 16 bits
LIMIT_NUMBER = 0x0FFFFFFF  # four bytes of seven bits

NOTE_OFF, NOTE_ON = 0x80, 0x90
SYSTEM_EXCLUSIVE, SYSTEM_EXCLUSIVE_MORE, META = 0xF0, 0xF7, 0xFF
TEXT, COPYRIGHT, TRACK_NAME, END_OF_TRACK, TEMPO = 0x01, 0x02, 0x03, 0x2F, 0x51
PERCUSSION_CHANNEL = 9
DEFAULT_TEMPO_US = 500_000  # microseconds a beat: 120 beats a minute
# Data bytes by the upper half of a channel message's status.
DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event of a track.

    tick    since the start of the track
    status  0x80-0xEF a channel message, 0xF0 or 0xF7 system exclusive, 0xFF meta
    data    the message's data bytes, without length; of 0xF0 with its closing 0xF7
    meta    the kind of a meta event (TEXT, TEMPO, ...), None of any other
    """

    tick: int
    status: int
    data: bytes = b""
    meta: int | None = None


Track = tuple[Event, ...]


@dataclass(frozen=True, kw_only=True)
class Midi:
    """A file's tracks, each in the order of its ticks.

    format          0: one track; 1: tracks that sound together; 2: tracks one after another
    ticks_per_beat  None where time is counted in frames of film; `division` then says how
    division        the header's own two bytes where they count frames (SMPTE), otherwise None
    others          chunks of kinds that the standard does not know: (four letters, bytes)
    """

    format: int
    ticks_per_beat: int | None
    tracks: tuple[Track, ...]
    division: int | None = None
    others: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A sounding note; `pitch` 60 is the middle C, `channel` 0 to 15 (9 is percussion)."""

    start_ticks: int
    duration_ticks: int
    pitch: int
    velocity: int = 64
    track: int = 0
    channel: int = 0


# Reading ----------------------------------------------------------------------------------------


class _Bytes:
    """A place in bytes that cannot be left."""

    def __init__(self, data: bytes, start: int, end: int, name: str) -> None:
        self.data, self.place, self.end, self.name = data, start, end, name

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.end - self.place:
            _broken(self.name)
        self.place += count
        return self.data[self.place - count : self.place]

    def byte(self) -> int:
        """The next byte."""
        if self.place >= self.end:
            _broken(self.name)
        self.place += 1
        return self.data[self.place - 1]

    def number(self) -> int:
        """A variable-length number of at most four bytes."""
        value = 0
        for _ in range(4):
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        _broken(self.name)


def _broken(name: str) -> NoReturn:
    raise MediaError("{name} is a broken MIDI file; export it again", name=name)


def read_midi(data: bytes, name: str = "the MIDI file") -> Midi:
    """The events of a Standard MIDI File.

    raises MediaError if it is none, is broken, or is too large in bytes or events
    """
    if len(data) > LIMIT_BYTES:
        raise MediaError(
            "{name} has {size} bytes, the limit is {limit}; make it smaller",
            name=name, size=len(data), limit=LIMIT_BYTES,
        )  # fmt: skip
    if not data.startswith(b"MThd"):
        raise MediaError("{name} is not a MIDI file; give a Standard MIDI File", name=name)
    source = _Bytes(data, 4, len(data), name)
    header = source.take(int.from_bytes(source.take(4), "big"))
    if len(header) < 6:
        _broken(name)
    format_, division = int.from_bytes(header[:2], "big"), int.from_bytes(header[4:6], "big")
    if format_ > 2 or division == 0:
        _broken(name)
    tracks, others = _chunks(source)
    if len(tracks) != int.from_bytes(header[2:4], "big") or (format_ == 0 and len(tracks) != 1):
        _broken(name)
    frames = division & 0x8000
    return Midi(
        format=format_,
        ticks_per_beat=None if frames else division,
        tracks=tracks,
        division=division if frames else None,
        others=others,
    )


def _chunks(source: _Bytes) -> tuple[tuple[Track, ...], tuple[tuple[bytes, bytes], ...]]:
    tracks: list[Track] = []
    others: list[tuple[bytes, bytes]] = []
    events = 0
    while source.place < source.end:
        kind, size = source.take(4), int.from_bytes(source.take(4), "big")
        start = source.place
        body = source.take(size)
        if len(tracks) + len(others) >= LIMIT_CHUNKS:
            _broken(source.name)
        if kind == b"MTrk":
            inside = _Bytes(source.data, start, start + size, source.name)
            tracks.append(tuple(_events(inside, LIMIT_EVENTS - events)))
            events += len(tracks[-1])
        else:
            others.append((kind, body))
    return tuple(tracks), tuple(others)


def _events(source: _Bytes, limit: int) -> Iterator[Event]:
    """Events up to the end of the track; what stands after that is no event."""
    tick = running = 0
    while source.place < source.end:
        tick += source.number()
        limit -= 1
        if limit < 0:
            raise MediaError(
                "{name} has more than {limit} events; split it",
                name=source.name, limit=LIMIT_EVENTS,
            )  # fmt: skip
        status = source.byte()
        if status == META:
            meta = source.byte()
            yield Event(tick=tick, status=META, data=source.take(source.number()), meta=meta)
            if meta == END_OF_TRACK:
                return
        elif status in (SYSTEM_EXCLUSIVE, SYSTEM_EXCLUSIVE_MORE):
            yield Event(tick=tick, status=status, data=source.take(source.number()))
        else:
            if status < 0x80:
                source.place -= 1
            else:
                running = status
            yield Event(tick=tick, status=running, data=_channel_data(source, running))


def _channel_data(source: _Bytes, status: int) -> bytes:
    data = source.take(DATA_BYTES.get(status & 0xF0, 0))
    if not data or max(data) > 0x7F:
        _broken(source.name)
    return data


# Writing ----------------------------------------------------------------------------------------


def write_midi(midi: Midi) -> bytes:
    """The bytes of `midi`: the same events always give the same bytes, without running status.

    Each track is closed by an end-of-track event whether `midi` names it or not.
    """
    division = midi.ticks_per_beat if midi.division is None else midi.division
    if division is None or not 0 < division < 0x10000 or len(midi.tracks) > 0xFFFF:
        raise MediaError("this MIDI has no division of time that a file can hold; set one")
    numbers = (midi.format, len(midi.tracks), division)
    parts = [_chunk(b"MThd", b"".join(number.to_bytes(2, "big") for number in numbers))]
    parts += [_chunk(b"MTrk", _track_bytes(track)) for track in midi.tracks]
    parts += [_chunk(kind, body) for kind, body in midi.others]
    return b"".join(parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "big") + body


def _track_bytes(track: Track) -> bytes:
    parts: list[bytes] = []
    tick = 0
    closed = bool(track) and track[-1].meta == END_OF_TRACK
    end = Event(tick=track[-1].tick if track else 0, status=META, meta=END_OF_TRACK)
    for event in track if closed else (*track, end):
        parts += [_number(event.tick - tick), _message(event)]
        tick = event.tick
    return b"".join(parts)


def _message(event: Event) -> bytes:
    if event.meta is not None:
        return bytes((META, event.meta)) + _number(len(event.data)) + event.data
    if event.status in (SYSTEM_EXCLUSIVE, SYSTEM_EXCLUSIVE_MORE):
        return bytes((event.status,)) + _number(len(event.data)) + event.data
    return bytes((event.status,)) + event.data


def _number(value: int) -> bytes:
    """`value` as a variable-length number."""
    if not 0 <= value <= LIMIT_NUMBER:
        raise MediaError("the ticks of a MIDI track go backwards or too far; sort its events")
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


# Notes and time ---------------------------------------------------------------------------------


def notes(midi: Midi) -> tuple[Note, ...]:
    """All notes by track and start; one that is never ended sounds until its track ends."""
    found: list[Note] = []
    for number, track in enumerate(midi.tracks):
        found += sorted(_track_notes(number, track), key=lambda note: note.start_ticks)
    return tuple(found)


def _track_notes(number: int, track: Track) -> Iterator[Note]:
    sounding: defaultdict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    for event in track:
        kind, channel = event.status & 0xF0, event.status & 0x0F
        if kind not in (NOTE_ON, NOTE_OFF):
            continue
        pitch, velocity = event.data
        if kind == NOTE_ON and velocity:
            sounding[channel, pitch].append((event.tick, velocity))
        elif sounding[channel, pitch]:
            yield _note(number, (channel, pitch), sounding[channel, pitch].popleft(), event.tick)
    for key, waiting in sounding.items():
        for begun in waiting:
            yield _note(number, key, begun, track[-1].tick)


def _note(track: int, key: tuple[int, int], begun: tuple[int, int], end: int) -> Note:
    channel, pitch = key
    start, velocity = begun
    return Note(
        start_ticks=start,
        duration_ticks=end - start,
        pitch=pitch,
        velocity=velocity,
        track=track,
        channel=channel,
    )


def tempos(midi: Midi) -> tuple[tuple[int, int], ...]:
    """(tick, microseconds a beat) of every change of tempo; at least the one at the start."""
    changes = {0: DEFAULT_TEMPO_US}
    for track in midi.tracks:
        for event in track:
            if event.meta == TEMPO and len(event.data) == 3 and any(event.data):
                changes[event.tick] = int.from_bytes(event.data, "big")
    return tuple(sorted(changes.items()))


def duration_s(midi: Midi) -> float:
    """Seconds until the last event of a file whose tracks sound together."""
    end = max((track[-1].tick for track in midi.tracks if track), default=0)
    if midi.ticks_per_beat is None:
        division = midi.division or 0
        frames_per_s = 256 - (division >> 8)
        return end / max(frames_per_s * (division & 0xFF), 1)
    total_us, steps = 0, [*tempos(midi), (end, 0)]
    for (tick, tempo_us), (after, _) in pairwise(steps):
        total_us += max(min(after, end) - tick, 0) * tempo_us
    return total_us / midi.ticks_per_beat / 1_000_000
