"""What a format must offer to be sealed and read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wenfang.seal.label import LabelSettings
from wenfang.seal.layers import Layer, Status

Place = Literal["embedded", "sidecar"]


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """Bytes to put in at `offset`; the file without them is the payload again."""

    offset: int
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A payload with its visible label.

    inserted  (offset, length) of what was put into the bytes; None where the label was drawn
              into pixels and the payload's bytes cannot be got back
    visible   JSON facts that a reader needs to measure the label again
    """

    data: bytes
    inserted: tuple[tuple[int, int], ...] | None
    visible: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format: how it is labelled, and how its labels are found again.

    draw     payload, settings -> the payload with its visible label; SealError if it is not
             of this format
    write    data, label -> the insertion of the metadata label; None where it is a sidecar
    labels   data -> every metadata label in it, valid or not
    measure  data, recorded facts -> the visible layer, measured again
    """

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    credential: Place
    draw: Callable[[bytes, LabelSettings], Drawn]
    write: Callable[[bytes, dict[str, str]], Insertion] | None
    labels: Callable[[bytes], list[object]]
    measure: Callable[[bytes, Mapping[str, Any] | None], Layer]


def insert(drawn: Drawn, insertion: Insertion) -> Drawn:
    """`drawn` with one more insertion, earlier spans moved behind it."""
    cut, size = insertion.offset, len(insertion.content)
    data = drawn.data[:cut] + insertion.content + drawn.data[cut:]
    if drawn.inserted is None:
        return Drawn(data=data, inserted=None, visible=drawn.visible)
    moved = [(start + size if start >= cut else start, length) for start, length in drawn.inserted]
    spans = tuple(sorted([*moved, (cut, size)]))
    return Drawn(data=data, inserted=spans, visible=drawn.visible)


def without(data: bytes, spans: list[list[int]]) -> bytes:
    """`data` with the spans [offset, length] taken out; ValueError if they do not lie in it."""
    parts, position = [], 0
    for start, length in spans:
        if not position <= start <= start + length <= len(data):
            raise ValueError("spans")
        parts.append(data[position:start])
        position = start + length
    return b"".join([*parts, data[position:]])


def visible_layer(status: Status, finding: str, facts: Mapping[str, object] | None = None) -> Layer:
    """The layer of the visible label."""
    return Layer(name="visible", status=status, finding=finding, facts=facts or {})
