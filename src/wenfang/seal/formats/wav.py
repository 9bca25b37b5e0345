"""WAV: the rhythm in its samples, the metadata label as RIFF sub-chunk `AIGC`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wenfang.errors import SealError
from wenfang.media.audio import Sound
from wenfang.seal.formats.contract import Drawn, Format, Marking
from wenfang.seal.formats.id3 import read_tags
from wenfang.seal.formats.sounding import draw_lossless, measure_rhythm, trace_samples
from wenfang.seal.formats.xmp import MAX_METADATA_BYTES, xmp_labels
from wenfang.seal.label import bare_json, parse_label

MAX_CHUNKS = 4_096
STREAMED = 0xFFFFFFFF  # written by programs that could not go back to fill in the size
LABEL, XMP, TAG = b"AIGC", b"_PMX", (b"id3 ", b"ID3 ")
NEEDED = (b"fmt ", b"fact", b"data")  # what libsndfile writes beside holds a clock


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of every RIFF chunk; ends where the structure breaks."""
    position = 12
    for _ in range(MAX_CHUNKS):
        name, size = data[position : position + 4], data[position + 4 : position + 8]
        start, length = position + 8, int.from_bytes(size, "little")
        if name == b"data" and length == STREAMED:
            length = len(data) - start
        if len(size) < 4 or start + length > len(data):
            return
        yield name, data[start : start + length]
        position = start + length + length % 2


def riff(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A WAV file of chunks, each on an even offset."""
    body = b"".join(
        name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)
        for name, content in parts
    )
    if len(body) + 4 > 0xFFFFFFFF:
        raise SealError("the sound is larger than a WAV file can be; publish it as FLAC")
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WAVE" + body


def _draw(content: bytes | Sound, marking: Marking) -> Drawn:
    kept: list[tuple[bytes, bytes]] = []
    if isinstance(content, bytes):
        if content[:4] in (b"RF64", b"BW64"):
            raise SealError("WAV of the kind RF64 cannot be labelled; publish it as FLAC")
        if not _starts(content):
            raise SealError("the sound to publish is not a WAV file; export it as one")
        kept = [one for one in chunks(content) if one[0] == b"LIST" and one[1][:4] == b"INFO"]
    drawn = draw_lossless(content, "audio/wav", marking)
    parts = [one for one in chunks(drawn.data) if one[0] in NEEDED]
    return replace(drawn, data=riff([*parts[:-1], *kept, parts[-1]]))


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    parts = [one for one in chunks(drawn.data) if one[0] != LABEL]
    place = next(index for index, (name, _) in enumerate(parts) if name == b"data")
    parts.insert(place, (LABEL, bare_json(label).encode()))
    return replace(drawn, data=riff(parts))


def _labels(data: bytes) -> list[object]:
    """Labels in AIGC chunks, and those that other makers put into XMP or an ID3 tag."""
    found: list[str] = []
    for name, content in chunks(data) if _starts(data) else ():
        if len(content) > MAX_METADATA_BYTES:
            continue
        if name == LABEL:
            found.append(content.decode("utf-8", "replace").rstrip("\0"))
        elif name == XMP:
            found += xmp_labels(content)
        elif name in TAG:
            found += [text for tag in read_tags(content) for text in tag.labels]
    return [parse_label(text) for text in found]


def _starts(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


WAV = Format(
    name="wav",
    media_type="audio/wav",
    suffixes=(".wav",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=measure_rhythm,
    trace=trace_samples,
    starts=lambda data: _starts(data) or (data[:4] == b"RF64" and data[8:12] == b"WAVE"),
)
