"""MP4: the label on the first pictures, the metadata label as key `AIGC` in moov/udta/meta.

H.264 with AAC; the sound of a film made elsewhere is taken over as it is. FFmpeg drops the key in
every remux unless it is called with `-movflags use_metadata_tags`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wenfang.errors import SealError
from wenfang.seal.formats import boxes
from wenfang.seal.formats.contract import Drawn, Format, Marking, Trace
from wenfang.seal.label import bare_json, parse_label
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from wenfang.media.video import Film

# Brands of other things in the same boxes: sound alone, and still pictures.
OTHER_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"avif", b"avis", b"heic", b"heix", b"mif1", b"crx ")


def _starts(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] not in OTHER_BRANDS


def _draw(content: bytes | Film, marking: Marking) -> Drawn:
    from wenfang.seal.formats.film import draw_film

    if isinstance(content, bytes) and not _starts(content):
        raise SealError("the film to publish is not an MP4; convert it first")
    return draw_film(content, marking, "mp4")


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    return replace(drawn, data=boxes.with_label(drawn.data, bare_json(label)), inserted=None)


def _labels(data: bytes) -> list[object]:
    return [parse_label(text) for text in boxes.labels(data)]


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    from wenfang.seal.formats.film import measure_film

    return measure_film(data, recorded)


def _trace(data: bytes, search: bool) -> Trace:
    from wenfang.seal.formats.film import trace_film

    return trace_film(data, search)


MP4 = Format(
    name="mp4",
    media_type="video/mp4",
    suffixes=(".mp4",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    trace=_trace,
    starts=_starts,
)
