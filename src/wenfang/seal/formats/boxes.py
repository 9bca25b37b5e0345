"""ISO base media boxes (MP4, M4A, MOV): found by path, labels read, one label put in.

The label is the text of key `AIGC` in moov/udta/meta, whose handler is `mdta`: `keys` names the
keys and `ilst` holds their values under the number of the key (QuickTime File Format, 2016).
Lengths in a file are claims: a box that ends outside its parent ends the reading there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from wenfang.errors import MediaError
from wenfang.seal.formats.xmp import MAX_METADATA_BYTES, xmp_labels

MAX_BOXES = 20_000  # looked at in one walk; films have hundreds
MAX_LABELS = 64
MAX_SAMPLES = 500_000  # half an hour of sound has 170,000
MAX_EDITS = 16
KEY = b"AIGC"
XMP_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
METAS = ("moov/udta/meta", "moov/meta", "moov/trak/udta/meta", "meta")
HANDLER = b"hdlr" + bytes(8) + b"mdta" + bytes(13)
TEXT = (1).to_bytes(4, "big")  # well-known type 1: UTF-8


class Box(NamedTuple):
    """A box: `start` of its header, `body` behind it, `end`; offsets in the file."""

    kind: bytes
    start: int
    body: int
    end: int

    def content(self, data: bytes) -> bytes:
        """What the box holds."""
        return data[self.body : self.end]


def children(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets; ends where the structure breaks."""
    while start + 8 <= end:
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        header = 16 if size == 1 else 8
        if size == 1:
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        elif size == 0:  # to the end of the file
            size = end - start
        if size < header or start + size > end:
            return
        yield Box(kind, start, start + header, start + size)
        start += size


def walk(data: bytes, path: str, within: Box | None = None) -> list[Box]:
    """Every box at `path`, such as "moov/trak/mdia", from the top or from inside a box.

    [] for a file with more boxes than any film has.
    """
    places = [(0, len(data)) if within is None else (_inside(data, within), within.end)]
    found: list[Box] = []
    seen = 0
    for kind in path.split("/"):
        found = []
        for start, end in places:
            for box in children(data, start, end):
                seen += 1
                if seen > MAX_BOXES:
                    return []
                if box.kind == kind.encode("latin-1"):
                    found.append(box)
        places = [(_inside(data, box), box.end) for box in found]
    return found


def _inside(data: bytes, box: Box) -> int:
    """Where the children of a box begin: `meta` has four bytes before them, but not in QuickTime's
    own files."""
    plain = box.kind != b"meta" or data[box.body + 4 : box.body + 8] == b"hdlr"
    return box.body if plain else box.body + 4


def box(kind: bytes, content: bytes) -> bytes:
    """A box with its length."""
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def labels(data: bytes) -> list[str]:
    """Texts of every AIGC label: by key, as an iTunes free-form item, and in XMP."""
    found: list[str] = []
    for path in METAS:
        for meta in walk(data, path)[:MAX_LABELS]:
            found += _keyed(data, meta) + _freeform(data, meta)
    for packet in _packets(data):
        found += xmp_labels(packet)
    return found[:MAX_LABELS]


def _packets(data: bytes) -> Iterator[bytes]:
    """XMP packets: in the uuid box of their own, or in moov/udta/XMP_ of QuickTime."""
    for one in walk(data, "uuid"):
        size = one.end - one.body - 16
        if data[one.body : one.body + 16] == XMP_ID and size <= MAX_METADATA_BYTES:
            yield data[one.body + 16 : one.end]
    for one in walk(data, "moov/udta/XMP_")[:MAX_LABELS]:
        if one.end - one.body <= MAX_METADATA_BYTES:
            yield one.content(data)


def _key_names(data: bytes, meta: Box) -> list[bytes]:
    """Names in the `keys` of a meta box, in order; the first has number 1."""
    names: list[bytes] = []
    for keys in walk(data, "keys", meta)[:1]:
        # Each entry has the form of a box: its length, a name space, and the name.
        for entry in children(data, keys.body + 8, keys.end):
            names.append(data[entry.start + 8 : min(entry.end, entry.start + 264)])
            if len(names) >= MAX_BOXES:
                break
    return names


def _keyed(data: bytes, meta: Box) -> list[str]:
    numbers = {
        number.to_bytes(4, "big")
        for number, name in enumerate(_key_names(data, meta), 1)
        if name == KEY
    }
    items = [one for ilst in walk(data, "ilst", meta)[:1] for one in _items(data, ilst)]
    return [text for item in items if item.kind in numbers for text in _texts(data, item)]


def _freeform(data: bytes, meta: Box) -> list[str]:
    """Values of `----` items that are named AIGC."""
    items = walk(data, "ilst/----", meta)[:MAX_LABELS]
    return [
        text
        for item in items
        if any(data[one.body + 4 : one.end] == KEY for one in walk(data, "name", item))
        for text in _texts(data, item)
    ]


def _items(data: bytes, ilst: Box) -> list[Box]:
    return [one for _, one in zip(range(MAX_BOXES), _all(data, ilst), strict=False)]


def _all(data: bytes, parent: Box) -> Iterator[Box]:
    return children(data, _inside(data, parent), parent.end)


def _texts(data: bytes, item: Box) -> list[str]:
    """The text of each value of an item: behind its type and its locale."""
    return [
        data[one.body + 8 : one.end].decode("utf-8", "replace")
        for one in walk(data, "data", item)[:MAX_LABELS]
        if one.end - one.body <= MAX_METADATA_BYTES
    ]


def believable(data: bytes) -> bool:
    """Whether the index counts no more samples than the file can hold, and few edits.

    A few bytes can claim billions, for each of which FFmpeg sets memory aside.
    """
    for table in walk(data, "moov/trak/mdia/minf/stbl/stsz"):
        size, count = (
            int.from_bytes(data[table.body + at : table.body + at + 4], "big") for at in (4, 8)
        )
        if count > MAX_SAMPLES or count * max(1, size) > len(data):
            return False
    edits = walk(data, "moov/trak/edts/elst")
    counts = [int.from_bytes(data[one.body + 4 : one.body + 8], "big") for one in edits]
    return max(counts, default=0) <= MAX_EDITS


def with_label(data: bytes, json_text: str) -> bytes:
    """The file with one label in moov/udta/meta, in place of what stood there under that key.

    Other keys of that box stay; an iTunes list in its place does not. Chunk offsets follow what
    moves. raises MediaError for a file without a whole `moov`, or in fragments
    """
    moovs = walk(data, "moov")
    if len(moovs) != 1:
        raise MediaError("the film or sound has no readable index (moov); export it again")
    moov = moovs[0]
    if walk(data, "moof") or walk(data, "moov/mvex"):
        raise MediaError("a fragmented MP4 cannot be labelled; export it as one ordinary file")
    content, placed = b"", False
    for one in _all(data, moov):
        if one.kind == b"udta" and not placed:
            content, placed = content + _with_meta(data, one, json_text), True
        else:
            content += data[one.start : one.end]
    if not placed:
        content += _with_meta(data, None, json_text)
    rebuilt = box(b"moov", content)
    growth = len(rebuilt) - (moov.end - moov.start)
    rebuilt = _shifted(rebuilt, moov.end, growth)
    return data[: moov.start] + rebuilt + data[moov.end :]


def _with_meta(data: bytes, udta: Box | None, json_text: str) -> bytes:
    """The `udta` box with the label's meta in it."""
    kept = [one for one in _all(data, udta) if one.kind != b"meta"] if udta else []
    metas = walk(data, "meta", udta) if udta else []
    entries = [entry for meta in metas for entry in _others(data, meta)]
    value = box(b"data", TEXT + bytes(4) + json_text.encode())
    entries.append((box(b"mdta", KEY), value))
    keys = bytes(4) + len(entries).to_bytes(4, "big") + b"".join(name for name, _ in entries)
    items = (box(number.to_bytes(4, "big"), one) for number, (_, one) in enumerate(entries, 1))
    parts = (box(HANDLER[:4], HANDLER[4:]), box(b"keys", keys), box(b"ilst", b"".join(items)))
    meta = box(b"meta", bytes(4) + b"".join(parts))
    return box(b"udta", b"".join(data[one.start : one.end] for one in kept) + meta)


def _others(data: bytes, meta: Box) -> Iterator[tuple[bytes, bytes]]:
    """(key entry, values) of the keys of a meta box that are not the label's."""
    items = {one.kind: one for ilst in walk(data, "ilst", meta)[:1] for one in _items(data, ilst)}
    for number, name in enumerate(_key_names(data, meta), 1):
        item = items.get(number.to_bytes(4, "big"))
        if item is not None and name != KEY:
            yield box(b"mdta", name), item.content(data)


def moov_first(data: bytes) -> bytes:
    """The file with its index before its samples, so that a player can begin while it loads.

    As it was where samples follow the index already. raises MediaError as `with_label` does
    """
    moovs, mdats = walk(data, "moov"), walk(data, "mdat")
    if len(moovs) != 1 or not mdats or moovs[0].start < mdats[-1].start:
        return data
    moov, mdat = moovs[0], mdats[0]
    index = data[moov.start : moov.end]
    index = _shifted(index, mdat.start, len(index))
    return b"".join((data[: mdat.start], index, data[mdat.start : moov.start], data[moov.end :]))


def _shifted(moov: bytes, behind: int, growth: int) -> bytes:
    """The index with the chunk offsets at or past `behind` moved by `growth` bytes."""
    moved = bytearray(moov)
    for kind, width in (("stco", 4), ("co64", 8)):
        for table in walk(moov, f"moov/trak/mdia/minf/stbl/{kind}"):
            count = int.from_bytes(moov[table.body + 4 : table.body + 8], "big")
            begin = table.body + 8
            if begin + count * width > table.end:
                raise MediaError("the film or sound has a broken index (stco); export it again")
            offsets = np.frombuffer(moov, f">u{width}", count, begin).astype(np.int64)
            offsets[offsets >= behind] += growth
            if width == 4 and count and int(offsets.max()) > 0xFFFFFFFF:
                raise MediaError("the film or sound is larger than 4 GiB; make it shorter")
            moved[begin : begin + count * width] = offsets.astype(f">u{width}").tobytes()
    return bytes(moved)
