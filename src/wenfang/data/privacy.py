"""Personal data in text: found by pattern and check digit, and masked by its kind.

Kinds: email, chinese_identity (18 digits with the checksum of ISO 7064 MOD 11-2), card (13 to 19
digits with Luhn's checksum), phone (Chinese mobile and land lines, international +…), ip_address
(public IPv4 and IPv6). A pattern alone matches too much; a check digit lets a wrong number pass
only once in about ten.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple


class Match(NamedTuple):
    """Personal data of one kind at text[start:end]."""

    kind: str
    start: int
    end: int


IDENTITY_WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
IDENTITY_CHECKS = "10X98765432"

EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9])",
    re.ASCII,
)
IDENTITY = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[\dXx](?![0-9A-Za-z])", re.ASCII)
CARD = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])", re.ASCII)
PHONE = re.compile(
    r"(?<![\d.+-])(?:"
    r"(?:\+|00)[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,5}"  # international
    r"|1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # Chinese mobile
    r"|\(?0\d{2,3}\)?[ -]\d{7,8}"  # Chinese land line
    r"|\(?[2-9]\d{2}\)?[ .-][2-9]\d{2}[ .-]\d{4}"  # North American
    r")(?![\d-])",
    re.ASCII,
)
IP_V4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)", re.ASCII)
IP_V6 = re.compile(r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])")


def is_identity(text: str) -> bool:
    """A Chinese identity number: a date that exists and a right check digit (GB 11643-1999)."""
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, IDENTITY_WEIGHTS, strict=False))
    return IDENTITY_CHECKS[total % 11] == text[17].upper()


def is_card(text: str) -> bool:
    """A payment card's number: first digit 2 to 6 and Luhn's checksum (ISO/IEC 7812)."""
    digits = [int(character) for character in text if character.isdigit()]
    if digits[0] not in range(2, 7) or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_phone(text: str) -> bool:
    """Seven to fifteen digits (ITU-T E.164), at least eight where a + begins them."""
    count = sum(map(str.isdigit, text))
    return (8 if text.startswith("+") else 7) <= count <= 15


def is_ip_address(text: str) -> bool:
    """An address that the network routes; 127.0.0.1, 10.0.0.1 and the like name nobody."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _always(text: str) -> bool:
    return True


PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", EMAIL, _always),
    ("chinese_identity", IDENTITY, is_identity),
    ("card", CARD, is_card),
    ("phone", PHONE, is_phone),
    ("ip_address", IP_V4, is_ip_address),
    ("ip_address", IP_V6, is_ip_address),
)
KINDS = tuple(dict.fromkeys(kind for kind, _, _ in PATTERNS))


def find(text: str) -> list[Match]:
    """All personal data in `text` in order; where two overlap, the kind named first wins."""
    if not (any(map(str.isdigit, text)) or "@" in text or "::" in text):
        return []
    found: list[Match] = []
    for match in _candidates(text):
        if all(match.end <= other.start or other.end <= match.start for other in found):
            found.append(match)
    return sorted(found, key=lambda match: match.start)


def _candidates(text: str) -> Iterator[Match]:
    for kind, pattern, holds in PATTERNS:
        for match in pattern.finditer(text):
            if holds(match.group()):
                yield Match(kind, match.start(), match.end())


def mask(text: str) -> tuple[str, Counter[str]]:
    """`text` with each match replaced by its kind in square brackets, and counts per kind."""
    matches = find(text)
    parts: list[str] = []
    position = 0
    for match in matches:
        parts += [text[position : match.start], f"[{match.kind}]"]
        position = match.end
    return "".join([*parts, text[position:]]), Counter(match.kind for match in matches)
