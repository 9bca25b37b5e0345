"""WebM: the label on the first pictures, the metadata label as a Matroska SimpleTag `AIGC`.

VP9 with Opus; the sound of a film made elsewhere is taken over as it is. No credential can be
embedded in Matroska yet, so it is a sidecar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wenfang.errors import SealError
from wenfang.seal.formats import matroska
from wenfang.seal.formats.contract import Drawn, Format, Marking, Trace
from wenfang.seal.label import bare_json, parse_label
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from wenfang.media.video import Film

HEADER_BYTES = 64  # the document's type stands in the first element


def _starts(data: bytes) -> bool:
    return data.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in data[:HEADER_BYTES]


def _draw(content: bytes | Film, marking: Marking) -> Drawn:
    from wenfang.seal.formats.film import draw_film

    if isinstance(content, bytes) and not _starts(content):
        raise SealError("the film to publish is not a WebM; convert it first")
    return draw_film(content, marking, "webm")


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    return replace(drawn, data=matroska.with_label(drawn.data, bare_json(label)), inserted=None)


def _labels(data: bytes) -> list[object]:
    return [parse_label(text) for text in matroska.labels(data)]


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    from wenfang.seal.formats.film import measure_film

    return measure_film(data, recorded)


def _trace(data: bytes, search: bool) -> Trace:
    from wenfang.seal.formats.film import trace_film

    return trace_film(data, search)


WEBM = Format(
    name="webm",
    media_type="video/webm",
    suffixes=(".webm",),
    credential="sidecar",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    trace=_trace,
    starts=_starts,
)
