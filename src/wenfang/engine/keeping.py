"""What needs no model: verify, settings of the label, the store of this home."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wenfang import config
from wenfang.errors import ConfigError, IdentityError, SealError, WenfangError
from wenfang.language import t
from wenfang.media.fonts import installed
from wenfang.seal import Identity, LabelSettings, Verdict, own_roots, sealed_id, verify
from wenfang.seal.trust import Trust
from wenfang.store import Store, home
from wenfang.version import __version__

LABEL_SETTINGS = "label.json"


def label_settings() -> LabelSettings:
    """How files are labelled here: `label.json` of the home, if there is one."""
    path = home() / LABEL_SETTINGS
    if not path.exists():
        return LabelSettings()
    try:
        content = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ConfigError("{path} is not JSON; correct or delete it", path=path) from None
    return config.from_dict(LabelSettings, content, where=str(path))


def verify_files(
    paths: Sequence[Path], trust: Sequence[Path] = (), *, strict: bool = False
) -> list[Verdict]:
    """Verdicts on files, folders and zips, trusting our own root and those of `trust` (PEM).

    Where a watermark outlived the seal, the store is asked which manifest it points to.
    """
    roots = (*own_roots(home()), *(_read_root(path) for path in trust))
    return [_pointed(one) for one in verify(paths, roots, strict=strict)]


def _pointed(verdict: Verdict) -> Verdict:
    """With the name of the manifest that a surviving watermark points to, if it is known here."""
    marks = [layer.facts.get("pointer") for layer in verdict.layers if layer.name == "watermark"]
    if verdict.outcome == "good" or not marks or not isinstance(marks[0], str):
        return verdict
    if not (home() / "store").is_dir():
        return verdict
    try:
        with Store.open() as held:
            found = held.manifest(held.resolve(marks[0]).id)
    except WenfangError:
        return verdict
    told = t("{name} in this store, {id}", name=found.name, id=found.id[:12])
    return replace(verdict, summary=f"{verdict.summary} ({told})")


def _read_root(path: Path) -> bytes:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise IdentityError(
            "the root certificate {path} cannot be read ({reason}); give a PEM file",
            path=path,
            reason=error.strerror,
        ) from None
    if not Trust.of([text]).roots:
        raise IdentityError(
            "{path} holds no certificate; give what `wenfang identity export` wrote", path=path
        )
    return text


def identity() -> Identity:
    """The signing identity of this home, made on first use."""
    return Identity.open_or_create(home())


def store() -> Store:
    """The store of this home."""
    return Store.open()


def asset_of(name: str, held: Store) -> str:
    """The full id of an asset: by its id or name, or by a published file that it became."""
    path = Path(name)
    statement = path.with_name(path.name + ".wenfang.json") if path.is_file() else None
    if statement is not None and statement.exists():
        asset = sealed_id(path)
        if asset is None:
            raise SealError(
                "{path} was changed since it was sealed; wenfang verify says more", path=path
            )
        return asset
    return held.resolve(name).id


def _identity_state() -> tuple[bool, str]:
    """Looked at, not made: that is for the first seal, or `identity init`."""
    if not own_roots(home()):
        return True, t("none yet; it is made with the first seal")
    try:
        return True, str(Identity.open(home()).show()["description"])
    except IdentityError as error:
        return False, str(error)


def _store_state() -> tuple[bool, str]:
    if not (home() / "store").is_dir():
        return True, t("none yet; it is made with the first piece")
    try:
        with store() as held:
            return True, t("{count} assets", count=len(held.list()))
    except WenfangError as error:
        return False, str(error)


def diagnose() -> list[dict[str, Any]]:
    """What works on this machine and what does not, one finding each."""
    from wenfang.backends.shelf import list_bundles  # imports torch, which verify does without

    bundles = list_bundles()
    fonts = sorted({path.name for path, _ in (*installed("kai"), *installed("serif"))})
    torch = metadata.version("torch") if find_spec("torch") else "-"
    checks = [
        (t("version"), True, f"wenfang {__version__}, Python {platform.python_version()}"),
        (t("torch"), torch != "-", torch),
        (t("fonts"), bool(fonts), ", ".join(fonts)),
        (t("models"), bool(bundles), ", ".join(str(one["name"]) for one in bundles)),
        (t("home"), True, str(home())),
        (t("identity"), *_identity_state()),
        (t("store"), *_store_state()),
    ]
    return [{"what": what, "good": good, "finding": finding} for what, good, finding in checks]
