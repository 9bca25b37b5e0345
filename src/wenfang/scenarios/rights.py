"""May this be used so? Licences of a bundle's material, before anything is made with it."""

from __future__ import annotations

from wenfang.checks.rights import forbidding
from wenfang.errors import RightsError
from wenfang.store import Lineage


def require_commercial(lineage: Lineage, model: str) -> None:
    """Raise RightsError that names the licence and what it covers, if any forbids commerce."""
    for licence, names in forbidding(lineage.licences()).items():
        raise RightsError(
            "{model} was made from {names} under {licence}, which forbids commercial use "
            "or leaves it open; choose another model or leave out --commercial",
            model=model,
            names=", ".join(names),
            licence=licence,
        )
