"""The metadata label in XMP: `TC260:AIGC`, bare JSON, written and found again within bounds."""

from __future__ import annotations

import html
from contextlib import suppress
from xml.parsers import expat

from wenfang.seal.label import bare_json

NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
MAX_METADATA_BYTES = 1 << 20
MAX_DEPTH = 256  # an SVG nests deeper than a packet


def xmp_element(label: dict[str, str]) -> str:
    """The `x:xmpmeta` element that holds one label."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:TC260="{NAMESPACE}">'
        f"<TC260:AIGC>{html.escape(bare_json(label), quote=False)}</TC260:AIGC>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def xmp_packet(label: dict[str, str]) -> bytes:
    """A whole XMP packet, as containers hold it."""
    start = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{start}{xmp_element(label)}<?xpacket end="w"?>'.encode()


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

    def doctype(_name: str, _system: object, _public: object, declares: bool) -> None:
        if declares:
            raise _Refused

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    with suppress(expat.ExpatError, _Refused):
        parser.Parse(packet.strip(b"\0 \r\n"), True)
    return found
