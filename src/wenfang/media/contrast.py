"""How well two colours stand out from each other (WCAG 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

LEGIBLE = 4.5  # of letters on their ground, 1.4.3
_SHARES = (0.2126, 0.7152, 0.0722)


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """Contrast ratio of two colours of sRGB in 0..255, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    levels = (level / 255 for level in colour)
    linear = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in levels)
    return sum(share * one for share, one in zip(_SHARES, linear, strict=True))
