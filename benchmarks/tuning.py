"""LoRA beside full tuning: `copywriter` learns a new tone from 200 pairs.

    python benchmarks/tuning.py --runs DIR [--seeds 0 1 2] [--kinds full lora prompt] [--json]

tests/data/venue_tone.jsonl holds 250 pairs written for it: the first 200 to learn from, the last 50
to judge by. What a kind of tuning gains is how many bits a byte it saves over the base on those 50.
Learning rate and epochs are chosen for each kind from a grid of like size by the last 40 of the
200, with the first seed; then all 200 are learnt from, with every seed. By the same 40 the defaults
of LoRA were chosen (docs/log.md). Runs lie in DIR, and what is done there is not done again.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from wenfang.atomic import sha256_file
from wenfang.backends.loading import load_folder
from wenfang.backends.shelf import find_bundle
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.device import set_threads
from wenfang.recipes.train import TrainRequest, train
from wenfang.recipes.tune_suite import dataset_bits

PAIRS = Path(__file__).resolve().parents[1] / "tests" / "data" / "venue_tone.jsonl"
LEARNT, CHOSEN_BY = 200, 40
BASE, LAYOUT, BATCH = "copywriter", "venue", 16
GRID: dict[str, tuple[tuple[float, int], ...]] = {
    "full": tuple((lr, epochs) for lr in (1e-3, 2e-3, 4e-3, 8e-3) for epochs in (8, 16)),
    "lora": tuple((lr, epochs) for lr in (2.5e-3, 5e-3, 1e-2, 2e-2) for epochs in (8, 16)),
    "prompt": tuple((lr, epochs) for lr in (0.1, 0.3) for epochs in (32, 64)),
}


def main() -> None:
    """Choose, tune, compare."""
    asked = arguments()
    set_threads(1)
    rows = [json.loads(line) for line in PAIRS.read_text("utf-8").splitlines()]
    cut = LEARNT - CHOSEN_BY
    small = data_set(rows[:cut], rows[cut:LEARNT], asked.runs / "chosen-by")
    whole = data_set(rows[:LEARNT], rows[LEARNT:], asked.runs / "judged-by")
    base = load_folder(find_bundle(BASE))
    found: dict[str, Any] = {"base_bits_per_byte": dataset_bits(base, whole, LAYOUT)}
    total = sum(p.numel() for p in base.model.parameters())
    for kind in asked.kinds:
        tried = {one: bits(asked.runs, kind, one, asked.seeds[0], small) for one in GRID[kind]}
        best = min(tried, key=lambda one: tried[one])
        own = [bits(asked.runs, kind, best, seed, whole) for seed in asked.seeds]
        gains = [found["base_bits_per_byte"] - one for one in own]
        weights = bundle_of(asked.runs, kind, best, asked.seeds[0], whole)
        found[kind] = {
            "lr": best[0],
            "epochs": best[1],
            "gain": statistics.median(gains),
            "gains": gains,
            "weights": load_folder(weights).manifest["facts"]["parameters"],
        }
        found[kind]["weights_share"] = found[kind]["weights"] / total
    for kind in asked.kinds:
        found[kind]["share_of_full_gain"] = found[kind]["gain"] / found["full"]["gain"]
    print(json.dumps(found, indent=2) if asked.json else table(found, asked.kinds))


def data_set(train_rows: list[Any], valid_rows: list[Any], folder: Path) -> Dataset:
    """Pairs in the parts that they are wanted in."""
    if (folder / MANIFEST).is_file():
        return Dataset.open(folder)
    parts = [("train", one) for one in train_rows] + [("valid", one) for one in valid_rows]
    records = [(part, {**one, "text": one["completion"]}) for part, one in parts]
    source = Source(path=str(PAIRS), licence="Apache-2.0", origin="written for this project")
    sizes = {"train": len(train_rows), "valid": len(valid_rows)}
    return write_rows("tone", source, {PAIRS.name: sha256_file(PAIRS)}, sizes, records, folder)


def bundle_of(
    runs: Path, kind: str, setting: tuple[float, int], seed: int, dataset: Dataset
) -> Path:
    """The bundle tuned in one way, made if it is not there yet."""
    lr, epochs = setting
    run = runs / f"{dataset.folder.name}-{kind}-{lr:g}-{epochs}-{seed}"
    if (run / "bundle" / "manifest.json").is_file():
        return run / "bundle"
    steps = epochs * (dataset.count("train") // BATCH)
    settings = {
        "tune.kind": kind,
        "optim.lr": lr,
        "train.steps": steps,
        "train.batch_size": BATCH,
        "train.seed": seed,
        "train.evaluate_every": steps,
    }
    request = TrainRequest(
        recipe="tune",
        run=run,
        data=dataset.folder,
        base=find_bundle(BASE),
        settings=tuple(f"{name}={value}" for name, value in settings.items()),
        measured=False,
    )
    return train(request)


def bits(runs: Path, kind: str, setting: tuple[float, int], seed: int, dataset: Dataset) -> float:
    """Bits a byte over the data set's validation part after tuning."""
    folder = bundle_of(runs, kind, setting, seed, dataset)
    return dataset_bits(load_folder(folder), dataset, LAYOUT)


def table(found: dict[str, Any], kinds: list[str]) -> str:
    """The comparison, for reading."""
    lines = [f"base    {found['base_bits_per_byte']:.4f} bits a byte on {250 - LEARNT} pairs"]
    for kind in kinds:
        row = found[kind]
        each = ", ".join(f"{gain:.4f}" for gain in row["gains"])
        lines.append(
            f"{kind:7} gains {row['gain']:.4f} ({each}), {100 * row['share_of_full_gain']:.1f} % "
            f"of full, with {row['weights']:,} weights ({100 * row['weights_share']:.2f} %), "
            f"lr {row['lr']:g}, {row['epochs']} epochs"
        )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", default=list(GRID), choices=list(GRID))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
