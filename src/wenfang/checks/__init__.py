"""Gates: named, versioned judgements on a draft. `judge` asks them; a new one is a table row.

A check is `check(material) -> Check`. A policy says what a failing one means: block, repair, warn
or off. What repairs a draft is drawing it again, which is the caller's; a check only says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from wenfang.checks.check import Check, Evidence, Material, Outcome, not_measured
from wenfang.checks.facts import facts
from wenfang.checks.form import form
from wenfang.checks.gate import Decision, Report, Verdict, gate
from wenfang.checks.melody import melody_copy
from wenfang.checks.offence import offence
from wenfang.checks.originality import copied_lines, folder_copy, longest_copy, near_copy
from wenfang.checks.personal import personal
from wenfang.checks.picture import picture_copy, picture_neighbour
from wenfang.checks.policy import (
    ACTIONS,
    DEFAULT,
    POLICY,
    Action,
    Policy,
    Rule,
    Use,
    policy_from,
    read_policy,
)
from wenfang.checks.rights import rights
from wenfang.checks.sameness import batch_sameness, repeated_text
from wenfang.checks.sound import sound_clipping, sound_loudness, sound_silence
from wenfang.checks.timing import film_timing, speech_timing
from wenfang.checks.words import fold, read_terms, words
from wenfang.config import nearest
from wenfang.errors import NotFoundError

CHECKS: dict[str, Callable[[Material], Check]] = {
    "form": form,
    "copied_lines": copied_lines,
    "longest_copy": longest_copy,
    "near_copy": near_copy,
    "folder_copy": folder_copy,
    "words": words,
    "offence": offence,
    "personal": personal,
    "picture_copy": picture_copy,
    "picture_neighbour": picture_neighbour,
    "melody_copy": melody_copy,
    "sound_clipping": sound_clipping,
    "sound_silence": sound_silence,
    "sound_loudness": sound_loudness,
    "speech_timing": speech_timing,
    "film_timing": film_timing,
    "facts": facts,
    "batch_sameness": batch_sameness,
    "repeated_text": repeated_text,
    "rights": rights,
}

# What is asked where nothing else is said, and what fits each kind of draft.
VERSE = ("form", "copied_lines", "longest_copy", "words")
TEXT = ("copied_lines", "longest_copy", "near_copy", "folder_copy", "words", "offence", "personal",
        "repeated_text", "rights")  # fmt: skip
BATCH = (*TEXT, "batch_sameness")
PICTURE = ("picture_copy", "picture_neighbour", "rights")
MELODY = ("melody_copy", "rights")
SOUND = ("sound_clipping", "sound_silence", "sound_loudness")
SPOKEN = (*SOUND, "speech_timing")
FILM = (*SPOKEN, "film_timing")


def judge(
    material: Material,
    names: Iterable[str] = VERSE,
    policy: Policy = POLICY,
    use: str = DEFAULT,
) -> Report:
    """Ask the checks `names` about `material`; what fails is what `policy` makes of it for `use`.

    A check that the policy has switched off is in the report as a note that says so.
    raises NotFoundError for a name of a check or a use that is none
    """
    asked = policy.use(use)
    equipped = replace(
        material,
        listed=(*material.listed, *asked.listed),
        allowed=(*material.allowed, *asked.allowed),
        thresholds={**material.thresholds, **asked.thresholds},
    )
    checks = tuple(_answer(name, equipped, asked) for name in names)
    return Report(checks=checks, verdict=gate(checks))


def _answer(name: str, material: Material, use: Use) -> Check:
    check = _named(name)
    if use.checks.get(name, Rule()).action == "off":
        return not_measured(name, "off", None, "the policy has switched this check off")
    return use.judged(check(material))


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
    "ACTIONS",
    "BATCH",
    "CHECKS",
    "FILM",
    "MELODY",
    "PICTURE",
    "POLICY",
    "SOUND",
    "SPOKEN",
    "TEXT",
    "VERSE",
    "Action",
    "Check",
    "Decision",
    "Evidence",
    "Material",
    "Outcome",
    "Policy",
    "Report",
    "Rule",
    "Use",
    "Verdict",
    "copied_lines",
    "facts",
    "fold",
    "form",
    "gate",
    "judge",
    "longest_copy",
    "policy_from",
    "read_policy",
    "read_terms",
    "words",
]
