"""From a bundle to a folder that `transformers` loads, with equal logits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wenfang import config
from wenfang.atomic import new_folder, write_json, write_text
from wenfang.checkpoint import CARD, LINEAGE, BundleFiles, save_tensors
from wenfang.data.request import UNKNOWN_LICENCE
from wenfang.data.training_index import INDEX as TRAINING_INDEX
from wenfang.errors import BundleError
from wenfang.interop.families import Family, family_named
from wenfang.interop.folder import CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS
from wenfang.interop.huggingface import OWN, expected_shapes, own_fields
from wenfang.interop.importing import ORIGIN, TEXTS, require_new
from wenfang.interop.licences import BY_LOWER_CASE
from wenfang.interop.marks import describe_tokens, exported_tokenizer, read_tokenizer
from wenfang.models import MODELS
from wenfang.store import Manifest, from_record, to_record

TASKS = {
    "gpt": "text-generation",
    "gpt2": "text-generation",
    "bert": "fill-mask",
    "seq2seq": "text2text-generation",
}


def model_config(files: BundleFiles) -> Any:
    """The family's Config of a bundle; BundleError where it cannot be exported or does not fit."""
    family = family_named(str(files.config.get("family")))
    where = str(files.folder / "config.json")
    kind = MODELS[family.name].config_class
    model = config.from_dict(kind, files.config.get("model", {}), where=where, error=BundleError)
    stored = files.stored_tensors()
    found = {name: tuple(tensor.shape) for name, tensor in stored.items()}
    if found != expected_shapes(family.name, model):
        raise BundleError("{path}: the config does not fit the weights", path=where)
    return model


def write_folder(files: BundleFiles, output: Path) -> Path:
    """Write a bundle as the new folder `output` for transformers.

    Weights stay in the kind of number that they are stored in; config.json asks for float32, in
    which both programs compute.
    raises  BundleError for a family that has no counterpart, ConfigError where `output` exists
    """
    require_new(output)
    family, model = family_named(str(files.config.get("family"))), model_config(files)
    manifest = from_record(files.manifest, error=BundleError)
    tokens = _tokens(files)
    record = {**family.write(model), **_ids(tokens, files), "dtype": "float32"}
    with new_folder(output) as new:
        write_json(new / CONFIG, {**record, OWN: own_fields(files.config)})
        write_json(new / GENERATION, _generation(record, model.context))
        save_tensors(_tensors(family, model, files), new / WEIGHTS)
        (new / WEIGHTS).chmod(0o644)  # safetensors makes it private
        if files.tokenizer is not None:
            write_text(new / TOKENIZER, exported_tokenizer(files.tokenizer, family.name))
            write_json(new / TOKENIZER_CONFIG, _tokenizer_config(tokens, model.context))
        _copy(files.folder, new)
        ancestors = [*files.ancestors(), to_record(manifest)]
        write_json(new / LINEAGE, ancestors)
        write_text(new / CARD, _card(files, family, manifest))
    return output


def _tensors(family: Family, model: Any, files: BundleFiles) -> dict[str, Tensor]:
    made = {}
    for name, tensor in files.stored_tensors().items():
        factor = family.scaled(name, model)
        if factor != 1:
            # One step longer than it is stored, so that the way back ends where it began.
            longer = torch.float64 if tensor.dtype == torch.float32 else torch.float32
            tensor = (tensor.double() / factor).to(longer)
        made[name] = (tensor.t() if family.turned.search(name) else tensor).contiguous()
    return made


def _tokens(files: BundleFiles) -> dict[str, str]:
    """transformers' names of what a special token does, to the tokens of this vocabulary."""
    if files.tokenizer is None:
        return {}
    inner = read_tokenizer(files.tokenizer, files.folder / TOKENIZER)
    return describe_tokens(inner, files.config.get("special_tokens", {}))


def _ids(tokens: Mapping[str, str], files: BundleFiles) -> dict[str, int | None]:
    """Ids of the tokens that generation needs; None, lest transformers takes those of another."""
    names = ("bos_token", "eos_token", "pad_token")
    if files.tokenizer is None:
        return {f"{name}_id": None for name in names}
    inner = read_tokenizer(files.tokenizer, files.folder / TOKENIZER)
    return {
        f"{name}_id": inner.token_to_id(tokens[name]) if name in tokens else None for name in names
    }


def _generation(record: Mapping[str, Any], context: int) -> dict[str, Any]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    told = {name: record[name] for name in names if record.get(name) is not None}
    return {**told, "max_length": context}


def _tokenizer_config(tokens: Mapping[str, str], context: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        **tokens,
    }


def _copy(folder: Path, new: Path) -> None:
    """Words that travel with the weights, and the index of the training material."""
    for name in (*TEXTS, ORIGIN, TRAINING_INDEX):
        if (folder / name).is_file():
            (new / name).write_bytes((folder / name).read_bytes())


def licence_fields(licence: str | None) -> list[str]:
    """The front matter that Hugging Face reads a licence from."""
    if not licence or licence == UNKNOWN_LICENCE:
        return ["license: unknown"]
    if licence in BY_LOWER_CASE.values():
        return [f"license: {licence.lower()}"]
    return ["license: other", f"license_name: {licence}"]


def _card(files: BundleFiles, family: Family, manifest: Manifest) -> str:
    """The bundle's card, with the front matter that Hugging Face reads and the lineage."""
    ancestors = [from_record(one, error=BundleError) for one in files.ancestors()]
    rows = [
        f"| {one.kind} | {one.name} | {one.licence or '-'} | `{one.id[:16]}` |"
        for one in (*ancestors, manifest)
    ]
    return "\n".join(
        [
            "---",
            *licence_fields(manifest.licence),
            "library_name: transformers",
            f"pipeline_tag: {TASKS[family.name]}",
            "tags:",
            "- wenfang",
            "---",
            "",
            _body((files.folder / CARD).read_text("utf-8")),
            "",
            "## Lineage",
            "",
            "What this model was made from; the manifests are in `lineage.json`.",
            "",
            "| kind | name | licence | id |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _body(card: str) -> str:
    """A card without its front matter."""
    if card.startswith("---\n") and "\n---\n" in card[3:]:
        card = card[3:].split("\n---\n", 1)[1]
    return card.strip()
