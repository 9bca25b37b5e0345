"""Personal data in text: found by pattern and check digit, and masked by its kind.

Kinds: email, chinese_identity (18 digits with the checksum of ISO 7064 MOD 11-2), iban (a bank
account, ISO 13616, MOD 97-10), card (13 to 19 digits with Luhn's checksum), social_security (US,
where the words stand before it), passport (where the word stands before it), number_plate
(Chinese), phone (Chinese mobile and land lines, international +…), ip_address (public IPv4 and
IPv6). A pattern alone matches too much; a check digit lets a wrong number pass only once in about
ten, two of MOD 97-10 once in 97.
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
# Countries by the length of their accounts' numbers (ISO 13616 registry).
IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK|FI|NL", 19: "SI|MK", 20: "AT|EE|KZ|LT|LU|XK", 21: "CH|HR|LI|LV",
    22: "BG|BH|DE|GB|GE|IE|ME|RS", 23: "AE|GI|IL", 24: "AD|CZ|ES|MD|PK|RO|SA|SE|SK|TN|VG",
    25: "PT", 26: "IS|TR", 27: "FR|GR|IT|MC|SM", 28: "AL|AZ|CY|DO|GT|HU|LB|PL", 29: "BR|PS|QA|UA",
    30: "JO|KW", 31: "MT",
}  # fmt: skip
IBAN = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    + "|".join(
        rf"(?:{countries})\d\d(?: ?[0-9A-Z]){{{length - 4}}}"
        for length, countries in IBAN_LENGTHS.items()
    )
    + r")(?![0-9A-Za-z])",
    re.ASCII,
)
SOCIAL_SECURITY = re.compile(
    r"(?i:\bSSN|social security)[^\d\n]{0,24}(\d{3}-\d{2}-\d{4}|\d{9})(?![\d-])", re.ASCII
)
PASSPORT = re.compile(
    r"(?:护照|護照|(?i:\bpassport))[^\d\n]{0,16}?(?<![0-9A-Za-z])([A-Z]{1,2}\d{7,8}|\d{9})(?![0-9A-Za-z])",
    re.ASCII,
)
# The last place may be a letter of a trailer, a teacher or the police; eight places: electric cars.
NUMBER_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][ ·•]?"
    r"(?:[DF][0-9A-HJ-NP-Z]\d{4}|\d{5}[DF]|(?=[A-HJ-NP-Z]{0,2}\d)[0-9A-HJ-NP-Z]{4}[0-9A-HJ-NP-Z挂学警])"
    r"(?![0-9A-Za-z])"
)
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


def is_iban(text: str) -> bool:
    """A bank account's number: its two check digits are right (ISO 7064 MOD 97-10)."""
    bare = text.replace(" ", "")
    return int("".join(str(int(sign, 36)) for sign in bare[4:] + bare[:4])) % 97 == 1


def is_social_security(text: str) -> bool:
    """A number that the US Social Security Administration may have given out."""
    digits = text.replace("-", "")
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


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
    ("iban", IBAN, is_iban),
    ("card", CARD, is_card),
    ("social_security", SOCIAL_SECURITY, is_social_security),
    ("passport", PASSPORT, _always),
    ("number_plate", NUMBER_PLATE, _always),
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
            # Where a word must stand before the number, the number alone is a group.
            number = match.lastindex or 0
            if holds(match.group(number)):
                yield Match(kind, *match.span(number))


def mask(text: str) -> tuple[str, Counter[str]]:
    """`text` with each match replaced by its kind in square brackets, and counts per kind."""
    matches = find(text)
    parts: list[str] = []
    position = 0
    for match in matches:
        parts += [text[position : match.start], f"[{match.kind}]"]
        position = match.end
    return "".join([*parts, text[position:]]), Counter(match.kind for match in matches)
