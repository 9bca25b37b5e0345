"""Where bundles are found: those that ship, those and the runs of this home, any folder by path."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from wenfang.checkpoint import CONFIG, MANIFEST
from wenfang.config import nearest
from wenfang.errors import BundleError, NotFoundError
from wenfang.store import home, read_manifest

RUN_BUNDLE = "bundle"  # the folder of a run that holds its result


def shelves() -> tuple[Path, ...]:
    """Folders whose sub-folders are bundles; the user's own come before those that ship."""
    return home() / "bundles", Path(str(resources.files("wenfang"))) / "bundles"


def find_bundle(name: str) -> Path:
    """The folder of a bundle by its name, that of its run in this home, or by the path of either.

    raises NotFoundError that names the nearest
    """
    path = Path(name)
    for folder in (path, path / RUN_BUNDLE):  # a bundle's folder, or that of a run
        if path.is_dir() and (folder / CONFIG).exists():
            return folder
    if name and Path(name).name == name:
        places = *(shelf / name for shelf in shelves()), home() / "runs" / name / RUN_BUNDLE
        for folder in places:
            if (folder / CONFIG).exists():
                return folder
    names = [str(entry["name"]) for entry in list_bundles()]
    raise NotFoundError(
        "there is no model {name}; did you mean {close}? There are: {names}",
        name=name,
        close=nearest(name, names) or next(iter(names), "verse"),
        names=", ".join(names) or "-",
    )


def find_local(name: str) -> Path | None:
    """The folder of a bundle by its name or path, or None."""
    try:
        return find_bundle(name)
    except NotFoundError:
        return None


def find_same(payload_sha256: str) -> Path | None:
    """The folder of the very bundle with that hash, whatever its name is here, or None."""
    found = (one for one in list_bundles() if one["payload_sha256"] == payload_sha256)
    return next((Path(str(one["folder"])) for one in found), None)


def list_bundles() -> list[dict[str, Any]]:
    """Name, folder, licence, parameters and summary of every bundle on the shelves, and of every
    run of this home that has ended.
    """
    found: dict[str, dict[str, Any]] = {}
    for shelf in shelves():
        for path in sorted(shelf.glob(f"*/{MANIFEST}")):
            found.setdefault(path.parent.name, _entry(path))
    for path in sorted((home() / "runs").glob(f"*/{RUN_BUNDLE}/{MANIFEST}")):
        run = path.parent.parent.name
        found.setdefault(run, {**_entry(path), "name": run})
    return list(found.values())


def _entry(path: Path) -> dict[str, Any]:
    """What a list tells of a bundle; of a damaged one, that it is."""
    try:
        manifest = read_manifest(path, error=BundleError)
        facts, name, licence = manifest.facts, manifest.name, manifest.licence
        payload = manifest.payload_sha256
    except BundleError as error:
        facts, name, licence = {"summary": str(error)}, path.parent.name, None
        payload = None
    return {
        "name": name,
        "licence": licence,
        "parameters": facts.get("parameters"),
        "bytes": sum(f.stat().st_size for f in path.parent.iterdir() if f.is_file()),
        "summary": facts.get("summary", ""),
        "folder": str(path.parent),
        "payload_sha256": payload,
    }
