"""Has the draft been taken from the training material? Both checks ask the material's index."""

from __future__ import annotations

from wenfang.checks.check import Check, Evidence, Material, not_measured
from wenfang.metrics.text import units

VERSION = "1"

# A shorter line ("yes, sir"; a cry of four characters) is nobody's; a verse line has 5 or 7.
MINIMUM_LINE_UNITS = 5
COPIED_LINES_ALLOWED = 0
# Runs of 13 units are what decontamination calls copied; shorter ones are shared by strangers.
LONGEST_COPY_ALLOWED_UNITS = 12
SHOWN_CHARACTERS = 60

NO_INDEX = "there is no index of the training material; originality was not measured"


def copied_lines(material: Material) -> Check:
    """No line of the draft is a whole line of the training material."""
    if material.index is None:
        return not_measured("copied_lines", VERSION, COPIED_LINES_ALLOWED, NO_INDEX)
    copied = [
        number
        for number, line in enumerate(material.lines, 1)
        if len(units(line)) >= MINIMUM_LINE_UNITS and material.index.contains(line)
    ]
    return Check(
        name="copied_lines",
        version=VERSION,
        value=float(len(copied)),
        threshold=float(COPIED_LINES_ALLOWED),
        verdict="repair" if len(copied) > COPIED_LINES_ALLOWED else "pass",
        evidence=tuple(
            Evidence("line {line} stands whole in the training material", {"line": number})
            for number in copied
        ),
    )


def longest_copy(material: Material) -> Check:
    """The longest run that the draft shares with the training material stays short."""
    allowed = LONGEST_COPY_ALLOWED_UNITS
    if material.index is None:
        return not_measured("longest_copy", VERSION, allowed, NO_INDEX)
    length, run = material.index.longest_copy(material.text)
    copied = length > allowed
    evidence = Evidence(
        "{length} characters or words in a row stand in the training material: {run}",
        {"length": length, "run": run[:SHOWN_CHARACTERS]},
    )
    return Check(
        name="longest_copy",
        version=VERSION,
        value=float(length),
        threshold=float(allowed),
        verdict="repair" if copied else "pass",
        evidence=(evidence,) if copied else (),
    )
