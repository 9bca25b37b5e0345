"""FLAC: the rhythm in its samples, the metadata label as Vorbis comment `AIGC=` (RFC 9639)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wenfang.errors import SealError
from wenfang.media.audio import Sound
from wenfang.seal.formats.contract import Drawn, Format, Marking
from wenfang.seal.formats.id3 import read_tags
from wenfang.seal.formats.sounding import draw_lossless, measure_rhythm, trace_samples
from wenfang.seal.formats.vorbis_comment import Comment
from wenfang.seal.label import bare_json, parse_label

SIGNATURE = b"fLaC"
MAX_BLOCKS = 1_024
STREAM, COMMENT, PICTURE = 0, 4, 6
LAST = 0x80


def _start(data: bytes) -> int:
    """Where the signature stands: a credential puts an ID3 tag before it."""
    return sum(tag.size for tag in read_tags(data))


def blocks(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(type, content, end) of every metadata block; ends where the structure breaks."""
    position = _start(data) + len(SIGNATURE)
    for _ in range(MAX_BLOCKS):
        header = data[position : position + 4]
        end = position + 4 + int.from_bytes(header[1:], "big")
        if len(header) < 4 or end > len(data):
            return
        yield header[0] & 0x7F, data[position + 4 : end], end
        if header[0] & LAST:
            return
        position = end


def _with_blocks(data: bytes, parts: list[tuple[int, bytes]]) -> bytes:
    """The file with these metadata blocks in place of its own, and no ID3 tag before it."""
    end = max((end for *_, end in blocks(data)), default=0)
    written = [SIGNATURE]
    for number, (kind, content) in enumerate(parts, 1):
        if len(content) >= 1 << 24:
            raise SealError("the sound's tags are too large to be kept; remove some of them")
        last = LAST if number == len(parts) else 0
        written.append(bytes((kind | last,)) + len(content).to_bytes(3, "big") + content)
    return b"".join(written) + data[end:]


def _draw(content: bytes | Sound, marking: Marking) -> Drawn:
    kept: list[tuple[int, bytes]] = []
    if isinstance(content, bytes):
        if not _starts(content):
            raise SealError("the sound to publish is not a FLAC file; export it as one")
        kept = [(kind, one) for kind, one, _ in blocks(content) if kind == PICTURE]
        comment = next((one for kind, one, _ in blocks(content) if kind == COMMENT), None)
        if comment is not None:
            kept.insert(0, (COMMENT, Comment.read(comment).with_label(None).render()))
    drawn = draw_lossless(content, "audio/flac", marking)
    stream = [(kind, one) for kind, one, _ in blocks(drawn.data) if kind == STREAM]
    return replace(drawn, data=_with_blocks(drawn.data, [*stream, *kept]))


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    parts = [(kind, one) for kind, one, _ in blocks(drawn.data)]
    old = next((one for kind, one in parts if kind == COMMENT), Comment().render())
    rest = [(kind, one) for kind, one in parts[1:] if kind != COMMENT]
    comment = (COMMENT, Comment.read(old).with_label(bare_json(label)).render())
    return replace(drawn, data=_with_blocks(drawn.data, [parts[0], comment, *rest]))


def _labels(data: bytes) -> list[object]:
    if not _starts(data):
        return []
    found = [text for tag in read_tags(data) for text in tag.labels]
    for kind, content, _ in blocks(data):
        found += Comment.read(content).labels if kind == COMMENT else []
    return [parse_label(text) for text in found]


def _starts(data: bytes) -> bool:
    start = _start(data)
    return data[start : start + 4] == SIGNATURE


FLAC = Format(
    name="flac",
    media_type="audio/flac",
    suffixes=(".flac",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=measure_rhythm,
    trace=trace_samples,
    starts=_starts,
)
