"""One way to write the same text: Unicode NFC, line ends, no control or invisible characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Control characters but tab and newline, byte-order marks, zero-width spaces, soft hyphens.
INVISIBLE = dict.fromkeys((*range(32), *range(127, 160), 65279, 8203, 173))
del INVISIBLE[ord("\t")], INVISIBLE[ord("\n")]
TRAILING = re.compile(r"[^\S\n]+$", re.MULTILINE)
BLANK_LINES = re.compile(r"\n{3,}")


def normalise(text: str) -> str:
    """`text` in NFC (not NFKC, which would change Chinese punctuation), with single \\n ends,
    no trailing spaces, and at most one blank line together.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = TRAILING.sub("", text.translate(INVISIBLE))
    return BLANK_LINES.sub("\n\n", text).strip("\n")


def normalise_value(value: Any) -> Any:
    """The texts inside a JSON value in NFC."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [normalise_value(item) for item in value]
    if isinstance(value, dict):
        return {name: normalise_value(item) for name, item in value.items()}
    return value
