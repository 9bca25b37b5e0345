"""What a file of bytes really is: text in which encoding, or no text at all.

Only a sample is looked at; nothing is decoded by guess. A wrong encoding becomes an error that
names the likely one and the setting that reads it.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from wenfang.errors import ConfigError, DataError

SAMPLE_BYTES = 65_536
MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a RIFF file (WAV, AVI or WebP)",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Office document",
    b"\x1f\x8b": "gzip data",
    b"\xfd7zXZ": "xz data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"BZh": "bzip2 data",
    b"\x7fELF": "a program",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "a Parquet table",
    b"OggS": "an Ogg file",
    b"ID3": "an MP3 file",
}
COMMON_HAN = frozenset(
    "的一是不了在人有我他這这中大來来上國国個个到說说們们為为子和你地出道也時时年得就那要下以生會会自"
    "著着去之過过家學学對对可她里後后小麼么心多天而能好都然沒没日於于起還还發发成事只作當当想看文無无"
    "山水月春風风花雲云明何如見见此前知言行高長长本"
)


def require_known(encoding: str) -> None:
    """ConfigError where Python does not know `encoding` as a text encoding."""
    try:
        known = codecs.lookup(encoding)
    except LookupError:
        known = None
    if known is None or not known._is_text_encoding:
        raise ConfigError(
            "encoding: {encoding} is not known; use utf-8, utf-16, gb18030, big5 or latin-1",
            encoding=encoding,
        )


def is_wide(encoding: str) -> bool:
    """True for encodings whose lines cannot be found by their bytes (UTF-16 and UTF-32)."""
    return codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))


def require_text(path: Path, sample: bytes, encoding: str) -> None:
    """DataError where the first bytes of `path` are empty, binary or of another encoding."""
    for magic, kind in MAGIC.items():
        if sample.startswith(magic):
            raise DataError(
                "{path} is {kind}, not text; give a text file or extract its text first",
                path=path,
                kind=kind,
            )
    if is_wide(encoding):
        return
    wide = _wide_encoding(sample)
    if not wide and not _is_utf8(sample) and guess(sample).startswith("utf-16"):
        wide = guess(sample)
    if wide:
        raise wrong_encoding(str(path), wide, encoding)
    if b"\0" in sample:
        raise _binary(str(path))


def guess(sample: bytes) -> str:
    """The likely encoding of bytes that are not UTF-8; "" where they look like no text."""
    wide = _wide_encoding(sample)
    if wide:
        return wide
    binary = b"\0" in sample or _control_share(sample) > 0.02
    names = ("utf-16-le", "utf-16-be") if binary else ("gb18030", "big5", "utf-16-le", "utf-16-be")
    scores = {name: _han_score(sample, name) for name in names}
    best = max(names, key=lambda name: scores[name])
    if scores[best] > 0.05:
        return best
    return "" if binary else "latin-1"


def wrong_encoding(where: str, found: str, encoding: str) -> DataError:
    """The error for text at `where` that is not in `encoding`; `found` is the guess or ""."""
    if not found:
        return _binary(where)
    return DataError(
        "{where} is not {encoding}; it looks like {found}: set reading.encoding={found}, "
        "or convert it",
        where=where,
        encoding=encoding,
        found=found,
    )


def _binary(where: str) -> DataError:
    return DataError(
        "{where} is binary, not text; give a text file or extract its text first", where=where
    )


def _wide_encoding(sample: bytes) -> str:
    if sample.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) / 2
    if half >= 4 and odd > 0.3 * half and even < 0.02 * half:
        return "utf-16-le"
    if half >= 4 and even > 0.3 * half and odd < 0.02 * half:
        return "utf-16-be"
    return ""


def _is_utf8(sample: bytes) -> bool:
    """True where `sample` is UTF-8, its last character perhaps cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _control_share(sample: bytes) -> float:
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
    return controls / max(len(sample), 1)


def _han_score(sample: bytes, encoding: str) -> float:
    """Share of very common Han characters among the characters that are not ASCII."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(sample)
    except UnicodeDecodeError as error:
        if error.start < 0.9 * len(sample):
            return 0.0
        text = sample[: error.start].decode(encoding, "ignore")
    foreign = [character for character in text if character > "\x7f"]
    common = sum(character in COMMON_HAN for character in foreign)
    return common / max(len(foreign), 1)
