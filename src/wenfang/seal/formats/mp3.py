"""MP3: the rhythm in its samples, the metadata label in an ID3v2 frame TXXX called AIGC."""

from __future__ import annotations

from dataclasses import replace

from wenfang.errors import SealError
from wenfang.media.audio import Sound
from wenfang.seal.formats.contract import Drawn, Format, Marking
from wenfang.seal.formats.id3 import Tag, read_tags
from wenfang.seal.formats.sounding import draw_lossy, measure_rhythm, trace_samples
from wenfang.seal.label import bare_json, parse_label


def _draw(content: bytes | Sound, marking: Marking) -> Drawn:
    tag = Tag()
    if isinstance(content, bytes):
        if not _starts(content):
            raise SealError("the sound to publish is not an MP3 file; export it as one")
        tag = next(iter(read_tags(content)), tag).with_label(None)
    drawn = draw_lossy(content, "audio/mpeg", marking)
    return replace(drawn, data=tag.render() + drawn.data)


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    tags = read_tags(drawn.data)
    tag = next(iter(tags), Tag()).with_label(bare_json(label))
    return replace(drawn, data=tag.render() + drawn.data[sum(one.size for one in tags) :])


def _labels(data: bytes) -> list[object]:
    return [parse_label(text) for tag in read_tags(data) for text in tag.labels]


def _starts(data: bytes) -> bool:
    """A tag with no FLAC behind it, or a frame header of layer III."""
    start = sum(tag.size for tag in read_tags(data))
    if start:
        return data[start : start + 4] != b"fLaC"
    head = data[:4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    version, rate, frequency = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and rate not in (0, 15) and frequency != 3


MP3 = Format(
    name="mp3",
    media_type="audio/mpeg",
    suffixes=(".mp3",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=measure_rhythm,
    trace=trace_samples,
    starts=_starts,
)
