"""A foreign config.json read field by field: typed, bounded, and nothing passed over.

A field that switches on what is not built here is refused by its name: to leave it out would give
a model that runs and says something else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wenfang.errors import BundleError

# Far above any published model of these families; what lies beyond is a broken or hostile file.
MOST = {
    "layers": 1024,
    "heads": 1024,
    "width": 2**17,
    "hidden_width": 2**20,
    "vocabulary_size": 2**23,
    "context": 2**20,
    "head_width": 2**12,
}
# Cosine and sine of every position: together a gigabyte.
ROTARY_NUMBERS_MAX = 2**27


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The fields of a config.json."""

    path: Path
    record: Mapping[str, Any]

    def whole(self, name: str, kind: str, default: int | None = None) -> int:
        """The whole number `name`, from 1 to MOST[kind]; None and a missing one are `default`."""
        found = self.record.get(name)
        found = default if found is None else found
        if found is None:
            raise BundleError("{path}: the field {name} is missing", path=self.path, name=name)
        if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= MOST[kind]:
            raise BundleError(
                "{path}: {name} is {value}; it must be a whole number from 1 to {most}",
                path=self.path,
                name=name,
                value=str(found)[:40],
                most=MOST[kind],
            )
        return found

    def real(self, name: str, default: float, least: float = 0, most: float = math.inf) -> float:
        """The number `name`, from `least` to `most`."""
        found = self.record.get(name)
        found = default if found is None else found
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        if not is_number or not math.isfinite(found) or not least <= found <= most:
            raise BundleError(
                "{path}: {name} is {value}, which is no number that it can be",
                path=self.path,
                name=name,
                value=str(found)[:40],
            )
        return float(found)

    def only(self, name: str, *allowed: object) -> Any:
        """The value of `name`, which must be one of `allowed`; a missing one is the first."""
        found = self.record.get(name)
        found = allowed[0] if found is None else found
        for one in allowed:
            if found == one and isinstance(found, bool) == isinstance(one, bool):
                return one
        raise BundleError(
            "{path}: {name} is {value}, which is not supported; supported: {allowed}",
            path=self.path,
            name=name,
            value=str(found)[:80],
            allowed=", ".join(str(one) for one in allowed),
        )

    def index(self, name: str) -> int | None:
        """A token's id, or the first of several; None where there is none."""
        found = self.record.get(name)
        found = found[0] if isinstance(found, list) and found else found
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**31:
            return None
        return found

    def rotary_base(self, default: float = 10000.0) -> float:
        """The base of rotary positions; BundleError where they are stretched in any way.

        transformers writes `rope_parameters` since version 5, and `rope_theta` with
        `rope_scaling` before.
        """
        self.only("partial_rotary_factor", 1.0)
        base = self.real("rope_theta", default, least=1)
        for name in ("rope_scaling", "rope_parameters"):
            found = self.record.get(name)
            if found is not None:
                inner = Settings(path=self.path, record=found if isinstance(found, Mapping) else {})
                base = inner._plain_rotary_base(name, base)
        return base

    def require_rotary_room(self, context: int, head_width: int) -> None:
        """BundleError where the table of positions would take more than a gigabyte."""
        if context * head_width > ROTARY_NUMBERS_MAX:
            raise BundleError(
                "{path}: a context of {context} with heads of width {width} needs a table that is "
                "too large; import it with a smaller --context",
                path=self.path,
                context=context,
                width=head_width,
            )

    def _plain_rotary_base(self, name: str, default: float) -> float:
        """The base in the object `name` of a config; BundleError where it asks for more."""
        kind = self.record.get("rope_type", self.record.get("type"))
        if kind != "default":
            raise BundleError(
                "{path}: {name} is {value}, which is not supported; supported: {allowed}",
                path=self.path,
                name=f"{name}.rope_type",
                value=str(kind)[:80],
                allowed="default",
            )
        self.only("partial_rotary_factor", 1.0)
        return self.real("rope_theta", default, least=1)
