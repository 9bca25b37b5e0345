"""From a Hugging Face folder to a bundle with card, licence and lineage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wenfang.atomic import canonical_json, new_folder, sha256_bytes, sha256_file, write_json
from wenfang.atomic import write_text as write_new_text
from wenfang.checkpoint import CARD, LINEAGE, MANIFEST, file_hashes, fill_bundle
from wenfang.data.request import UNKNOWN_LICENCE
from wenfang.data.training_index import INDEX as TRAINING_INDEX
from wenfang.errors import BundleError, ConfigError
from wenfang.interop.folder import (
    CONFIG,
    GENERATION,
    INDEX,
    TOKENIZER,
    TOKENIZER_CONFIG,
    read_text,
)
from wenfang.interop.huggingface import Foreign, bundle_config, describe
from wenfang.interop.licences import README, folder_licence
from wenfang.store import Link, Manifest, from_record, to_record

NOTICE, ORIGIN = "NOTICE", "ORIGIN.md"
# Words that must travel with the weights.
TEXTS = (NOTICE, "LICENSE", "LICENSE.txt", "LICENSE.md", "USE_POLICY.md")
ANCESTORS_MAX = 1000


def write_imported(
    foreign: Foreign, output: Path, *, name: str, licence: str | None = None
) -> Manifest:
    """Write the bundle of a foreign model into the new folder `output`; returns its manifest.

    licence  what the user says it is; else what the folder's README says, or that it is unknown
    raises   ConfigError where something lies at `output` already
    """
    require_new(output)
    said = folder_licence(foreign.folder.path)
    ancestors = _ancestors(foreign.folder.path)
    source = _source(foreign, said, licence, ancestors)
    with new_folder(output) as new:
        fill_bundle(new, bundle_config(foreign), foreign.tensors, foreign.tokenizer)
        _copy_texts(foreign.folder.path, new, source)
        write_json(new / LINEAGE, [to_record(one) for one in (*ancestors, source)])
        write_new_text(new / CARD, _card(foreign, name, source))
        files = file_hashes(new)
        manifest = Manifest(
            kind="bundle",
            name=name,
            media_type="application/x-wenfang-bundle",
            payload_sha256=sha256_bytes(canonical_json(files)),
            payload_bytes=sum((new / file).stat().st_size for file in files),
            inputs=(Link(role="source", id=source.id),),
            licence=source.licence,
            facts={
                "parameters": sum(tensor.numel() for tensor in foreign.tensors.values()),
                "steps": 0,
                "summary": describe(foreign),
                "files": files,
                "numbers": {},
            },
        )
        write_json(new / MANIFEST, to_record(manifest))
    return manifest


def require_new(output: Path) -> None:
    """ConfigError where something lies at `output`: a folder that is written replaces it."""
    if output.exists():
        raise ConfigError(
            "{path} is there already; remove it or choose another place with -o", path=output
        )


def _ancestors(path: Path) -> list[Manifest]:
    """The lineage that an exported bundle takes with it; none in a folder from elsewhere."""
    where = path / LINEAGE
    if not where.is_file():
        return []
    try:
        records = json.loads(read_text(where))
    except (ValueError, RecursionError):
        raise BundleError("{path} is not JSON; get it again", path=where) from None
    if not isinstance(records, list) or len(records) > ANCESTORS_MAX:
        raise BundleError("{path} is not a list of manifests; get it again", path=where)
    return [from_record(record, where=str(where), error=BundleError) for record in records]


def _source(foreign: Foreign, said: str, given: str | None, ancestors: list[Manifest]) -> Manifest:
    """The node of the folder: its files by hash, what it was made from, its licence."""
    path = foreign.folder.path
    named = (CONFIG, TOKENIZER, TOKENIZER_CONFIG, GENERATION, INDEX, README, *TEXTS)
    files = {path / name for name in named if (path / name).is_file()}
    table = [
        {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256_file(file)}
        for file in sorted(files | set(foreign.folder.weight_files))
    ]
    made_from = [one for one in ancestors if one.kind == "bundle"][-1:]
    return Manifest(
        kind="source",
        name=path.resolve().name,
        media_type="application/x-huggingface-folder",
        payload_sha256=sha256_bytes(canonical_json(table)),
        payload_bytes=sum(int(str(row["bytes"])) for row in table),
        inputs=tuple(Link(role="exported", id=one.id) for one in made_from),
        licence=given or said,
        facts={
            "origin": f"a Hugging Face folder of {foreign.folder.config['model_type']}",
            "notice": "" if (path / NOTICE).is_file() else f"{path.resolve().name}.",
            "licence_said": said,
            "licence_given": given or "",
            "files": table,
        },
    )


def _copy_texts(path: Path, new: Path, source: Manifest) -> None:
    for name in TEXTS:
        if (path / name).is_file():
            write_new_text(new / name, read_text(path / name))
    if (path / README).is_file():
        write_new_text(new / ORIGIN, read_text(path / README))
    if not (new / NOTICE).exists():
        lines = [f"This bundle was imported from {source.name}.", f"Licence: {source.licence}."]
        write_new_text(new / NOTICE, "\n".join(lines) + "\n")
    if (path / TRAINING_INDEX).is_file():  # of an exported bundle
        (new / TRAINING_INDEX).write_bytes((path / TRAINING_INDEX).read_bytes())


def _card(foreign: Foreign, name: str, source: Manifest) -> str:
    facts: dict[str, Any] = source.facts
    count = sum(tensor.numel() for tensor in foreign.tensors.values())
    unknown = source.licence == UNKNOWN_LICENCE
    by = "as given at the import" if facts["licence_given"] else "as its README says"
    lines = [
        "---",
        f"name: {name}",
        f"family: {foreign.family.name}",
        f"parameters: {count}",
        f"licence: {source.licence}",
        "---",
        "",
        f"# {name}",
        "",
        f"{describe(foreign)}. Nothing here was trained or measured by Wenfang.",
        "",
        "## Licence",
        "",
        "Unknown: nobody said it. What is not said is not allowed; do not publish or sell what "
        "this model makes before you know it."
        if unknown
        else f"{source.licence}, {by}.",
        "",
        "## Origin",
        "",
        f"The folder `{source.name}`, content `{source.payload_sha256}`; every file's hash is in "
        "`lineage.json`."
        + (" Its own card is `ORIGIN.md`." if (foreign.folder.path / README).is_file() else ""),
        "",
    ]
    return "\n".join(lines)
