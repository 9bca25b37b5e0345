"""Whether a colour stands out from its ground (WCAG 2.2), for labels that are not pixels."""

from __future__ import annotations

import re

Colour = tuple[int, int, int]
CONTRAST = 4.5
INK, PAPER = "575046", "FAF7F0"  # of the label's letters and its plate: 7.3:1 on every page
_HEX = re.compile(r"[0-9A-Fa-f]{6}")


def hex_colour(digits: str) -> Colour | None:
    """The levels (0..255) of RRGGBB; None for anything else, such as `auto`."""
    if not _HEX.fullmatch(digits):
        return None
    return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16))
