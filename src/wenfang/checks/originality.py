"""Has a text been taken from the training material, or from what a user's folders hold?

Lengths are counted in units: characters of Chinese, words of the rest. Punctuation, spaces and
case hide nothing. A translation or a free retelling is no copy that these checks can see.
"""

from __future__ import annotations

from wenfang.checks.check import (
    NO_TEXT,
    Check,
    Evidence,
    Material,
    ShareIndex,
    not_measured,
    unread,
)
from wenfang.data.comparison import TEXTS
from wenfang.data.units import units

VERSION = "1"

# A shorter line ("yes, sir"; a cry of four characters) is nobody's; a verse line has 5 or 7.
MINIMUM_LINE_UNITS = 5
COPIED_LINES_ALLOWED = 0
# Runs of 13 units are what decontamination calls copied; shorter ones are shared by strangers.
LONGEST_COPY_ALLOWED_UNITS = 12
# In prose set phrases, titles and names run longer: of 300 passages of a thousand characters of
# one novel the longest run shared with two others has 13, so that a house's own folder is held
# to twice that. Fifty tokens verbatim is what is customarily called memorised.
FOLDER_COPY_ALLOWED_UNITS = 24
# Of 60 n-grams in a row: the same 300 passages share up to 0.18 with the two novels; a passage
# with every tenth character changed keeps 0.43 in 99 cases of 100, with every fifth 0.27 in 9 of
# 10 (benchmarks/checks.py).
NEAR_COPY_ALLOWED_SHARE = 0.3
WINDOW_GRAMS = 60
SHOWN_CHARACTERS = 60

NO_INDEX = "there is no index of the training material; originality was not measured"
NO_FOLDER = "no folder with texts to compare with was named"


def copied_lines(material: Material) -> Check:
    """No line of the draft is a whole line of the training material."""
    allowed = material.threshold("copied_lines", COPIED_LINES_ALLOWED)
    if material.index is None:
        return not_measured("copied_lines", VERSION, allowed, NO_INDEX)
    copied = [
        number
        for number, line in enumerate(material.lines, 1)
        if len(units(line)) >= MINIMUM_LINE_UNITS and material.index.contains(line)
    ]
    return Check(
        name="copied_lines",
        version=VERSION,
        value=float(len(copied)),
        threshold=allowed,
        verdict="repair" if len(copied) > allowed else "pass",
        evidence=tuple(
            Evidence("line {line} stands whole in the training material", {"line": number})
            for number in copied
        ),
    )


def longest_copy(material: Material) -> Check:
    """The longest run of the draft that the training material holds is a short one.

    The threshold is that of decontamination (13-grams) and fits verse and short texts.
    """
    allowed = material.threshold("longest_copy", LONGEST_COPY_ALLOWED_UNITS)
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
        threshold=allowed,
        verdict="repair" if copied else "pass",
        evidence=(evidence,) if copied else (),
    )


def folder_copy(material: Material) -> Check:
    """The longest run of the draft that a text of the user's folders holds is a short one."""
    allowed = material.threshold("folder_copy", FOLDER_COPY_ALLOWED_UNITS)
    if material.compared is None or not material.compared.texts.names:
        return not_measured("folder_copy", VERSION, allowed, NO_FOLDER)
    if not material.lines:
        return not_measured("folder_copy", VERSION, allowed, NO_TEXT)
    found = material.compared.texts.longest_copy(material.text)
    evidence = Evidence(
        "{length} characters or words in a row stand in {name}: {run}",
        {
            "length": int(found.value),
            "name": found.name,
            "run": found.excerpt[:SHOWN_CHARACTERS],
        },
    )
    return Check(
        name="folder_copy",
        version=VERSION,
        value=found.value,
        threshold=allowed,
        verdict="repair" if found.value > allowed else "pass",
        evidence=(
            *((evidence,) if found.value > allowed else ()),
            *unread(material.compared, TEXTS),
        ),
    )


def near_copy(material: Material) -> Check:
    """No passage of the draft keeps most of the n-grams of a known text: a copy with changes.

    The value is the largest share of known n-grams (6 units) in 60 of them in a row, in the
    training material as a whole or in one text of the user's folders. A copy with one unit in
    five changed, or with its sentences in another order, may pass.
    """
    allowed = material.threshold("near_copy", NEAR_COPY_ALLOWED_SHARE)
    shares: list[tuple[float, Evidence]] = []
    if isinstance(material.index, ShareIndex):
        share = material.index.known_share(material.text, WINDOW_GRAMS)
        said = "a passage keeps {share:.0%} of its word sequences from the training material"
        shares.append((share, Evidence(said, {"share": share})))
    if material.compared is not None and material.compared.texts.names:
        found = material.compared.texts.nearest(material.text)
        said = "a passage keeps {share:.0%} of the word sequences of {name}: {run}"
        run = found.excerpt[:SHOWN_CHARACTERS]
        values = {"share": found.value, "name": found.name, "run": run}
        shares.append((found.value, Evidence(said, values)))
    if not shares:
        return not_measured("near_copy", VERSION, allowed, NO_INDEX)
    if not material.lines:
        return not_measured("near_copy", VERSION, allowed, NO_TEXT)
    copied = tuple(evidence for share, evidence in shares if share > allowed)
    return Check(
        name="near_copy",
        version=VERSION,
        value=round(max(share for share, _ in shares), 4),
        threshold=allowed,
        verdict="repair" if copied else "pass",
        evidence=copied,
    )
