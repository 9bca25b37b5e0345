"""A PDF's objects, found by its cross-references.

Everything is read from the newest revision on, within bounds; a file whose cross-references are
broken is not repaired. Sources: ISO 32000-2, 7.5 (structure), 7.5.7 (object streams) and 7.5.8
(cross-reference streams).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from wenfang.seal.formats.pdf_objects import (
    SPACE,
    Budget,
    Dictionary,
    Name,
    Parser,
    PdfFault,
    Ref,
    Stream,
)

HEADER = b"%PDF-"
MAX_REVISIONS = 64
MAX_OBJECTS = 400_000
MAX_NUMBER = 1 << 23  # ISO 32000-1, annex C
MAX_STREAM_BYTES = 16 << 20
MAX_NODES = 20_000  # of the tree of pages
MAX_HOPS = 32
MAX_HEAD_BYTES = 4096  # from where an object is said to be to its keyword
BYTES_PER_TOKEN = 1000  # what a stream that is held costs of the budget
SEARCH_TOKENS = 5000  # what the search for a stream's end costs
_TAIL_BYTES = 2048
_ENTRY = re.compile(rb"(\d{10}) (\d{5}) ([nf])")
_SECTION = re.compile(SPACE + rb"(\d{1,10})[ \t]+(\d{1,10})[\0\t\n\f\r ]*")
_TABLE, _TRAILER = re.compile(SPACE + rb"xref"), re.compile(SPACE + rb"trailer")
_OBJECT = re.compile(SPACE + rb"(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+obj")
_STREAM = re.compile(SPACE + rb"stream\r?\n")
_SHORT = re.compile(rb"\d{1,10}")
_END_STREAM = re.compile(rb"\r?\n?endstream|\r?endstream")
# Where an object is: the offset of its entry in a table; (offset, generation) of the object; or
# (container, index, 0) for one inside an object stream; None for a free number.
Place = int | tuple[int, int] | tuple[int, int, int] | None


class PdfFile:
    """A PDF that can be read; PdfFault for anything else. Encrypted files have `encrypted` set."""

    def __init__(self, data: bytes, budget: Budget | None = None) -> None:
        if not data.startswith(HEADER):
            raise PdfFault("header")
        self.data = data
        self.budget = budget or Budget()
        self._places: dict[int, Place] = {}
        self._values: dict[int, object] = {}
        self._reading: set[int] = set()
        self._unpacked: dict[int, tuple[bytes, list[tuple[int, int]]]] = {}
        tail = max(0, len(data) - _TAIL_BYTES)
        found = re.findall(rb"startxref[\0\t\n\f\r ]+(\d{1,12})", data[tail:])
        if not found:
            raise PdfFault("startxref")
        self.last_table = int(found[-1])
        self.table_is_stream = False
        self.trailer = self._revisions()

    def _revisions(self) -> Dictionary:
        """Read the cross-references, newest first; the newest trailer."""
        waiting, seen, newest = [self.last_table], set[int](), None
        while waiting:
            offset = waiting.pop(0)
            if offset in seen or len(seen) > MAX_REVISIONS or not 0 < offset < len(self.data):
                raise PdfFault("cross-references")
            seen.add(offset)
            trailer = self._section(offset, first=newest is None)
            newest = newest or trailer
            for key in (b"XRefStm", b"Prev"):
                link = trailer.get(key)
                if isinstance(link, int):
                    waiting.append(link)
        assert newest is not None
        return newest

    @property
    def encrypted(self) -> bool:
        """Whether the strings and streams cannot be read as they stand."""
        return self.trailer.get(b"Encrypt") is not None

    @property
    def next_number(self) -> int:
        """The lowest number that no object ever had."""
        size = self.trailer.get(b"Size")
        stated = size if isinstance(size, int) and 0 < size <= MAX_NUMBER else 1
        following = max(stated, max(self._places, default=0) + 1)
        if following > MAX_NUMBER:
            raise PdfFault("numbers")
        return following

    def generation(self, number: int) -> int:
        """The generation under which an object is replaced."""
        place = self._places.get(number)
        if isinstance(place, int):
            place = self._entry(place)
        return place[1] if isinstance(place, tuple) and len(place) == 2 else 0

    def _section(self, offset: int, *, first: bool) -> Dictionary:
        table = _TABLE.match(self.data, offset)
        if table is None:
            self.table_is_stream = self.table_is_stream or first
            return self._stream_section(offset)
        position = table.end()
        while found := _SECTION.match(self.data, position):
            self.budget.spend()
            position = self._take(int(found[1]), int(found[2]), found.end())
        trailer = _TRAILER.match(self.data, position)
        if trailer is None:
            raise PdfFault("trailer")
        value = Parser(self.data, trailer.end(), self.budget).value()
        if not isinstance(value, Dictionary):
            raise PdfFault("trailer")
        return value

    def _take(self, start: int, count: int, position: int) -> int:
        """Note a table's entries; some writers end them with one character instead of two."""
        second = self.data[position + 19 : position + 38]
        width = 19 if count > 1 and _ENTRY.match(second) else 20
        if len(self._places) + count > MAX_OBJECTS or position + count * 18 > len(self.data):
            raise PdfFault("entries")
        self.budget.spend(count // 10)
        for index in range(count):
            self._places.setdefault(start + index, position + index * width)
        return position + count * width

    def _entry(self, position: int) -> tuple[int, int] | None:
        found = _ENTRY.match(self.data, position)
        if found is None:
            raise PdfFault("entry")
        return (int(found[1]), int(found[2])) if found[3] == b"n" else None

    def _stream_section(self, offset: int) -> Dictionary:
        stream = self._object_at(offset, None)
        if not isinstance(stream, Stream) or stream.dictionary.get(b"Type") != Name(b"XRef"):
            raise PdfFault("cross-reference stream")
        head, table = stream.dictionary, self.decoded(stream)
        widths = head.get(b"W")
        if not isinstance(widths, list) or len(widths) != 3:
            raise PdfFault("widths")
        one, two, three = (w if isinstance(w, int) and 0 <= w <= 8 else -99 for w in widths)
        row, index = one + two + three, head.get(b"Index") or [0, head.get(b"Size")]
        if row <= 0 or min(one, two, three) < 0 or not isinstance(index, list) or len(index) % 2:
            raise PdfFault("widths")
        self.budget.spend(len(table) // row // 10)
        rows = (table[at : at + row] for at in range(0, len(table) - row + 1, row))
        for start, count in zip(index[::2], index[1::2], strict=True):
            if not isinstance(start, int) or not isinstance(count, int) or start < 0:
                raise PdfFault("index")
            for number, entry in zip(range(start, start + count), rows, strict=False):
                if len(self._places) > MAX_OBJECTS:
                    raise PdfFault("entries")
                self._places.setdefault(number, _place(entry, one, two))
        return head

    def get(self, value: object) -> object:
        """`value`, or the object that it refers to; None for an object that is not there."""
        for _ in range(MAX_HOPS):
            if not isinstance(value, Ref):
                return value
            value = self._object(value.number)
        raise PdfFault("references")

    def dictionary(self, value: object) -> Dictionary:
        """`value` resolved, empty where it is no dictionary."""
        found = self.get(value)
        return found if isinstance(found, Dictionary) else Dictionary()

    def _object(self, number: int) -> object:
        if number in self._values:
            return self._values[number]
        if number in self._reading or len(self._reading) > MAX_HOPS:
            raise PdfFault("references")
        self._reading.add(number)
        try:
            value = self._found(number)
        finally:
            self._reading.discard(number)
        self._values[number] = value
        return value

    def _found(self, number: int) -> object:
        place = self._places.get(number)
        if isinstance(place, int):
            place = self._entry(place)
        if place is None:
            return None
        if len(place) == 2:
            return self._object_at(place[0], number)
        return self._packed(place[0], place[1], number)

    def _object_at(self, offset: int, number: int | None) -> object:
        head = _OBJECT.match(self.data, offset, offset + MAX_HEAD_BYTES)
        if head is None or number not in (None, int(head[1])):
            raise PdfFault("object")
        parser = Parser(self.data, head.end(), self.budget)
        value = parser.value()
        start = _STREAM.match(self.data, parser.position)
        if start is None or not isinstance(value, Dictionary):
            return value
        return Stream(value, self._raw(value, start.end()))

    def _raw(self, head: Dictionary, start: int) -> bytes:
        """A stream's bytes by its length where that is right, else up to its end's keyword."""
        length = self.get(head.get(b"Length"))
        fits = isinstance(length, int) and 0 <= length <= len(self.data) - start
        if isinstance(length, int) and fits and _END_STREAM.match(self.data, start + length):
            self.budget.spend(length // BYTES_PER_TOKEN)
            return self.data[start : start + length]
        self.budget.spend(SEARCH_TOKENS)
        end = self.data.find(b"endstream", start)
        if end < 0:
            raise PdfFault("stream")
        self.budget.spend((end - start) // BYTES_PER_TOKEN)
        return self.data[start:end]

    def _packed(self, container: int, index: int, number: int) -> object:
        """An object inside an object stream."""
        if container not in self._unpacked:
            self._unpacked[container] = self._unpack(container)
        content, offsets = self._unpacked[container]
        if index >= len(offsets) or offsets[index][0] != number:
            raise PdfFault("object stream")
        return Parser(content, offsets[index][1], self.budget).value()

    def _unpack(self, container: int) -> tuple[bytes, list[tuple[int, int]]]:
        """An object stream's content, and (number, offset) of each object in it."""
        stream = self.get(Ref(container, 0))
        if not isinstance(stream, Stream):
            raise PdfFault("object stream")
        content, head = self.decoded(stream), stream.dictionary
        first, count = self.get(head.get(b"First")), self.get(head.get(b"N"))
        if not isinstance(first, int) or not isinstance(count, int) or not 0 <= count < 100_000:
            raise PdfFault("object stream")
        self.budget.spend(count)
        numbers = content[: max(0, first)].split(None, 2 * count)[: 2 * count]
        if len(numbers) < 2 * count or not all(_SHORT.fullmatch(one) for one in numbers):
            raise PdfFault("object stream")
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return content, [(int(number), first + int(offset)) for number, offset in pairs]

    def decoded(self, stream: Stream) -> bytes:
        """A stream's content; PdfFault unless it is plain or deflated, and of at most 16 MB."""
        filters = self.get(stream.dictionary.get(b"Filter"))
        parameters = self.get(stream.dictionary.get(b"DecodeParms"))
        if isinstance(filters, list):
            if len(filters) > 1:
                raise PdfFault("filters")
            filters = self.get(filters[0]) if filters else None
            parameters = self.get(parameters[0]) if isinstance(parameters, list) else parameters
        if filters is None:
            return stream.raw[:MAX_STREAM_BYTES]
        if filters not in (Name(b"FlateDecode"), Name(b"Fl")):
            raise PdfFault("filter")
        try:
            content = zlib.decompressobj().decompress(stream.raw, MAX_STREAM_BYTES + 1)
        except zlib.error:
            raise PdfFault("deflate") from None
        self.budget.spend(len(content) // 250)
        if len(content) > MAX_STREAM_BYTES:
            raise PdfFault("size")
        return unpredicted(content, self.dictionary(parameters))

    @property
    def root(self) -> Dictionary:
        """The catalogue."""
        root = self.get(self.trailer.get(b"Root"))
        if not isinstance(root, Dictionary):
            raise PdfFault("catalogue")
        return root

    def pages(self) -> Iterator[tuple[Ref, Dictionary]]:
        """Every page in order, with what it inherits filled in."""
        waiting: list[tuple[object, Dictionary]] = [(self.root.get(b"Pages"), Dictionary())]
        seen: set[int] = set()
        while waiting:
            link, inherited = waiting.pop()
            node = self.get(link)
            if not isinstance(link, Ref) or link.number in seen or len(seen) > MAX_NODES:
                raise PdfFault("pages")
            if not isinstance(node, Dictionary):
                raise PdfFault("pages")
            seen.add(link.number)
            own = [(key, node[key]) for key in _INHERITED if key in node]
            known = Dictionary([*((k, inherited[k]) for k in inherited if k not in node), *own])
            children = self.get(node.get(b"Kids"))
            if isinstance(children, list):
                waiting += [(child, known) for child in reversed(children)]
            else:
                rest = [(key, node[key]) for key in node if key not in known]
                yield link, Dictionary([*rest, *((key, known[key]) for key in known)])


_INHERITED = (b"Resources", b"MediaBox", b"CropBox", b"Rotate")


def _place(entry: bytes, one: int, two: int) -> Place:
    kind = int.from_bytes(entry[:one], "big") if one else 1
    second, third = entry[one : one + two], entry[one + two :]
    if kind == 1:
        return int.from_bytes(second, "big"), int.from_bytes(third, "big")
    if kind == 2:
        return int.from_bytes(second, "big"), int.from_bytes(third, "big"), 0
    return None


def unpredicted(content: bytes, parameters: Dictionary) -> bytes:
    """Undo PNG's row filters as cross-reference streams use them: none, left and up."""
    predictor, columns = parameters.get(b"Predictor", 1), parameters.get(b"Columns", 1)
    if predictor == 1:
        return content
    if not isinstance(predictor, int) or not 10 <= predictor <= 15:
        raise PdfFault("predictor")
    if not isinstance(columns, int) or not 0 < columns < 1 << 16:
        raise PdfFault("columns")
    if parameters.get(b"Colors", 1) != 1 or parameters.get(b"BitsPerComponent", 8) != 8:
        raise PdfFault("samples")
    rows = len(content) // (columns + 1)
    table = np.frombuffer(content, np.uint8, rows * (columns + 1)).reshape(rows, columns + 1)
    kinds, values = table[:, 0], table[:, 1:].copy()
    if np.isin(kinds, (0, 1, 2)).sum() != rows:
        raise PdfFault("filter of a row")
    values[kinds == 1] = np.cumsum(values[kinds == 1], axis=1, dtype=np.uint8)
    starts = np.flatnonzero(kinds != 2)
    edges = sorted({0, *starts.tolist(), rows})
    if len(edges) > MAX_OBJECTS:
        raise PdfFault("rows")
    for first, last in pairwise(edges):
        values[first:last] = np.cumsum(values[first:last], axis=0, dtype=np.uint8)
    return values.tobytes()
