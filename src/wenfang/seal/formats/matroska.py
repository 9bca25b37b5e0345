"""Matroska and WebM (EBML, RFC 8794 and 9559): tags called AIGC read, and one put in.

Lengths in a file are claims: an element that ends outside its parent ends the reading there, and
no more elements are looked at than films have outside their clusters, which are skipped whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wenfang.errors import MediaError

MAX_ELEMENTS = 100_000
MAX_LABELS = 64
MAX_LABEL_BYTES = 1 << 20
MAX_DEPTH = 8

EBML, SEGMENT, SEEK_HEAD, VOID = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0xEC
SEEK, SEEK_ID, SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
TAGS, TAG, TARGETS, SIMPLE_TAG = 0x1254C367, 0x7373, 0x63C0, 0x67C8
TAG_NAME, TAG_STRING, TAG_BINARY = 0x45A3, 0x4487, 0x4485
CLUSTER, CHECKSUM = 0x1F43B675, 0xBF
KEY = "AIGC"


class Element(NamedTuple):
    """An element: `start` of its header, `body` behind it, `end`; offsets in the file."""

    kind: int
    start: int
    body: int
    end: int


class Reading:
    """A file being walked through, with a count of the elements that may still be looked at."""

    def __init__(self, data: bytes) -> None:
        self.data, self.left = data, MAX_ELEMENTS

    def children(self, start: int, end: int) -> Iterator[Element]:
        """The elements between two offsets; ends where the structure breaks.

        A cluster of unknown length has no children here: they follow it as its siblings.
        """
        while start < end and self.left > 0:
            self.left -= 1
            kind, after = self._number(start, end, 4, keep_marker=True)
            length, body = self._number(after, end, 8, keep_marker=False)
            if kind is None or length is None:
                return
            if length == (1 << 7 * (body - after)) - 1:  # unknown
                length = {SEGMENT: end - body, CLUSTER: 0}.get(kind, end)
            if body + length > end:
                return
            yield Element(kind, start, body, body + length)
            start = body + length

    def _number(
        self, start: int, end: int, limit: int, *, keep_marker: bool
    ) -> tuple[int | None, int]:
        """A number of variable length and the offset behind it; None where there is none."""
        first = self.data[start] if start < end else 0
        size = 9 - first.bit_length()
        if not first or size > limit or start + size > end:
            return None, end
        value = int.from_bytes(self.data[start : start + size], "big")
        return value if keep_marker else value & (1 << 7 * size) - 1, start + size

    def inside(self, parent: Element, kind: int) -> Iterator[Element]:
        """The children of one kind."""
        return (one for one in self.children(parent.body, parent.end) if one.kind == kind)


def labels(data: bytes) -> list[str]:
    """Texts of every SimpleTag that is called AIGC, nested ones too."""
    reading = Reading(data)
    found: list[str] = []
    for segment in reading.children(0, len(data)):
        for tags in reading.inside(segment, TAGS) if segment.kind == SEGMENT else ():
            for tag in reading.inside(tags, TAG):
                found += _tagged(reading, tag, MAX_DEPTH)
    return found[:MAX_LABELS]


def _tagged(reading: Reading, parent: Element, depth: int) -> Iterator[str]:
    for simple in reading.inside(parent, SIMPLE_TAG):
        name, value = "", b""
        for one in reading.children(simple.body, simple.end):
            content = reading.data[one.body : min(one.end, one.body + MAX_LABEL_BYTES)]
            if one.kind == TAG_NAME:
                name = content.rstrip(b"\0").decode("utf-8", "replace")
            elif one.kind in (TAG_STRING, TAG_BINARY):
                value = content.rstrip(b"\0")
        if name.upper() == KEY:
            yield value.decode("utf-8", "replace")
        if depth:
            yield from _tagged(reading, simple, depth - 1)


def element(kind: int, content: bytes) -> bytes:
    """An element with its length in eight bytes, or in one where that is enough."""
    number = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    if len(content) < 127:
        return number + bytes([0x80 | len(content)]) + content
    return number + (1 << 56 | len(content)).to_bytes(8, "big") + content


def with_label(data: bytes, json_text: str) -> bytes:
    """The file with one more `Tags` at the end of its segment, which the index at its head names.

    Nothing else moves: the index grows into the empty space that encoders leave behind it.
    raises MediaError for a file without a segment, or without that space
    """
    reading = Reading(data)
    segment = next((one for one in reading.children(0, len(data)) if one.kind == SEGMENT), None)
    if segment is None:
        raise MediaError("the film has no segment; export it again")
    head = _head(reading, segment, segment.end - segment.body)
    simple = element(TAG_NAME, KEY.encode()) + element(TAG_STRING, json_text.encode())
    tag = element(TARGETS, b"") + element(SIMPLE_TAG, simple)
    tags = element(TAGS, element(TAG, tag))
    body = head + data[segment.body + len(head) : segment.end] + tags
    header = _resized(data[segment.start : segment.body], len(body))
    return data[: segment.start] + header + body + data[segment.end :]


def _head(reading: Reading, segment: Element, position: int) -> bytes:
    """The first bytes of the segment: its index with one entry more, and less empty space."""
    first = [one for one, _ in zip(reading.children(segment.body, segment.end), "12", strict=False)]
    if [one.kind for one in first] != [SEEK_HEAD, VOID]:
        raise MediaError("the film has no room in its index for the label; export it again")
    entries = b"".join(
        reading.data[one.start : one.end]
        for one in reading.children(first[0].body, first[0].end)
        if one.kind != CHECKSUM
    )
    where = element(SEEK_POSITION, position.to_bytes(8, "big"))
    entry = element(SEEK, element(SEEK_ID, TAGS.to_bytes(4, "big")) + where)
    index = element(SEEK_HEAD, entries + entry)
    room = first[1].end - first[0].start - len(index)
    if room != 0 and room < 2:
        raise MediaError("the film has no room in its index for the label; export it again")
    return index + (_void(room) if room else b"")


def _void(size: int) -> bytes:
    """An empty element of `size` bytes in all, at least 2."""
    if size < 10:
        return element(VOID, bytes(size - 2))
    return bytes([VOID]) + (1 << 56 | size - 9).to_bytes(8, "big") + bytes(size - 9)


def _resized(header: bytes, length: int) -> bytes:
    """A segment's header for another length, as long as it was; unknown stays unknown."""
    width = len(header) - 4
    unknown = (1 << 7 * width) - 1
    if int.from_bytes(header[4:], "big") & unknown == unknown:
        return header
    if length >= unknown:
        raise MediaError("the film has no room in its header for the label; export it again")
    return header[:4] + (1 << 7 * width | length).to_bytes(width, "big")
