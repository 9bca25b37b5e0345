"""A card is written anew from what its bundle records, and nothing else is touched."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import wenfang
from wenfang.atomic import write_json
from wenfang.checkpoint import CARD, MANIFEST, WEIGHTS, read_bundle
from wenfang.recipes.card import GENERATOR_LIMITS, LIMITS
from wenfang.store import from_record, to_record

TOOL = Path(__file__).resolve().parents[1] / "tools" / "renew_card.py"
BUNDLES = Path(wenfang.__file__).parent / "bundles"


Renew = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def renew(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Renew:
    def call(*words: object) -> tuple[int, list[str]]:
        monkeypatch.setattr("sys.argv", [str(TOOL), *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(TOOL), run_name="__main__")
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().out.splitlines()

    return call


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLES / "chorale", tmp_path / "chorale"))


def test_a_card_is_renewed_and_nothing_else(bundle: Path, renew: Renew) -> None:
    card, weights = (bundle / CARD).read_text("utf-8"), (bundle / WEIGHTS).read_bytes()
    files = read_bundle(bundle).manifest["facts"]["files"]
    assert renew(bundle)[0] == 0
    made = (bundle / CARD).read_text("utf-8")
    assert LIMITS["jsb_chorales"][0] in made
    assert GENERATOR_LIMITS[0] not in made
    assert made.partition("## Limits")[0] == card.partition("## Limits")[0]
    assert (bundle / WEIGHTS).read_bytes() == weights
    now = read_bundle(bundle).manifest["facts"]["files"]  # which looks at every hash
    assert {name for name in files if files[name] != now[name]} <= {CARD}
    assert renew("--check", bundle)[0] == 0


def test_a_card_is_noticed_that_differs_from_what_its_bundle_records(
    bundle: Path, renew: Renew
) -> None:
    renew(bundle)
    before = (bundle / MANIFEST).read_bytes()
    assert renew("--check", bundle)[0] == 0
    renew(bundle)  # once more changes nothing
    assert (bundle / MANIFEST).read_bytes() == before
    manifest = from_record(read_bundle(bundle).manifest)
    other = replace(manifest, facts={**manifest.facts, "steps": 7})
    write_json(bundle / MANIFEST, to_record(other))
    code, lines = renew("--check", BUNDLES / "verse", bundle)
    assert code == 1
    assert [line.rpartition(": ")[2] for line in lines] == [
        "as it would be written",
        "would be another",
    ]
