"""lineage, store, identity, doctor: commands about what there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from wenfang.cli import show
from wenfang.cli.options import AsJson
from wenfang.language import t

Asset = Annotated[str, typer.Argument(help=t("An id, six digits or more of it, or a name."))]


def lineage(asset: Asset, as_json: AsJson = False) -> int:
    """Print the way back from an asset, or a published file, to its sources and licences."""
    from wenfang.engine.keeping import asset_of, store
    from wenfang.store import render_lineage

    with store() as held:
        found = held.lineage(asset_of(asset, held))
    if as_json:
        show.as_json(found.to_json())
    else:
        print(render_lineage(found))
    return 0


def store_du(as_json: AsJson = False) -> int:
    """How much the store takes, by kind."""
    from wenfang.config import to_dict
    from wenfang.engine.keeping import store

    with store() as held:
        usage = held.du()
    if as_json:
        show.as_json(to_dict(usage))
        return 0
    rows = [(k, str(v.count), show.size(v.payload_bytes)) for k, v in usage.kinds.items()]
    together = str(sum(v.count for v in usage.kinds.values()))
    show.table(
        [*rows, (t("together"), together, show.size(usage.total_bytes))],
        (t("kind"), t("count"), t("size")),
    )
    return 0


def store_gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=t("Only say what would be removed."))
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Remove drafts and leftovers that nothing published refers to."""
    from wenfang.config import to_dict
    from wenfang.engine.keeping import store

    with store() as held:
        collected = held.gc(dry_run=dry_run)
    if as_json:
        show.as_json(to_dict(collected))
        return 0
    print(
        t(
            "would be removed: {assets} assets and {blobs} files, {size}"
            if dry_run
            else "removed: {assets} assets and {blobs} files, {size}",
            assets=len(collected.assets),
            blobs=len(collected.blobs) + len(collected.partials),
            size=show.size(collected.freed_bytes),
        )
    )
    show.table([(t("kept: {reason}", reason=k), str(v)) for k, v in collected.kept.items()])
    return 0


def store_export(
    asset: Asset,
    output: Annotated[Path, typer.Option("-o", "--output", help=t("A .zip, or a folder."))],
) -> int:
    """Write an asset with all that it came from, zip or folder."""
    from wenfang.engine.keeping import store

    with store() as held:
        print(held.export(asset, output))
    return 0


def store_import(path: Annotated[Path, typer.Argument(help=t("A .zip, or a folder."))]) -> int:
    """Take in what another store exported, every hash checked."""
    from wenfang.engine.keeping import store

    with store() as held:
        print(held.import_from(path).id)
    return 0


def store_delete(
    asset: Asset,
    force: Annotated[
        bool, typer.Option("--force", help=t("Even if something was made from it."))
    ] = False,
) -> int:
    """Delete an asset that nothing was made from."""
    from wenfang.engine.keeping import store

    with store() as held:
        print(t("removed: {size}", size=show.size(held.delete(asset, force=force))))
    return 0


def store_check(as_json: AsJson = False) -> int:
    """Hash everything again and name what is damaged."""
    from wenfang.config import to_dict
    from wenfang.engine.keeping import store
    from wenfang.errors import StoreError

    with store() as held:
        damages = held.check()
    if as_json:
        show.as_json([to_dict(damage) for damage in damages])
    else:
        print("\n".join(map(str, damages)) if damages else t("everything is intact"))
    return StoreError.exit_code if damages else 0


def identity_init(as_json: AsJson = False) -> int:
    """Make the identity of this machine, if there is none."""
    return _show_identity(as_json)


def identity_show(as_json: AsJson = False) -> int:
    """Show the identity; no secret is printed."""
    return _show_identity(as_json)


def _show_identity(as_json: bool) -> int:
    from wenfang.engine.keeping import identity

    facts = identity().show()
    if as_json:
        show.as_json(facts)
    else:
        show.table([(name, str(value)) for name, value in facts.items()])
    return 0


def identity_rotate(
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help=t("The old key may be stolen: trust nothing it signed.")),
    ] = False,
) -> int:
    """Make a new signing key under the same root."""
    from wenfang.engine.keeping import identity

    renewed = identity().rotate(revoke=revoke)
    show.table([(name, str(value)) for name, value in renewed.show().items()])
    return 0


def identity_export(
    output: Annotated[Path, typer.Option("-o", "--output", help=t("The PEM file."))],
) -> int:
    """Write the root certificate for others to trust."""
    from wenfang.engine.keeping import identity

    identity().export(output)
    print(output)
    return 0


def doctor(as_json: AsJson = False) -> int:
    """Look at this installation: versions, fonts, models, identity, store."""
    from wenfang.engine.keeping import diagnose

    found = diagnose()
    if as_json:
        show.as_json(found)
    else:
        show.table([(one["what"], "✓" if one["good"] else "✗", one["finding"]) for one in found])
    return 0 if all(one["good"] for one in found) else 10


COMMANDS: dict[str, Callable[..., int]] = {"lineage": lineage, "doctor": doctor}
STORE_COMMANDS: dict[str, Callable[..., int]] = {
    "du": store_du,
    "gc": store_gc,
    "export": store_export,
    "import": store_import,
    "delete": store_delete,
    "check": store_check,
}
IDENTITY_COMMANDS: dict[str, Callable[..., int]] = {
    "init": identity_init,
    "show": identity_show,
    "rotate": identity_rotate,
    "export": identity_export,
}
