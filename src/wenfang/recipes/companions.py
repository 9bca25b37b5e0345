"""Bundles that a recipe names and does not train: what it draws in, who reads words for it, who
makes its pictures larger.
"""

from __future__ import annotations

from typing import Any

from wenfang.backends.loading import latent_space, same_bundle
from wenfang.backends.shelf import find_bundle
from wenfang.backends.word_reader import WordReader
from wenfang.checkpoint import BundleFiles, read_bundle
from wenfang.data.captions import Caption, thing_of
from wenfang.data.dataset import Dataset
from wenfang.data.known_captions import KnownCaptions
from wenfang.models.latent_space import LatentSpace
from wenfang.models.load import Companion, load
from wenfang.recipes.recipe import Recipe

ROLES = ("latents", "words", "upscaler")


def companion_files(recipe: Recipe) -> dict[str, BundleFiles]:
    """The bundles by their roles.

    raises NotFoundError for one that is not here, BundleError for one that lies where nobody who
    loads what was trained would look
    """
    asked = {role: str(getattr(recipe.data, role)) for role in ROLES}
    found = {role: read_bundle(find_bundle(name)) for role, name in asked.items() if name}
    for files in found.values():
        same_bundle(_companion(files.manifest), recipe.name)
    return found


def companion_records(recipe: Recipe) -> dict[str, Companion]:
    """By role, what a bundle must say of another one that it draws with."""
    return {role: _companion(files.manifest) for role, files in companion_files(recipe).items()}


def _companion(manifest: dict[str, Any]) -> Companion:
    return Companion(name=str(manifest["name"]), payload_sha256=str(manifest["payload_sha256"]))


def load_space(recipe: Recipe) -> LatentSpace | None:
    """The latents that a recipe draws in, if any."""
    return latent_space(load(find_bundle(recipe.data.latents))) if recipe.data.latents else None


def known_captions(recipe: Recipe, dataset: Dataset) -> KnownCaptions | None:
    """By what words a model learnt, where others are to be read as these."""
    if not (recipe.data.nearest and recipe.data.words):
        return None
    captions = [(thing_of(one), Caption.of(one)) for one in dataset.records("train")]
    if not any(all(caption.names) for _, caption in captions):
        return None
    return KnownCaptions.build(captions, WordReader(load(find_bundle(recipe.data.words))).whole)


def load_reader(recipe: Recipe) -> WordReader | None:
    """Who reads words for a recipe's model, if anybody."""
    return WordReader(load(find_bundle(recipe.data.words))) if recipe.data.words else None
