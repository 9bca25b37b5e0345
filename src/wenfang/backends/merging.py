"""Adapters added into their base for good: a bundle of its own, as quick as the base."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from wenfang.adapt.adapters import ADAPTER, read_adapter
from wenfang.atomic import (
    canonical_json,
    new_folder,
    sha256_bytes,
    write_bytes,
    write_json,
    write_text,
)
from wenfang.backends.loading import PLUS, base_of, is_sum, load_named, weighted
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import (
    CARD,
    LINEAGE,
    MANIFEST,
    BundleFiles,
    file_hashes,
    fill_bundle,
    read_bundle,
)
from wenfang.data.training_index import INDEX, TrainingIndex
from wenfang.errors import BundleError, ConfigError
from wenfang.interop.importing import NOTICE, TEXTS, require_new
from wenfang.models.load import Loaded
from wenfang.models.seq2seq import Seq2Seq
from wenfang.store import Link, Manifest, to_record

HEAD = "lm_head.weight"


def is_adapted(name: str) -> bool:
    """Whether a name is that of an adapter, or of a base with adapters."""
    return is_sum(name) or ADAPTER in read_bundle(find_bundle(name)).config


def merge_bundle(name: str, output: Path) -> Path:
    """Write the bundle of `base+adapter:0.5` or of an adapter on its base, as the folder `output`.

    Weights are stored in the kind of number of the base's.
    raises  ConfigError for learned vectors, which cannot be added in, or where `output` exists
    """
    require_new(output)
    loaded = load_named(name)
    base, added = _parts(name)
    learned = [one for one in added if read_adapter(one).kind == "prompt"]
    if learned:
        raise ConfigError(
            "{name} is of learned vectors, which cannot be added into weights; use it beside its "
            "base",
            name=learned[0].manifest["name"],
        )
    tensors = _tensors(loaded, base)
    with new_folder(output) as new:
        fill_bundle(new, _config(base, tensors), tensors, base.tokenizer)
        _copy_texts(base, added, new)
        records = {one["id"]: one for one in (*loaded.ancestors, loaded.manifest)}
        write_json(new / LINEAGE, list(records.values()))
        write_text(new / CARD, _card(loaded, output.name))
        _finish(new, loaded, output.name)
    return output


def _parts(name: str) -> tuple[BundleFiles, list[BundleFiles]]:
    """The base, and the adapters that are put on it."""
    if is_sum(name):
        first, *more = name.split(PLUS)
        return read_bundle(find_bundle(first)), [weighted(one)[0] for one in more]
    files = read_bundle(find_bundle(name))
    return read_bundle(base_of(read_adapter(files))), [files]


def _tensors(loaded: Loaded, base: BundleFiles) -> dict[str, Tensor]:
    """The sums, under the base's names and in its kind of number.

    A head that the base shares with its table of tokens, and an adapter changes, comes on top.
    """
    stored, own = base.stored_tensors(), dict(loaded.model.named_parameters())
    sums = {name: own[name].detach().to(kept.dtype).contiguous() for name, kept in stored.items()}
    added = own.keys() - stored.keys()
    if added == {HEAD}:
        # An encoder-decoder shortens the stream before a shared head, and not before its own.
        width = loaded.model.config.width  # type: ignore[union-attr]
        factor = width**-0.5 if isinstance(loaded.model, Seq2Seq) else 1.0  # type: ignore[operator]
        kind = next(iter(stored.values())).dtype
        sums[HEAD] = (own[HEAD].detach() * factor).to(kind).contiguous()
    elif added:
        raise BundleError(
            "{name} changes {weights}, which its base does not have; it cannot be added in",
            name=loaded.name,
            weights=", ".join(sorted(added)),
        )
    return sums


def _config(base: BundleFiles, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """That of the base, whose head may have become one of its own."""
    model = base.config.get("model", {})
    own = HEAD in tensors and model.get("tied_head")
    return {**base.config, "model": {**model, "tied_head": False}} if own else base.config


def _copy_texts(base: BundleFiles, added: list[BundleFiles], new: Path) -> None:
    """Words that travel with the weights, and the index of all that was learnt from."""
    for name in TEXTS:
        if name != NOTICE and (base.folder / name).is_file():
            write_bytes(new / name, (base.folder / name).read_bytes())
    notices = [
        f"{one.manifest['name']}:\n{(one.folder / NOTICE).read_text('utf-8')}"
        for one in (base, *added)
        if (one.folder / NOTICE).is_file()
    ]
    write_text(new / NOTICE, "\n".join(notices))
    paths = [one.folder / INDEX for one in (base, *added) if (one.folder / INDEX).is_file()]
    if paths:
        whole, *others = map(TrainingIndex.load, paths)
        for other in others:
            whole = whole.joined(other)
        whole.save(new / INDEX)


def _card(loaded: Loaded, name: str) -> str:
    return "\n".join(
        [
            "---",
            f"name: {name}",
            f"licence: {loaded.manifest.get('licence')}",
            "---",
            "",
            f"# {name}",
            "",
            f"`{loaded.name}`: a base with adapters added into its weights. What each was made "
            "from and measured stands in its own card; the sum was not measured.",
            "",
        ]
    )


def _finish(new: Path, loaded: Loaded, name: str) -> None:
    files = file_hashes(new)
    facts: dict[str, Any] = {
        "parameters": sum(one.numel() for one in loaded.model.parameters()),
        "steps": 0,
        "summary": f"{loaded.name}, added into one",
        "files": files,
        "numbers": {},
    }
    manifest = Manifest(
        kind="bundle",
        name=name,
        media_type="application/x-wenfang-bundle",
        payload_sha256=sha256_bytes(canonical_json(files)),
        payload_bytes=sum((new / file).stat().st_size for file in files),
        inputs=(Link(role="sum", id=str(loaded.manifest["id"])),),
        licence=loaded.manifest.get("licence"),
        facts=facts,
    )
    write_json(new / MANIFEST, to_record(manifest))
