"""What the bundle in the package promises: size, rights, numbers, the same poems in any batch."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import wenfang
from wenfang.backends.poet import Poet
from wenfang.models.load import Loaded, load
from wenfang.samplers.verse import VerseRules, VerseSampling

FOLDER = Path(wenfang.__file__).parent / "bundles" / "verse"


@cache
def verse() -> Loaded:
    return load(FOLDER)


def test_it_is_small_enough_to_ship() -> None:
    size_bytes = sum(path.stat().st_size for path in FOLDER.iterdir())
    assert size_bytes <= 16_000_000
    assert sum(p.numel() for p in verse().model.parameters()) <= 8_000_000


def test_its_sources_may_ship_and_are_named() -> None:
    sources = [one for one in verse().ancestors if one["kind"] == "source"]
    assert [one["licence"] for one in sources] == ["MIT"]
    assert "chinese-poetry" in (FOLDER / "NOTICE").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("below_kneser_ney", 0.12),
        ("title_first_of_ten", 0.40),
        ("form_share", 1.0),
        ("level_rhyme_share", 0.97),
        ("distinct_lines_ratio", 0.98),
    ],
)
def test_the_measured_numbers_of_its_card_reach_their_bars(name: str, least: float) -> None:
    numbers = verse().manifest["facts"]["numbers"]
    assert numbers[name] >= least
    assert numbers["poems"] == 500
    assert numbers["poems_with_copied_line_share"] == 0


@pytest.mark.slow
def test_the_same_seeds_give_the_same_poems_alone_and_in_a_batch_of_16() -> None:
    poet = Poet(verse())
    rules, sampling = VerseRules(), VerseSampling()
    streams = [(seed, "batch") for seed in range(16)]
    together = poet.lines(["春江花月夜"] * 16, rules, sampling, streams)
    alone = [poet.lines(["春江花月夜"], rules, sampling, [one])[0] for one in streams]
    assert together == alone
    assert len(set(together)) == 16
