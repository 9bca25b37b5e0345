"""`import wenfang as wf`: the same names as on the command line, and the same results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import wenfang as wf
from conftest import Call
from wenfang.errors import BriefError, ConfigError, MediaError


@pytest.mark.usefixtures("home")
def test_load_and_generate_are_those_of_the_command_line(call: Call) -> None:
    model = wf.load("verse")
    poem = model.generate("春江", seed=3)
    assert poem.text in call("generate", "verse", "春江", "--seed", "3").out
    many = model.generate_many("春江", seeds=(1, 2, 3))
    assert many[2].text == poem.text
    short = model.generate("春江", seed=3, characters=5, sampling={"temperature": 0.0})
    assert len(short.text.split("\n")[0]) == 6
    saved = poem.save("poem.md")
    assert saved.verdict.outcome == "good"
    (verdict,) = wf.verify("poem.md")
    assert verdict.outcome == "good"
    with pytest.raises(ConfigError, match="charcters"):
        model.generate("春江", charcters=5)
    with pytest.raises(MediaError, match=r"\.txt"):
        poem.save("poem.doc")
    with pytest.raises(BriefError, match="🌸"):
        model.generate("🌸")


def test_create_and_verify(brief: Callable[..., Path]) -> None:
    (made,) = wf.create(brief(), "out")
    assert made.piece is not None
    assert {verdict.outcome for verdict in wf.verify("out")} == {"good"}
    (again,) = wf.create(brief(), "out")
    assert again.piece is None
    with pytest.raises(BriefError, match="seed"):
        wf.create(brief(sed=1), "out2")
    with pytest.raises(ConfigError, match="did you mean fresh"):
        wf.create(brief(), "out", fresch=True)


def test_seal_and_replay(brief: Callable[..., Path]) -> None:
    wf.create(brief(), "out")
    assert {one.outcome for one in wf.replay("out")} == {"identical"}
    Path("given").mkdir()
    Path("given/note.md").write_text("# Note\n")
    (done,) = wf.seal_files("given/note.md", made_with="Another", output=Path("sealed"))
    assert done.file is not None
    assert wf.verify("sealed")[0].outcome == "good"
    assert wf.verify("sealed", strict=True)[0].outcome == "cannot tell"
    with pytest.raises(ConfigError, match="did you mean policy"):
        wf.seal_files("given/note.md", made_with="Another", polcy=None)


def test_train_a_recipe(call: Call) -> None:
    Path("words.txt").write_text("\n".join(f"spring {n} river {n * 7919}" for n in range(600)))
    settings = ("--set", "reading.unit=line", "--set", "duplicates.near=false")
    made = call("prepare", "words.txt", "-o", "set", "--profile", "none", *settings)
    assert made.code == 0, made.err
    few = ("train.steps=4", "train.evaluate_every=2", "threads=1")
    folder = wf.train("tiny", "run", data=Path("set"), settings=few)
    assert folder == Path("run/bundle")
    said = wf.load(str(folder)).generate("spring", seed=1, sampling={"maximum_tokens": 20})
    assert said.text.startswith("spring")
