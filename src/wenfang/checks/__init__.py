"""Gates: named, versioned judgements on a draft. `judge` asks them all; a new one is a table row.

A check is `check(material) -> Check`. What repairs a draft is drawing it again, which is the
caller's; a check only says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wenfang.checks.check import Check, Evidence, Material, Outcome
from wenfang.checks.form import form
from wenfang.checks.gate import Decision, Report, Verdict, gate
from wenfang.checks.originality import copied_lines, longest_copy
from wenfang.checks.words import fold, read_terms, words
from wenfang.config import nearest
from wenfang.errors import NotFoundError

CHECKS: dict[str, Callable[[Material], Check]] = {
    "form": form,
    "copied_lines": copied_lines,
    "longest_copy": longest_copy,
    "words": words,
}


def judge(material: Material, names: Iterable[str] = tuple(CHECKS)) -> Report:
    """Ask the checks `names` about `material`; NotFoundError for a name that is none."""
    checks = tuple(_named(name)(material) for name in names)
    return Report(checks=checks, verdict=gate(checks))


def _named(name: str) -> Callable[[Material], Check]:
    if name not in CHECKS:
        raise NotFoundError(
            "there is no check {name}; did you mean {close}? There are: {names}",
            name=name,
            close=nearest(name, CHECKS) or next(iter(CHECKS)),
            names=", ".join(CHECKS),
        )
    return CHECKS[name]


__all__ = [
    "CHECKS",
    "Check",
    "Decision",
    "Evidence",
    "Material",
    "Outcome",
    "Report",
    "Verdict",
    "copied_lines",
    "fold",
    "form",
    "gate",
    "judge",
    "longest_copy",
    "read_terms",
    "words",
]
