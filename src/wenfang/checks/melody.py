"""Has a melody been taken from the training material, or from what a user's folders hold?"""

from __future__ import annotations

from wenfang.checks.check import Check, Evidence, Material, not_measured, unread
from wenfang.data.comparison import MELODIES

VERSION = "1"
# Twelve intervals are thirteen different notes in a row. Of 77 held-out chorales one inner voice
# in ten shares that much with 229 others by chance and style, and two sopranos in three, because
# chorales are set to known hymns; of 300 random melodies with the same intervals, none.
COPIED_INTERVALS_ALLOWED = 11

NO_MELODY = "there is no melody to judge"
NO_MELODIES = "there are no known melodies to compare with; originality was not measured"


def melody_copy(material: Material) -> Check:
    """The longest run of intervals that a known melody holds, in any key, is a short one.

    Every voice and the top line are compared, without rhythm and repeated notes; scales and
    figures of few intervals do not count. A copy with a note changed in every twelve passes.
    """
    allowed = material.threshold("melody_copy", COPIED_INTERVALS_ALLOWED)
    if not material.melody:
        return not_measured("melody_copy", VERSION, allowed, NO_MELODY)
    compared = material.compared.melodies if material.compared else None
    known = [index for index in (material.melodies, compared) if index and index.names]
    if not known:
        return not_measured("melody_copy", VERSION, allowed, NO_MELODIES)
    found = max(index.longest_copy(material.melody) for index in known)
    copied = found.intervals > allowed
    evidence = Evidence(
        "{intervals} intervals in a row are those of {name}",
        {"intervals": found.intervals, "name": found.name},
    )
    return Check(
        name="melody_copy",
        version=VERSION,
        value=float(found.intervals),
        threshold=allowed,
        verdict="repair" if copied else "pass",
        evidence=(*((evidence,) if copied else ()), *unread(material.compared, MELODIES)),
    )
