"""Whether a colour stands out from its ground (WCAG 2.2), for labels that are not pixels."""

from __future__ import annotations

import re

Colour = tuple[int, int, int]
CONTRAST = 4.5
INK, PAPER = "575046", "FAF7F0"  # of the label's letters and its plate: 7.3:1 on every page
_SHARES = (0.2126, 0.7152, 0.0722)
_HEX = re.compile(r"[0-9A-Fa-f]{6}")


def hex_colour(digits: str) -> Colour | None:
    """The levels (0..255) of RRGGBB; None for anything else, such as `auto`."""
    if not _HEX.fullmatch(digits):
        return None
    return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16))


def contrast(ink: Colour, ground: Colour) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(ink), _luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    levels = (level / 255 for level in colour)
    linear = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in levels)
    return sum(share * one for share, one in zip(_SHARES, linear, strict=True))
