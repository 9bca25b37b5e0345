"""The way back from an asset to its sources, and the licences that come with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wenfang.language import t
from wenfang.store.manifest import Manifest, to_record

SHOWN_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the tree: how deep, in which role, and what; `last` of its siblings.

    manifest  None where only the id is known here
    repeated  its inputs were shown at an earlier line
    """

    depth: int
    role: str
    id: str
    manifest: Manifest | None
    repeated: bool
    last: bool


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """An asset and all that it came from; None for a manifest that is not in this store."""

    asset: str
    manifests: dict[str, Manifest | None]

    def missing(self) -> tuple[str, ...]:
        """Ids that are named as inputs but are not in this store."""
        return tuple(sorted(id_ for id_, found in self.manifests.items() if found is None))

    def licences(self) -> dict[str, tuple[str, ...]]:
        """Licence expression -> names of what bears it; NOASSERTION for sources without one."""
        table: dict[str, set[str]] = {}
        for manifest in self.manifests.values():
            if manifest is not None and (
                manifest.licence or manifest.kind in ("source", "dataset")
            ):
                table.setdefault(manifest.licence or "NOASSERTION", set()).add(manifest.name)
        return {licence: tuple(sorted(table[licence])) for licence in sorted(table)}

    def combined_licence(self) -> str:
        """One SPDX expression that holds all of them; "" if there are none."""
        parts: set[str] = set()
        for licence in self.licences():
            compound = " OR " in licence or "(" in licence
            parts.update([f"({licence})"] if compound else licence.split(" AND "))
        only = parts.pop() if len(parts) == 1 else None
        if only is None:
            return " AND ".join(sorted(parts))
        return only[1:-1] if only.startswith("(") else only

    def steps(self) -> Iterator[Step]:
        """The tree from the asset down to its sources; a shared node's inputs come once."""
        seen: set[str] = set()
        waiting = [(0, "", self.asset, True)]
        while waiting:
            depth, role, id_, last = waiting.pop()
            manifest = self.manifests.get(id_)
            inputs = manifest.inputs if manifest else ()
            repeated = id_ in seen and bool(inputs)
            yield Step(
                depth=depth, role=role, id=id_, manifest=manifest, repeated=repeated, last=last
            )
            if not repeated:
                seen.add(id_)
                below = [
                    (depth + 1, link.role, link.id, position == len(inputs) - 1)
                    for position, link in enumerate(inputs)
                ]
                waiting.extend(reversed(below))

    def to_json(self) -> dict[str, Any]:
        """The graph as JSON: manifests by id, what is missing, and the licences."""
        found = [manifest for manifest in self.manifests.values() if manifest is not None]
        return {
            "asset": self.asset,
            "manifests": [to_record(manifest) for manifest in found],
            "missing": list(self.missing()),
            "licences": {licence: list(names) for licence, names in self.licences().items()},
            "combined_licence": self.combined_licence(),
        }


def trace(asset: str, lookup: Callable[[str], Manifest | None]) -> Lineage:
    """Follow the inputs from `asset` back to where nothing more is known."""
    manifests: dict[str, Manifest | None] = {}
    waiting = [asset]
    while waiting:
        id_ = waiting.pop()
        if id_ not in manifests:
            manifests[id_] = found = lookup(id_)
            waiting.extend(link.id for link in reversed(found.inputs if found else ()))
    return Lineage(asset=asset, manifests=manifests)


def render_lineage(lineage: Lineage) -> str:
    """The tree as plain text, and below it every licence with those who bear it."""
    lines = []
    rails: list[str] = []
    for step in lineage.steps():
        del rails[max(step.depth - 1, 0) :]
        branch = ("└── " if step.last else "├── ") if step.depth else ""
        lines.append("".join(rails) + branch + _describe(step))
        if step.depth:
            rails.append("    " if step.last else "│   ")
    licences = lineage.licences()
    lines += ["", t("Licences: {expression}", expression=lineage.combined_licence() or t("none"))]
    lines += [f"  {licence}: {', '.join(names)}" for licence, names in licences.items()]
    if lineage.missing():
        lines.append(t("Not in this store: {count}", count=len(lineage.missing())))
    return "\n".join(_printable(line) for line in lines)


def _describe(step: Step) -> str:
    role = f"{step.role}: " if step.role else ""
    digits = step.id[:SHOWN_DIGITS]
    if step.manifest is None:
        return role + t("[{id}] not in this store", id=digits)
    words = [f"{role}{step.manifest.kind} {step.manifest.name} [{digits}]"]
    if step.manifest.licence:
        words.append(step.manifest.licence)
    elif step.manifest.kind in ("source", "dataset"):
        words.append(t("licence unknown"))
    if step.repeated:
        words.append(t("(shown above)"))
    return "  ".join(words)


def _printable(line: str) -> str:
    """A name or licence may come from a stranger's manifest: it must not steer the terminal."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in line)
