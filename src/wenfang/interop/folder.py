"""A Hugging Face folder as it lies on the disk: JSON with bounds, and tensors by name.

Only JSON and safetensors are read. Nothing is unpickled, no code of the folder is run, no network
is asked. A tensor is read when it is asked for; until then its name, kind and shape come from the
heads of the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from wenfang.errors import BundleError

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
INDEX = "model.safetensors.index.json"
TOKENIZER_CONFIG, GENERATION = "tokenizer_config.json", "generation_config.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
BYTES_MAX = {CONFIG: 2**20, INDEX: 2**25, TOKENIZER: 2**26, TOKENIZER_CONFIG: 2**22}
OTHER_BYTES_MAX = 2**20
FILES_MAX = 512
# Of the numbers in a weight, by safetensors' names; the longest are cut to float32.
KINDS = ("F32", "F16", "BF16", "F64")


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One tensor of a folder: the file that holds it, the kind of its numbers, and its shape."""

    file: Path
    kind: str
    shape: tuple[int, ...]


def read_text(path: Path) -> str:
    """A text file of a folder; BundleError where it is missing, too large or not UTF-8."""
    most = BYTES_MAX.get(path.name, OTHER_BYTES_MAX)
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            raise BundleError(
                "{path} is longer than {most} bytes, too long for what it should hold",
                path=path,
                most=most,
            )
        return content.decode("utf-8")
    except OSError as error:
        raise BundleError(
            "{path} cannot be read ({reason})", path=path, reason=error.strerror
        ) from None
    except UnicodeDecodeError:
        raise BundleError("{path} is not UTF-8 text; get it again", path=path) from None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds one object."""
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise BundleError("{path} is not JSON; get it again", path=path) from None
    if not isinstance(found, dict):
        raise BundleError("{path} is not a JSON object; get it again", path=path)
    return found


def read_object_if_there(path: Path) -> dict[str, Any]:
    """A JSON file that a folder may lack; empty then."""
    return read_object(path) if path.exists() else {}


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What a Hugging Face folder holds."""

    path: Path
    config: dict[str, Any]
    weights: Mapping[str, Weight]

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The safetensors files."""
        return tuple(sorted({weight.file for weight in self.weights.values()}))

    def tensor(self, name: str) -> Tensor:
        """One tensor as it is stored."""
        found = self.weights[name]
        try:
            with safe_open(found.file, "pt") as stream:
                tensor: Tensor = stream.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise _unreadable(found.file, error) from None
        return tensor


def open_folder(path: Path) -> Folder:
    """Look into a Hugging Face folder; BundleError that names what is missing or unsafe."""
    if not path.is_dir():
        raise BundleError("{folder} is not a folder; name one with a model in it", folder=path)
    config = read_object(path / CONFIG)
    if "auto_map" in config:
        raise BundleError(
            "{path} asks for code of its own (auto_map), which is never run; "
            "only architectures that are built in can be imported",
            path=path / CONFIG,
        )
    weights: dict[str, Weight] = {}
    for file in _weight_files(path):
        for name, weight in _heads(file).items():
            if name in weights:
                raise BundleError(
                    "{path} holds the tensor {name}, which another file holds too",
                    path=file,
                    name=name,
                )
            weights[name] = weight
    return Folder(path=path, config=config, weights=weights)


def _weight_files(path: Path) -> list[Path]:
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    if (path / INDEX).is_file():
        return _shards(path)
    for pattern in PICKLES:
        for found in sorted(path.glob(pattern)):
            raise BundleError(
                "{path} may hold pickled code, which is never loaded; "
                "convert the weights to safetensors",
                path=found,
            )
    raise BundleError(
        "{folder} has no {name}; the weights must be in safetensors", folder=path, name=WEIGHTS
    )


def _shards(path: Path) -> list[Path]:
    """The files that an index of sharded weights names; each must lie in the folder itself."""
    table = read_object(path / INDEX).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise BundleError("{path} has no weight_map; get it again", path=path / INDEX)
    names = {name if isinstance(name, str) else "" for name in table.values()}
    if len(names) > FILES_MAX:
        raise BundleError(
            "{path} names {count} files; at most {most} are read",
            path=path / INDEX,
            count=len(names),
            most=FILES_MAX,
        )
    for name in sorted(names):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise BundleError(
                "{path} names the file {name}, which is no safetensors file of its folder; "
                "do not use it",
                path=path / INDEX,
                name=name[:80],
            )
        if not (path / name).is_file():
            raise BundleError("{path} is missing; get the folder again", path=path / name)
    return [path / name for name in sorted(names)]


def _heads(file: Path) -> dict[str, Weight]:
    """Names, kinds and shapes of a file's tensors; the library checks the head against the size."""
    found = {}
    try:
        with safe_open(file, "pt") as stream:
            for name in stream.keys():  # noqa: SIM118 - not a dictionary
                part = stream.get_slice(name)
                shape = tuple(part.get_shape())
                found[name] = Weight(file=file, kind=str(part.get_dtype()), shape=shape)
    except (SafetensorError, OSError) as error:
        raise _unreadable(file, error) from None
    return found


def _unreadable(file: Path, error: Exception) -> BundleError:
    return BundleError(
        "{path} is not a readable safetensors file: {reason}", path=file, reason=error
    )
