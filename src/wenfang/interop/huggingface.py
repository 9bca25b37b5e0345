"""Hugging Face folders of known architectures, read: config, weights and tokenizer that fit.

What is read is exactly what `transformers` computes with these files, or an error that names the
field, the tensor or the token that stands against it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from wenfang import config
from wenfang.errors import BundleError, ConfigError
from wenfang.interop.families import Family, family_of
from wenfang.interop.folder import (
    CONFIG,
    KINDS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    Folder,
    open_folder,
    read_object_if_there,
    read_text,
)
from wenfang.interop.marks import read_tokenizer, size_of, special_tokens
from wenfang.interop.names import Names, renamed
from wenfang.interop.settings import Settings
from wenfang.language import t
from wenfang.models import MODELS, gpt

# What an export says beyond what transformers knows: the layout, and how training began.
OWN = "wenfang"
FAULTS_SHOWN = 6
FIRST_VALUES = {
    *(Tensor.uniform_, Tensor.normal_, Tensor.fill_, Tensor.zero_),
    *(nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.ones_, nn.init.zeros_),
}


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A model read from a Hugging Face folder, in our terms.

    model           the family's Config
    tensors         our weights by name, in the kind of number that they are stored in
    tokenizer       the content of tokenizer.json
    special_tokens  our names of special tokens to those of its vocabulary
    layout          what it was trained for, as far as the folder tells
    """

    folder: Folder
    family: Family
    model: Any
    tensors: dict[str, Tensor]
    tokenizer: str
    special_tokens: dict[str, str]
    layout: str


def read_folder(path: Path, *, context: int | None = None) -> Foreign:
    """Read a folder of GPT-2, Llama, Qwen2, Qwen3, BERT or T5.

    context  fewer positions than the folder's model has; where positions are learned the first
             ones are kept
    raises   BundleError that names what is unknown, unsafe, missing or does not fit
    """
    folder = open_folder(path)
    where = path / CONFIG
    family = family_of(where, folder.config)
    settings = Settings(path=where, record=folder.config)
    settings.only("quantization_config", None)
    theirs = renamed(folder.weights, family.prefix, family.ignored, dict(family.old))
    names = Names(folder=folder, theirs=theirs)
    model = _shape(family, settings, names)
    _require_fit(family, model, names)
    tokenizer, special = _read_tokenizer(folder, settings, model.vocabulary_size)
    tensors = {own: _tensor(family, names, own) for own in sorted(names.theirs)}
    model = _with_context(model, context, tensors)
    if isinstance(model, gpt.Config):
        settings.require_rotary_room(model.context, model.key_width)
    return Foreign(
        folder=folder,
        family=family,
        model=_with_own_fields(model, folder.config),
        tensors=tensors,
        tokenizer=tokenizer,
        special_tokens=special,
        layout=_layout(family, settings),
    )


def _shape(family: Family, settings: Settings, names: Names) -> Any:
    try:
        return family.read(settings, names)
    except ConfigError as error:
        raise BundleError("{path}: {reason}", path=settings.path, reason=error) from None


def _layout(family: Family, settings: Settings) -> str:
    own = settings.record.get(OWN)
    if not isinstance(own, Mapping):
        return family.layouts[0]
    inner = Settings(path=settings.path, record=own)
    return str(inner.only("layout", *family.layouts))


def _with_own_fields(model: Any, record: Mapping[str, Any]) -> Any:
    own = record.get(OWN)
    start = own.get("zero_init_outputs") if isinstance(own, Mapping) else None
    if isinstance(start, bool) and hasattr(model, "zero_init_outputs"):
        return replace(model, zero_init_outputs=start)
    return model


class _Undrawn(TorchFunctionMode):
    """Passes over the first values of weights, and has positions counted in memory: for either
    torch would import a compiler if the tensors have none, which takes as long as torch itself.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in FIRST_VALUES:
            return args[0] if args else given["tensor"]
        if func is torch.arange:
            given["device"] = "cpu"
        return func(*args, **given)


def expected_shapes(name: str, model: Any) -> dict[str, tuple[int, ...]]:
    """The weights that a family's model has, without room taken for any."""
    if isinstance(model, gpt.Config):
        model = replace(model, context=1)  # whose positions are no weights
    with torch.device("meta"), _Undrawn():
        built: nn.Module = MODELS[name](model)
    return {own: tuple(weight.shape) for own, weight in built.named_parameters()}


def _require_fit(family: Family, model: Any, names: Names) -> None:
    """Every weight is there, in its shape and in a known kind of number, and none is left over."""
    folder, expected = names.folder, expected_shapes(family.name, model)
    faults = [t("{name} is missing", name=own) for own in expected if not names.has(own)]
    for own, stored in names.theirs.items():
        if stored not in folder.weights:
            faults.append(t("{name} is missing", name=own))
            continue
        weight = folder.weights[stored]
        shape = weight.shape[::-1] if family.turned.search(own) else weight.shape
        if own not in expected:
            faults.append(t("{name} is unknown", name=stored))
        elif shape != expected[own]:
            said = {"name": stored, "found": weight.shape, "expected": expected[own]}
            faults.append(t("{name} has the shape {found} instead of {expected}", **said))
        elif weight.kind not in KINDS:
            faults.append(
                t("{name} holds numbers of the kind {kind}", name=stored, kind=weight.kind)
            )
    if faults:
        more = len(faults) - FAULTS_SHOWN
        shown = [*faults[:FAULTS_SHOWN], *([t("and {count} more", count=more)] if more > 0 else [])]
        raise BundleError(
            "{path}: the weights do not fit the config: {faults}",
            path=folder.path,
            faults="; ".join(shown),
        )


def _read_tokenizer(
    folder: Folder, settings: Settings, vocabulary_size: int
) -> tuple[str, dict[str, str]]:
    path = folder.path / TOKENIZER
    if not path.is_file():
        raise BundleError(
            "{folder} has no {name}; save its tokenizer again with a recent transformers",
            folder=folder.path,
            name=TOKENIZER,
        )
    text = read_text(path)
    inner = read_tokenizer(text, path)
    if size_of(inner) > vocabulary_size:
        raise BundleError(
            "{path} knows {found} tokens, the model only {size}; they do not belong together",
            path=path,
            found=size_of(inner),
            size=vocabulary_size,
        )
    described = read_object_if_there(folder.path / TOKENIZER_CONFIG)
    if "auto_map" in described:
        raise BundleError(
            "{path} asks for code of its own (auto_map), which is never run; "
            "only architectures that are built in can be imported",
            path=folder.path / TOKENIZER_CONFIG,
        )
    return text, special_tokens(inner, described, settings)


def _tensor(family: Family, names: Names, own: str) -> Tensor:
    """One of our weights, in the kind of number that the folder has it in."""
    stored = names.folder.tensor(names.theirs[own])
    if family.turned.search(own):
        stored = stored.t()
    factor = names.factors.get(own)
    if factor is None and stored.dtype == torch.float64:
        return stored.float().contiguous()
    if factor is None:
        # A copy of its own: two names may stand for one tensor.
        return stored.clone(memory_format=torch.contiguous_format)
    return as_short_as(stored.dtype, stored.double() * factor, _dtype(names))


def _dtype(names: Names) -> torch.dtype:
    """The kind of number of most of a folder's tensors."""
    kinds = [weight.kind for weight in names.folder.weights.values()]
    most = max(KINDS, key=kinds.count)
    return {"F16": torch.float16, "BF16": torch.bfloat16}.get(most, torch.float32)


def as_short_as(stored: torch.dtype, exact: Tensor, usual: torch.dtype) -> Tensor:
    """A weight that was computed from a stored one, as `usual` if float32 loses nothing by it.

    exact  float64. A float16 weight that an export divided in float32 comes back as it was, and
           a float32 one that it divided in float64: a bundle that goes out and in is the same.
    """
    single = exact.float()
    if stored == torch.float32 and usual != torch.float32:
        short = single.to(usual)
        if torch.allclose(short.float(), single, rtol=2**-21, atol=0):
            return short.contiguous()
    return single.contiguous()


def _with_context(model: Any, context: int | None, tensors: dict[str, Tensor]) -> Any:
    if context is None or context == model.context:
        return model
    if not 1 <= context <= model.context:
        raise ConfigError(
            "the context is {context}; it must be from 1 to the model's {most}",
            context=context,
            most=model.context,
        )
    for name in ("transformer.wpe.weight", "bert.embeddings.position_embeddings.weight"):
        if name in tensors:
            tensors[name] = tensors[name][:context].clone()
    return replace(model, context=context)


def bundle_config(foreign: Foreign) -> dict[str, Any]:
    """The content of the config.json of a bundle of this model."""
    return {
        "format": 1,
        "family": foreign.family.name,
        "layout": foreign.layout,
        "model": config.to_dict(foreign.model),
        **({"special_tokens": foreign.special_tokens} if foreign.special_tokens else {}),
    }


def describe(foreign: Foreign) -> str:
    """One line on what a model is, for its card."""
    record = foreign.folder.config
    names = record.get("architectures") or [record["model_type"]]
    count = sum(tensor.numel() for tensor in foreign.tensors.values())
    return f"A {names[0]} of {count:,} parameters, imported from {foreign.folder.path.name}"


def own_fields(files_config: Mapping[str, Any]) -> dict[str, Any]:
    """What an export says in its config.json beyond transformers' fields."""
    fields = {"layout": files_config.get("layout", "stream")}
    start = files_config.get("model", {}).get("zero_init_outputs")
    own: dict[str, Any] = json.loads(json.dumps({**fields, "zero_init_outputs": start}))
    return own
