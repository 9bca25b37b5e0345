"""JPEG: words drawn in a corner, the metadata label as XMP in an APP1 segment.

A file made elsewhere keeps its quantisation tables and subsampling, so that its blocks come out
as they were beside the label, its colour profile and its density; EXIF, which may tell places and
names, is left behind once it has turned the picture upright.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wenfang.errors import MediaError, SealError
from wenfang.language import t
from wenfang.seal.formats.contract import (
    Drawn,
    Format,
    Insertion,
    Marking,
    Trace,
    begins,
    insert,
    visible_layer,
)
from wenfang.seal.formats.raster import label_encoded, measure_pixels, trace_pixels
from wenfang.seal.formats.xmp import MAX_METADATA_BYTES, xmp_labels, xmp_packet
from wenfang.seal.label import parse_label
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from PIL import Image

START = b"\xff\xd8\xff"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
QUALITY = 92
MAX_SEGMENTS = 10_000
DENSE = 0.7  # bytes a pixel; Pillow has no room to optimise a file of more than one
MAX_SCANS = 100  # a progressive file has about ten; each of thousands costs a whole decoding
_APP0, _APP1, _SCAN, _END = 0xE0, 0xE1, 0xDA, 0xD9
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A marker's segment before the first scan; `offset` and `end` are those of the file."""

    marker: int
    content: bytes
    offset: int
    end: int


def segments(data: bytes) -> Iterator[Segment]:
    """The segments up to the first scan; ends where the structure breaks."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        start = position
        if data[position : position + 1] != b"\xff":
            return
        while data[position : position + 1] == b"\xff" and position - start < 64:
            position += 1  # fill bytes
        if position >= len(data):
            return
        marker = data[position]
        position += 1
        if marker in _BARE:
            continue
        size = int.from_bytes(data[position : position + 2], "big")
        if marker in (_SCAN, _END) or size < 2 or position + size > len(data):
            return
        content = data[position + 2 : position + size]
        position += size
        yield Segment(marker=marker, content=content, offset=start, end=position)


def _draw(content: bytes | Image.Image, marking: Marking) -> Drawn:
    from wenfang.media.image import decode_image

    if not isinstance(content, bytes):
        return label_encoded(_opaque(content), marking, lambda canvas: _encode(canvas, {}))
    if not content.startswith(START):
        raise SealError("the picture to publish is not a JPEG; encode it as one first")
    if _bomb(content):
        raise MediaError("{name} is a broken image; export it again", name="the image")
    mode, options = _options(content)
    image = _from_cmyk(content) if mode == "CMYK" else decode_image(content)
    grey = mode == "L"
    return label_encoded(image, marking, lambda canvas: _encode(canvas, options, grey=grey))


def _bomb(data: bytes) -> bool:
    return data.count(b"\xff\xda") > MAX_SCANS


def _opaque(image: Image.Image) -> Image.Image:
    """Without transparency, on white."""
    from PIL import Image

    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def _options(data: bytes) -> tuple[str, dict[str, Any]]:
    """Colour mode of a file, and what of its encoding is kept; of ink's four colours nothing.

    raises MediaError if its head is broken
    """
    from PIL import Image, JpegImagePlugin

    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        options: dict[str, Any] = {}
        if len(data) < DENSE * image.width * image.height:
            options |= {"optimize": True, "progressive": bool(image.info.get("progressive"))}
        if isinstance(density := image.info.get("dpi"), tuple):
            options["dpi"] = tuple(max(1, min(65535, round(float(one)))) for one in density)
        if image.mode in ("L", "RGB"):
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            options["qtables"] = {key: list(one) for key, one in image.quantization.items()}
            options["icc_profile"] = image.info.get("icc_profile")
            options["subsampling"] = max(-1, JpegImagePlugin.get_sampling(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        raise MediaError("{name} is a broken image; export it again", name="the image") from fault
    return image.mode, options


def _from_cmyk(data: bytes) -> Image.Image:
    """A picture in printing colours as sRGB, by its own profile where that can be used."""
    from PIL import Image, ImageCms

    from wenfang.media.image import decode_image

    plain = decode_image(data)  # also bounds and errors
    source = Image.open(io.BytesIO(data), formats=("JPEG",))
    profile = source.info.get("icc_profile")
    if not profile:
        return plain
    try:
        source.load()
        converted = ImageCms.profileToProfile(
            source, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return plain
    return converted if converted is not None and converted.size == plain.size else plain


def _encode(canvas: Image.Image, options: Mapping[str, Any], grey: bool = False) -> bytes:
    """Full colour resolution at QUALITY unless the options say how the file was encoded."""
    buffer = io.BytesIO()
    chosen = dict(options)
    if "qtables" not in chosen:
        chosen |= {"quality": QUALITY, "subsampling": 0}
    canvas.convert("L" if grey else "RGB").save(buffer, "JPEG", **chosen)
    return buffer.getvalue()


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """The label's segment directly behind JFIF's."""
    offset = next((one.end for one in segments(drawn.data) if one.marker == _APP0), 2)
    content = XMP + xmp_packet(label)
    head = bytes((0xFF, _APP1)) + (len(content) + 2).to_bytes(2, "big")
    return insert(drawn, Insertion(offset=offset, content=head + content))


def _labels(data: bytes) -> list[object]:
    if not data.startswith(START):
        return []
    found: list[object] = []
    for packet in _packets(data):
        found += [parse_label(text) for text in xmp_labels(packet)]
    return found


def _packets(data: bytes) -> Iterator[bytes]:
    """Every XMP packet; what was too long for a segment is put together within bounds."""
    extended: dict[bytes, dict[int, bytes]] = {}
    for segment in segments(data):
        if segment.marker == _APP1 and segment.content.startswith(XMP):
            yield segment.content[len(XMP) :]
        elif segment.marker == _APP1 and segment.content.startswith(EXTENDED_XMP):
            rest = segment.content[len(EXTENDED_XMP) :]
            # 32 digits name the packet; then its length and the part's offset, 4 bytes each.
            parts = extended.setdefault(rest[:32], {})
            parts[int.from_bytes(rest[36:40], "big")] = rest[40:]
    for parts in extended.values():
        whole = b"".join(parts[offset] for offset in sorted(parts))
        yield whole[:MAX_METADATA_BYTES]


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    if _bomb(data):
        return visible_layer("unknown", t("the picture takes too long to be decoded"))
    return measure_pixels(data, recorded)


def _trace(data: bytes, search: bool) -> Trace:
    return Trace(pointer=None, p_value=1.0) if _bomb(data) else trace_pixels(data, search)


JPEG = Format(
    name="jpeg",
    media_type="image/jpeg",
    suffixes=(".jpg", ".jpeg"),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    trace=_trace,
    starts=begins(START),
)
