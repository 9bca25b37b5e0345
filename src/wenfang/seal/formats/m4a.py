"""M4A (AAC): the rhythm in its samples, the metadata label as key `AIGC` in moov/udta/meta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wenfang.errors import SealError
from wenfang.media.audio import Sound
from wenfang.seal.formats import boxes
from wenfang.seal.formats.contract import Drawn, Format, Marking, Trace
from wenfang.seal.formats.sounding import draw_lossy, measure_rhythm, trace_samples
from wenfang.seal.label import bare_json, parse_label
from wenfang.seal.layers import Layer

BRANDS = (b"M4A ", b"M4B ")  # of files that hold sound alone


def _draw(content: bytes | Sound, marking: Marking) -> Drawn:
    if isinstance(content, bytes) and not (_starts(content) and boxes.believable(content)):
        raise SealError("the sound to publish is not an M4A file; export it as one")
    drawn = draw_lossy(content, "audio/mp4", marking)
    return replace(drawn, data=boxes.moov_first(drawn.data))


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    return replace(drawn, data=boxes.with_label(drawn.data, bare_json(label)))


def _labels(data: bytes) -> list[object]:
    return [parse_label(text) for text in boxes.labels(data)]


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    return measure_rhythm(data, recorded, boxes.believable)


def _trace(data: bytes, search: bool) -> Trace:
    return trace_samples(data, search, boxes.believable)


def _starts(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in BRANDS


M4A = Format(
    name="m4a",
    media_type="audio/mp4",
    suffixes=(".m4a",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    trace=_trace,
    starts=_starts,
)
