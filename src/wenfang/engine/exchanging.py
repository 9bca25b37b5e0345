"""Models of other programs taken in, and bundles given to other programs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import read_bundle
from wenfang.errors import UsageError
from wenfang.interop.exporting import write_folder
from wenfang.interop.gguf import Precision, write_gguf
from wenfang.interop.huggingface import read_folder
from wenfang.interop.importing import require_new, write_imported
from wenfang.interop.licences import given_licence
from wenfang.store import Manifest, home

FORMATS = ("hf", "gguf")
PRECISIONS: tuple[Precision, ...] = ("float32", "float16")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A bundle that was made from a Hugging Face folder."""

    folder: Path
    manifest: Manifest


def import_model(
    folder: Path,
    output: Path | None = None,
    *,
    name: str | None = None,
    licence: str | None = None,
    context: int | None = None,
) -> Imported:
    """A Hugging Face folder as a bundle; without `output` on the shelf of this home, by its name.

    name     of the bundle; else that of its folder, or of the folder it comes from
    licence  SPDX expression; else what the folder's README says
    context  fewer positions than the model has: a cache takes memory for each
    """
    chosen = name or re.sub(r"[^A-Za-z0-9._-]+", "-", (output or folder).resolve().name).lstrip(
        "-."
    )
    if not NAME.fullmatch(chosen):
        raise UsageError(
            "{name} cannot be a model's name; give one of letters, digits, dots and dashes with "
            "--name",
            name=repr(chosen)[:80],
        )
    place = output or home() / "bundles" / chosen
    require_new(place)
    given = given_licence(licence) if licence else None
    foreign = read_folder(folder, context=context)
    manifest = write_imported(foreign, place, name=chosen, licence=given)
    return Imported(folder=place, manifest=manifest)


def export_model(bundle: str, to: str, output: Path, *, precision: str = "float32") -> Path:
    """A bundle as a folder for transformers ("hf") or a file for llama.cpp ("gguf").

    precision  of the matrices in a GGUF file; a folder keeps what the bundle has
    """
    if to not in FORMATS:
        raise UsageError(
            "there is no format {name}; there are: {names}", name=to, names=", ".join(FORMATS)
        )
    chosen = next((one for one in PRECISIONS if one == precision), None)
    if chosen is None:
        raise UsageError(
            "there is no precision {name}; there are: {names}",
            name=precision,
            names=", ".join(PRECISIONS),
        )
    files = read_bundle(find_bundle(bundle))
    if to == "gguf":
        return write_gguf(files, output, precision=chosen)
    return write_folder(files, output)
