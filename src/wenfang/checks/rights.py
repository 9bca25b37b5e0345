"""May a draft be used so? The licences of everything that its model was made from."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wenfang.checks.check import Check, Evidence, Material, not_measured

VERSION = "1"
FORBIDDING_ALLOWED = 0

# Parts of SPDX names (and of our LicenseRefs) that forbid commercial use.
# What nobody has said is not allowed either.
NON_COMMERCIAL = re.compile(
    r"(?<![A-Z])NC(?![A-Z])|NCGL|NON-?COMMERCIAL|(?:RESEARCH|ACADEMIC|EVALUATION)-ONLY"
    r"|NOASSERTION|UNKNOWN|ALL-RIGHTS-RESERVED|^NONE$|^$"
)

NO_LICENCES = "the licences of the material are not known here; rights were not judged"
NOT_COMMERCIAL = "no commercial use was asked for; rights were not judged"


def forbids_commerce(licence: str) -> bool:
    """Whether an SPDX expression forbids commercial use or leaves it open.

    A plain choice (A OR B) forbids it only if all its members do; an expression with brackets or
    AND if any member does.
    """
    name = licence.strip().upper().replace("_", "-").replace(" OR ", "\0").replace(" ", "-")
    choices = name.split("\0")
    plain = "(" not in name and "-AND-" not in name
    return (all if plain else any)(NON_COMMERCIAL.search(choice) for choice in choices)


def forbidding(licences: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Those of `licences` that forbid commercial use, with the names of what bears them."""
    return {one: names for one, names in licences.items() if forbids_commerce(one)}


def rights(material: Material) -> Check:
    """No licence of the model's material forbids the commercial use that was asked for.

    Licences are read by their SPDX names, not by their texts; a name that says nothing of commerce
    is taken to allow it. This is no legal advice.
    """
    allowed = material.threshold("rights", FORBIDDING_ALLOWED)
    if material.licences is None:
        return not_measured("rights", VERSION, allowed, NO_LICENCES)
    if not material.commercial:
        return not_measured("rights", VERSION, allowed, NOT_COMMERCIAL)
    found = forbidding(material.licences)
    return Check(
        name="rights",
        version=VERSION,
        value=float(len(found)),
        threshold=allowed,
        verdict="block" if len(found) > allowed else "pass",
        evidence=tuple(
            Evidence(
                "{names} came under {licence}, which forbids commercial use or leaves it open",
                {"names": ", ".join(names), "licence": licence},
            )
            for licence, names in found.items()
        ),
    )
