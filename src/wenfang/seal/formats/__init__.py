"""Every format that can be sealed, one file per family, and the table FORMATS."""

from __future__ import annotations

from pathlib import PurePath

from wenfang.seal.formats.contract import (
    Drawn,
    Format,
    Insertion,
    Marking,
    Trace,
    first_starting,
    insert,
    without,
)
from wenfang.seal.formats.data import CSV, JSON, ZIP
from wenfang.seal.formats.docx import DOCX
from wenfang.seal.formats.flac import FLAC
from wenfang.seal.formats.gif import GIF
from wenfang.seal.formats.html import HTML
from wenfang.seal.formats.jpeg import JPEG
from wenfang.seal.formats.m4a import M4A
from wenfang.seal.formats.markdown import MARKDOWN
from wenfang.seal.formats.midi import MIDI
from wenfang.seal.formats.mp3 import MP3
from wenfang.seal.formats.mp4 import MP4
from wenfang.seal.formats.ogg import OGG, OPUS
from wenfang.seal.formats.pdf import PDF
from wenfang.seal.formats.png import PNG
from wenfang.seal.formats.pptx import PPTX
from wenfang.seal.formats.svg import SVG
from wenfang.seal.formats.text import TEXT
from wenfang.seal.formats.wav import WAV
from wenfang.seal.formats.webm import WEBM
from wenfang.seal.formats.webp import WEBP

__all__ = [
    "FORMATS",
    "Drawn",
    "Format",
    "Insertion",
    "Marking",
    "Trace",
    "fits",
    "format_of",
    "insert",
    "started_format",
    "without",
]

_TEXTS = (TEXT, MARKDOWN, HTML, JSON, CSV)
_PICTURES = (PNG, JPEG, WEBP, GIF, SVG)
_SOUNDS = (WAV, FLAC, MP3, OGG, OPUS, M4A, MIDI)
_OTHERS = (MP4, WEBM, PDF, DOCX, PPTX, ZIP)
FORMATS: dict[str, Format] = {
    one.media_type: one for one in (*_TEXTS, *_PICTURES, *_SOUNDS, *_OTHERS)
}


def format_of(name: str) -> Format | None:
    """The format that a file's name stands for; None if nothing here knows its suffix."""
    suffix = PurePath(name).suffix.lower()
    return next((one for one in FORMATS.values() if suffix in one.suffixes), None)


def fits(named: Format, data: bytes) -> bool:
    """Whether content may be what its name says; what is text may begin like anything."""
    if named.starts is not None:
        return named.starts(data)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return started_format(data) is None
    return True


def started_format(data: bytes) -> Format | None:
    """The format that the first bytes of `data` are of; None for text and unknown kinds."""
    return first_starting(FORMATS.values(), data)
