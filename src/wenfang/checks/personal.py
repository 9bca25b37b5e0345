"""Does a text name somebody's number? Patterns and check digits are those of `data.privacy`.

Before the search a text is folded as readers see it: full-width digits and letters become plain
ones, invisible characters go. Names and street addresses are not seen, nor numbers written as
words, nor numbers broken across lines.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

from wenfang.checks.check import NO_TEXT, Check, Evidence, Material, not_measured
from wenfang.data.privacy import find
from wenfang.language import keyed

VERSION = "1"
ALLOWED = 0
INVISIBLE = {"Cf", "Mn"}

# One sentence for each of data.privacy.KINDS.
SENTENCES = {
    "email": keyed("line {line} holds an e-mail address"),
    "chinese_identity": keyed("line {line} holds a Chinese identity number"),
    "iban": keyed("line {line} holds a bank account's number (IBAN)"),
    "card": keyed("line {line} holds a payment card's number"),
    "social_security": keyed("line {line} holds a US social security number"),
    "passport": keyed("line {line} holds a passport's number"),
    "number_plate": keyed("line {line} holds a car's number plate"),
    "phone": keyed("line {line} holds a telephone number"),
    "ip_address": keyed("line {line} holds an IP address"),
}


def personal(material: Material) -> Check:
    """The draft holds no personal data but what the house allows; the evidence repeats none.

    Checked digits: Chinese identity (ISO 7064 MOD 11-2), cards (Luhn), IBAN (MOD 97-10). Telephone
    numbers, e-mail and IP addresses, passports and number plates have none: their form alone is
    looked at.
    """
    allowed = material.threshold("personal", ALLOWED)
    if not material.lines:
        return not_measured("personal", VERSION, allowed, NO_TEXT)
    free = set(map(_bare, material.allowed))
    found = Counter(
        (number, match.kind)
        for number, line in enumerate(map(_seen, material.lines), 1)
        for match in find(line)
        if _bare(line[match.start : match.end]) not in free
    )
    return Check(
        name="personal",
        version=VERSION,
        value=float(found.total()),
        threshold=allowed,
        verdict="repair" if found.total() > allowed else "pass",
        evidence=tuple(_evidence(found)),
    )


def _seen(line: str) -> str:
    plain = unicodedata.normalize("NFKC", line)
    return "".join(sign for sign in plain if unicodedata.category(sign) not in INVISIBLE)


def _bare(datum: str) -> str:
    """A datum without the signs that group it."""
    return "".join(filter(str.isalnum, _seen(datum))).casefold()


def _evidence(found: Iterable[tuple[int, str]]) -> Iterable[Evidence]:
    for line, kind in found:
        yield Evidence(SENTENCES[kind], {"line": line})
