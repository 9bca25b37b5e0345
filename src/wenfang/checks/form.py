"""Does a verse keep its form? The rules are those of `knowledge.verse`."""

from __future__ import annotations

from wenfang.checks.check import Check, Evidence, Material, not_measured
from wenfang.knowledge import verse

VERSION = "1"
BROKEN_RULES_ALLOWED = 0
SHOWN_CHARACTERS = 60


def form(material: Material) -> Check:
    """A draft in a verse form breaks none of its rules; one that does is drawn again.

    Rules that are measured but refuse no poem (the tonal pattern) are the evidence of a pass.
    """
    allowed = material.threshold("form", BROKEN_RULES_ALLOWED)
    if material.form is None:
        return not_measured("form", VERSION, allowed, "no verse form was asked for")
    lines = [line.rstrip(material.form.punctuation) for line in material.lines]
    findings = verse.check(lines, material.form)
    broken = [one for one in findings if one.gate and not one.passed]
    measured = [one for one in findings if not one.gate]
    return Check(
        name="form",
        version=VERSION,
        value=float(len(broken)),
        threshold=allowed,
        verdict="repair" if len(broken) > allowed else "pass",
        evidence=tuple(map(_broken, broken)) or tuple(map(_measured, measured)),
    )


def _broken(finding: verse.Finding) -> Evidence:
    seen = finding.evidence[:SHOWN_CHARACTERS]
    return Evidence("the rule {rule} is broken: {seen}", {"rule": finding.rule, "seen": seen})


def _measured(finding: verse.Finding) -> Evidence:
    return Evidence("{rule}: {value:.2f}", {"rule": finding.rule, "value": finding.value})
