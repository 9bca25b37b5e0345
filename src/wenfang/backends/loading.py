"""A bundle by its name or folder, ready to run: adapters are put on the base that they name.

`copywriter+RUN:0.5+OTHER` is a base with adapters, each with how much it counts. Such a sum has a
manifest of its own, so that what it makes names the base, every adapter, and all their licences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wenfang.adapt import adapters, lora
from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.backends.shelf import find_bundle, find_same, list_bundles
from wenfang.checkpoint import BundleFiles, read_bundle
from wenfang.data.lineage import joined_licences
from wenfang.errors import BundleError, ConfigError
from wenfang.models.latent_space import LatentSpace
from wenfang.models.load import Companion, Loaded, load
from wenfang.models.vae import VAE
from wenfang.store import Link, Manifest, to_record

PLUS, WEIGHT = "+", ":"
Weighted = tuple[BundleFiles, float]


def load_named(name: str) -> Loaded:
    """The bundle of that name, path, or sum of a base and adapters.

    raises NotFoundError for a name that nothing answers to, BundleError where an adapter is of
    another base, ConfigError for a weight that is no number
    """
    if not is_sum(name):
        return load_folder(find_bundle(name))
    first, *more = name.split(PLUS)
    base, given = load(find_bundle(first)), [weighted(one) for one in more]
    _put_on(base, given)
    manifest = _sum_manifest(base.manifest, given)
    own = {record["id"] for record in base.ancestors}
    further = {
        record["id"]: record
        for record in (
            base.manifest,
            *(one for files, _ in given for one in (*files.ancestors(), files.manifest)),
        )
        if record["id"] not in own
    }
    return replace(base, manifest=manifest, further=tuple(further.values()))


def is_sum(name: str) -> bool:
    """Whether a name is that of a base with adapters."""
    return PLUS in name and not Path(name).exists()


def load_folder(folder: Path, base_folder: Path | None = None) -> Loaded:
    """The bundle in a folder; an adapter's, on its base, the updates added in.

    base_folder  where the base lies; else it is looked for on the shelves and among the runs
    """
    files = read_bundle(folder)
    if adapters.ADAPTER not in files.config:
        return load(folder)
    adapter = adapters.read_adapter(files)
    base = load(base_folder or base_of(adapter))
    _put_on(base, [(files, 1.0)])
    return replace(base, folder=folder, manifest=files.manifest)


def started_from(loaded: Loaded) -> Path | None:
    """The folder of the bundle that another one started from; None where it is not at hand."""
    ids = {link["id"] for link in loaded.manifest["inputs"] if link["role"] == "base"}
    hashes = (str(one["payload_sha256"]) for one in loaded.ancestors if one["id"] in ids)
    return next((folder for folder in map(find_same, hashes) if folder), None)


def _put_on(base: Loaded, given: list[Weighted]) -> None:
    """Adapters on the model that they belong to, their updates added in."""
    for files, weight in given:
        adapters.apply(adapters.read_adapter(files), base, weight)
    lora.merge(base.model)


def _sum_manifest(base: Mapping[str, Any], given: list[Weighted]) -> dict[str, Any]:
    """The node of a base with adapters."""
    parts = [(files.manifest, weight) for files, weight in given]
    names = [str(one["name"]) + ("" if w == 1 else f"{WEIGHT}{w:g}") for one, w in parts]
    hashes = [[base["payload_sha256"], 1.0], *([one["payload_sha256"], w] for one, w in parts)]
    content = canonical_json(hashes)
    manifest = Manifest(
        kind="bundle",
        name=PLUS.join((str(base["name"]), *names)),
        media_type=str(base["media_type"]),
        payload_sha256=sha256_bytes(content),
        payload_bytes=len(content),
        inputs=(
            Link(role="base", id=str(base["id"])),
            *(Link(role="adapter", id=str(one["id"])) for one, _ in parts),
        ),
        licence=joined_licences(one.get("licence") for one in (base, *(one for one, _ in parts))),
        facts={"parameters": base["facts"].get("parameters"), "weights": [w for _, w in parts]},
    )
    return to_record(manifest)


def weighted(text: str) -> Weighted:
    """`NAME` or `NAME:0.5` as an adapter's files and its weight."""
    name, mark, number = text.rpartition(WEIGHT)
    if not mark or Path(text).exists():
        return read_bundle(find_bundle(text)), 1.0
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise ConfigError(
            "{text}: the weight of an adapter is a number, as in {name}:0.5", text=text, name=name
        )
    return read_bundle(find_bundle(name)), weight


def base_of(adapter: adapters.Adapter) -> Path:
    """The folder of the bundle that an adapter was tuned upon, by its hash."""
    name, expected = adapter.base.get("name", ""), adapter.base.get("payload_sha256", "")
    folder = find_same(expected)
    if folder:
        return folder
    raise BundleError(
        "the adapter {adapter} was tuned upon {name} ({hash}), which is not here{other}; name "
        "it as in BASE+{adapter}, or get that bundle",
        adapter=adapter.name,
        name=name,
        hash=expected[:12],
        other=_other(name),
    )


def same_bundle(companion: Companion, needed_by: str) -> Path:
    """The folder of another bundle that one draws with; raises BundleError where the very same is
    neither on a shelf nor among the runs.
    """
    folder = find_same(companion.payload_sha256)
    if folder:
        return folder
    raise BundleError(
        "{model} draws with {name} ({hash}), which is not here{other}; put that bundle into "
        "the folder bundles of WENFANG_HOME",
        model=needed_by,
        name=companion.name,
        hash=companion.payload_sha256[:12],
        other=_other(companion.name),
    )


def latent_space(loaded: Loaded) -> LatentSpace:
    """Where a denoiser can draw; raises BundleError for a bundle without maps of latents."""
    scales = loaded.painting.scales if loaded.painting else None
    if not isinstance(loaded.model, VAE) or scales is None:
        raise BundleError(
            "{name} is no autoencoder with a map of latents; choose another", name=loaded.name
        )
    return LatentSpace(vae=loaded.model, scales=scales)


def _other(name: str) -> str:
    """The hash of what has the name here, in brackets; nothing where nothing has."""
    found = [str(one["payload_sha256"]) for one in list_bundles() if one["name"] == name]
    return f" ({found[0][:12]})" if found else ""
