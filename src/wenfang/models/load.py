"""From a bundle's folder to a model that can run."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, Literal

from torch import nn

from wenfang import config
from wenfang.checkpoint import LINEAGE, MANIFEST, BundleFiles, load_weights, read_bundle
from wenfang.errors import BundleError, ConfigError
from wenfang.media.mel import MelScale
from wenfang.models import MODELS, CausalModel
from wenfang.models.latent_space import Scales
from wenfang.noise import Path, path_of
from wenfang.store import from_record
from wenfang.tokenizer import Tokenizer

Enlarging = Literal["", "drawn", "smooth", "squares", "traced"]


@dataclass(frozen=True, kw_only=True)
class Companion:
    """Another bundle that a model cannot draw without, by what it is."""

    name: str
    payload_sha256: str


@dataclass(frozen=True, kw_only=True)
class Painting:
    """What a maker of pictures draws.

    classes  their names, in the order that the model knows; empty: it knows none
    scales   of an autoencoder's latent map, for models that draw latents
    latents  the autoencoder in whose latents a denoiser draws; None: it draws pixels
    words    the encoder whose vectors of words a denoiser reads
    upscaler what makes its pictures larger
    enlarged how, unless it is said: see wenfang.backends.draughtsman; "": not said
    path     along which a denoiser was asked; None for other families
    mel      its pictures are levels of sounds, by this scale; None: they are to be seen
    """

    side_px: int
    channels: int
    classes: tuple[str, ...] = ()
    scales: Scales | None = None
    latents: Companion | None = None
    words: Companion | None = None
    upscaler: Companion | None = None
    enlarged: Enlarging = ""
    path: Path | None = None
    mel: MelScale | None = None

    @property
    def companions(self) -> tuple[Companion, ...]:
        """Every other bundle that is needed to draw."""
        return tuple(one for one in (self.latents, self.words) if one)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model ready to run, in float32 and evaluation mode, with what it came from.

    layout     the name in wenfang.data.layouts by which it was trained
    further    manifests of what was put on it, with all that they came from: adapters
    threshold  above it a classifier's probability is a yes, below it a distance of pictures
               tells a near copy; None where nothing is decided
    painting   of what makes pictures
    words      whose vectors of words a reader of texts and pictures needs
    """

    folder: FilePath
    model: nn.Module
    tokenizer: Tokenizer | None
    layout: str
    manifest: dict[str, Any]
    threshold: float | None = None
    further: tuple[dict[str, Any], ...] = ()
    painting: Painting | None = None
    words: Companion | None = None

    @property
    def ancestors(self) -> list[dict[str, Any]]:
        """Manifests of what it was made from, sources first; they travel in lineage.json."""
        path = self.folder / LINEAGE
        found: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
        return [*found, *self.further]

    @property
    def name(self) -> str:
        """The bundle's own name."""
        return str(self.manifest["name"])


def load(folder: FilePath) -> Loaded:
    """Read, verify and build the bundle in `folder`; raises BundleError that names the fault."""
    files = read_bundle(folder)
    from_record(files.manifest, where=str(folder / MANIFEST), error=BundleError)
    model = build_model(files)
    model.eval()
    return Loaded(
        folder=folder,
        model=model,
        tokenizer=tokenizer_of(files),
        layout=str(files.config.get("layout", "stream")),
        manifest=files.manifest,
        threshold=_threshold(files),
        painting=_painting(files),
        words=_words(files),
    )


def tokenizer_of(files: BundleFiles) -> Tokenizer | None:
    """The tokenizer of a bundle, which knows what a foreign vocabulary calls special tokens."""
    if not files.tokenizer:
        return None
    found = files.config.get("special_tokens", {})
    where = f"{files.folder / 'config.json'}: special_tokens"
    roles: dict[str, str] = config.convert(dict[str, str], found, where=where, error=BundleError)
    return Tokenizer.from_json(files.tokenizer, roles)


def _threshold(files: BundleFiles) -> float | None:
    found = files.config.get("threshold")
    if found is None or (isinstance(found, float) and 0 <= found <= 1):
        return found
    raise BundleError(
        "{path}: threshold is {value}, not a number of 0..1; get the bundle again",
        path=files.folder / "config.json",
        value=found,
    )


def _words(files: BundleFiles) -> Companion | None:
    found = files.config.get("words")
    if found is None:
        return None
    where = f"{files.folder / 'config.json'}: words"
    read: Companion = config.convert(Companion, found, where=where, error=BundleError)
    return read


def _painting(files: BundleFiles) -> Painting | None:
    found = files.config.get("painting")
    if found is None:
        return None
    where = f"{files.folder / 'config.json'}: painting"
    if not isinstance(found, dict):
        raise BundleError("{where} is no object; get the bundle again", where=where)
    path = found.get("path")
    plain = {name: value for name, value in found.items() if name != "path"}
    try:
        read = config.from_dict(Painting, plain, where=where, error=BundleError)
    except ConfigError as error:  # of a scale that cannot be computed
        raise BundleError(
            "{path}: {reason}", path=files.folder / "config.json", reason=error
        ) from None
    if read.mel and (read.mel.side, read.channels) != (read.side_px, 1):
        raise BundleError(
            "{where}: pictures of levels are grey and of the scale's side; get the bundle again",
            where=where,
        )
    if path is None:
        return read
    return replace(read, path=path_of(path, where, BundleError))


def build_model(files: BundleFiles) -> nn.Module:
    """The model that a bundle's config describes, with its weights."""
    family = files.config.get("family")
    if family not in MODELS:
        raise BundleError(
            "{path} names the unknown family {family}; this version knows {names}",
            path=files.folder / "config.json",
            family=family,
            names=", ".join(MODELS),
        )
    cls = MODELS[family]
    where = str(files.folder / "config.json")
    settings = config.from_dict(
        cls.config_class, files.config.get("model", {}), where=where, error=BundleError
    )
    model: nn.Module = cls(settings)
    load_weights(model, files.tensors(), files.folder)
    return model


def language_model(loaded: Loaded, layout: str) -> tuple[CausalModel, Tokenizer]:
    """The model and tokenizer of a bundle trained by `layout`; BundleError if it was not.

    One that was tuned to complete prompts continues texts as well.
    """
    model, tokenizer = loaded.model, loaded.tokenizer
    known = "stream" if loaded.layout == "completion" else loaded.layout
    if known != layout or tokenizer is None or not isinstance(model, CausalModel):
        raise BundleError(
            "{name} was trained for the layout {found}, not {layout}; choose another model",
            name=loaded.name,
            found=loaded.layout,
            layout=layout,
        )
    return model, tokenizer
