"""Bundles (weights that can be used) and training states (weights that can go on).

A bundle is a folder: config.json, model.safetensors, tokenizer.json if any, README.md (the card),
manifest.json (lineage, with the hash of every file), and further files such as an index of the
training material. Nothing is unpickled: only safetensors and JSON are read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from wenfang.atomic import new_folder, sha256_file, write_json, write_text
from wenfang.errors import BundleError, DiskError, TrainingError
from wenfang.int8 import quantise, restore

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
CARD, MANIFEST, LINEAGE = "README.md", "manifest.json", "lineage.json"
PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
STEP_PREFIX = "step_"
# A matrix in 8 bits has its scales beside it, under its name and this.
SCALES, LEAST_IN_EIGHT_BITS = ":scales", 4096


@dataclass(frozen=True, kw_only=True)
class BundleFiles:
    """What a bundle's folder holds, read and verified; weights are read by `tensors`."""

    folder: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    tokenizer: str | None

    def tensors(self) -> dict[str, Tensor]:
        """The weights as float32."""
        return {name: tensor.float() for name, tensor in self.stored_tensors().items()}

    def ancestors(self) -> list[dict[str, Any]]:
        """Manifests of what it was made from, sources first, as records."""
        path = self.folder / LINEAGE
        found: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
        return found

    def stored_tensors(self) -> dict[str, Tensor]:
        """The weights in the kind of number that they are stored in; float32 for 8 bits."""
        try:
            found = _out_of_eight_bits(load_file(self.folder / WEIGHTS))
        except SafetensorError as error:
            raise BundleError(
                "{path} is not a readable safetensors file: {reason}",
                path=self.folder / WEIGHTS,
                reason=error,
            ) from None
        return found


def read_bundle(folder: Path) -> BundleFiles:
    """Read a bundle's folder; every file must have the hash that the manifest records.

    raises BundleError naming the file that is missing, unsafe or damaged
    """
    if not folder.is_dir():
        raise BundleError("{folder} is not a bundle's folder; name one", folder=folder)
    _refuse_pickles(folder)
    _refuse_foreign(folder)
    manifest = _read_json(folder / MANIFEST)
    facts = manifest.get("facts")
    files = facts.get("files") if isinstance(facts, dict) else None
    if not isinstance(files, dict) or WEIGHTS not in files or CONFIG not in files:
        raise BundleError("{path} lists no files; the bundle is incomplete", path=folder / MANIFEST)
    for name, expected in files.items():
        _verify(folder, name, expected)
    return BundleFiles(
        folder=folder,
        config=_read_json(folder / CONFIG),
        manifest=manifest,
        tokenizer=_read_text(folder / TOKENIZER) if TOKENIZER in files else None,
    )


def _refuse_foreign(folder: Path) -> None:
    """BundleError for a folder of transformers, which has a config.json of its own."""
    if (folder / MANIFEST).exists() or not (folder / CONFIG).is_file():
        return
    if "model_type" in _read_json(folder / CONFIG):
        raise BundleError(
            "{folder} is a Hugging Face folder; make a bundle of it with wenfang import",
            folder=folder,
        )


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise BundleError(
                "{path} may hold pickled code, which is never loaded; "
                "convert the weights to safetensors",
                path=path,
            )


def _verify(folder: Path, name: str, expected: object) -> None:
    path = folder / name
    if Path(name).name != name:
        raise BundleError(
            "{path} lists the file {name}, which is outside of the bundle; do not use it",
            path=folder / MANIFEST,
            name=name,
        )
    if not path.is_file():
        raise BundleError("{path} is missing; get the bundle again", path=path)
    if sha256_file(path) != expected:
        raise BundleError(
            "{path} is damaged (its hash differs from the manifest); get the bundle again",
            path=path,
        )


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise BundleError("{path} is missing; get the bundle again", path=path) from None
    except UnicodeDecodeError:
        raise BundleError("{path} is not UTF-8 text; get the bundle again", path=path) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read_text(path))
    except json.JSONDecodeError:
        raise BundleError("{path} is not JSON; get the bundle again", path=path) from None
    if not isinstance(value, dict):
        raise BundleError("{path} is not a JSON object; get the bundle again", path=path)
    return value


def weights_to_store(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """A model's weights on the CPU as `dtype`; a tied weight is stored once."""
    seen: set[int] = set()
    stored = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) not in seen:
            seen.add(id(parameter))
            stored[name] = parameter.detach().to("cpu", dtype).contiguous()
    return stored


def in_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Large matrices and kernels as int8, each with a scale for every row of its first axis.

    What has one axis, or few numbers, stays as it is: it weighs little and errs most.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.numel() < LEAST_IN_EIGHT_BITS:
            found[name] = tensor
            continue
        integers, scales = quantise(tensor.float().flatten(1).numpy())
        found[name] = torch.from_numpy(integers).view(tensor.shape)
        found[name + SCALES] = torch.from_numpy(scales)
    return found


def _out_of_eight_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors.items():
        scales = tensors.get(name + SCALES)
        if scales is not None:
            weight = restore(tensor.flatten(1).numpy(), scales.numpy())
            found[name] = torch.from_numpy(weight).view(tensor.shape)
        elif not name.endswith(SCALES):
            found[name] = tensor
    return found


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Put `tensors` into `model`; raises BundleError that names what does not fit."""
    own = dict(model.named_parameters())
    for name in sorted(own.keys() ^ tensors.keys()):
        raise BundleError(
            "{where}: weight {name} is missing or unknown; the config does not fit the weights",
            where=where,
            name=name,
        )
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != tensors[name].shape:
                raise BundleError(
                    "{where}: weight {name} has shape {found}, the config needs {expected}",
                    where=where,
                    name=name,
                    found=tuple(tensors[name].shape),
                    expected=tuple(parameter.shape),
                )
            parameter.copy_(tensors[name])


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file; its library tells what the disk refuses in an error of its own."""
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise DiskError(
            "{path} could not be written ({reason}); free some space or choose another folder",
            path=path,
            reason=error,
        ) from None


def fill_bundle(
    folder: Path, config: dict[str, Any], tensors: dict[str, Tensor], tokenizer: str | None
) -> dict[str, str]:
    """Write weights, config and tokenizer into a folder under construction; hashes by name."""
    write_json(folder / CONFIG, config)
    save_tensors(tensors, folder / WEIGHTS)
    if tokenizer is not None:
        write_text(folder / TOKENIZER, tokenizer)
    (folder / WEIGHTS).chmod(0o644)  # safetensors makes it private
    return file_hashes(folder)


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle's folder but the manifest, which holds them."""
    return {
        path.name: sha256_file(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }


def save_state(
    runs: Path,
    step: int,
    tensors: dict[str, Tensor],
    state: dict[str, Any],
    *,
    keep: int = 2,
) -> Path:
    """Write the training state after `step` updates; the oldest beyond `keep` are removed."""
    path = runs / f"{STEP_PREFIX}{step:08d}"
    with new_folder(path) as folder:
        save_tensors(tensors, folder / "state.safetensors")
        digest = sha256_file(folder / "state.safetensors")
        write_json(folder / "state.json", {**state, "step": step, "sha256": digest})
    for old in states(runs)[:-keep]:
        shutil.rmtree(old)
    return path


def states(runs: Path) -> list[Path]:
    """Folders of training states, oldest first."""
    return sorted(path for path in runs.glob(f"{STEP_PREFIX}*") if path.is_dir())


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a training state; raises TrainingError if it is damaged."""
    try:
        state: dict[str, Any] = json.loads((path / "state.json").read_text("utf-8"))
        intact = sha256_file(path / "state.safetensors") == state["sha256"]
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError, KeyError):
        intact = False
    if not intact:
        raise TrainingError(
            "{path} is damaged; delete it to resume from the state before", path=path
        )
    return load_file(path / "state.safetensors"), state


def optimizer_tensors(optimizers: list[Optimizer]) -> dict[str, Tensor]:
    """Every tensor of the optimizers' states, named optim.<optimizer>.<parameter>.<name>."""
    return {
        f"optim.{number}.{index}.{name}": tensor
        for number, optimizer in enumerate(optimizers)
        for index, values in optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }


def restore_optimizers(optimizers: list[Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Undo `optimizer_tensors`; learning rates come from the schedule, not from here."""
    for number, optimizer in enumerate(optimizers):
        content = optimizer.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            kind, owner, index, name = (*key.split(".", 3), "", "", "")[:4]
            if kind == "optim" and int(owner) == number:
                state.setdefault(int(index), {})[name] = tensor
        optimizer.load_state_dict({**content, "state": state})
