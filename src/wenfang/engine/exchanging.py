"""Models of other programs taken in, and bundles given to other programs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from wenfang.adapt.adapters import read_adapter
from wenfang.backends.merging import is_adapted, merge_bundle
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import BundleFiles, read_bundle
from wenfang.errors import UsageError
from wenfang.interop.exporting import write_folder
from wenfang.interop.gguf import Precision, write_gguf
from wenfang.interop.huggingface import read_folder
from wenfang.interop.importing import require_new, write_imported
from wenfang.interop.licences import given_licence
from wenfang.interop.peft import write_peft
from wenfang.store import Manifest, home

FORMATS = ("hf", "gguf", "bundle", "peft")
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

    An adapter, or a base with adapters, goes out as the sum of the two, for use without Wenfang or,
    as "bundle", within it; "peft" writes a LoRA adapter alone.

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
    if to == "peft":
        return _export_adapter(bundle, output)
    if to == "bundle":
        return _export_sum(bundle, output)
    if not is_adapted(bundle):
        return _export_whole(read_bundle(find_bundle(bundle)), to, output, chosen)
    with TemporaryDirectory(prefix="wenfang-") as place:
        merged = merge_bundle(bundle, Path(place) / output.stem)
        return _export_whole(read_bundle(merged), to, output, chosen)


def _export_whole(files: BundleFiles, to: str, output: Path, precision: Precision) -> Path:
    if to == "gguf":
        return write_gguf(files, output, precision=precision)
    return write_folder(files, output)


def _export_sum(name: str, output: Path) -> Path:
    if not is_adapted(name):
        raise UsageError(
            "{name} is a bundle already; name a base with adapters, as BASE+ADAPTER:0.5", name=name
        )
    return merge_bundle(name, output)


def _export_adapter(name: str, output: Path) -> Path:
    files = read_bundle(find_bundle(name))
    adapter = read_adapter(files)
    if adapter.kind != "lora":
        raise UsageError(
            "{name} is of learned vectors; peft is given LoRA adapters only", name=adapter.name
        )
    return write_peft(files, adapter.base.get("name", ""), output)
