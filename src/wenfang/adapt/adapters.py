"""Adapters as files: a few kilobytes that name the base they were tuned upon by its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from wenfang import config
from wenfang.adapt import lora, prompt
from wenfang.adapt.lora import LoraConfig
from wenfang.adapt.prompt import PromptConfig
from wenfang.checkpoint import BundleFiles
from wenfang.errors import BundleError, ConfigError
from wenfang.models.load import Loaded

ADAPTER = "adapter"
KINDS: dict[str, type[LoraConfig] | type[PromptConfig]] = {
    "lora": LoraConfig,
    "prompt": PromptConfig,
}


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What was tuned upon a base.

    base  name and payload_sha256 of the bundle that it belongs to
    """

    name: str
    settings: LoraConfig | PromptConfig
    base: Mapping[str, str]
    tensors: Mapping[str, Tensor]

    @property
    def kind(self) -> str:
        """ "lora" or "prompt"."""
        return "lora" if isinstance(self.settings, LoraConfig) else "prompt"


def record(settings: LoraConfig | PromptConfig, base: BundleFiles) -> dict[str, Any]:
    """What stands in the config of an adapter's bundle."""
    kind = "lora" if isinstance(settings, LoraConfig) else "prompt"
    return {
        "kind": kind,
        "settings": config.to_dict(settings),
        "base": {
            "name": str(base.manifest["name"]),
            "payload_sha256": str(base.manifest["payload_sha256"]),
        },
    }


def read_adapter(files: BundleFiles) -> Adapter:
    """The adapter in a bundle's folder; raises BundleError where it is none, or damaged."""
    where = str(files.folder / "config.json")
    found = files.config.get(ADAPTER)
    if not isinstance(found, dict) or found.get("kind") not in KINDS:
        raise BundleError("{folder} holds no adapter; name one", folder=files.folder)
    return Adapter(
        name=str(files.manifest["name"]),
        settings=config.from_dict(
            KINDS[str(found["kind"])], found.get("settings", {}), where=where, error=BundleError
        ),
        base=config.convert(
            dict[str, str], found.get("base", {}), where=f"{where}: base", error=BundleError
        ),
        tensors=files.tensors(),
    )


def require_base(adapter: Adapter, base: Mapping[str, Any]) -> None:
    """raises BundleError, naming both, where `base` (a manifest) is not what it was tuned upon."""
    expected = adapter.base.get("payload_sha256", "")
    if base["payload_sha256"] != expected:
        raise BundleError(
            "the adapter {adapter} was tuned upon {name} ({hash}), not upon {other} ({found}); "
            "get that bundle",
            adapter=adapter.name,
            name=adapter.base.get("name", "?"),
            hash=expected[:12],
            other=base["name"],
            found=str(base["payload_sha256"])[:12],
        )


def apply(adapter: Adapter, loaded: Loaded, weight: float = 1.0) -> None:
    """Put an adapter on the model that it was tuned upon, so much of it as `weight` says.

    raises BundleError for another base, ConfigError for learned vectors that are to count less
    """
    require_base(adapter, loaded.manifest)
    if isinstance(adapter.settings, LoraConfig):
        lora.apply(loaded.model, adapter.tensors, adapter.settings, weight)
        return
    if weight != 1:
        raise ConfigError(
            "the adapter {adapter} is of learned vectors, which count wholly or not at all; "
            "leave its weight out",
            adapter=adapter.name,
        )
    prompt.apply(loaded.model, adapter.tensors)
