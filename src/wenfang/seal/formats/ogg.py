"""Ogg Vorbis and Opus: the rhythm in the samples, the metadata label as comment `AIGC=`.

The comment packet is written anew and the pages behind it are numbered on (RFC 3533, RFC 7845,
Vorbis I). Neither holds a C2PA credential: it lies beside the file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from wenfang.errors import SealError
from wenfang.media.audio import Sound
from wenfang.seal.formats.contract import Drawn, Format, Marking
from wenfang.seal.formats.sounding import draw_lossy, measure_rhythm, trace_samples
from wenfang.seal.formats.vorbis_comment import Comment
from wenfang.seal.label import bare_json, parse_label

CAPTURE = b"OggS"
MAX_HEADER_BYTES = 16 << 20
MAX_PAGES = 4_096  # in which the header packets must stand
CONTINUED = 0x01
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
NO_POSITION = b"\xff" * 8  # granule position of a page on which no packet ends


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How a codec begins: its first packet, its comment packet, and how many headers it has."""

    name: str
    head: bytes
    comment: bytes
    headers: int
    tail: bytes = b""


VORBIS_CODEC = Codec(name="Ogg Vorbis", head=b"\x01vorbis", comment=b"\x03vorbis", headers=3,
                     tail=b"\x01")  # fmt: skip
OPUS_CODEC = Codec(name="Opus", head=b"OpusHead", comment=b"OpusTags", headers=2)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: its header up to the segment table, the table, its content, where it ends."""

    head: bytes
    table: bytes
    content: bytes
    end: int

    @property
    def serial(self) -> bytes:
        """Number of the stream that the page belongs to."""
        return self.head[14:18]


def page_at(data: bytes, start: int) -> Page | None:
    """The page that begins at `start`, or None."""
    head = data[start : start + 27]
    if len(head) < 27 or head[:4] != CAPTURE:
        return None
    table = data[start + 27 : start + 27 + head[26]]
    begin, size = start + 27 + head[26], sum(table)
    if len(table) < head[26] or begin + size > len(data):
        return None
    return Page(head=head, table=table, content=data[begin : begin + size], end=begin + size)


def checksum(page: bytes) -> bytes:
    """CRC, low byte first, of a page whose own field is zero: polynomial 0x04C11DB7, no reflection.

    zlib's CRC has the same polynomial with the bits of each byte, and of the result, in reverse.
    """
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return mirrored.to_bytes(4, "little").translate(_MIRRORED)[::-1]


def _render(head: bytes, number: int, table: bytes, content: bytes) -> bytes:
    """A page with its number and its checksum."""
    page = b"".join(
        (head[:18], number.to_bytes(4, "little"), bytes(4), bytes((len(table),)), table, content)
    )
    return page[:22] + checksum(page) + page[26:]


@dataclass(frozen=True, kw_only=True)
class Headers:
    """Header packets of a stream, its first page, and where its sound begins."""

    packets: tuple[bytes, ...]
    first: Page
    end: int


def headers(data: bytes, codec: Codec) -> Headers | None:
    """The header packets at the start of a file; None if it is of another codec or broken."""
    first = page_at(data, 0)
    if first is None or not first.content.startswith(codec.head):
        return None
    packets: list[bytes] = []
    parts: list[bytes] = []
    position, held = 0, 0
    for _ in range(MAX_PAGES):
        page = page_at(data, position)
        if page is None or page.serial != first.serial:
            return None
        position, offset = page.end, 0
        for lace in page.table:
            parts.append(page.content[offset : offset + lace])
            offset, held = offset + lace, held + lace
            if lace < 255:
                packets.append(b"".join(parts))
                parts.clear()
        if held > MAX_HEADER_BYTES:
            return None
        if len(packets) >= codec.headers:
            # The first packet of sound begins a page of its own.
            whole = len(packets) == codec.headers and not parts
            return Headers(packets=tuple(packets), first=first, end=position) if whole else None
    return None


def _comment(found: Headers, codec: Codec) -> Comment:
    packet = found.packets[1]
    return Comment.read(packet[len(codec.comment) :]) if packet.startswith(codec.comment) else (
        Comment())  # fmt: skip


def with_comment(data: bytes, codec: Codec, comment: Comment) -> bytes:
    """The file with another comment packet, its pages numbered and checked anew."""
    found = headers(data, codec)
    if found is None:
        raise SealError("the sound to publish is not {codec}; export it as one", codec=codec.name)
    packet = codec.comment + comment.render() + codec.tail
    packets = [packet, *found.packets[2:]]
    first = data[: found.first.end]
    parts = [first, *_paged(packets, found.first.head)]
    number, position = len(parts), found.end
    while (page := page_at(data, position)) is not None:
        parts.append(_render(page.head, number, page.table, page.content))
        number, position = number + 1, page.end
    return b"".join(parts)


def _paged(packets: list[bytes], head: bytes) -> Iterator[bytes]:
    """Pages 1, 2 … that hold these packets one after another."""
    laces = b"".join(b"\xff" * (len(one) // 255) + bytes((len(one) % 255,)) for one in packets)
    content, offset, flags = b"".join(packets), 0, 0
    for number, start in enumerate(range(0, len(laces), 255), 1):
        table = laces[start : start + 255]
        granule = bytes(8) if min(table) < 255 else NO_POSITION
        body = content[offset : offset + sum(table)]
        yield _render(head[:5] + bytes((flags,)) + granule + head[14:], number, table, body)
        offset += len(body)
        flags = CONTINUED if table[-1] == 255 else 0


def _format(name: str, media_type: str, suffixes: tuple[str, ...], codec: Codec) -> Format:
    def draw(content: bytes | Sound, marking: Marking) -> Drawn:
        drawn_comment, nominal_bits_per_s = None, 0
        if isinstance(content, bytes):
            found = headers(content, codec)
            if found is None:
                raise SealError("the sound to publish is not {codec}; export it as one",
                                codec=codec.name)  # fmt: skip
            drawn_comment = _comment(found, codec).with_label(None)
            if codec is VORBIS_CODEC:
                # What its encoder aimed at; easy passages take less.
                nominal_bits_per_s = int.from_bytes(found.packets[0][20:24], "little")
        drawn = draw_lossy(content, media_type, marking, nominal_bits_per_s)
        if drawn_comment is None:
            return drawn
        return replace(drawn, data=with_comment(drawn.data, codec, drawn_comment))

    def write(drawn: Drawn, label: dict[str, str]) -> Drawn:
        found = headers(drawn.data, codec)
        comment = Comment() if found is None else _comment(found, codec)
        labelled = comment.with_label(bare_json(label))
        return replace(drawn, data=with_comment(drawn.data, codec, labelled))

    def labels(data: bytes) -> list[object]:
        found = headers(data, codec)
        texts = [] if found is None else _comment(found, codec).labels
        return [parse_label(text) for text in texts]

    return Format(
        name=name,
        media_type=media_type,
        suffixes=suffixes,
        credential="sidecar",
        draw=draw,
        write=write,
        labels=labels,
        measure=measure_rhythm,
        trace=trace_samples,
        starts=_begins(codec),
    )


def _begins(codec: Codec) -> Callable[[bytes], bool]:
    """A file whose first page holds the codec's first packet."""
    return lambda data: data.startswith(CAPTURE) and data[28:64].startswith(codec.head)


OGG = _format("ogg", "audio/ogg", (".ogg", ".oga"), VORBIS_CODEC)
OPUS = _format("opus", "audio/opus", (".opus",), OPUS_CODEC)
