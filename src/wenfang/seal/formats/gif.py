"""GIF, still or animated: words drawn on every frame, the label in the XMP application extension.

Frames are rendered whole. A frame whose colours fit into a palette keeps every one of them; a label
that makes them too many takes the place of the rarest.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wenfang.errors import MediaError, SealError
from wenfang.language import keyed, t
from wenfang.seal.formats.animation import (
    MAX_FRAMES,
    Animation,
    decode_animation,
    drawn_animation,
    label_animation,
    measure_animation,
)
from wenfang.seal.formats.contract import (
    Drawn,
    Format,
    Insertion,
    Marking,
    begins,
    insert,
    visible_layer,
)
from wenfang.seal.formats.xmp import MAX_METADATA_BYTES, xmp_labels, xmp_packet
from wenfang.seal.label import parse_label
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from PIL import Image

    from wenfang.media.video import Film

MAGIC = (b"GIF87a", b"GIF89a")
HEADER_BYTES = 13
XMP = b"XMP DataXMP"
# A reader that skips sub-blocks by their length bytes lands, from anywhere in the packet, in this
# descending row and so at its end (XMP specification, part 3).
TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
MAX_SUB_BLOCKS = 1_000_000
_EXTENSION, _FRAME, _END, _APPLICATION = 0x21, 0x2C, 0x3B, 0xFF


@dataclass(frozen=True, kw_only=True)
class Block:
    """An extension or a frame: its kind and, of an application's, name and raw content."""

    kind: int
    name: bytes = b""
    content: bytes = b""


def blocks(data: bytes) -> Iterator[Block]:
    """The extensions and frames; ends where the structure breaks."""
    position, left = _after_header(data), [MAX_SUB_BLOCKS]
    while position + 1 < len(data) and data[position] != _END:
        kind, start = data[position], position + 2
        if kind == _FRAME:
            if position + 11 > len(data):
                return
            packed = data[position + 9]
            start = position + 11 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
        elif kind != _EXTENSION:
            return
        end = _skip(data, start, left)
        if end is None:
            return
        name = b""
        if kind == _EXTENSION and data[position + 1] == _APPLICATION:
            name = data[start + 1 : start + 12] if data[start] == 11 else b""
        yield Block(kind=kind, name=name, content=data[start + 12 : end] if name else b"")
        position = end


def _after_header(data: bytes) -> int:
    """The length of the header and the palette that all frames may share."""
    if len(data) < HEADER_BYTES:
        return len(data)
    packed = data[10]
    return HEADER_BYTES + (3 << (packed & 7) + 1 if packed & 0x80 else 0)


def _skip(data: bytes, position: int, left: list[int]) -> int | None:
    """The end of a row of sub-blocks; None if it has none or too many were read in all."""
    while left[0] > 0:
        left[0] -= 1
        if position >= len(data):
            return None
        size = data[position]
        position += size + 1
        if size == 0:
            return position
    return None


def _bomb(data: bytes) -> bool:
    """More frames or parts than are decoded."""
    frames = sum(1 for block in blocks(data) if block.kind == _FRAME)
    return frames > MAX_FRAMES


def _draw(content: bytes | Image.Image | Film, marking: Marking) -> Drawn:
    marking = replace(marking, settings=replace(marking.settings, watermark=False))
    if isinstance(content, bytes):
        if not content.startswith(MAGIC):
            raise SealError("the picture to publish is not a GIF; encode it as one first")
        if _bomb(content):
            raise MediaError("{name} is a broken image; export it again", name="the image")
        animation = decode_animation(content, "GIF")
    else:
        animation = drawn_animation(content)
    source = animation.frames
    drawn = label_animation(animation, marking, "GIF", lambda one: _encode(one, source))
    return replace(drawn, watermark={"none": keyed("a palette of 256 colours holds no watermark")})


def _encode(animation: Animation, source: list[Image.Image]) -> bytes:
    from wenfang.seal.formats.palette import indexed

    pairs = zip(animation.frames, source, strict=True)
    first, *others = [indexed(frame, before) for frame, before in pairs]
    see_through = any("transparency" in one.info for one in (first, *others))
    options: dict[str, Any] = {"optimize": False}
    if others:
        # A frame with holes must not show the one before through them.
        options |= {"save_all": True, "append_images": others, "disposal": 2 if see_through else 1}
        options |= {"duration": list(animation.durations_ms)}
    if animation.loop is not None:
        options |= {"loop": animation.loop}
    buffer = io.BytesIO()
    first.save(buffer, "GIF", **options)
    return buffer.getvalue()


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """The extension before the first frame; Annex E's form is that of every XMP packet."""
    extension = bytes((_EXTENSION, _APPLICATION, len(XMP))) + XMP + xmp_packet(label) + TRAILER
    offset = _after_header(drawn.data)
    drawn = insert(drawn, Insertion(offset=offset, content=extension))
    if drawn.data.startswith(MAGIC[0]):  # the older version has no extensions
        drawn = insert(drawn, Insertion(offset=0, content=MAGIC[1], replaces=len(MAGIC[1])))
    return drawn


def _labels(data: bytes) -> list[object]:
    if not data.startswith(MAGIC):
        return []
    found: list[object] = []
    for block in blocks(data):
        if block.name == XMP and len(block.content) <= MAX_METADATA_BYTES:
            packet = block.content.removesuffix(TRAILER)
            found += [parse_label(text) for text in xmp_labels(packet)]
    return found


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    if _bomb(data):
        return visible_layer("unknown", t("the picture takes too long to be decoded"))
    return measure_animation(data, recorded, "GIF")


GIF = Format(
    name="gif",
    media_type="image/gif",
    suffixes=(".gif",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    starts=begins(*MAGIC),
)
