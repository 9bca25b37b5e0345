"""May this be used so? Licences of a bundle's material, before anything is made with it."""

from __future__ import annotations

from wenfang.errors import RightsError
from wenfang.store import Lineage

# Parts of SPDX names (and of our LicenseRefs) that forbid commercial use.
# What nobody has said is not allowed either.
NON_COMMERCIAL = ("-NC", "NONCOMMERCIAL", "NON-COMMERCIAL", "RESEARCH-ONLY", "NOASSERTION")


def require_commercial(lineage: Lineage, model: str) -> None:
    """Raise RightsError that names the licence and what it covers, if any forbids commerce."""
    for licence, names in lineage.licences().items():
        if any(mark in licence.upper() for mark in NON_COMMERCIAL):
            raise RightsError(
                "{model} was made from {names} under {licence}, which forbids commercial use "
                "or leaves it open; choose another model or leave out --commercial",
                model=model,
                names=", ".join(names),
                licence=licence,
            )
