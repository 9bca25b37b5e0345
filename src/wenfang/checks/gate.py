"""Many checks, one verdict: pass, repair (draw again) or block, and the report that stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wenfang.checks.check import Check, Evidence
from wenfang.config import from_dict, to_dict
from wenfang.errors import DataError

Decision = Literal["pass", "repair", "block"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is done with a draft, and every reason against it. Truth means that it passes."""

    decision: Decision
    reasons: tuple[Evidence, ...] = ()

    def __bool__(self) -> bool:
        return self.decision == "pass"

    def __str__(self) -> str:
        return "; ".join(map(str, self.reasons))


@dataclass(frozen=True, kw_only=True)
class Report:
    """All checks of a draft and the verdict on it; plain JSON values by `to_dict`."""

    checks: tuple[Check, ...]
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """JSON values, the same in every language; evidence is template and values."""
        plain: dict[str, Any] = to_dict(self)
        return plain

    @classmethod
    def from_dict(cls, data: object) -> Report:
        """The report again; raises DataError naming the field that is wrong."""
        return from_dict(cls, data, where="report", error=DataError)

    def sentences(self) -> list[str]:
        """Every piece of evidence in the reader's language, in the order of the checks."""
        return [f"{check.name}: {item}" for check in self.checks for item in check.evidence]


def gate(checks: Sequence[Check]) -> Verdict:
    """The gravest verdict of `checks` decides; a note or a warning never stops a draft."""
    assert checks, "a draft that nothing looked at has not passed"
    against = [check for check in checks if check.verdict in ("repair", "block")]
    reasons = tuple(evidence for check in against for evidence in check.evidence)
    if any(check.verdict == "block" for check in against):
        return Verdict(decision="block", reasons=reasons)
    return Verdict(decision="repair" if against else "pass", reasons=reasons)
