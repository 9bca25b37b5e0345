"""Write the cards of bundles anew from what they record, with nothing trained and nothing measured.

    python tools/renew_card.py FOLDER …            write them, and the manifests with their hashes
    python tools/renew_card.py --check FOLDER …    exit 1 if a card is not what would be written

For words that change in `wenfang.recipes.card`. No other file of a bundle is touched; its id, which
is a hash of all of them, becomes another one, and the old one and the new one are printed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from wenfang.atomic import canonical_json, sha256_bytes, write_json, write_text
from wenfang.checkpoint import CARD, MANIFEST, BundleFiles, file_hashes, read_bundle
from wenfang.data.request import UNKNOWN_LICENCE
from wenfang.recipes.card import CardContent, render_card
from wenfang.recipes.recipe import Recipe
from wenfang.store import Manifest, from_record, to_record


def card_of(files: BundleFiles) -> str:
    """The card as it would be written today."""
    manifest = from_record(files.manifest)
    before = {one.id: one for one in map(from_record, files.ancestors())}
    inputs = {link.role: before[link.id] for link in manifest.inputs if link.id in before}
    facts: dict[str, Any] = dict(manifest.facts)
    dataset, recipe = inputs["dataset"], dict[str, Any](inputs["recipe"].facts)
    sources = tuple(before[link.id] for link in dataset.inputs)
    base = facts.get("base", {})
    return render_card(
        CardContent(
            recipe=Recipe.from_dict(recipe["recipe"]),
            parameters=facts["parameters"],
            sources=sources,
            dataset=dataset,
            numbers=facts["numbers"],
            steps_done=facts["steps"],
            licence=manifest.licence or UNKNOWN_LICENCE,
            base=base.get("name", ""),
            base_licence=base.get("licence") or UNKNOWN_LICENCE,
        )
    )


def renew(folder: Path) -> tuple[Manifest, Manifest]:
    """Card and manifest anew; the manifest before and after."""
    files = read_bundle(folder)
    old = from_record(files.manifest)
    write_text(folder / CARD, card_of(files))
    hashes = file_hashes(folder)
    new = replace(
        old,
        payload_sha256=sha256_bytes(canonical_json(hashes)),
        payload_bytes=sum((folder / name).stat().st_size for name in hashes),
        facts={**old.facts, "files": hashes},
    )
    write_json(folder / MANIFEST, to_record(new))
    return old, new


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Renew or check the bundles that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args()
    stale = 0
    for folder in asked.folders:
        if asked.check:
            same = (folder / CARD).read_text("utf-8") == card_of(read_bundle(folder))
            stale += not same
            say(f"{folder}: {'as it would be written' if same else 'would be another'}")
            continue
        old, new = renew(folder)
        say(f"{folder}: {old.id[:16]} -> {new.id[:16]}")
    return min(stale, 1)


if __name__ == "__main__":
    sys.exit(main())
