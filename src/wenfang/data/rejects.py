"""What was left out and why: a count for each rule and a fair sample to look at."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from wenfang.atomic import canonical_json

SAMPLES_PER_RULE = 20
EXCERPT_CHARACTERS = 300


@dataclass(kw_only=True)
class Rejects:
    """Counts per rule and, for each, a uniform sample (reservoir, Vitter 1985, algorithm R)."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    _samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _streams: dict[str, random.Random] = field(default_factory=dict)

    def add(self, rule: str, sample: dict[str, Any]) -> None:
        """Count a record under `rule` and perhaps keep it as one of its samples."""
        self.counts[rule] += 1
        kept = self._samples.setdefault(rule, [])
        if len(kept) < SAMPLES_PER_RULE:
            kept.append({"rule": rule, **sample})
            return
        stream = self._streams.setdefault(rule, random.Random(f"{self.seed} {rule}"))
        place = stream.randrange(self.counts[rule])
        if place < SAMPLES_PER_RULE:
            kept[place] = {"rule": rule, **sample}

    def as_jsonl(self) -> bytes:
        """The samples, one a line, rule by rule in the order of their files and lines."""
        lines = []
        for rule in sorted(self._samples):
            order = sorted(self._samples[rule], key=lambda s: (s["source"], s["file"], s["line"]))
            lines += [canonical_json(sample) + b"\n" for sample in order]
        return b"".join(lines)


def excerpt(text: str) -> str:
    """The beginning of `text`."""
    return text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + "…"
