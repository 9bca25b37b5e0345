"""A very small `verse` bundle, a home that holds it, and the command line in this process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wenfang.knowledge import verse
from wenfang.knowledge.rhyme import rhyme_table

TITLES = "春江花月夜山雪秋水松風梅竹雁柳寺舟雨歸客"
BRIEF: dict[str, Any] = {
    "scenario": "verse_card",
    "subject": "春江花月夜",
    "form": "五言絕句",
    "seed": 7,
    "constraints": {"candidates": 2, "rounds": 2},
}
Call = Callable[..., "Outcome"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on standard error that tells what failed."""
        lines = [line for line in self.err.splitlines() if line.startswith("wenfang: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


def write_poems(path: Path, count: int = 240) -> Path:
    """Quatrains without sense that rhyme, by twelve authors, as JSON lines."""
    draw = np.random.default_rng(5)
    table = rhyme_table()
    level, oblique = (
        "".join(table.members["level"].values()),
        "".join(c for c, tone in table.tones.items() if tone == "oblique")[:900],
    )
    classes = [sorted(members) for members in verse.level_rhyme_classes() if len(members) > 60]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            size = (5, 7)[number % 2]
            rhyme = classes[draw.integers(len(classes))]
            lines = [
                "".join(draw.choice(list(level + oblique), size - 1))
                + (str(draw.choice(rhyme)) if line % 2 else oblique[draw.integers(len(oblique))])
                for line in range(4)
            ]
            title = "".join(draw.choice(list(TITLES), 4, replace=False))
            record = {"title": title, "author": f"某{number % 12}", "lines": lines}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path


def build_bundle(folder: Path) -> Path:
    """Prepare poems, and export a bundle with random weights; `folder`/dataset holds the data."""
    import torch

    from wenfang.data.dataset import Dataset
    from wenfang.engine.learning import prepare_sources
    from wenfang.models import gpt
    from wenfang.recipes.build import build
    from wenfang.recipes.train import export
    from wenfang.recipes.verse import verse as verse_recipe

    poems = write_poems(folder / "poems.jsonl")
    settings = ("split.key=author", "split.train=0.6", "split.valid=0.2", "split.test=0.2")
    prepare_sources(
        [str(poems)],
        folder / "dataset",
        profile="verse",
        licence="CC0-1.0",
        text_field="lines",
        settings=settings,
    )
    dataset = Dataset.open(folder / "dataset")
    model = gpt.Config(width=32, layers=1, heads=2, kv_heads=2, hidden_width=64, context=64)
    run = build(replace(verse_recipe(), model=model, threads=1), dataset)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in run.task.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    export(run, dataset, folder / "bundles" / "verse")
    return folder / "bundles" / "verse"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundles/verse, its dataset and its poems.jsonl, and bundles/translator; only
    to be read.
    """
    from tiny_translator import build_translator

    folder = tmp_path_factory.mktemp("workshop")
    build_bundle(folder)
    build_translator(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh WENFANG_HOME with the small bundle, and a fresh current folder beside it."""
    folder = tmp_path / "home"
    shutil.copytree(workshop / "bundles", folder / "bundles")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("WENFANG_HOME", str(folder))
    for name in ("WENFANG_DATA", "WENFANG_LANG"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run `wenfang ARGUMENTS` in this process."""
    from wenfang.cli import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        code = leaving.value.code
        assert isinstance(code, int)
        return Outcome(code=code, out=said.out, err=said.err)

    return run


@pytest.fixture
def brief(home: Path) -> Callable[..., Path]:
    """Write a brief, changed by keywords, and return its path."""

    def write(name: str = "brief.json", **changes: object) -> Path:
        path = Path.cwd() / name
        path.write_text(json.dumps({**BRIEF, **changes}, ensure_ascii=False), "utf-8")
        return path

    return write


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tests run side by side; more threads than cores only stand in each other's way."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
