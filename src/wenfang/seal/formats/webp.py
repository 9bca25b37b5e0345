"""WebP, still or animated: words drawn in a corner, the metadata label in the `XMP ` chunk."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wenfang.errors import SealError
from wenfang.seal.formats.animation import (
    Animation,
    decode_animation,
    drawn_animation,
    label_animation,
    measure_animation,
)
from wenfang.seal.formats.contract import Drawn, Format, Insertion, Marking, Trace, insert
from wenfang.seal.formats.raster import trace_pixels
from wenfang.seal.formats.xmp import MAX_METADATA_BYTES, xmp_labels, xmp_packet
from wenfang.seal.label import parse_label
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from PIL import Image

    from wenfang.media.video import Film

HEADER_BYTES = 12  # RIFF, size, WEBP
MAX_CHUNKS = 20_000
QUALITY = 92
MOVING_QUALITY = 75
FLAT_COLOURS = 4096  # a picture of fewer is a drawing, which is smaller and exact without loss
_ALPHA, _XMP = 0x10, 0x04  # flags of VP8X


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A chunk of the file: its name, its content, and where the next one begins."""

    kind: bytes
    content: bytes
    offset: int
    end: int


def chunks(data: bytes, start: int = HEADER_BYTES) -> Iterator[Chunk]:
    """The chunks; ends where the structure breaks."""
    position = start
    for _ in range(MAX_CHUNKS):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if position + 8 + size > len(data) or position + 8 > len(data):
            return
        kind, content = data[position : position + 4], data[position + 8 : position + 8 + size]
        end = min(len(data), position + 8 + size + size % 2)
        yield Chunk(kind=kind, content=content, offset=position, end=end)
        position = end


def _starts(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _lossless(data: bytes) -> bool:
    """Whether the picture or any frame is stored without loss."""
    for chunk in chunks(data):
        if chunk.kind == b"VP8L":
            return True
        # A frame has a head of 16 bytes and then chunks of its own.
        if chunk.kind == b"ANMF" and any(one.kind == b"VP8L" for one in chunks(chunk.content, 16)):
            return True
    return False


def _draw(content: bytes | Image.Image | Film, marking: Marking) -> Drawn:
    if not isinstance(content, bytes):
        animation = drawn_animation(content)
        still = animation.frames[0] if len(animation.frames) == 1 else None
        lossless = still is not None and still.getcolors(FLAT_COLOURS) is not None
        quality = MOVING_QUALITY if still is None else QUALITY
        options: dict[str, Any] = {"lossless": lossless, "quality": quality}
        return label_animation(animation, marking, "WEBP", lambda one: _encode(one, options))
    if not _starts(content):
        raise SealError("the picture to publish is not a WebP; encode it as one first")
    animation = decode_animation(content, "WEBP")
    options = _options(content, animation)
    return label_animation(animation, marking, "WEBP", lambda one: _encode(one, options))


def _options(data: bytes, animation: Animation) -> dict[str, Any]:
    """How a file made elsewhere is encoded again at no less quality, and its colour profile.

    The file does not tell its quality: it is the lowest that takes as many bytes as the file did.
    """
    icc = next((one.content for one in chunks(data) if one.kind == b"ICCP"), None)
    kept = {} if icc is None else {"icc_profile": icc}
    if _lossless(data):
        return {"lossless": True, "quality": 75, **kept}
    for quality in (60, 75, 85, QUALITY):
        options = {"lossless": False, "quality": quality, **kept}
        if len(_encode(animation, options)) >= len(data):
            return options
    return {"lossless": False, "quality": 97, **kept}


def _encode(animation: Animation, options: Mapping[str, Any]) -> bytes:
    """Transparent pixels keep their colours, so that the same input gives the same pixels."""
    buffer = io.BytesIO()
    chosen: dict[str, Any] = {"method": 4, "exact": True, **options}
    first, *others = animation.frames
    if others:
        chosen |= {"save_all": True, "append_images": others, "minimize_size": False}
        chosen |= {"duration": list(animation.durations_ms), "loop": animation.loop or 0}
    first.save(buffer, "WEBP", **chosen)
    return buffer.getvalue()


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """The XMP chunk as last chunk, announced in VP8X, which a simple file has to be given."""
    found = list(chunks(drawn.data))
    packet = xmp_packet(label)
    tail = b"XMP " + len(packet).to_bytes(4, "little") + packet + b"\0" * (len(packet) % 2)
    end = found[-1].end
    drawn = insert(drawn, Insertion(offset=end, content=tail, replaces=len(drawn.data) - end))
    if found[0].kind == b"VP8X":
        flags = bytes((found[0].content[0] | _XMP,))
        drawn = insert(drawn, Insertion(offset=HEADER_BYTES + 8, content=flags, replaces=1))
    else:
        drawn = insert(drawn, Insertion(offset=HEADER_BYTES, content=_extended(found[0])))
    size = (len(drawn.data) - 8).to_bytes(4, "little")
    return insert(drawn, Insertion(offset=4, content=size, replaces=4))


def _extended(first: Chunk) -> bytes:
    """A VP8X chunk for a file whose only chunk is `first`."""
    if first.kind == b"VP8L":
        # A signature byte, then 14 bits of width - 1, 14 of height - 1, and one for transparency.
        bits = int.from_bytes(first.content[1:5], "little")
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:
        # Three bytes of frame tag and three of start code; two more bits are for scaling.
        width = (int.from_bytes(first.content[6:8], "little") & 0x3FFF) - 1
        height = (int.from_bytes(first.content[8:10], "little") & 0x3FFF) - 1
        alpha = 0
    flags = (_XMP | (_ALPHA if alpha else 0)).to_bytes(4, "little")
    size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return b"VP8X" + (10).to_bytes(4, "little") + flags + size


def _labels(data: bytes) -> list[object]:
    if not _starts(data):
        return []
    found: list[object] = []
    for chunk in chunks(data):
        if chunk.kind == b"XMP " and len(chunk.content) <= MAX_METADATA_BYTES:
            found += [parse_label(text) for text in xmp_labels(chunk.content)]
    return found


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    return measure_animation(data, recorded, "WEBP")


def _trace(data: bytes, search: bool) -> Trace:
    if any(chunk.kind == b"ANIM" for chunk in chunks(data)):
        return Trace(pointer=None, p_value=1.0)  # animations are not marked
    return trace_pixels(data, search)


WEBP = Format(
    name="webp",
    media_type="image/webp",
    suffixes=(".webp",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    trace=_trace,
    starts=_starts,
)
