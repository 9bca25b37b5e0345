"""Wenfang 文房: the scholar's studio for AI-generated content.

    import wenfang as wf
    wf.load("verse").generate("春江花月夜", seed=7).text
    wf.create("brief.json", "out")
    wf.verify("out")

Names are loaded when they are first asked for, so that importing the package costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wenfang.version import __version__

if TYPE_CHECKING:
    from wenfang.engine.creating import Made
    from wenfang.engine.generating import Model
    from wenfang.seal import Verdict

__all__ = ["__version__", "create", "load", "train", "verify"]


def load(name: str) -> Model:
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


def verify(*paths: Path | str) -> list[Verdict]:
    """The verdict on every file, folder and zip."""
    from wenfang.engine.keeping import verify_files

    return verify_files([Path(path) for path in paths])


def train(recipe: str, run: Path | str, **options: object) -> Path:
    """Train a recipe into the folder `run`; returns the bundle's folder.

    options are the fields of `wenfang.recipes.train.TrainRequest`
    """
    from wenfang.config import from_dict
    from wenfang.recipes.train import TrainRequest, train

    return train(from_dict(TrainRequest, {"recipe": recipe, "run": Path(run), **options}))
