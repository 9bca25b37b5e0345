"""What the thresholds of the checks rest on, and what each check costs.

    WENFANG_DATA=... python benchmarks/checks.py [--seed 0] [--json]

Unrelated material should pass and copies with changes should not: quantiles of each measure for
both, from novels, quatrains, restaurant sentences, drawings and chorales of the research data.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import lzma
import os
import random
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wenfang.checks import CHECKS, Material
from wenfang.data.comparison import Comparison
from wenfang.data.melody_index import MelodyIndex
from wenfang.data.picture_index import PictureIndex
from wenfang.data.text_index import TextIndex
from wenfang.data.training_index import TrainingIndex
from wenfang.data.units import units
from wenfang.media.midi import Note
from wenfang.metrics.vendi import likeness, vendi

Numbers = dict[str, Any]
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99, 1.0)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Quantiles of `values`, by name."""
    found = np.quantile(values, QUANTILES)
    return {f"q{q:g}": round(float(v), 4) for q, v in zip(QUANTILES, found, strict=True)}


def edited(sequence: Sequence[str], rate: float, pool: Sequence[str], chance: random.Random) -> str:
    """`sequence` with units replaced (6 of 10), dropped (2) or put in (2) at `rate`."""
    out: list[str] = []
    for unit in sequence:
        kind = chance.random() if chance.random() < rate else None
        if kind is None:
            out.append(unit)
        elif kind < 0.6:
            out.append(chance.choice(pool))
        elif kind >= 0.8:
            out += [unit, chance.choice(pool)]
    return "".join(out)


def novel_units(root: Path, name: str) -> list[str]:
    """A novel as its characters."""
    text = (root / "zh_classic_novels" / f"{name}.txt.xz").read_bytes()
    return units(lzma.decompress(text).decode("utf-8", "replace"))


def texts(root: Path, chance: random.Random) -> Numbers:
    """Passages of one novel against two others, and edited passages planted in them."""
    known = {name: novel_units(root, name) for name in ("三国演义", "水浒传")}
    new = novel_units(root, "西游记")
    index = TextIndex.build((name, "".join(text)) for name, text in known.items())
    starts = [chance.randrange(len(new) - 1000) for _ in range(300)]
    passages = ["".join(new[start : start + 1000]) for start in starts]
    found: Numbers = {
        "unrelated_longest_copy_units": spread([index.longest_copy(p).value for p in passages]),
        "unrelated_near_copy_share": spread([index.nearest(p).value for p in passages]),
    }
    source = known["三国演义"]
    for rate in (0.05, 0.1, 0.15, 0.2):
        shares = []
        for passage in passages[:200]:
            start = chance.randrange(len(source) - 300)
            planted = edited(source[start : start + 150], rate, source, chance)
            shares.append(index.nearest(passage[:400] + planted + passage[400:800]).value)
        found[f"planted_near_copy_share_{rate:g}_edited"] = spread(shares)
    return found


def poems(root: Path) -> list[str]:
    """All quatrains."""
    path = root / "chinese_poetry" / "jueju_tang_song.jsonl.xz"
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        return ["\n".join(json.loads(line)["lines"]) for line in stream]


def sameness(root: Path, chance: random.Random) -> Numbers:
    """Vendi ratio and likeness of unrelated, of related and of nearly equal texts."""
    verses = poems(root)
    chance.shuffle(verses)
    pool = list("".join(verses[:200]).replace("\n", ""))
    groups = defaultdict(list)
    with (root / "e2e_nlg" / "devset.csv").open(encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            groups[row["mr"]].append(row["ref"])
    related = [group[:10] for group in groups.values() if len(group) >= 5]
    batches = [verses[n * 50 : (n + 1) * 50] for n in range(20)]
    near = [likeness(v, [edited(v, 0.1, pool, chance)])[0] for v in verses[:200]]
    nearest = [max(likeness(v, verses[1000:1500])) for v in verses[:40]]
    found: Numbers = {
        "unrelated_vendi_ratio_of_50": spread([vendi(b)["vendi_ratio"] for b in batches]),
        "same_facts_vendi_ratio_of_5_to_10": spread([vendi(b)["vendi_ratio"] for b in related]),
        "unrelated_likeness_nearest_of_500": spread(nearest),
        "likeness_0.1_edited": spread(near),
    }
    for rate in (0.0, 0.1, 0.2):
        copies = [[edited(v, rate, pool, chance) for _ in range(50)] for v in verses[:10]]
        ratios = [vendi(batch)["vendi_ratio"] for batch in copies]
        found[f"vendi_ratio_of_50_{rate:g}_edited"] = spread(ratios)
    return found


def drawings(root: Path) -> list[tuple[str, Image.Image]]:
    """All drawings of the set."""
    found: list[tuple[str, Image.Image]] = []
    with tarfile.open(root / "noto_emoji72" / "noto_png72.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".png") else None
            if stream is not None:
                found.append((member.name, Image.open(io.BytesIO(stream.read())).convert("RGBA")))
    return found


def noise(count: int, seed: int, side_px: int = 72) -> list[tuple[str, Image.Image]]:
    """Noise with the spectrum of natural pictures."""
    generator = np.random.default_rng(seed)
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side_px), np.fft.fftfreq(side_px)))
    frequencies[0, 0] = 1
    found = []
    for number in range(count):
        waves = np.fft.fft2(generator.normal(size=(side_px, side_px))) / frequencies
        values = np.fft.ifft2(waves).real
        levels = np.clip((values - values.mean()) / values.std() * 50 + 128, 0, 255)
        found.append((str(number), Image.fromarray(levels.astype(np.uint8)).convert("RGBA")))
    return found


def jpeg(image: Image.Image) -> Image.Image:
    """`image` after JPEG at quality 50."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=50)
    return Image.open(stream)


ATTACKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned_90": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "jpeg_50": jpeg,
    "half_size": lambda image: image.resize((36, 36), Image.Resampling.BICUBIC),
    "crop_4_percent": lambda image: image.crop((3, 3, 69, 69)),
    "crop_10_percent": lambda image: image.crop((7, 7, 65, 65)),
    "turned_5": lambda image: image.rotate(5, fillcolor="white"),
}


def pictures(root: Path, chance: random.Random) -> Numbers:
    """Distances in bits: to the nearest other picture, and the share of altered copies found."""
    found: Numbers = {}
    every = drawings(root)
    chance.shuffle(every)
    for name, known, new in (
        ("emoji", every[:3000], every[3000:]),
        ("noise", (made := noise(4000, 0))[:3000], made[3000:]),
    ):
        index = PictureIndex.build(known)
        bits = [near.distance for _, image in new if (near := index.nearest(image))]
        found[f"{name}_new_to_nearest_bits"] = spread(bits)
        for attack, change in ATTACKS.items():
            white = [Image.new("RGBA", image.size, "white") for _, image in known[:400]]
            flat = [
                Image.alpha_composite(paper, image).convert("RGB")
                for paper, (_, image) in zip(white, known, strict=False)
            ]
            answers = [index.nearest(change(image)) for image in flat]
            caught = [one is not None and one.distance <= 10 for one in answers]
            found[f"{name}_{attack}_found_ratio"] = sum(caught) / len(caught)
    return found


def chorale(frames: Sequence[Sequence[float]]) -> tuple[Note, ...]:
    """The four voices of a chorale as notes; a pitch that goes on is one note."""
    found = []
    for voice in range(4):
        pitches = [int(frame[voice]) if voice < len(frame) else 0 for frame in frames]
        for place, pitch in enumerate(pitches):
            if pitch > 0 and (place == 0 or pitches[place - 1] != pitch):
                found.append(Note(start_ticks=place, duration_ticks=1, pitch=pitch, track=voice))
    return tuple(found)


def melodies(root: Path) -> Numbers:
    """Held-out chorales that share a run with a training chorale, by voice."""
    data = json.loads((root / "jsb_chorales" / "Jsb16thSeparated.json").read_text())
    known, new = [chorale(c) for c in data["train"]], [chorale(c) for c in data["test"]]
    found: Numbers = {}
    for voice, name in enumerate(("soprano", "alto", "tenor", "bass")):
        lines = [[note for note in notes if note.track == voice] for notes in known]
        index = MelodyIndex.build((str(n), line) for n, line in enumerate(lines))
        runs = [
            index.longest_copy([note for note in notes if note.track == voice]).intervals
            for notes in new
        ]
        found[f"{name}_12_intervals_ratio"] = sum(run >= 12 for run in runs) / len(runs)
    return found


def costs(root: Path) -> Numbers:
    """Milliseconds of each check on 10,000 characters of a novel, 50 quatrains, one picture."""
    known, new = novel_units(root, "三国演义"), novel_units(root, "西游记")
    known_pictures = noise(3000, 1)
    verses = poems(root)[:51]
    compared = Comparison(
        texts=TextIndex.build([("novel", "".join(known))]),
        pictures=PictureIndex.build(known_pictures),
        melodies=MelodyIndex.build([]),
    )
    material = Material(
        text="".join(new[:10_000]),
        index=TrainingIndex.build(["".join(known)]),
        compared=compared,
        picture=known_pictures[0][1].resize((1000, 1000)),
        siblings=tuple(verses[1:]),
        licences={"MIT": ("poems",)},
        commercial=True,
    )
    batch = Material(text=verses[0], siblings=tuple(verses[1:50]))
    found: Numbers = {}
    for name, check in CHECKS.items():
        given = batch if name in ("batch_sameness", "repeated_text") else material
        check(given)
        begun = time.perf_counter()
        for _ in range(5):
            check(given)
        found[f"{name}_ms"] = round((time.perf_counter() - begun) * 200, 2)
    return found


def main() -> int:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not os.environ.get("WENFANG_DATA"):
        print("set WENFANG_DATA to the folder of the research data", file=sys.stderr)
        return 64
    root, chance = Path(os.environ["WENFANG_DATA"]), random.Random(options.seed)
    found = {
        "texts": texts(root, chance),
        "sameness": sameness(root, chance),
        "pictures": pictures(root, chance),
        "melodies": melodies(root),
        "costs": costs(root),
    }
    if options.json:
        print(json.dumps(found))
        return 0
    for section, numbers in found.items():
        print(section)
        for name, value in numbers.items():
            print(f"  {name:44} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
