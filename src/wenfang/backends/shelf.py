"""Where bundles are found: those that ship, those of this home, and any folder by its path."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from wenfang.checkpoint import CONFIG, MANIFEST
from wenfang.config import nearest
from wenfang.errors import BundleError, NotFoundError
from wenfang.store import home, read_manifest


def shelves() -> tuple[Path, ...]:
    """Folders whose sub-folders are bundles; the user's own come before those that ship."""
    return home() / "bundles", Path(str(resources.files("wenfang"))) / "bundles"


def find_bundle(name: str) -> Path:
    """The folder of a bundle by its name, or by its path or that of its run.

    raises NotFoundError that names the nearest
    """
    path = Path(name)
    for folder in (path, path / "bundle"):  # a bundle's folder, or that of a run
        if path.is_dir() and (folder / CONFIG).exists():
            return folder
    for shelf in shelves():
        if (shelf / name / CONFIG).exists() and Path(name).name == name:
            return shelf / name
    names = [str(entry["name"]) for entry in list_bundles()]
    raise NotFoundError(
        "there is no model {name}; did you mean {close}? There are: {names}",
        name=name,
        close=nearest(name, names) or next(iter(names), "verse"),
        names=", ".join(names) or "-",
    )


def list_bundles() -> list[dict[str, Any]]:
    """Name, folder, licence, parameters and summary of every bundle on the shelves."""
    found: dict[str, dict[str, Any]] = {}
    for shelf in shelves():
        for path in sorted(shelf.glob(f"*/{MANIFEST}")):
            found.setdefault(path.parent.name, _entry(path))
    return list(found.values())


def _entry(path: Path) -> dict[str, Any]:
    """What a list tells of a bundle; of a damaged one, that it is."""
    try:
        manifest = read_manifest(path, error=BundleError)
        facts, name, licence = manifest.facts, manifest.name, manifest.licence
    except BundleError as error:
        facts, name, licence = {"summary": str(error)}, path.parent.name, None
    return {
        "name": name,
        "licence": licence,
        "parameters": facts.get("parameters"),
        "bytes": sum(f.stat().st_size for f in path.parent.iterdir() if f.is_file()),
        "summary": facts.get("summary", ""),
        "folder": str(path.parent),
    }
