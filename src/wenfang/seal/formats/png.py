"""PNG: words drawn in a corner, the metadata label as XMP in an iTXt chunk (`TC260:AIGC`).

The chunk is put in between bytes, so the pixels are encoded once.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wenfang.errors import SealError
from wenfang.seal.formats.contract import Drawn, Format, Insertion, Marking, begins, insert
from wenfang.seal.formats.raster import label_pixels, measure_pixels, trace_pixels
from wenfang.seal.formats.xmp import MAX_METADATA_BYTES, xmp_labels, xmp_packet
from wenfang.seal.label import parse_label

if TYPE_CHECKING:
    from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = b"XML:com.adobe.xmp"
AFTER_HEADER = len(SIGNATURE) + 25  # IHDR is always first and 25 bytes long
# Chunks that say how the pixels are to be seen; everything else of the payload is left behind.
KEPT = (b"pHYs", b"sRGB", b"gAMA", b"cHRM", b"iCCP")
_GREY = (0, 4)
GRAINED = 0.3  # bytes a pixel; flat graphics lie below and are encoded quickly at any level


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of every chunk; ends where the structure breaks."""
    position = len(SIGNATURE)
    while data.startswith(SIGNATURE) and position + 12 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if position + 12 + size > len(data):
            return
        kind = data[position + 4 : position + 8]
        yield kind, data[position + 8 : position + 8 + size]
        position += 12 + size


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and checksum."""
    checksum = zlib.crc32(kind + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + kind + content + checksum


def _draw(content: bytes | Image.Image, marking: Marking) -> Drawn:
    from wenfang.media.image import encode_png

    payload = content if isinstance(content, bytes) else encode_png(content)
    kinds = {kind for kind, _ in chunks(payload)}
    if b"IHDR" not in kinds:
        raise SealError("the picture to publish is not a PNG; encode it as one first")
    if b"acTL" in kinds:
        raise SealError("an animated PNG cannot be labelled yet; publish a still picture")
    labelled = label_pixels(content, marking)
    image = labelled.image
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_level(len(payload) / (image.width * image.height)))
    data = buffer.getvalue()
    kept = b"".join(_kept(payload))
    data = data[:AFTER_HEADER] + kept + data[AFTER_HEADER:]
    return Drawn(data=data, inserted=None, visible=labelled.visible, watermark=labelled.watermark)


def _level(payload_bytes_per_pixel: float) -> int:
    """Deflate level: on grained paper (0.8 bytes a pixel) 3 is a third of 6's time and smaller."""
    return 3 if payload_bytes_per_pixel > GRAINED else 6


def _kept(payload: bytes) -> Iterator[bytes]:
    """The payload's KEPT chunks; a profile for grey does not fit pixels that are now RGB."""
    grey = payload[25] in _GREY
    for kind, content in chunks(payload):
        if kind in KEPT and not (grey and kind == b"iCCP"):
            yield chunk(kind, content)


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    content = XMP + b"\0\0\0\0\0" + xmp_packet(label)
    return insert(drawn, Insertion(offset=AFTER_HEADER, content=chunk(b"iTXt", content)))


def _labels(data: bytes) -> list[object]:
    """Labels in XMP packets and in text chunks that are called AIGC."""
    found: list[object] = []
    for keyword, text in _texts(data):
        if keyword == XMP:
            found += [parse_label(value) for value in xmp_labels(text)]
        elif keyword == b"AIGC":
            found.append(parse_label(text.decode("utf-8", "replace")))
    return found


def _texts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(keyword, text) of the text chunks of a bearable size, decompressed within bounds."""
    for kind, content in chunks(data):
        if kind not in (b"iTXt", b"tEXt", b"zTXt") or len(content) > MAX_METADATA_BYTES:
            continue
        keyword, _, rest = content.partition(b"\0")
        if kind == b"zTXt":
            rest = _inflate(rest[1:])
        elif kind == b"iTXt":
            text = rest[2:].split(b"\0", 2)[-1]
            rest = _inflate(text) if rest[:1] == b"\1" else text
        yield keyword, rest


def _inflate(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, MAX_METADATA_BYTES)
    except zlib.error:
        return b""


PNG = Format(
    name="png",
    media_type="image/png",
    suffixes=(".png",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=measure_pixels,
    trace=trace_pixels,
    starts=begins(SIGNATURE),
)
