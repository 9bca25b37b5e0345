"""What the index of an MP4 claims, counted before FFmpeg makes a table of it.

A sample table can claim billions of samples in twenty bytes, and FFmpeg would fill 24 bytes of
memory for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from wenfang.errors import MediaError

LIMIT_SAMPLES = 1_000_000
LIMIT_BOXES = 20_000
PATHS = {
    b"moov": (b"trak",),
    b"trak": (b"mdia",),
    b"mdia": (b"minf",),
    b"minf": (b"stbl",),
    b"stbl": (b"stsz", b"stz2"),
    b"moof": (b"traf",),
    b"traf": (b"trun",),
}
COUNTED = {b"stsz": 8, b"stz2": 8, b"trun": 4}  # where the count stands in the box


def check_index(data: bytes, name: str) -> None:
    """Raise MediaError for an MP4 that claims more samples than films have."""
    samples = 0
    for boxes, count in enumerate(_counts(data, 0, len(data), (b"moov", b"moof"))):
        samples += count
        if samples > LIMIT_SAMPLES or boxes > LIMIT_BOXES:
            raise MediaError("{name} claims too many samples; cut it into parts", name=name)


def _counts(data: bytes, start: int, end: int, kinds: tuple[bytes, ...]) -> Iterator[int]:
    """The numbers of samples that the tables between two offsets claim; 0 for another box.

    Lengths that lead out of the file are cut, as FFmpeg cuts them.
    """
    while start + 8 <= end:
        size, kind, header = (
            int.from_bytes(data[start : start + 4], "big"),
            data[start + 4 : start + 8],
            8,
        )
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        stop = end if size == 0 else min(end, start + max(size, header))
        yield 0
        if kind in kinds and kind in COUNTED:
            place = start + header + COUNTED[kind]
            yield int.from_bytes(data[place : place + 4], "big")
        elif kind in kinds:
            yield from _counts(data, start + header, stop, PATHS[kind])
        start = stop
