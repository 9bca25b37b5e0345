"""Wenfang 文房: the scholar's studio for AI-generated content.

    import wenfang as wf
    wf.load("verse").generate("春江花月夜", seed=7).text
    wf.create("brief.json", "out")
    wf.verify("out")
    wf.seal_files("poster.jpg", made_with="Another Studio")
    wf.replay("out")
    wf.embed(["你好", "Good morning"])

Names are loaded when they are first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from wenfang.version import __version__

if TYPE_CHECKING:
    from wenfang.backends.embedder import Vectors, WordVectors
    from wenfang.engine.asset import Maker
    from wenfang.engine.creating import Made
    from wenfang.engine.replaying import Replayed
    from wenfang.engine.sealing import Sealed
    from wenfang.seal import Verdict

__all__ = ["__version__", "create", "embed", "load", "replay", "seal_files", "train", "verify"]


def load(name: str) -> Maker:
    """The model of that name (see `wenfang models`), or of a bundle's folder."""
    from wenfang.engine.generating import load_model

    return load_model(name)


def create(briefs: Path | str, output: Path | str, **options: object) -> list[Made]:
    """Make the piece of every brief in a .json, .jsonl or .csv file.

    options are the fields of `wenfang.engine.creating.CreateRequest`
    """
    from wenfang.config import from_dict
    from wenfang.engine.creating import CreateRequest, create

    request = from_dict(CreateRequest, {"briefs": Path(briefs), "output": Path(output), **options})
    return create(request)


@overload
def embed(
    texts: Sequence[str], model: str = "encoder", *, words: Literal[False] = False
) -> Vectors: ...


@overload
def embed(
    texts: Sequence[str], model: str = "encoder", *, words: Literal[True]
) -> list[WordVectors]: ...


def embed(
    texts: Sequence[str], model: str = "encoder", *, words: bool = False
) -> Vectors | list[WordVectors]:
    """Vectors of texts, (N, D) float32 of length 1: the dot product of two is their cosine.

    model  a bundle of the family bert, by its name or folder
    words  instead, for each text its words, where they stand and their vectors
    A text that is longer than the model reads at once is read in pieces, which a warning tells.
    """
    from wenfang.engine.embedding import load_embedder, warn_of_windows

    encoder = load_embedder(model)
    context = encoder.model.config.context
    if words:
        read = encoder.words(texts)
        warn_of_windows([one.windows for one in read], context)
        return read
    found = encoder.embed(texts)
    warn_of_windows(found.windows.tolist(), context)
    return found.vectors


def verify(*paths: Path | str, strict: bool = False) -> list[Verdict]:
    """The verdict on every file, folder and zip; `strict` is a publisher's gate."""
    from wenfang.engine.keeping import verify_files

    return verify_files([Path(path) for path in paths], strict=strict)


def seal_files(*files: Path | str, made_with: str, **options: object) -> list[Sealed]:
    """Label, check and sign what the program `made_with` made (`wenfang.seal` is the package).

    options are the fields of `wenfang.engine.sealing.SealRequest`
    """
    from wenfang.config import from_dict
    from wenfang.engine.sealing import SealRequest, seal

    paths = [Path(one) for one in files]
    return seal(from_dict(SealRequest, {"files": paths, "made_with": made_with, **options}))


def replay(target: Path | str, **options: object) -> list[Replayed]:
    """Make a published file, a folder of them, or a piece of the store again, and compare.

    options are the fields of `wenfang.engine.replaying.ReplayRequest`
    """
    from wenfang.config import from_dict
    from wenfang.engine.replaying import ReplayRequest, replay

    return replay(from_dict(ReplayRequest, {"target": str(target), **options}))


def train(recipe: str, run: Path | str, **options: object) -> Path:
    """Train a recipe into the folder `run`; returns the bundle's folder.

    options are the fields of `wenfang.recipes.train.TrainRequest`
    """
    from wenfang.config import from_dict
    from wenfang.recipes.train import TrainRequest, train

    return train(from_dict(TrainRequest, {"recipe": recipe, "run": Path(run), **options}))
