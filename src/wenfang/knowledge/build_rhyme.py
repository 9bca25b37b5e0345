"""Makes `rhyme.json`: `python -m wenfang.knowledge.build_rhyme --data DATASET -o rhyme.json`.

Needs pypinyin (MIT), whose modern readings place characters that seldom rhyme; nothing else does.
Deterministic: the same training poems give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wenfang.atomic import canonical_json, sha256_bytes, write_bytes
from wenfang.errors import DataError, DependencyError
from wenfang.knowledge.learn_rhymes import ClassRules, Rhyme, RhymeClasses, learn_rhymes
from wenfang.knowledge.learn_tones import Poem, Tones, learn_tones
from wenfang.knowledge.rhyme import RhymeTable, Tone
from wenfang.knowledge.rhyme_measure import measure_rhymes, rhyme_pairs

# The thirty level rhymes of the Pingshui system, used for nothing but naming what was learned.
PINGSHUI = "東冬江支微魚虞齊佳灰真文元寒刪先蕭肴豪歌麻陽庚青蒸尤侵覃鹽咸"
HOME_SHARE = 0.35
ALSO_SHARE = 0.15
SEEN_USES = 1.5
ONE_TONE_SHARE = 0.8  # below this a character was read in both tones
LEVEL_RULES = ClassRules()
OBLIQUE_RULES = ClassRules(split_modularity=0.4, least_uses=100)
# Modern first and second tones were mostly level, except old entering tones; the others seldom.
MODERN_LEVEL = {"1": 0.82, "2": 0.82, "3": 0.1, "4": 0.1}


def build_rhyme(poems: Sequence[Poem], facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """The table as JSON values, learned from `poems` (each a sequence of four lines).

    facts  what is known of the poems: source, licence, split, data set; goes into the header
    raises DependencyError without pypinyin
    """
    vocabulary = sorted({character for poem in poems for line in poem for character in line})
    readings = _readings(vocabulary)
    tones = learn_tones(poems, {c: MODERN_LEVEL.get(r[2], 0.5) for c, r in readings.items()})
    keys = {c: (f"{initial} {final}", final) for c, (initial, final, _) in readings.items()}
    level = [poem for poem, p in zip(poems, tones.level_rhyme, strict=True) if p > 0.5]
    oblique = [poem for poem, p in zip(poems, tones.level_rhyme, strict=True) if p <= 0.5]
    table: dict[str, dict[str, Any]] = {
        "level": _classes(level, tones, keys, "level", LEVEL_RULES),
        "oblique": _classes(oblique, tones, keys, "oblique", OBLIQUE_RULES),
        "tones": _tone_lists(tones),
    }
    counts = {
        "poems": len(poems),
        "level_poems": len(level),
        "oblique_poems": len(oblique),
        "characters": len(vocabulary),
        "level_classes": len(table["level"]),
        "oblique_classes": len(table["oblique"]),
        "poems_sha256": sha256_bytes(canonical_json([list(poem) for poem in poems])),
    }
    return {"facts": {**(facts or {}), "train": counts}, **table}


def _readings(vocabulary: Iterable[str]) -> dict[str, tuple[str, str, str]]:
    """Character -> (initial, final, tone digit) of its commonest modern reading."""
    try:
        from pypinyin import Style, lazy_pinyin
    except ImportError:
        raise DependencyError("pypinyin is missing; install it to build the rhyme table") from None
    result = {}
    for character in vocabulary:
        initial, final = (
            lazy_pinyin(character, style=style, errors="ignore", strict=True)
            for style in (Style.INITIALS, Style.FINALS_TONE3)
        )
        if final:
            tone = final[0][-1] if final[0][-1:].isdigit() else "0"
            result[character] = ("".join(initial), final[0].rstrip("01234"), tone)
    return result


def _may_be(tones: Tones, character: str, tone: Tone) -> bool:
    share = tones.level_share.get(character, 0.5)
    return (share if tone == "level" else 1 - share) > 1 - ONE_TONE_SHARE


def _mostly(tones: Tones, character: str, tone: Tone) -> bool:
    return (tones.level_share.get(character, 0.5) > 0.5) == (tone == "level")


def _classes(
    poems: Sequence[Poem],
    tones: Tones,
    readings: dict[str, tuple[str, str]],
    tone: Tone,
    rules: ClassRules,
) -> dict[str, dict[str, str]]:
    """Class name -> its characters at home, most used first, and others that rhyme with them.

    At home are those that were seen to rhyme so and mostly do; the others have a lesser reading
    there, or are placed by their modern reading alone.
    """
    keys = {c: key for c, key in readings.items() if _may_be(tones, c, tone)}
    learned = learn_rhymes(_rhymes(poems, tones, tone), keys, rules)
    names = _names(learned, tone)
    weight = learned.uses.sum(0)
    result = {}
    for k in sorted(range(len(names)), key=lambda k: -weight[k]):
        home, also = [], []
        for place, character in enumerate(learned.characters):
            share, seen = learned.share[place, k], learned.uses[place, k] >= SEEN_USES
            if share < ALSO_SHARE or not _may_be(tones, character, tone):
                continue
            if share >= HOME_SHARE and seen:
                home.append(character)
            elif seen or _mostly(tones, character, tone):
                also.append(character)
        result[names[k]] = {"home": "".join(home), "also": "".join(also)}
    return result


def _rhymes(poems: Sequence[Poem], tones: Tones, tone: Tone) -> list[Rhyme]:
    return [
        (poem[1][-1], poem[3][-1], poem[0][-1] if _may_be(tones, poem[0][-1], tone) else "")
        for poem in poems
    ]


def _names(learned: RhymeClasses, tone: Tone) -> list[str]:
    """A name for each class: a Pingshui rhyme at home in it, else its most frequent character."""
    names: list[str] = []
    place_of = {character: place for place, character in enumerate(learned.characters)}
    for k in range(learned.share.shape[1]):
        known = [c for c in PINGSHUI if tone == "level" and c in place_of]
        own = [c for c in known if int(learned.share[place_of[c]].argmax()) == k]
        frequent = (c for i, c in enumerate(learned.characters) if learned.share[i].argmax() == k)
        names.append("".join(own[:3]) or next(c for c in frequent if c not in names))
    return names


def _tone_lists(tones: Tones) -> dict[str, str]:
    lists: dict[str, list[str]] = {"level": [], "oblique": [], "both": []}
    for character in sorted(tones.level_share):
        may = [_may_be(tones, character, tone) for tone in ("level", "oblique")]
        lists["both" if all(may) else "level" if may[0] else "oblique"].append(character)
    return {name: "".join(characters) for name, characters in lists.items()}


def measured(table: dict[str, Any], poems: Sequence[Poem]) -> dict[str, Any]:
    """Measures of the table's checker on `poems`, for 7 and 5 characters, level and oblique."""
    rhyme = RhymeTable.from_json(table)
    return {
        f"{characters} {tone}": asdict(
            measure_rhymes(
                rhyme.rhymes,
                rhyme_pairs(poems, rhyme, characters=characters, tone=tone),
                rhyme,
            )
        )
        for characters in (7, 5)
        for tone in ("level", "oblique", "any")
    }


def read_poems(folder: Path, split: str) -> list[Poem]:
    """The poems of one split of a prepared data set; DataError where there are none."""
    poems = []
    for shard in sorted(folder.glob(f"{split}-*.jsonl.gz")):
        with gzip.open(shard, "rt", encoding="utf-8") as stream:
            poems += [json.loads(line)["lines"] for line in stream]
    if not poems:
        raise DataError("{path} holds no {split} poems; give a data set", path=folder, split=split)
    return poems


def table_bytes(table: dict[str, Any]) -> bytes:
    """The file's bytes: one class a line, so that a change can be read."""
    return (json.dumps(table, ensure_ascii=False, indent=1) + "\n").encode()


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the table from a data set's training poems, measure it on its test poems, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a prepared data set")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("rhyme.json"))
    given = parser.parse_args(arguments)
    manifest = json.loads((given.data / "manifest.json").read_text("utf-8"))
    facts = {
        "what": "rhyme classes and tones learned from rhyme positions and tonal patterns",
        "made_by": "python -m wenfang.knowledge.build_rhyme",
        "licence": manifest["licence"],
        "data_set": manifest["name"],
        "fingerprint": manifest["facts"].get("fingerprint"),
        "split": "train; no author in two splits",
        "also_from": "pypinyin (MIT): modern readings, for characters that seldom rhyme",
    }
    table = build_rhyme(read_poems(given.data, "train"), facts)
    table["facts"]["test"] = measured(table, read_poems(given.data, "test"))
    write_bytes(given.output, table_bytes(table))


if __name__ == "__main__":
    main()
