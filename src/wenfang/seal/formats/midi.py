"""MIDI: the words as a text event at the start, the rhythm as four notes behind the music.

Every event of the content stays as it is, byte by byte and at its tick; what is put in can be taken
out again. In format 0 it goes into the track, in format 1 into a track of its own. The metadata
label and the credential are sidecars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from wenfang.errors import MediaError, SealError
from wenfang.language import t
from wenfang.media.midi import (
    DATA_BYTES,
    END_OF_TRACK,
    LIMIT_NUMBER,
    META,
    PERCUSSION_CHANNEL,
    Midi,
    Note,
    notes,
    read_midi,
    tempos,
)
from wenfang.media.score import Score
from wenfang.seal.formats.contract import (
    Drawn,
    Format,
    Insertion,
    Marking,
    begins,
    insert,
    visible_layer,
)
from wenfang.seal.label import is_label_line, parse_label
from wenfang.seal.layers import Layer
from wenfang.seal.rhythm import PAUSE_S, RHYTHM, UNIT_S

MAGIC = b"MThd"
TRACK_COUNT_AT = 10
TEXT = 0x01
TEXTS = range(0x01, 0x10)
PITCH, VELOCITY, FLUTE = 81, 88, 73  # A5
SOFTEST = 20
MOST_TRACKS = 0xFFFF
MAX_LABEL_BYTES = 1 << 16
TOLERANCE = 0.3


class Bytes(NamedTuple):
    """Where an event lies in the file: its delta time, its message, its end; and that time."""

    start: int
    message: int
    end: int
    delta: int


@dataclass(frozen=True, kw_only=True)
class Body:
    """Where a track's events lie in the file."""

    start: int
    end: int


def _bodies(data: bytes) -> list[Body]:
    """Tracks of a file that `read_midi` has accepted."""
    found, position = [], 8 + int.from_bytes(data[4:8], "big")
    while position + 8 <= len(data):
        end = position + 8 + int.from_bytes(data[position + 4 : position + 8], "big")
        if data[position : position + 4] == b"MTrk":
            found.append(Body(start=position + 8, end=end))
        position = end
    return found


def _events(data: bytes, body: Body) -> Iterator[Bytes]:
    """Events of a track that `read_midi` has accepted, up to its end-of-track."""
    position, running = body.start, 0
    while position < body.end:
        start = position
        delta, message = _number(data, position)
        status = data[message]
        if status in (META, 0xF0, 0xF7):
            size, position = _number(data, message + (2 if status == META else 1))
            position += size
        else:
            running = status if status >= 0x80 else running
            position = message + (status >= 0x80) + DATA_BYTES[running & 0xF0]
        yield Bytes(start, message, position, delta)
        if data[message : message + 2] == bytes((META, END_OF_TRACK)):
            return


def _number(data: bytes, position: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = 0
    while True:
        byte = data[position]
        value, position = value << 7 | byte & 0x7F, position + 1
        if byte < 0x80:
            return value, position


def _variable(value: int) -> bytes:
    """`value` as a variable-length number; SealError for one that MIDI cannot write."""
    if value > LIMIT_NUMBER:
        raise SealError("the music's tempo or length leaves no room for the rhythm; export it with "
                        "an ordinary tempo")  # fmt: skip
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def _draw(payload: bytes, marking: Marking) -> Drawn:
    if not isinstance(payload, bytes):
        raise SealError("the music to publish is not a MIDI file; export it as one")
    midi = read_midi(payload)
    if midi.format == 2 or not midi.tracks:
        raise SealError("MIDI of format 2, or without a track, cannot be labelled; save it as "
                        "format 0 or 1")  # fmt: skip
    line = marking.settings.line.encode()
    words = b"\0" + bytes((META, TEXT)) + _variable(len(line)) + line
    unit = max(1, round(UNIT_S * _ticks_per_s(midi)))
    pause = max(3 * unit, round(PAUSE_S * _ticks_per_s(midi)))
    place = _in_track if midi.format == 0 else _in_new_track
    drawn = Drawn(
        data=payload,
        inserted=(),
        visible={
            "form": "rhythm and text event",
            "words": marking.settings.line,
            "position": "end",
            "unit_ticks": unit,
        },
    )
    return place(drawn, midi, words, (unit, pause))


def _in_track(drawn: Drawn, midi: Midi, words: bytes, ticks: tuple[int, int]) -> Drawn:
    """Format 0: the words at the start of the track, the notes before its end."""
    unit, pause = ticks
    body = _bodies(drawn.data)[0]
    events = list(_events(drawn.data, body))
    last = events[-1] if events else Bytes(body.start, body.start, body.start, 0)
    closed = drawn.data[last.message : last.message + 2] == bytes((META, END_OF_TRACK))
    played = _rhythm(_free_channel(midi), unit, pause)
    size = body.end - body.start + len(words) + len(played)
    # From the back to the front, so that places before are still where they were.
    drawn = insert(drawn, Insertion(offset=last.start if closed else last.end, content=played))
    drawn = insert(drawn, Insertion(offset=body.start, content=words))
    length = Insertion(offset=body.start - 4, content=size.to_bytes(4, "big"), replaces=4)
    return insert(drawn, length)


def _in_new_track(drawn: Drawn, midi: Midi, words: bytes, ticks: tuple[int, int]) -> Drawn:
    """Format 1: a further track, counted in the header."""
    unit, pause = ticks
    if len(midi.tracks) >= MOST_TRACKS:
        raise SealError("the music has {count} tracks, and no more can be added; join some",
                        count=len(midi.tracks))  # fmt: skip
    end = max(track[-1].tick for track in midi.tracks if track) if any(midi.tracks) else 0
    body = words + _rhythm(_free_channel(midi), unit, end + pause)
    body += b"\0" + bytes((META, END_OF_TRACK, 0))
    chunk = b"MTrk" + len(body).to_bytes(4, "big") + body
    drawn = insert(drawn, Insertion(offset=len(drawn.data), content=chunk))
    count = (len(midi.tracks) + 1).to_bytes(2, "big")
    return insert(drawn, Insertion(offset=TRACK_COUNT_AT, content=count, replaces=2))


def _ticks_per_s(midi: Midi) -> float:
    """How fast ticks pass at the end of the music."""
    if midi.ticks_per_beat is None:
        division = midi.division or 0
        return float(max(1, (256 - (division >> 8)) * (division & 0xFF)))
    return midi.ticks_per_beat * 1_000_000 / tempos(midi)[-1][1]


def _free_channel(midi: Midi) -> int:
    """A melodic channel that the music leaves free; the last one where it uses all."""
    used = {event.status & 0x0F for track in midi.tracks for event in track if event.status < 0xF0}
    free = (one for one in range(16) if one not in used and one != PERCUSSION_CHANNEL)
    return next(free, 15)


def _rhythm(channel: int, unit: int, wait: int) -> bytes:
    """Events of the rhythm, `wait` ticks after the event before: flute, full volume, four notes."""
    parts = [b"\0", bytes((0xC0 | channel, FLUTE)), b"\0", bytes((0xB0 | channel, 7, 100))]
    for sounding, length in RHYTHM:
        if sounding:
            parts += [_variable(wait), bytes((0x90 | channel, PITCH, VELOCITY))]
            parts += [_variable(length * unit), bytes((0x80 | channel, PITCH, 0))]
        else:
            wait = length * unit
    return b"".join(parts)


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    """Good where the words stand as a text and the last four notes have the rhythm."""
    try:
        midi = read_midi(data)
    except MediaError as error:
        return visible_layer("unknown", str(error))
    lines = [text.decode("utf-8", "replace").strip() for text in _text_events(midi)]
    words = next((line for line in lines if is_label_line(line)), None)
    unit = _rhythm_unit(sorted(notes(midi), key=lambda note: note.start_ticks)[-4:])
    facts = {"words": words, "unit_ticks": unit}
    if words is None:
        return visible_layer("unlabelled", t("no text event says that the music is generated"),
                             facts)  # fmt: skip
    if unit is None:
        return visible_layer("unlabelled", t("the music does not end with the rhythm"), facts)
    finding = t("visible label: {words}; the rhythm stands at the end", words=words)
    return visible_layer("good", finding, facts)


def without_rhythm(score: Score, data: bytes) -> Score:
    """The music of a file alone: a labelled one ends with four notes that are none of it."""
    if _measure(data, None).status != "good":
        return score
    starts = sorted(
        (note.start_ticks, number, at)
        for number, part in enumerate(score.parts)
        for at, note in enumerate(part.notes)
    )
    label = {(number, at) for _, number, at in starts[-4:]}
    parts = (
        replace(part, notes=tuple(
            note for at, note in enumerate(part.notes) if (number, at) not in label
        ))
        for number, part in enumerate(score.parts)
    )  # fmt: skip
    return replace(score, parts=tuple(part for part in parts if part.notes))


def _text_events(midi: Midi) -> Iterator[bytes]:
    return (event.data for track in midi.tracks for event in track if event.meta in TEXTS)


def _rhythm_unit(last: list[Note]) -> float | None:
    """The unit in ticks of four notes that have the rhythm and can be heard; None of others."""
    if len(last) < 4 or len({one.pitch for one in last}) > 1:
        return None
    if min(one.velocity for one in last) < SOFTEST:
        return None
    edges = [
        edge for one in last for edge in (one.start_ticks, one.start_ticks + one.duration_ticks)
    ]
    unit = (edges[-1] - edges[0]) / sum(length for _, length in RHYTHM)
    lengths = (after - before for before, after in pairwise(edges))
    fits = (abs(one - wanted * unit) <= TOLERANCE * unit for one, (_, wanted) in zip(
        lengths, RHYTHM, strict=True))  # fmt: skip
    return round(unit, 2) if unit > 0 and all(fits) else None


def _label_in(text: bytes) -> object | None:
    """The metadata label that a text event holds, by its form; None for other texts."""
    if not 2 <= len(text) <= MAX_LABEL_BYTES or b"ContentProducer" not in text:
        return None
    plain = text.decode("utf-8", "replace").strip().removeprefix("AIGC").lstrip("=: ")
    label = parse_label(plain)
    return label if isinstance(label, dict) else None


def _labels(data: bytes) -> list[object]:
    try:
        midi = read_midi(data)
    except MediaError:
        return []
    return [one for one in map(_label_in, _text_events(midi)) if one is not None]


def _strip(data: bytes) -> bytes:
    """Without text events that are metadata labels; their time goes to the next event."""
    try:
        read_midi(data)
    except MediaError:
        return data
    parts, position = [], 0
    for body in _bodies(data):
        kept = _without_labels(data, body)
        parts += [data[position : body.start - 4], len(kept).to_bytes(4, "big"), kept]
        position = body.end
    return b"".join([*parts, data[position:]])


def _without_labels(data: bytes, body: Body) -> bytes:
    parts, owed, end = [], 0, body.start
    for event in _events(data, body):
        message, end = data[event.message : event.end], event.end
        if message[:1] == bytes((META,)) and message[1] in TEXTS:
            _, content = _number(message, 2)
            if _label_in(message[content:]) is not None:
                owed += event.delta
                continue
        time = _variable(event.delta + owed) if owed else data[event.start : event.message]
        parts += [time, message]
        owed = 0
    return b"".join(parts) + data[end : body.end]


MIDI = Format(
    name="midi",
    media_type="audio/midi",
    suffixes=(".mid", ".midi"),
    credential="sidecar",
    draw=_draw,
    write=None,
    labels=_labels,
    measure=_measure,
    starts=begins(MAGIC),
    strip=_strip,
)
