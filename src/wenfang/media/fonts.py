"""Which fonts this machine has, and which characters each of them can draw.

A face is looked up by file name in the folders where platforms keep fonts, and in the folders
named by `WENFANG_FONTS` (separated as in PATH), which come first. The table is ordered: for each
style the earlier face is preferred. Coverage is read from the font's own `cmap` table, so that a
missing character is known before it would be drawn as an empty box.
"""

from __future__ import annotations

import os
import struct
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from wenfang.errors import DependencyError, MediaError

Style = Literal["kai", "serif", "sans"]
Weight = Literal["regular", "bold"]

PACKAGES = ("fonts-arphic-ukai", "fonts-noto-cjk")
"""The Debian packages that give every style: 8 MB and 57 MB to download."""

CMAP_LIMIT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face of one font file.

    index    counts the faces of a collection (.ttc)
    chinese  whether it has Chinese characters
    """

    file: str
    style: Style
    index: int = 0
    weight: Weight = "regular"
    chinese: bool = True


FACES = (
    Face(file="ukai.ttc", index=2, style="kai"),
    Face(file="TW-Kai-98_1.ttf", style="kai"),
    Face(file="LXGWWenKaiTC-Regular.ttf", style="kai"),
    Face(file="LXGWWenKai-Regular.ttf", style="kai"),
    Face(file="LXGWWenKai-Bold.ttf", style="kai", weight="bold"),
    Face(file="Kaiti.ttc", style="kai"),
    Face(file="STKaiti.ttf", style="kai"),
    Face(file="simkai.ttf", style="kai"),
    Face(file="kaiu.ttf", style="kai"),
    Face(file="NotoSerifCJK-Regular.ttc", index=3, style="serif"),
    Face(file="NotoSerifCJK-Bold.ttc", index=3, style="serif", weight="bold"),
    Face(file="NotoSerifCJKtc-Regular.otf", style="serif"),
    Face(file="NotoSerifCJKsc-Regular.otf", style="serif"),
    Face(file="Songti.ttc", style="serif", index=3),
    Face(file="simsun.ttc", style="serif"),
    Face(file="mingliu.ttc", style="serif"),
    Face(file="DejaVuSerif.ttf", style="serif", chinese=False),
    Face(file="DejaVuSerif-Bold.ttf", style="serif", weight="bold", chinese=False),
    Face(file="times.ttf", style="serif", chinese=False),
    Face(file="NotoSansCJK-Regular.ttc", index=2, style="sans"),
    Face(file="NotoSansCJK-Bold.ttc", index=2, style="sans", weight="bold"),
    Face(file="NotoSansCJKsc-Regular.otf", style="sans"),
    Face(file="PingFang.ttc", style="sans"),
    Face(file="Hiragino Sans GB.ttc", style="sans"),
    Face(file="msyh.ttc", style="sans"),
    Face(file="msyhbd.ttc", style="sans", weight="bold"),
    Face(file="wqy-zenhei.ttc", style="sans"),
    Face(file="DejaVuSans.ttf", style="sans", chinese=False),
    Face(file="DejaVuSans-Bold.ttf", style="sans", weight="bold", chinese=False),
)

NEIGHBOURS: dict[Style, tuple[Style, ...]] = {
    "kai": ("kai", "serif", "sans"),
    "serif": ("serif", "kai", "sans"),
    "sans": ("sans", "serif", "kai"),
}


def font_folders() -> tuple[Path, ...]:
    """Where fonts may lie: `WENFANG_FONTS` first, then the platform's usual folders."""
    named = [Path(part) for part in os.environ.get("WENFANG_FONTS", "").split(os.pathsep) if part]
    home = Path.home()
    windows = Path(os.environ.get("WINDIR", "C:/Windows"))
    usual: dict[str, tuple[Path, ...]] = {
        "darwin": (Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"),
        "win32": (windows / "Fonts", home / "AppData/Local/Microsoft/Windows/Fonts"),
    }
    shared = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
    return (*named, *usual.get(sys.platform, (*shared, home / ".local/share/fonts")))


@lru_cache
def _files_in(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Lower-case file name -> path of every font file in `folders`; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for place, subfolders, names in os.walk(folder):
            subfolders.sort()
            for name in sorted(names):
                if name.lower().endswith((".ttf", ".ttc", ".otf")):
                    found.setdefault(name.lower(), Path(place) / name)
    return found


def installed(style: Style = "kai", weight: Weight = "regular") -> list[tuple[Path, Face]]:
    """Faces on this machine, best first: the style at its weight, its other weight, neighbours.

    raises DependencyError if there is none at all; it names the Debian packages.
    """
    files = _files_in(font_folders())
    order = NEIGHBOURS[style]
    faces = sorted(FACES, key=lambda face: (order.index(face.style), face.weight != weight))
    found = [(files[face.file.lower()], face) for face in faces if face.file.lower() in files]
    if not found:
        raise DependencyError(
            "no known font is installed; install one (Debian: apt-get install {packages}) "
            "or name a folder of fonts in WENFANG_FONTS",
            packages=" ".join(PACKAGES),
        )
    return found


def needs_ink(character: str) -> bool:
    """Whether a font must have a glyph for `character`; spaces, controls, selectors need none."""
    selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return not selector and unicodedata.category(character) not in {"Zs", "Zl", "Zp", "Cc", "Cf"}


def covers(path: Path, index: int, text: Iterable[str]) -> bool:
    """Whether the face has a glyph for every character of `text` that needs one."""
    have = coverage(path, index)
    return all(ord(character) in have for character in text if needs_ink(character))


def missing_glyphs(text: str, style: Style = "kai") -> str:
    """The characters of `text` that no installed font can draw, each once, in order."""
    wanted = dict.fromkeys(character for character in text if needs_ink(character))
    for path, face in installed(style):
        have = coverage(path, face.index)
        wanted = {character: None for character in wanted if ord(character) not in have}
        if not wanted:
            break
    return "".join(wanted)


@lru_cache
def coverage(path: Path, index: int) -> frozenset[int]:
    """Code points of one face, from its `cmap` (OpenType 1.9, formats 4 and 12).

    raises MediaError if the file is not a font or has no such table
    """
    try:
        with path.open("rb") as file:
            return frozenset(_code_points(_table(file, index, b"cmap")))
    except (OSError, struct.error, ValueError, IndexError) as fault:
        raise MediaError(
            "{path} is not a font that can be read; remove it or reinstall its package", path=path
        ) from fault


def _table(file: BinaryIO, index: int, tag: bytes) -> bytes:
    """Bytes of one table of face `index`; ValueError if absent or too large."""
    start = 0
    if file.read(4) == b"ttcf":
        file.seek(12 + 4 * index)
        (start,) = struct.unpack(">I", file.read(4))
    file.seek(start + 4)
    (tables,) = struct.unpack(">H6x", file.read(8))
    for _ in range(tables):
        name, _checksum, offset, length = struct.unpack(">4sIII", file.read(16))
        if name == tag and length <= CMAP_LIMIT_BYTES:
            file.seek(offset)
            return file.read(length)
    raise ValueError(tag)


def _code_points(cmap: bytes) -> Iterator[int]:
    """Every code point of the widest Unicode subtable."""
    (count,) = struct.unpack_from(">2xH", cmap)
    found: dict[int, int] = {}
    for entry in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", cmap, 4 + 8 * entry)
        (form,) = struct.unpack_from(">H", cmap, offset)
        if platform == 0 or (platform == 3 and encoding in {1, 10}):
            found[form] = offset
    if 12 in found:
        return _format_12(cmap, found[12])
    return _format_4(cmap, found[4]) if 4 in found else iter(())


def _format_12(cmap: bytes, offset: int) -> Iterator[int]:
    (groups,) = struct.unpack_from(">I", cmap, offset + 12)
    table = np.frombuffer(cmap, ">u4", 3 * groups, offset + 16).reshape(-1, 3).astype(np.int64)
    for first, last, _glyph in table[table[:, 1] < 0x110000].tolist():
        yield from range(first, last + 1)


def _format_4(cmap: bytes, offset: int) -> Iterator[int]:
    (twice,) = struct.unpack_from(">H", cmap, offset + 6)
    segments = twice // 2
    at = offset + 14
    ends = struct.unpack_from(f">{segments}H", cmap, at)
    starts = struct.unpack_from(f">{segments}H", cmap, at + twice + 2)
    deltas = struct.unpack_from(f">{segments}H", cmap, at + 2 * twice + 2)
    shifts = struct.unpack_from(f">{segments}H", cmap, at + 3 * twice + 2)
    for segment, (first, last, delta, shift) in enumerate(
        zip(starts, ends, deltas, shifts, strict=True)
    ):
        base = at + 3 * twice + 2 + 2 * segment + shift
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code + delta & 0xFFFF
            if shift:
                glyph = struct.unpack_from(">H", cmap, base + 2 * (code - first))[0]
            if glyph:
                yield code
