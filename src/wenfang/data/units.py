"""What texts of any language are counted and compared by: characters of Chinese, words of the rest.

CJK ideographs (with extensions and compatibility forms) and kana stand alone; a run of other
letters and digits, joined by apostrophes or hyphens, is one word. Punctuation, spaces and case
are set aside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SINGLE = "\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
UNIT = re.compile(rf"[{SINGLE}]|[^\W_{SINGLE}]+(?:['’-][^\W_{SINGLE}]+)*")


@dataclass(frozen=True, kw_only=True)
class Located:
    """The units of `text` and where in it each begins and ends."""

    text: str
    units: list[str]
    starts: list[int]
    ends: list[int]

    def excerpt(self, first: int, count: int) -> str:
        """`text` from unit `first` to the last of `count` units, as it was written."""
        return self.text[self.starts[first] : self.ends[first + count - 1]]


def units(text: str) -> list[str]:
    """Characters of Chinese and words of everything else, lower-cased, without punctuation."""
    return UNIT.findall(text.lower())


def located(text: str) -> Located:
    """The units of `text` with their places."""
    found = list(UNIT.finditer(text))
    return Located(
        text=text,
        units=[match.group().lower() for match in found],
        starts=[match.start() for match in found],
        ends=[match.end() for match in found],
    )
