"""How often the watermark in text is found, after which attacks, and how often by mistake.

    python benchmarks/watermark_text.py --bundle RUN/bundle --data DIR [--json]

Marked texts are drawn from a character model (train one: `wenfang train shakespeare-cpu`), as
`wenfang generate` draws them. Unmarked ones are cut from what people wrote: Shakespeare, novels,
Chinese verse and everyday sentences. Found means p <= 1e-6, the level at which `wenfang verify`
says so of a text that nothing else tells about; p <= 1e-3 is asked where the seal records a mark.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from wenfang.backends.scribe import Scribe
from wenfang.backends.texts import Shape
from wenfang.device import noise, set_threads
from wenfang.media.text_marks import find_mark
from wenfang.models.load import load
from wenfang.samplers.tokens import Sampling
from wenfang.seal.reader import ENOUGH, SURE

CHARACTERS = 600
LENGTHS = (100, 200, 400, 600)
Attack = Callable[[str, np.random.Generator], str]


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927)."""
    z, rate = 1.96, hits / count
    middle = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def replaced(share: float) -> Attack:
    """Each character replaced with that chance by another of the same text."""

    def attack(text: str, chance: np.random.Generator) -> str:
        others = chance.integers(len(text), size=len(text))
        hit = chance.random(len(text)) < share
        return "".join(
            text[other] if changed else own
            for own, other, changed in zip(text, others, hit, strict=True)
        )

    return attack


def deleted(text: str, chance: np.random.Generator) -> str:
    """One word in ten left out."""
    return " ".join(word for word in text.split(" ") if chance.random() > 0.1)


ATTACKS: dict[str, Attack] = {
    "none": lambda text, _: text,
    "10 % of characters replaced": replaced(0.1),
    "20 % of characters replaced": replaced(0.2),
    "50 % of characters replaced": replaced(0.5),
    "10 % of words left out": deleted,
    "the middle half alone": lambda text, _: text[len(text) // 4 : -len(text) // 4],
    "inside another text of its length": lambda text, _: f"{OTHER}{text}",
    "lower case": lambda text, _: text.lower(),
}
OTHER = ""


def marked(bundle: Path, items: int) -> list[str]:
    """Texts drawn with the watermark, one seed each."""
    scribe = Scribe(load(bundle))
    texts: list[str] = []
    for start in range(0, items, 50):
        streams = [(seed, "benchmark") for seed in range(start, min(start + 50, items))]
        shape = Shape(sampling=Sampling(temperature=0.8, maximum_tokens=CHARACTERS))
        drawn = scribe.draw("\n", shape, streams, watermark=True)
        texts += [one.text for one in drawn]
    return texts


def human(data: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of what people wrote."""
    for name in ("tinyshakespeare", "gutenberg_en", "zh_classic_novels", "tatoeba_en_zh"):
        for path in sorted((data / name).rglob("*")):
            text = _read(path)
            if len(text) > 50_000:
                yield name, text
    for path in sorted((data / "chinese_poetry").rglob("*.jsonl*")):
        yield "chinese_poetry", _read(path)


def _read(path: Path) -> str:
    if not path.is_file() or path.name in ("SHA256SUMS", "SOURCE.txt", "LICENSE"):
        return ""
    opener = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "rb") as stream:  # type: ignore[operator]
        return bytes(stream.read(20_000_000)).decode("utf-8", "replace")


def detection(texts: list[str]) -> dict[str, dict[str, object]]:
    """Rates of every attack, and of shorter texts."""
    found: dict[str, dict[str, object]] = {}
    for name, attack in ATTACKS.items():
        found[name] = _rate([attack(text, noise(i, name)) for i, text in enumerate(texts)])
    for length in LENGTHS:
        found[f"the first {length} characters"] = _rate([text[:length] for text in texts])
    return found


def _rate(texts: list[str]) -> dict[str, object]:
    marks = [find_mark(text) for text in texts]
    sure = sum(one.p_value <= SURE for one in marks)
    low, high = wilson(sure, len(marks))
    return {
        "items": len(marks),
        "found": sure / len(marks),
        "interval_95": [round(low, 4), round(high, 4)],
        "found_at_1e-3": sum(one.p_value <= ENOUGH for one in marks) / len(marks),
        "mean_z": round(float(np.mean([one.z for one in marks])), 2),
    }


def mistakes(data: Path, count: int) -> dict[str, object]:
    """How often unmarked texts of 100 to 600 characters pass for marked ones."""
    sources = list(human(data))
    chance = noise(0, "unmarked")
    levels, names = [], set()
    for number in range(count):
        name, text = sources[number % len(sources)]
        names.add(name)
        length = int(chance.integers(100, CHARACTERS))
        start = int(chance.integers(len(text) - length))
        levels.append(find_mark(text[start : start + length]).p_value)
    low, high = wilson(sum(p <= SURE for p in levels), count)
    return {
        "items": count,
        "mix": sorted(names),
        "at_1e-6": sum(p <= SURE for p in levels),
        "interval_95_of_rate": [low, high],
        "at_1e-3": sum(p <= ENOUGH for p in levels),
        "smallest_p": min(levels),
    }


def main() -> None:
    """Measure and print."""
    global OTHER
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--negatives", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    set_threads(1)
    texts = marked(asked.bundle, asked.items)
    OTHER = next(text for name, text in human(asked.data) if name == "gutenberg_en")[
        9000 : 9000 + CHARACTERS
    ]
    rates = detection(texts)
    result = {"detection": rates, "mistakes": mistakes(asked.data, asked.negatives)}
    if asked.json:
        print(json.dumps(result, indent=2))
        return
    for name, one in rates.items():
        low, high = np.asarray(one["interval_95"])
        print(
            f"{name:36} {one['found']:7.1%} [{low:.1%}, {high:.1%}]"
            f"  at 1e-3 {one['found_at_1e-3']:7.1%}  mean z {one['mean_z']}"
        )
    print("unmarked:", json.dumps(result["mistakes"]))


if __name__ == "__main__":
    main()
