"""What a format must offer to be sealed and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from wenfang.language import keyed
from wenfang.seal.label import LabelSettings
from wenfang.seal.layers import Layer, Status

Place = Literal["embedded", "sidecar"]


@dataclass(frozen=True, kw_only=True)
class Marking:
    """How this file is marked.

    pointer  first 12 hexadecimal digits of the manifest's id, which an invisible watermark holds
    """

    settings: LabelSettings
    pointer: str


@dataclass(frozen=True, kw_only=True)
class Insertion:
    """Bytes to put in at `offset`, in place of as many as `replaces` says."""

    offset: int
    content: bytes
    replaces: int = 0


@dataclass(frozen=True, kw_only=True)
class Span:
    """Bytes of ours in a labelled file: `length` at `offset`, where the payload had `before`."""

    offset: int
    length: int
    before: bytes = b""

    def to_json(self) -> list[object]:
        """[offset, length], and what stood there before in hexadecimal digits if anything did."""
        return [self.offset, self.length, *([self.before.hex()] if self.before else [])]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A payload with its visible label.

    inserted   what was put into the bytes; None where the label was drawn into pixels or samples
               and the payload's bytes cannot be got back
    visible    JSON facts that a reader needs to measure the label again
    watermark  {"kind": …, "pointer": …}, or {"none": why} as a message template
    """

    data: bytes
    inserted: tuple[Span, ...] | None
    visible: Mapping[str, object]
    watermark: Mapping[str, object] = field(
        default_factory=lambda: {"none": keyed("nothing was marked when it was made")}
    )


@dataclass(frozen=True, kw_only=True)
class Trace:
    """An invisible watermark as found: what it points to, and the chance of finding it by chance.

    pointer  12 hexadecimal digits; None where nothing was found, or for a mark without a message
    """

    pointer: str | None
    p_value: float
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format: how it is labelled, and how its labels are found again.

    draw     content, marking -> the content with its visible label and watermark, encoded once.
             Content is a file's bytes or, for the formats that carry it, a picture (PIL image,
             RGB or RGBA), `media.audio.Sound` or `media.video.Film`. SealError or MediaError if
             it is not of this format
    write    drawn, label -> with the metadata label; None where it is a sidecar
    labels   data -> every metadata label in it, valid or not; [] for anything broken
    measure  data, recorded facts -> the visible layer, measured again
    trace    data, search -> the watermark; `search` also tries sizes, angles and cuts.
             None for a format that holds none
    room     data, bytes -> the file with that many kept free for its credential, and their
             offset, behind bytes that stay; None where the credential library embeds by itself
    starts   data -> whether these bytes are of this format by their first bytes; None for text
    words    data -> the text that a reader of it sees; None for a format without text
    strip    file made elsewhere -> without the metadata labels that it brings; None where draw
             leaves them behind anyway
    """

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    credential: Place
    draw: Callable[[Any, Marking], Drawn]
    write: Callable[[Drawn, dict[str, str]], Drawn] | None
    labels: Callable[[bytes], list[object]]
    measure: Callable[[bytes, Mapping[str, Any] | None], Layer]
    trace: Callable[[bytes, bool], Trace] | None = None
    room: Callable[[bytes, int], tuple[bytes, int]] | None = None
    starts: Callable[[bytes], bool] | None = None
    words: Callable[[bytes], str] | None = None
    strip: Callable[[bytes], bytes] | None = None


def insert(drawn: Drawn, insertion: Insertion) -> Drawn:
    """`drawn` with one more insertion, earlier spans moved behind it."""
    cut, size, gone = insertion.offset, len(insertion.content), insertion.replaces
    data = drawn.data[:cut] + insertion.content + drawn.data[cut + gone :]
    if drawn.inserted is None:
        return replace(drawn, data=data)
    moved = [
        replace(one, offset=one.offset + size - gone) if one.offset >= cut + gone else one
        for one in drawn.inserted
    ]
    assert all(one.offset + one.length <= cut or one.offset >= cut + size for one in moved)
    span = Span(offset=cut, length=size, before=drawn.data[cut : cut + gone])
    spans = tuple(sorted([*moved, span], key=lambda one: one.offset))
    return replace(drawn, data=data, inserted=spans)


def without(data: bytes, spans: Sequence[Sequence[Any]]) -> bytes:
    """`data` with what stood at the spans before; ValueError if they do not lie in it."""
    parts: list[bytes] = []
    position = 0
    for start, length, *before in spans:
        if not position <= start <= start + length <= len(data):
            raise ValueError("spans")
        parts += [data[position:start], *(bytes.fromhex(one) for one in before)]
        position = start + length
    return b"".join([*parts, data[position:]])


def visible_layer(status: Status, finding: str, facts: Mapping[str, object] | None = None) -> Layer:
    """The layer of the visible label."""
    return Layer(name="visible", status=status, finding=finding, facts=facts or {})


def begins(*magics: bytes) -> Callable[[bytes], bool]:
    """A `starts` for formats whose files begin with one of `magics`."""
    return lambda data: data.startswith(tuple(magics))


def first_starting(formats: Iterable[Format], data: bytes) -> Format | None:
    """The format among `formats` that the first bytes of `data` are of."""
    return next((one for one in formats if one.starts is not None and one.starts(data)), None)
