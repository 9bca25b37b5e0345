"""Written music: parts and their notes with tempo, metre and key; MIDI files to scores and back.

Time is counted in ticks, `TICKS` to a beat (a quarter note); `seconds_at` follows the tempo.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from wenfang.errors import MediaError
from wenfang.media.midi import (
    DEFAULT_TEMPO_US,
    END_OF_TRACK,
    META,
    NOTE_OFF,
    NOTE_ON,
    PERCUSSION_CHANNEL,
    TEMPO,
    TRACK_NAME,
    Event,
    Midi,
    Note,
    Track,
    notes,
    read_midi,
    tempos,
    write_midi,
)

TICKS = 480
MOST_PARTS = 64
PROGRAM, METRE, KEY = 0xC0, 0x58, 0x59
MICROSECONDS_A_MINUTE = 60_000_000
SLOWEST_BPM, FASTEST_BPM = 10.0, 400.0
NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
TONIC = r"([b#♭♯降升]?)([A-G])([b#♭♯]?)"
KEY_TEXT = re.compile(rf"\s*{TONIC}\s*(major|minor|maj|min|m|大[调調]|小[调調])?\s*", re.IGNORECASE)
# Within other words a key is told by its mode.
KEY_WITHIN = re.compile(
    rf"(?<![A-Za-z]){TONIC}\s*(major|minor|大[调調]|小[调調])(?![a-z])", re.IGNORECASE
)
Thing = TypeVar("Thing")
SHIFT = {"": 0, "b": -1, "♭": -1, "降": -1, "#": 1, "♯": 1, "升": 1}


@dataclass(frozen=True, kw_only=True)
class Key:
    """A tonic (0 to 11, 0 is C) and its mode."""

    tonic: int
    minor: bool = False

    @classmethod
    def parse(cls, text: str) -> Key:
        """Of "G minor", "Bb", "F#m", "降E大调"; MediaError for anything else."""
        found = KEY_TEXT.fullmatch(text)
        if found is None:
            raise MediaError("{key} is no key; write C major, F# minor or 降E大调", key=text)
        return cls._of(found)

    @classmethod
    def within(cls, text: str) -> Key | None:
        """The first key that a text names with its mode: "in G minor", "降E大调的歌"."""
        found = KEY_WITHIN.search(text)
        return cls._of(found) if found else None

    @classmethod
    def _of(cls, found: re.Match[str]) -> Key:
        before, letter, after, mode = found.groups(default="")
        shift = SHIFT[before.lower()] + SHIFT[after.lower()]
        minor = mode == "m" or mode.lower().startswith(("min", "小"))
        return cls(tonic=(NATURAL[letter.upper()] + shift) % 12, minor=minor)

    @property
    def sharps(self) -> int:
        """Sharps of the signature, flats as negative numbers: -5 to 6."""
        major = (self.tonic + 3) % 12 if self.minor else self.tonic
        fifths = major * 7 % 12
        return fifths if fifths <= 6 else fifths - 12

    def __str__(self) -> str:
        name = "C#" if self.minor and self.tonic == 1 else NAMES[self.tonic]
        name = "G#" if self.minor and self.tonic == 8 else name
        return f"{name} {'minor' if self.minor else 'major'}"


@dataclass(frozen=True, kw_only=True)
class Metre:
    """Beats of a bar and what note a beat is: 3/4 is Metre(beats=3, unit=4)."""

    beats: int = 4
    unit: int = 4

    @classmethod
    def parse(cls, text: str) -> Metre:
        """Of "3/4"; MediaError for what is none."""
        found = re.fullmatch(r"\s*(\d{1,2})\s*/\s*(1|2|4|8|16|32)\s*", text)
        if found is None or not 1 <= int(found[1]) <= 32:
            raise MediaError("{metre} is no metre; write 4/4, 3/4 or 6/8", metre=text)
        return cls(beats=int(found[1]), unit=int(found[2]))

    @property
    def bar_ticks(self) -> int:
        """Length of a bar."""
        return self.beats * TICKS * 4 // self.unit

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one instrument or voice plays.

    program  of General MIDI, 0 to 127; without a meaning where `drums`
    """

    name: str = ""
    program: int = 0
    drums: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Score:
    """Parts that sound together.

    tempos  (tick, microseconds a beat), metres and keys (tick, it), each in order and from tick 0;
            keys may be empty
    """

    parts: tuple[Part, ...]
    tempos: tuple[tuple[int, int], ...] = ((0, DEFAULT_TEMPO_US),)
    metres: tuple[tuple[int, Metre], ...] = ((0, Metre()),)
    keys: tuple[tuple[int, Key], ...] = ()
    title: str = ""

    @property
    def end_ticks(self) -> int:
        """Where the last note ends."""
        ends = (note.start_ticks + note.duration_ticks for note in self.notes())
        return max(ends, default=0)

    @property
    def duration_s(self) -> float:
        """Seconds until the last note ends."""
        return self.seconds_at(self.end_ticks)

    def notes(self) -> Iterator[Note]:
        """All notes, each with the number of its part as its track; drums on their channel."""
        for number, part in enumerate(self.parts):
            channel = PERCUSSION_CHANNEL if part.drums else 0
            for note in part.notes:
                yield replace(note, track=number, channel=channel)

    def seconds_at(self, tick: int) -> float:
        """When a tick sounds."""
        total_us = 0
        for (start, tempo_us), (after, _) in pairwise([*self.tempos, (tick, 0)]):
            total_us += max(min(after, tick) - start, 0) * tempo_us
        return total_us / TICKS / 1_000_000

    @property
    def bpm(self) -> float:
        """Beats a minute at the beginning."""
        return MICROSECONDS_A_MINUTE / self.tempos[0][1]

    def at_tempo(self, bpm: float) -> Score:
        """The same at one tempo; MediaError outside SLOWEST_BPM to FASTEST_BPM."""
        if not SLOWEST_BPM <= bpm <= FASTEST_BPM:
            raise MediaError(
                "a tempo of {bpm} beats a minute cannot be played; give {least} to {most}",
                bpm=bpm,
                least=SLOWEST_BPM,
                most=FASTEST_BPM,
            )
        return replace(self, tempos=((0, round(MICROSECONDS_A_MINUTE / bpm)),))

    def transposed(self, semitones: int) -> Score:
        """The same, higher by `semitones`; MediaError where a note leaves 0 to 127."""
        parts = tuple(
            part if part.drums else replace(part, notes=tuple(_raised(part.notes, semitones)))
            for part in self.parts
        )
        keys = tuple(
            (tick, replace(key, tonic=(key.tonic + semitones) % 12)) for tick, key in self.keys
        )
        return replace(self, parts=parts, keys=keys)


def _raised(notes: Iterable[Note], semitones: int) -> Iterator[Note]:
    for note in notes:
        if not 0 <= note.pitch + semitones <= 127:
            raise MediaError(
                "raised by {semitones} semitones a note leaves what MIDI can write; raise it less",
                semitones=semitones,
            )
        yield replace(note, pitch=note.pitch + semitones)


def read_score(data: bytes, name: str = "the MIDI file") -> Score:
    """The score of a Standard MIDI File: a part for each channel of each track that has notes.

    A note that is never ended sounds until its track ends, and one without length for a tick.
    raises MediaError as `read_midi`, for a file without notes, of format 2, or with too many parts
    """
    midi = read_midi(data, name)
    if midi.format == 2:
        raise MediaError(
            "{name} holds pieces one after another (format 2); export each as a file of its own",
            name=name,
        )
    grid = _Grid.of(midi)
    parts = tuple(_parts(midi, grid))
    if not parts:
        raise MediaError("{name} has no notes; choose another file", name=name)
    if len(parts) > MOST_PARTS:
        raise MediaError(
            "{name} has {count} parts with notes, the limit is {limit}; join some of them",
            name=name,
            count=len(parts),
            limit=MOST_PARTS,
        )
    titles = [one.data for one in midi.tracks[0] if one.meta == TRACK_NAME] if midi.tracks else []
    apart = midi.format == 1 and not any(one.status & 0xF0 == NOTE_ON for one in midi.tracks[0])
    return Score(
        parts=parts,
        tempos=tuple((grid.ticks(tick), tempo_us) for tick, tempo_us in grid.tempos),
        metres=tuple(_changes((tick, _metre(one)) for tick, one in _meta(midi, METRE, grid)))
        or ((0, Metre()),),
        keys=tuple(_changes((tick, _key(one)) for tick, one in _meta(midi, KEY, grid))),
        title=_text(titles[0]) if titles and apart else "",
    )


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """A file's own ticks as ours."""

    beat: int
    tempos: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, midi: Midi) -> _Grid:
        if midi.ticks_per_beat is not None:
            return cls(beat=midi.ticks_per_beat, tempos=tempos(midi))
        # Frames of film: as many ticks a second as they say, at 120 beats a minute.
        division = midi.division or 0
        a_second = (256 - (division >> 8)) * (division & 0xFF)
        return cls(beat=max(1, a_second // 2), tempos=((0, DEFAULT_TEMPO_US),))

    def ticks(self, tick: int) -> int:
        return round(tick * TICKS / self.beat)


def _parts(midi: Midi, grid: _Grid) -> Iterator[Part]:
    found: defaultdict[tuple[int, int], list[Note]] = defaultdict(list)
    for note in notes(midi):
        start = grid.ticks(note.start_ticks)
        length = max(1, grid.ticks(note.start_ticks + note.duration_ticks) - start)
        placed = replace(note, start_ticks=start, duration_ticks=length, track=0, channel=0)
        found[note.track, note.channel].append(placed)
    for (number, channel), played in sorted(found.items()):
        track = midi.tracks[number]
        names = [one.data for one in track if one.meta == TRACK_NAME]
        programs = [one.data[0] for one in track if one.status == PROGRAM | channel]
        yield Part(
            name=_text(names[0]) if names else "",
            program=programs[0] if programs else 0,
            drums=channel == PERCUSSION_CHANNEL,
            notes=tuple(played),
        )


def _meta(midi: Midi, kind: int, grid: _Grid) -> list[tuple[int, bytes]]:
    found = [
        (grid.ticks(one.tick), one.data)
        for track in midi.tracks
        for one in track
        if one.meta == kind and len(one.data) >= 2
    ]
    return sorted(found)


def _changes(found: Iterable[tuple[int, Thing]]) -> Iterator[tuple[int, Thing]]:
    """The last of each tick; the first from the beginning on."""
    kept = dict(found)
    for number, (tick, thing) in enumerate(sorted(kept.items(), key=lambda one: one[0])):
        yield (0 if number == 0 else tick), thing


def _metre(data: bytes) -> Metre:
    return Metre(beats=min(max(data[0], 1), 32), unit=1 << min(data[1], 5))


def _key(data: bytes) -> Key:
    sharps = data[0] - 256 if data[0] > 127 else data[0]
    minor = data[1] == 1
    return Key(tonic=(sharps * 7 + (9 if minor else 0)) % 12, minor=minor)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def write_score(score: Score) -> bytes:
    """A Standard MIDI File of format 1: first tempo, metre and key, then a track for each part.

    Pitched parts beyond the fifteenth share channels with earlier ones.
    """
    first = [_named(score.title)] if score.title else []
    timed = [
        *(_meta_event(tick, TEMPO, tempo.to_bytes(3, "big")) for tick, tempo in score.tempos),
        *(
            _meta_event(tick, METRE, bytes((one.beats, one.unit.bit_length() - 1, 24, 8)))
            for tick, one in score.metres
        ),
        *(
            _meta_event(tick, KEY, bytes((one.sharps % 256, int(one.minor))))
            for tick, one in score.keys
        ),
    ]
    leading = (*first, *sorted(timed, key=lambda one: one.tick))
    channels = [one for one in range(16) if one != PERCUSSION_CHANNEL]
    pitched = 0
    tracks: list[Track] = [leading]
    for part in score.parts:
        channel = PERCUSSION_CHANNEL if part.drums else channels[pitched % len(channels)]
        pitched += not part.drums
        tracks.append(_track(part, channel))
    return write_midi(Midi(format=1, ticks_per_beat=TICKS, tracks=tuple(tracks)))


def _track(part: Part, channel: int) -> Track:
    events = [_named(part.name)] if part.name else []
    if not part.drums:
        events.append(Event(tick=0, status=PROGRAM | channel, data=bytes((part.program,))))
    # An end comes before a start at the same tick, so that a repeated note sounds again.
    played = [
        (tick, kind, Event(tick=tick, status=status | channel, data=bytes((note.pitch, force))))
        for note in part.notes
        for tick, kind, status, force in (
            (note.start_ticks, 1, NOTE_ON, note.velocity),
            (note.start_ticks + note.duration_ticks, 0, NOTE_OFF, 0),
        )
    ]
    played.sort(key=lambda one: (*one[:2], one[2].data))
    last = played[-1][0] if played else 0
    end = Event(tick=last, status=META, meta=END_OF_TRACK)
    return (*events, *(one for _, _, one in played), end)


def _named(name: str) -> Event:
    return _meta_event(0, TRACK_NAME, name.encode("utf-8"))


def _meta_event(tick: int, kind: int, data: bytes) -> Event:
    return Event(tick=tick, status=META, data=data, meta=kind)
