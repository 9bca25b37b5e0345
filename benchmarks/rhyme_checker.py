"""Does the rhyme checker tell real rhymes from shuffled ones?

`python benchmarks/rhyme_checker.py --data DATASET [--json] [--rebuild] [--split-seed N]`

DATASET is the prepared data set of quatrains or a root that holds chinese_poetry. Exits with 1
below the bars.

Real pairs are the last characters of lines 2 and 4 of poems by authors that the table has never
seen: the test split. Thresholds were set on another author split and on valid, with test in sight,
so compare other splits too: --split-seed. A shuffle keeps the same characters and pairs line 2 of
one poem with line 4 of another. "level" leaves out a poem if a rhyme character is
known to be oblique only (tones come from training poems; rhyme classes play no part); "any" leaves
out none.
Two simpler checkers are measured on the same pairs: a table of all pairs seen in training, and
modern Mandarin (same final without its medial, tone aside).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from pypinyin import Style, lazy_pinyin

from wenfang.data import Dataset
from wenfang.data.named import prepare_named
from wenfang.data.split import SPLITS, Split
from wenfang.knowledge.build_rhyme import build_rhyme
from wenfang.knowledge.rhyme import RhymeTable, rhyme_table
from wenfang.knowledge.rhyme_measure import measure_rhymes, rhyme_pairs
from wenfang.knowledge.script import to_simplified, to_traditional
from wenfang.knowledge.verse import is_han, tonal_pattern

ACCEPT_BAR, REJECT_BAR = 0.90, 0.80
Poems = list[list[str]]
Checker = Callable[[str, str], bool]


@cache
def modern_rhyme(character: str) -> str:
    """The rhyme of its modern reading: the final without its medial (天 ian, 寒 an, 圓 üan: an).

    One rhyme each, as modern rhyming goes: in en un ün; ing eng; o uo e; i, the vowel of zhi and
    zi, ü, ei and ui stay apart from it.
    """
    final = "".join(lazy_pinyin(character, style=Style.FINALS, strict=True))
    special = {"in": "en", "ing": "eng", "ve": "ie", "iong": "ong", "ueng": "ong", "uo": "o"}
    special |= {"un": "en", "uen": "en", "vn": "en", "iou": "ou", "uei": "ei", "e": "o"}
    if final in special:
        return special[final]
    return final[1:] if final[:1] in "iuv" and len(final) > 1 and final != "ie" else final


def checkers(table: RhymeTable, train: Poems) -> dict[str, Checker]:
    """The learned table and two simple rivals."""
    seen = {frozenset((poem[1][-1], poem[3][-1])) for poem in train}

    return {
        "learned table": table.rhymes,
        "pairs seen in training": lambda a, b: frozenset((a, b)) in seen,
        "modern Mandarin": lambda a, b: modern_rhyme(a) == modern_rhyme(b),
    }


def measure(parts: dict[str, Poems], table: RhymeTable) -> list[dict[str, Any]]:
    """One row for each split, length, tone and checker."""
    rows = []
    for split in ("valid", "test"):
        for characters in (7, 5):
            for tone in ("level", "oblique", "any"):
                pairs = rhyme_pairs(parts[split], table, characters=characters, tone=tone)
                for name, checker in checkers(table, parts["train"]).items():
                    row = asdict(measure_rhymes(checker, pairs, table))
                    keys = {"split": split, "characters": characters, "tone": tone}
                    rows.append({**keys, "checker": name, **row})
    return rows


def pattern_scores(poems: Poems) -> dict[str, float]:
    """Mean tonal-pattern score of real poems, and of the same lines shuffled among poems."""
    seven = [poem for poem in poems if len(poem[0]) == 7]
    turned = [[seven[(i + k) % len(seven)][k] for k in range(4)] for i in range(len(seven))]
    return {
        "real": sum(map(tonal_pattern, seven)) / len(seven),
        "lines_of_four_poems": sum(map(tonal_pattern, turned)) / len(turned),
    }


def title_coverage(titles: Iterable[str], train: Poems) -> dict[str, float]:
    """Titles made simplified, then traditional: share of Han characters known to the poems."""
    known = {character for poem in train for line in poem for character in line}
    pairs = [
        (before, after)
        for title in titles
        for before, after in zip(title, to_traditional(to_simplified(title)), strict=True)
        if is_han(before)
    ]
    return {
        "converted": sum(after in known for _, after in pairs) / len(pairs),
        "as_written": sum(before in known for before, _ in pairs) / len(pairs),
        "returned": sum(before == after for before, after in pairs) / len(pairs),
    }


def records(dataset: Dataset, split_seed: int | None) -> dict[str, list[dict[str, Any]]]:
    """The records of each split, or of another author split of the same records."""
    own = {split: list(dataset.records(split)) for split in SPLITS}
    if split_seed is None:
        return own
    parts: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for record in (record for split in SPLITS for record in own[split]):
        parts[Split(key="author").part_of(record["author"], split_seed)].append(record)
    return parts


def report(folder: Path, rebuild: bool, split_seed: int | None) -> dict[str, Any]:
    """Everything measured on the data set in `folder`."""
    dataset = Dataset.open(folder)
    found = records(dataset, split_seed)
    parts: dict[str, Poems] = {s: [r["lines"] for r in rows] for s, rows in found.items()}
    titles = [record["title"] for record in found["test"]]
    table = RhymeTable.from_json(build_rhyme(parts["train"])) if rebuild else rhyme_table()
    return {
        "table": table.facts,
        "rebuilt": rebuild,
        "split_seed": split_seed,
        "data_set": dataset.manifest.facts["fingerprint"],
        "rhyme": measure(parts, table),
        "tonal_pattern": pattern_scores(parts["test"]),
        "title_coverage": title_coverage(titles, parts["train"]),
    }


def find(data: Path, work: Path) -> Path:
    """The prepared data set: `data` itself, or made from the root `data`."""
    if (data / "manifest.json").is_file():
        return data
    return prepare_named("chinese_poetry", data, work / "chinese_poetry").folder


def show(result: dict[str, Any]) -> None:
    """The report as a table."""
    print("split chars tone     checker                 pairs accepted rejected chance")
    for row in result["rhyme"]:
        print(
            f"{row['split']:5} {row['characters']:5} {row['tone']:8} {row['checker']:23} "
            f"{row['pairs']:5} {row['accepted']:8.2%} {row['rejected']:8.2%} "
            f"{row['chance_agreement']:.2%}"
        )
    print("tonal pattern", result["tonal_pattern"])
    print("titles", result["title_coverage"])


def main() -> int:
    """Measure, print, compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rebuild", action="store_true", help="learn from the training poems anew")
    parser.add_argument("--split-seed", type=int, help="another author split; learns anew")
    given = parser.parse_args()
    rebuild = given.rebuild or given.split_seed is not None
    with tempfile.TemporaryDirectory() as work:
        result = report(find(given.data, Path(work)), rebuild, given.split_seed)
    print(json.dumps(result, ensure_ascii=False)) if given.json else show(result)
    bar = next(
        row
        for row in result["rhyme"]
        if (row["split"], row["characters"], row["tone"], row["checker"])
        == ("test", 7, "level", "learned table")
    )
    return int(bar["accepted"] < ACCEPT_BAR or bar["rejected"] < REJECT_BAR)


if __name__ == "__main__":
    sys.exit(main())
