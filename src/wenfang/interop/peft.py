"""LoRA adapters as folders that the library peft puts on the exported base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wenfang import config
from wenfang.atomic import new_folder, write_bytes, write_json, write_text
from wenfang.checkpoint import CARD, LINEAGE, BundleFiles, save_tensors
from wenfang.errors import BundleError
from wenfang.interop.exporting import licence_fields
from wenfang.interop.families import Family, family_named
from wenfang.interop.importing import TEXTS, require_new
from wenfang.models import MODELS
from wenfang.store import from_record, to_record

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
UP = ".lora_B.weight"
HEADS = ("lm_head", "cls.predictions.decoder")  # whose updates have a scale of their own
TASKS = {
    "gpt": "CAUSAL_LM",
    "gpt2": "CAUSAL_LM",
    "bert": "FEATURE_EXTRACTION",
    "seq2seq": "SEQ_2_SEQ_LM",
}


def write_peft(files: BundleFiles, base: str, output: Path) -> Path:
    """Write a LoRA adapter as the new folder `output`.

    base    what peft shall call the base: the folder that it was exported to
    raises  BundleError for a family that has no counterpart, ConfigError where `output` exists
    """
    require_new(output)
    family = family_named(str(files.config.get("family")))
    where = str(files.folder / "config.json")
    kind = MODELS[family.name].config_class
    model = config.from_dict(kind, files.config.get("model", {}), where=where, error=BundleError)
    with new_folder(output) as new:
        tensors = _tensors(files, family, model)
        save_tensors(tensors, new / ADAPTER_WEIGHTS)
        (new / ADAPTER_WEIGHTS).chmod(0o644)  # safetensors makes it private
        write_json(new / ADAPTER_CONFIG, _settings(files, family, base, tensors))
        for name in TEXTS:
            if (files.folder / name).is_file():
                write_bytes(new / name, (files.folder / name).read_bytes())
        manifest = from_record(files.manifest, error=BundleError)
        write_json(new / LINEAGE, [*files.ancestors(), to_record(manifest)])
        write_text(new / CARD, _card(files, base))
    return output


def _tensors(files: BundleFiles, family: Family, model: Any) -> dict[str, Tensor]:
    """The thin matrices by peft's names; where a matrix of theirs is scaled, so is its update."""
    made = {}
    for name, tensor in files.stored_tensors().items():
        matrix = name.removesuffix(UP)
        factor = family.scaled(f"{matrix}.weight", model) if name.endswith(UP) else 1.0
        scaled = tensor if factor == 1 else (tensor.double() / factor).to(torch.float32)
        made[PREFIX + name] = scaled.contiguous()
    return made


def _settings(
    files: BundleFiles, family: Family, base: str, tensors: dict[str, Tensor]
) -> dict[str, Any]:
    own = files.config["adapter"]["settings"]
    names = sorted(name[len(PREFIX) : -len(UP)] for name in tensors if name.endswith(UP))
    heads = [name for name in names if name in HEADS]
    power = 0.5 if own["rank_stabilised"] else 1.0
    # peft divides by the rank of the very matrix.
    alpha = own["alpha"] * own["head"] * (own["head_rank"] / own["rank"]) ** power
    return {
        "peft_type": "LORA",
        "task_type": TASKS[family.name],
        "base_model_name_or_path": base,
        "r": own["rank"],
        "lora_alpha": own["alpha"],
        "use_rslora": own["rank_stabilised"],
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": family.name == "gpt2",
        "rank_pattern": dict.fromkeys(heads, own["head_rank"]),
        "alpha_pattern": dict.fromkeys(heads, alpha),
        "target_modules": names,
        "modules_to_save": None,
        "inference_mode": True,
    }


def _card(files: BundleFiles, base: str) -> str:
    body = (files.folder / CARD).read_text("utf-8")
    if body.startswith("---\n") and "\n---\n" in body[3:]:
        body = body[3:].split("\n---\n", 1)[1]
    head = [
        "---",
        *licence_fields(files.manifest.get("licence")),
        "library_name: peft",
        f"base_model: {base}",
        "tags:",
        "- wenfang",
        "- lora",
        "---",
    ]
    return "\n".join([*head, "", body.strip(), ""])
