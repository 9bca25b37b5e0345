from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from wenfang.errors import DataError
from wenfang.knowledge.build_rhyme import build_rhyme, measured, read_poems, table_bytes
from wenfang.knowledge.communities import communities, modularity
from wenfang.knowledge.learn_rhymes import ClassRules, learn_rhymes
from wenfang.knowledge.learn_tones import learn_tones
from wenfang.knowledge.rhyme import RhymeTable, rhyme_table
from wenfang.knowledge.rhyme_measure import measure_rhymes, rhyme_pairs

LEVEL, OBLIQUE = "春江花天人山", "白月水玉雪石"


def regulated_poems(count: int, seed: int = 0) -> list[list[str]]:
    """Poems of made-up tones that keep the tonal pattern exactly."""
    random = np.random.Generator(np.random.Philox(key=seed))
    poems = []
    for _ in range(count):
        start = int(random.integers(2))
        poem = []
        for number, sign in enumerate((0, 1, 1, 0)):
            tones = [(start + sign + place // 2) % 2 for place in range(6)]
            tones.append(1 if number == 2 else 0)
            poem.append("".join((LEVEL, OBLIQUE)[t][random.integers(6)] for t in tones))
        poems.append(poem)
    return poems


def test_tones_are_learned_from_the_pattern_alone() -> None:
    tones = learn_tones(regulated_poems(200), {})
    assert all(tones.level_share[c] > 0.75 for c in LEVEL)
    assert all(tones.level_share[c] < 0.25 for c in OBLIQUE)
    assert (tones.level_rhyme > 0.9).all()


def test_rhyme_classes_and_a_double_reading_are_learned() -> None:
    groups = ("東中風空紅", "流頭秋樓舟", "家花沙斜茶")
    random = np.random.Generator(np.random.Philox(key=1))
    rhymes = []
    for _ in range(600):
        group = groups[random.integers(3)]
        if group != groups[1]:
            group += "車"
        rhymes.append((group[random.integers(len(group))], group[random.integers(len(group))], ""))
    rules = ClassRules(least_uses=50)
    learned = learn_rhymes(
        rhymes, {"通": ("ong",), "東": ("ong",), "中": ("ong",), "空": ("ong",)}, rules
    )
    share = dict(zip(learned.characters, learned.share, strict=True))
    homes = [{int(share[c].argmax()) for c in group} for group in groups]
    assert [len(home) for home in homes] == [1, 1, 1]
    assert len(set.union(*homes)) == 3
    assert sorted(share["車"])[1] > 0.25
    assert int(share["通"].argmax()) in homes[0]


def test_communities_find_two_cliques_and_repeat_themselves() -> None:
    graph: list[dict[int, float]] = [
        {other: 1.0 for other in range(8) if other != node and other // 4 == node // 4}
        for node in range(8)
    ]
    graph[0][4] = graph[4][0] = 0.5
    labels = communities(graph)
    assert labels == communities(graph)
    assert len(set(labels[:4])) == len(set(labels[4:])) == 1
    assert labels[0] != labels[4]
    assert modularity(graph, labels) > modularity(graph, [0] * 8) == 0.0


def test_a_checker_that_accepts_everything_rejects_nothing() -> None:
    poems = [[f"{c}" * 7 for c in "春江花月"], ["天" * 7, "山" * 7, "水" * 7, "人" * 7]]
    pairs = rhyme_pairs(poems, rhyme_table(), characters=7, tone="any")
    result = measure_rhymes(lambda a, b: True, pairs, rhyme_table())
    assert (result.pairs, result.accepted, result.rejected) == (2, 1.0, 0.0)


def test_a_shuffle_never_pairs_a_poem_with_itself() -> None:
    pairs = [(chr(0x4E00 + n), chr(0x4E00 + n)) for n in range(50)]
    result = measure_rhymes(lambda a, b: a == b, pairs, rhyme_table())
    assert (result.accepted, result.rejected) == (1.0, 1.0)


def test_the_table_is_small_and_tells_where_it_comes_from() -> None:
    size = len(resources.files("wenfang.knowledge").joinpath("rhyme.json").read_bytes())
    assert size <= 150_000
    facts = rhyme_table().facts
    assert facts["licence"] == "MIT"
    assert facts["test"]["7 level"]["accepted"] >= 0.97
    assert facts["test"]["7 level"]["rejected"] >= 0.93


def test_a_folder_without_poems_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no train poems"):
        read_poems(tmp_path, "train")


@pytest.mark.data
@pytest.mark.slow
def test_learned_anew_the_checker_passes_its_bars_on_unseen_authors(tmp_path: Path) -> None:
    root = os.environ.get("WENFANG_DATA")
    if not root:
        pytest.skip("WENFANG_DATA is not set")
    from wenfang.data import named

    folder = named.prepare_named("chinese_poetry", root, tmp_path / "set").folder
    train = read_poems(folder, "train")
    table = build_rhyme(train)
    assert table_bytes(build_rhyme(train)) == table_bytes(table)
    result = measured(table, read_poems(folder, "test"))["7 level"]
    assert result["accepted"] >= 0.90
    assert result["rejected"] >= 0.80
    assert RhymeTable.from_json(table).tones == rhyme_table().tones
