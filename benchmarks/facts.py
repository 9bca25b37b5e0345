"""How far copy for a venue, and the check of its facts, can be trusted: the E2E set's test part.

    WENFANG_DATA=... python benchmarks/facts.py [--seed 0] [--json] [--drafts 4] [--part test]

The writer: BLEU of the bundle `copywriter` against the references of the 630 test inputs, and its
slot error (facts told wrong, left out or invented, by the check's own reading, over facts given),
as the model writes by itself and held to its facts; held, also of all its --drafts. This takes
about half an hour of one core; --drafts 0 leaves it out.

The check shares no code and no words with what holds the writer. Its own error: people leave facts
out, so a flagged reference may be the writer's fault or the checker's; --sample prints flagged
development texts to be judged by reading. The other error is what it overlooks: in texts that it
finds faultless, one given fact is exchanged, or taken away, and it must notice.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from wenfang.backends.copywriter import Copywriter
from wenfang.backends.pairwriter import PairWriter
from wenfang.backends.shelf import find_bundle
from wenfang.checks.facts import SLOTS, Finding, read_facts
from wenfang.data.venue import parse_facts, write_facts
from wenfang.device import set_threads
from wenfang.errors import CheckError
from wenfang.metrics.bleu import bleu
from wenfang.models.load import load
from wenfang.recipes.pair_suite import write_all
from wenfang.samplers.beam import Beam

Pair = tuple[dict[str, str], str]
PARTS = {"dev": "devset.csv", "test": "testset_w_refs.csv"}
OTHERS = {
    "eatType": ("restaurant", "pub", "coffee shop"),
    "food": ("Chinese", "English", "French", "Fast food", "Indian", "Italian", "Japanese"),
    "priceRange": ("cheap", "moderate", "high", "less than £20", "£20-25", "more than £30"),
    "customer rating": ("low", "average", "high", "1 out of 5", "3 out of 5", "5 out of 5"),
    "area": ("city centre", "riverside"),
    "familyFriendly": ("yes", "no"),
}
# Values that are told in the same words are no exchange.
ALIKE = ({"cheap", "less than £20"}, {"moderate", "£20-25"}, {"high", "more than £30"},
         {"low", "1 out of 5"}, {"average", "3 out of 5"}, {"high", "5 out of 5"})  # fmt: skip
# Read on 2 x 60 flagged development texts (seeds 11 and 12), clear faults mended after the first:
# 3 were the checker's fault, 10 can be read both ways ("an average coffee shop", "great value").
JUDGED = {"read": 120, "checker_at_fault": 3, "either_way": 10}


def read_pairs(root: Path, part: str) -> list[Pair]:
    """Facts and text of every reference."""
    with (root / "e2e_nlg" / PARTS[part]).open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        (dict(re.findall(r"(\w[\w ]*)\[([^\]]*)\]", row.get("mr") or row["MR"])), row["ref"])
        for row in rows
    ]


def amiss(facts: dict[str, str], text: str) -> list[Finding]:
    """What the checker flags."""
    return [one for one in read_facts(text, facts) if one.outcome != "realised"]


def flagged(pairs: list[Pair]) -> dict[str, Any]:
    """How many references are flagged, and how often for which slot."""
    by_slot: dict[str, Counter[str]] = {slot: Counter() for slot in SLOTS}
    texts = 0
    for facts, text in pairs:
        found = amiss(facts, text)
        texts += bool(found)
        for one in found:
            by_slot[one.slot][one.outcome] += 1
    slots = sum(len(facts) for facts, _ in pairs)
    errors = sum(counts.total() for counts in by_slot.values())
    return {
        "references": len(pairs),
        "flagged": texts,
        "flagged_share": round(texts / len(pairs), 4),
        "slots": slots,
        "slot_error": round(errors / slots, 4),
        "by_slot": {slot: dict(counts) for slot, counts in by_slot.items()},
    }


def noticed(pairs: list[Pair], chance: random.Random) -> dict[str, Any]:
    """Of faultless texts, the share of exchanged and of removed facts that is noticed."""
    seen: dict[str, Counter[str]] = {slot: Counter() for slot in OTHERS}
    for facts, text in pairs:
        slots = [slot for slot in OTHERS if slot in facts]
        if not slots or amiss(facts, text):
            continue
        slot = chance.choice(slots)
        alike = set().union(*(group for group in ALIKE if facts[slot] in group), {facts[slot]})
        other = chance.choice([value for value in OTHERS[slot] if value not in alike])
        exchanged = {**facts, slot: other}
        removed = {name: value for name, value in facts.items() if name != slot}
        seen[slot]["tried"] += 1
        seen[slot]["exchanged"] += any(one.slot == slot for one in amiss(exchanged, text))
        # A restaurant is what people call any venue, so that kind alone is never too much.
        seen[slot]["removed"] += any(one.slot == slot for one in amiss(removed, text))
    total = sum(seen.values(), Counter())
    shares = {way: round(total[way] / total["tried"], 4) for way in ("exchanged", "removed")}
    return {**shares, "tried": total["tried"], "by_slot": {s: dict(c) for s, c in seen.items()}}


def grouped(pairs: list[Pair]) -> tuple[list[dict[str, str]], list[list[str]]]:
    """Every input once, with all that people wrote for it."""
    found: dict[str, list[str]] = {}
    for facts, text in pairs:
        found.setdefault(write_facts(facts), []).append(text)
    return [parse_facts(prompt) for prompt in found], list(found.values())


def slot_error(told: list[tuple[dict[str, str], str]]) -> float:
    """Facts amiss for each fact given, of texts and the facts they were asked to tell."""
    errors = sum(len(amiss(facts, text)) for facts, text in told)
    return round(errors / sum(len(facts) for facts, _ in told), 5)


def written(pairs: list[Pair], bundle: str, drafts: int, seed: int) -> dict[str, Any]:
    """The writer by itself and held to its facts; a text that it cannot write counts as empty."""
    inputs, references = grouped(pairs)
    loaded = load(find_bundle(bundle))
    free = write_all(PairWriter(loaded, ("venue",)), list(map(write_facts, inputs)), Beam(beams=5))
    held = held_drafts(Copywriter(loaded), inputs, drafts, seed)
    first = [own[0] for own in held]
    every = [(facts, text) for facts, own in zip(inputs, held, strict=True) for text in own]
    measured = bleu(first, references)
    return {
        "inputs": len(inputs),
        "bleu_by_itself": bleu(free, references)["bleu"],
        "bleu_held": measured["bleu"],
        "bleu_signature": measured["bleu_signature"],
        "slot_error_by_itself": slot_error(list(zip(inputs, free, strict=True))),
        "slot_error_held": slot_error(list(zip(inputs, first, strict=True))),
        "slot_error_held_drafts": slot_error(every),
        "drafts": len(every),
        "unwritten": sum(not text for text in first),
        "amiss_held": [
            [write_facts(facts), text, *(f"{one.outcome} {one.slot}" for one in amiss(facts, text))]
            for facts, text in zip(inputs, first, strict=True)
            if amiss(facts, text)
        ],
    }


def held_drafts(
    writer: Copywriter, inputs: list[dict[str, str]], drafts: int, seed: int
) -> list[list[str]]:
    """Up to `drafts` texts for each input, as `venue_ad` asks for them; an empty one where none."""
    found = []
    for number, facts in enumerate(inputs, start=1):
        try:
            found.append([draft.text for draft in writer.write(facts, drafts, seed)])
        except CheckError:
            found.append([""])
        if number % 50 == 0:
            print(f"{number} of {len(inputs)} inputs written", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--drafts", type=int, default=4)
    parser.add_argument("--bundle", default="copywriter")
    parser.add_argument("--part", choices=list(PARTS), default="test", help="what is written")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    set_threads(asked.threads)
    root = Path(os.environ.get("WENFANG_DATA", ""))
    if not (root / "e2e_nlg").is_dir():
        sys.exit("set WENFANG_DATA to the folder that holds e2e_nlg")
    chance = random.Random(asked.seed)
    dev, test = read_pairs(root, "dev"), read_pairs(root, "test")
    if asked.sample:
        faulty = [pair for pair in dev if amiss(*pair)]
        for facts, text in chance.sample(faulty, asked.sample):
            print(*(f"{f.outcome} {f.slot}={f.given}/{f.told};" for f in amiss(facts, text)), text)
        return
    found = {
        "test": flagged(test),
        "dev": flagged(dev),
        "dev_flags_judged": JUDGED,
        "noticed_on_test": noticed(test, chance),
    }
    if asked.drafts:
        pairs = {"dev": dev, "test": test}[asked.part]
        found["writer"] = written(pairs, asked.bundle, asked.drafts, asked.seed)
    if asked.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for name, numbers in found.items():
        for key, value in numbers.items():
            print(f"{name:18} {key:16} {value}")


if __name__ == "__main__":
    main()
