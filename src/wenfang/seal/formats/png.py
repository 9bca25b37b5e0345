"""PNG: words drawn in a corner, the metadata label as XMP in an iTXt chunk (`TC260:AIGC`).

The chunk is put in between bytes, so the pixels are encoded once.
"""

from __future__ import annotations

import html
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from xml.parsers import expat

from wenfang.errors import MediaError, SealError
from wenfang.language import t
from wenfang.seal.formats.contract import Drawn, Format, Insertion, visible_layer
from wenfang.seal.label import LabelSettings, bare_json, parse_label
from wenfang.seal.layers import Layer

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
XMP = b"XML:com.adobe.xmp"
AFTER_HEADER = len(SIGNATURE) + 25  # IHDR is always first and 25 bytes long
MAX_METADATA_BYTES = 1 << 20
MAX_DEPTH = 64
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


def _draw(payload: bytes, settings: LabelSettings) -> Drawn:
    from wenfang.media.image import decode_image
    from wenfang.seal.picture import label_picture

    kinds = {kind for kind, _ in chunks(payload)}
    if b"IHDR" not in kinds:
        raise SealError("the picture to publish is not a PNG; encode it as one first")
    if b"acTL" in kinds:
        raise SealError("an animated PNG cannot be labelled yet; publish a still picture")
    image, facts = label_picture(decode_image(payload), settings.words)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_level(len(payload) / (image.width * image.height)))
    data = buffer.getvalue()
    kept = b"".join(_kept(payload))
    data = data[:AFTER_HEADER] + kept + data[AFTER_HEADER:]
    return Drawn(data=data, inserted=None, visible=facts)


def _level(payload_bytes_per_pixel: float) -> int:
    """Deflate level: on grained paper (0.8 bytes a pixel) 3 is a third of 6's time and smaller."""
    return 3 if payload_bytes_per_pixel > GRAINED else 6


def _kept(payload: bytes) -> Iterator[bytes]:
    """The payload's KEPT chunks; a profile for grey does not fit pixels that are now RGB."""
    grey = payload[25] in _GREY
    for kind, content in chunks(payload):
        if kind in KEPT and not (grey and kind == b"iCCP"):
            yield chunk(kind, content)


def _write(data: bytes, label: dict[str, str]) -> Insertion:
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:TC260="{NAMESPACE}">'
        f"<TC260:AIGC>{html.escape(bare_json(label), quote=False)}</TC260:AIGC>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    content = XMP + b"\0\0\0\0\0" + packet.encode()
    return Insertion(offset=AFTER_HEADER, content=chunk(b"iTXt", content))


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


class _Refused(Exception):  # noqa: N818 - a signal inside the parser, never shown
    pass


def xmp_labels(packet: bytes) -> list[str]:
    """Texts of every AIGC property in an XMP packet, as element or attribute.

    A packet that declares entities, nests deeply or is not well formed gives what was found
    before that.
    """
    found: list[str] = []
    parser, depth, inside = expat.ParserCreate(namespace_separator=" "), 0, False
    name = f"{NAMESPACE} AIGC"

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, inside
        depth += 1
        if depth > MAX_DEPTH:
            raise _Refused
        found.extend(value for key, value in attributes.items() if key == name)
        if tag == name:
            inside = True
            found.append("")

    def end(tag: str) -> None:
        nonlocal depth, inside
        depth -= 1
        inside = inside and tag != name

    def text(data: str) -> None:
        if inside:
            found[-1] += data

    def refuse(*_: object) -> None:
        raise _Refused

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    with suppress(expat.ExpatError, _Refused):
        parser.Parse(packet.strip(b"\0 \r\n"), True)
    return found


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    from wenfang.media.image import decode_image
    from wenfang.seal.picture import CONTRAST, GLYPH_SHARE, measure_picture, recorded_glyphs

    if not recorded:
        return visible_layer("unknown", t("nothing says where the visible label is"))
    try:
        image = decode_image(data)
        red, green, blue = (int(level) for level in recorded["colour"])
        found = measure_picture(image, recorded_glyphs(recorded, image.size), (red, green, blue))
    except MediaError as error:
        return visible_layer("unknown", str(error))
    except (KeyError, TypeError, ValueError):
        return visible_layer("unknown", t("the record of the visible label is not readable"))
    share = found.glyph_height_px / min(image.size)
    facts = {
        "words": recorded.get("words"),
        "glyph_height_px": found.glyph_height_px,
        "glyph_share": round(share, 4),
        "contrast": round(found.contrast, 2),
    }
    percent, ratio = f"{share:.1%}", f"{found.contrast:.1f}"
    if share < GLYPH_SHARE or found.contrast < CONTRAST:
        finding = t(
            "the visible label is too small or too faint: {percent} of the short side, "
            "contrast {ratio}:1 (5 % and 4.5:1 are asked)",
            percent=percent,
            ratio=ratio,
        )
        return visible_layer("unlabelled", finding, facts)
    finding = t("visible label: {percent} of the short side, contrast {ratio}:1", percent=percent,
                ratio=ratio)  # fmt: skip
    return visible_layer("good", finding, facts)


PNG = Format(
    name="png",
    media_type="image/png",
    suffixes=(".png",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
)
