"""Text files: bytes to characters, with the encoding found out and binary files refused.

The text that comes out is NFC, has "\\n" line ends and no byte order mark. Detection is by strict
decoding and then by how common the decoded characters are; where no encoding is convincing the
answer is an error, because a wrong guess would poison everything made from the text.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from wenfang.errors import MediaError

LIMIT_BYTES = 256 * 1024 * 1024
SAMPLE_BYTES = 64 * 1024

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# Signatures of files that people put among texts by mistake: archives, images, sound, programs.
SIGNATURES = (
    b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF-", b"\x1f\x8b", b"7z\xbc\xaf",
    b"\xfd7zXZ\x00", b"BZh9", b"\x28\xb5\x2f\xfd", b"\x7fELF", b"MZ\x90", b"OggS", b"fLaC", b"ID3",
    b"\xd0\xcf\x11\xe0", b"SQLite format 3", b"Rar!\x1a\x07",
)  # fmt: skip

# The characters and marks that any page of Chinese is full of, in either script.
COMMON = frozenset(
    "的一是不了在有人我这這中大来來上个個们們到说說国國和地也子时時道出而要于於就下得可你年生"
    "自会會那后後能对對着著事其里裡所去行过過家十用发發天如然作方成者多日都三小军軍二无無同么麼"
    "经經法当當起与與好看学學进進种種将將还還分此心前面又定见見只主没沒公从從春风風花月山水雲云"
    "，。、；：？！「」『』“”《》（）…—"
)

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Text:
    """Characters and the encoding they were read from."""

    text: str
    encoding: str


def decode_text(data: bytes, name: str = "the text", limit_bytes: int = LIMIT_BYTES) -> Text:
    """Characters of `data`; `name` says in messages what they are.

    raises MediaError if too large, binary, or of an encoding that cannot be told
    """
    if len(data) > limit_bytes:
        raise MediaError(
            "{name} has {size} bytes, the limit is {limit}; split it",
            name=name, size=len(data), limit=limit_bytes,
        )  # fmt: skip
    encoding = detect_encoding(data)
    if encoding is None:
        problem = (
            "{name} is not a text file; give a text file"
            if is_binary(data)
            else "{name} has an encoding that cannot be told; save it as UTF-8"
        )
        raise MediaError(problem, name=name)
    return Text(text=normal(data.decode(encoding)), encoding=encoding.removesuffix("-sig"))


def read_text(path: Path, limit_bytes: int = LIMIT_BYTES) -> Text:
    """The text of a file, its size checked before it is read; raises MediaError."""
    try:
        size = path.stat().st_size
        if size > limit_bytes:
            raise MediaError(
                "{name} has {size} bytes, the limit is {limit}; split it",
                name=path, size=size, limit=limit_bytes,
            )  # fmt: skip
        data = path.read_bytes()
    except OSError as fault:
        raise MediaError(
            "{name} cannot be read: {reason}", name=path, reason=fault.strerror
        ) from fault
    return decode_text(data, str(path), limit_bytes)


def normal(text: str) -> str:
    """NFC, "\\n" line ends, no byte order mark inside."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    return unicodedata.normalize("NFC", text)


def is_binary(data: bytes) -> bool:
    """Whether `data` looks like something other than text in any encoding."""
    if data.startswith(SIGNATURES):
        return True
    if any(data.startswith(mark) for mark, _encoding in BYTE_ORDER_MARKS):
        return False
    sample = data[:SAMPLE_BYTES]
    if _wide_encoding(sample) is not None:
        return False
    controls = sum(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in sample)
    return b"\x00" in sample or controls > 0.01 * len(sample)


def detect_encoding(data: bytes) -> str | None:
    """Name of the encoding that decodes all of `data` and gives plausible text; None if none."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding if _decodes(data, encoding) else None
    if is_binary(data):
        return None
    if _decodes(data, "utf-8"):
        return "utf-8"
    wide = _wide_encoding(data[:SAMPLE_BYTES])
    if wide is not None and _decodes(data, wide):
        return wide
    candidates = [name for name in ("gb18030", "big5", "cp1252") if _decodes(data, name)]
    scored = [(_plausibility(data, name), name) for name in candidates]
    best = max(scored, default=(0.0, ""))
    return best[1] if best[0] >= 0.05 else None


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return CONTROL.search(text) is None


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-16 without a mark: line ends and spaces put zeros on one side of the pairs only."""
    pairs = len(sample) // 2
    if pairs < 2 or len(sample) % 2:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if not even and odd and not CONTROL.search(sample.decode("utf-16-le", "replace")):
        return "utf-16-le"
    if not odd and even and not CONTROL.search(sample.decode("utf-16-be", "replace")):
        return "utf-16-be"
    return None


def _plausibility(data: bytes, encoding: str) -> float:
    """Share of the non-ASCII characters that are everyday ones in this encoding's languages."""
    beyond = [char for char in data.decode(encoding)[:SAMPLE_BYTES] if ord(char) > 0x7F]
    if encoding != "cp1252":
        return sum(char in COMMON for char in beyond) / max(1, len(beyond))
    letters = len(re.findall(rb"[A-Za-z]", data[:SAMPLE_BYTES]))
    # Western text is mostly ASCII letters; Chinese bytes read as Latin-1 are mostly not.
    everyday = sum(char.isalpha() or char in "‘’“”–—…«»¡¿°£€§ " for char in beyond)
    return everyday / max(1, len(beyond)) if letters > 3 * len(beyond) else 0.0
