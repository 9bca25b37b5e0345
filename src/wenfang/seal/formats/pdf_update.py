"""A revision of a PDF, appended to its unchanged bytes (ISO 32000-2, 7.5.6)."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping

from wenfang.seal.formats.pdf_file import PdfFile
from wenfang.seal.formats.pdf_objects import Dictionary, Name, Ref, Stream, Word, written


class Update:
    """Objects that are new or replaced, as a revision behind a file's bytes."""

    def __init__(self, file: PdfFile) -> None:
        self.file = file
        self._next = file.next_number
        self._objects: dict[int, bytes] = {}

    def add(self, value: object) -> Ref:
        """A new object."""
        self._next += 1
        self._objects[self._next - 1] = written(value)
        return Ref(self._next - 1, 0)

    def replace(self, number: int, value: object) -> None:
        """A new state of an object of the file."""
        self._objects[number] = written(value)

    def appended(self, trailer: Mapping[bytes, object] | None = None) -> bytes:
        """The file's bytes with the revision behind them; `trailer` changes its entries."""
        file = self.file
        out = bytearray(file.data)
        if not out.endswith((b"\n", b"\r")):
            out += b"\n"
        start, offsets = len(out), dict[int, int]()
        for number in sorted(self._objects):
            offsets[number] = len(out)
            head = b"%d %d obj\n" % (number, file.generation(number))
            out += head + self._objects[number] + b"\nendobj\n"
        changed = Dictionary([(key, file.trailer[key]) for key in _KEPT if key in file.trailer])
        for key, value in (trailer or {}).items():
            changed = changed.with_value(key, value)
        changed = changed.with_value(b"ID", self._id(bytes(out[start:])))
        changed = changed.with_value(b"Prev", file.last_table)
        place = len(out)
        out += self._table(offsets, changed, place)
        out += b"\nstartxref\n%d\n%%%%EOF\n" % place
        return bytes(out)

    def _id(self, revision: bytes) -> list[object]:
        """The file's identifier: its first half stays, the second names this revision."""
        first = self.file.get(self.file.trailer.get(b"ID"))
        old = self.file.get(first[0]) if isinstance(first, list) and first else None
        if not isinstance(old, bytes) or isinstance(old, Name | Word):
            old = hashlib.sha256(self.file.data).digest()[:16]
        return [_Hex(old), _Hex(hashlib.sha256(old + revision).digest()[:16])]

    def _table(self, offsets: dict[int, int], trailer: Dictionary, place: int) -> bytes:
        """Cross-references in the form that the file has."""
        if not self.file.table_is_stream:
            trailer = trailer.with_value(b"Size", self._next)
            parts = [b"xref\n"]
            for run in _runs(sorted(offsets)):
                parts.append(b"%d %d\n" % (run[0], len(run)))
                entries = ((offsets[one], self.file.generation(one)) for one in run)
                parts += [b"%010d %05d n \n" % entry for entry in entries]
            return b"".join([*parts, b"trailer\n", written(trailer)])
        offsets = {**offsets, self._next: place}
        rows = [
            b"\1" + offsets[one].to_bytes(4, "big") + self.file.generation(one).to_bytes(2, "big")
            for one in sorted(offsets)
        ]
        index = [edge for run in _runs(sorted(offsets)) for edge in (run[0], len(run))]
        head = Dictionary(
            [
                (b"Type", Name(b"XRef")),
                (b"W", [1, 4, 2]),
                (b"Index", index),
                (b"Filter", Name(b"FlateDecode")),
                (b"Size", self._next + 1),
                *trailer.items(),
            ]
        )
        stream = Stream(head, zlib.compress(b"".join(rows), 9))
        return b"%d 0 obj\n" % self._next + written(stream) + b"\nendobj"


_KEPT = (b"Root", b"Info")


class _Hex(Word):
    """A string that is written in hexadecimal digits."""

    def __new__(cls, content: bytes) -> _Hex:
        return super().__new__(cls, b"<" + content.hex().encode() + b">")


def _runs(numbers: list[int]) -> Iterator[list[int]]:
    """Sorted numbers in groups without a gap."""
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run
