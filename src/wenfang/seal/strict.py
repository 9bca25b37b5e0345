"""What a publisher's gate asks beyond a good verdict (`wenfang verify --strict`).

The signed manifest must lie beside the file, the producer must be named by a provider code, no
check may have found anything against the content, and the signer's certificate must last.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography import x509

from wenfang.language import t
from wenfang.seal.label import PROVIDER_CODE

DAYS_LEFT = 30


def strict_faults(statement: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What a file with this signed manifest lacks, in the reader's language; () for nothing."""
    if statement is None:
        return (t("strict: the signed manifest is not beside the file"),)
    return tuple(_faults(statement))


def _faults(statement: Mapping[str, Any]) -> Iterator[str]:
    label = statement.get("label")
    producer = str(label.get("ContentPropagator", "")) if isinstance(label, Mapping) else ""
    if not PROVIDER_CODE.fullmatch(producer):
        yield t("strict: the label names no provider code; set producer_code in label.json")
    facts = statement["manifest"].get("facts", {})
    checks = facts.get("checks") if isinstance(facts, Mapping) else None
    against = _against(checks)
    if against:
        yield t("strict: checks found something: {names}", names=", ".join(against))
    certificate = x509.load_pem_x509_certificate(str(statement["certificate"]).encode())
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    if left < datetime.timedelta(days=DAYS_LEFT):
        yield t("strict: the signer's certificate ends in {days} days", days=max(0, left.days))


def _against(report: object) -> list[str]:
    """Names of the checks whose verdict is not a pass, notes on what was seen included."""
    checks = report.get("checks") if isinstance(report, Mapping) else None
    found = [one for one in checks if isinstance(one, Mapping)] if isinstance(checks, list) else []
    return [
        str(one.get("name"))
        for one in found
        if one.get("verdict") in ("repair", "block")
        or (one.get("verdict") == "note" and one.get("value") is not None)
    ]
