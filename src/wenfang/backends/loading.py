"""A bundle by its name or folder, ready to run: adapters are put on the base that they name.

`copywriter+RUN:0.5+OTHER` is a base with adapters, each with how much it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from wenfang.adapt import adapters, lora
from wenfang.backends.shelf import find_bundle, list_bundles
from wenfang.checkpoint import BundleFiles, read_bundle
from wenfang.errors import BundleError, ConfigError, NotFoundError
from wenfang.models.load import Loaded, load

PLUS, WEIGHT = "+", ":"


def load_named(name: str) -> Loaded:
    """The bundle of that name, path, or sum of a base and adapters.

    raises NotFoundError for a name that nothing answers to, BundleError where an adapter is of
    another base, ConfigError for a weight that is no number
    """
    if PLUS in name and not Path(name).exists():
        base, *more = name.split(PLUS)
        return _with_adapters(load(find_bundle(base)), [_weighted(one) for one in more], name)
    return load_folder(find_bundle(name))


def load_folder(folder: Path) -> Loaded:
    """The bundle in a folder; an adapter's, on its base, the updates added in."""
    files = read_bundle(folder)
    if adapters.ADAPTER not in files.config:
        return load(folder)
    adapter = adapters.read_adapter(files)
    base = load(_base_of(adapter.base, adapter.name))
    return replace(
        _with_adapters(base, [(files, 1.0)], adapter.name),
        folder=folder,
        manifest=files.manifest,
    )


def _with_adapters(base: Loaded, given: list[tuple[BundleFiles, float]], name: str) -> Loaded:
    for files, weight in given:
        adapters.apply(adapters.read_adapter(files), base, weight)
    lora.merge(base.model)
    return base


def _weighted(text: str) -> tuple[BundleFiles, float]:
    """`NAME` or `NAME:0.5` as an adapter's files and its weight."""
    name, mark, number = text.rpartition(WEIGHT)
    if not mark or Path(text).exists():
        return read_bundle(find_bundle(text)), 1.0
    try:
        return read_bundle(find_bundle(name)), float(number)
    except ValueError:
        raise ConfigError(
            "{text}: the weight of an adapter is a number, as in {name}:0.5", text=text, name=name
        ) from None


def _base_of(base: Mapping[str, str], adapter: str) -> Path:
    """The folder of the bundle that an adapter was tuned upon, by its hash."""
    name, expected = base.get("name", ""), base.get("payload_sha256", "")
    folders = [Path(str(one["folder"])) for one in list_bundles() if one["name"] == name]
    with suppress(NotFoundError):
        folders.append(find_bundle(name))
    found = ""
    for folder in folders:
        found = str(read_bundle(folder).manifest["payload_sha256"])
        if found == expected:
            return folder
    raise BundleError(
        "the adapter {adapter} was tuned upon {name} ({hash}), which is not here{other}; get that "
        "bundle and put it on the shelf",
        adapter=adapter,
        name=name,
        hash=expected[:12],
        other=f" ({found[:12]})" if found else "",
    )
