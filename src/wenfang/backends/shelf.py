"""Where bundles are found: those that ship, those of this home, and any folder by its path."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from wenfang.checkpoint import CONFIG, MANIFEST
from wenfang.config import nearest
from wenfang.errors import NotFoundError
from wenfang.store import home


def shelves() -> tuple[Path, ...]:
    """Folders whose sub-folders are bundles; the user's own come before those that ship."""
    return home() / "bundles", Path(str(resources.files("wenfang"))) / "bundles"


def find_bundle(name: str) -> Path:
    """The folder of a bundle by its name, or by its path where `name` is one.

    raises NotFoundError that names the nearest
    """
    path = Path(name)
    if path.is_dir() and (path / MANIFEST).exists():
        return path
    for shelf in shelves():
        if (shelf / name / CONFIG).exists() and Path(name).name == name:
            return shelf / name
    names = [str(entry["name"]) for entry in list_bundles()]
    raise NotFoundError(
        "there is no model {name}; did you mean {close}? There are: {names}",
        name=name,
        close=nearest(name, names) or "-",
        names=", ".join(names) or "-",
    )


def list_bundles() -> list[dict[str, Any]]:
    """Name, folder, licence, parameters and summary of every bundle on the shelves."""
    found: dict[str, dict[str, Any]] = {}
    for shelf in shelves():
        for path in sorted(shelf.glob(f"*/{MANIFEST}")):
            content = json.loads(path.read_text("utf-8"))
            facts = content.get("facts", {})
            entry = {
                "name": content.get("name", path.parent.name),
                "licence": content.get("licence"),
                "parameters": facts.get("parameters"),
                "bytes": sum(f.stat().st_size for f in path.parent.iterdir() if f.is_file()),
                "summary": facts.get("summary", ""),
                "folder": str(path.parent),
            }
            found.setdefault(path.parent.name, entry)
    return list(found.values())
