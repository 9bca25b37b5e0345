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
from wenfang.seal.formats.html import HTML
from wenfang.seal.formats.markdown import MARKDOWN
from wenfang.seal.formats.png import PNG
from wenfang.seal.formats.text import TEXT

__all__ = [
    "FORMATS",
    "Drawn",
    "Format",
    "Insertion",
    "Marking",
    "Trace",
    "format_of",
    "insert",
    "started_format",
    "without",
]

FORMATS: dict[str, Format] = {one.media_type: one for one in (TEXT, MARKDOWN, HTML, PNG)}


def format_of(name: str) -> Format | None:
    """The format that a file's name stands for; None if nothing here knows its suffix."""
    suffix = PurePath(name).suffix.lower()
    return next((one for one in FORMATS.values() if suffix in one.suffixes), None)


def started_format(data: bytes) -> Format | None:
    """The format that the first bytes of `data` are of; None for text and unknown kinds."""
    return first_starting(FORMATS.values(), data)
