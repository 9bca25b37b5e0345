"""English captions into German: BLEU on Multi30k's test2016, the mean of several seeds.

    WENFANG_DATA=... python benchmarks/translation.py --runs DIR [--seeds 0 1 2] [--json]

Trains the recipe `multi30k` once for each seed under DIR (about an hour of one core each; a run
that was stopped is gone on with, what is done or scored is read). The number of beams and the
length penalty are chosen on the validation part, once for all seeds, by their mean BLEU; the
weights are the average at the end of each run, where the validation loss is lowest. Only then is
the test part read. Texts and references are lower-cased; sacrebleu's signature says the rest. The
published figure to compare with is 41.02, of a Transformer of 2.6 M parameters (Wu et al. 2021).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wenfang.atomic import write_json
from wenfang.checkpoint import states
from wenfang.data.dataset import Dataset
from wenfang.device import set_threads
from wenfang.models.load import load
from wenfang.recipes.pair_suite import measure_pairs
from wenfang.recipes.train import TrainRequest, find_dataset, train
from wenfang.samplers.beam import Beam
from wenfang.trainer import Event

SOURCE = "multi30k_en_de"
BEAMS = tuple(
    Beam(beams=beams, length_penalty=penalty) for beams in (5, 8) for penalty in (0.6, 1.0, 1.4)
)


def main() -> None:
    """Train what is missing, choose on the validation part, measure on the test part."""
    asked = arguments()
    set_threads(asked.threads)
    dataset = find_dataset(SOURCE, asked.data, asked.runs / "dataset")
    bundles = {seed: trained(seed, asked.runs, dataset) for seed in asked.seeds}
    beam, valid = chosen(bundles, dataset)
    test = {seed: scored(bundle, dataset, "test", beam) for seed, bundle in bundles.items()}
    bleu = [one["bleu"] for one in test.values()]
    found = {
        "parameters": load(bundles[asked.seeds[0]]).manifest["facts"]["parameters"],
        "beams": beam.beams,
        "length_penalty": beam.length_penalty,
        "valid_bleu": valid,
        "test_bleu_by_seed": {seed: one["bleu"] for seed, one in test.items()},
        "test_nats_by_seed": {seed: one["nats_per_token"] for seed, one in test.items()},
        "test_bleu_mean": statistics.mean(bleu),
        "test_bleu_spread": max(bleu) - min(bleu),
        "signature": test[asked.seeds[0]]["bleu_signature"],
    }
    print(json.dumps(found, indent=2) if asked.json else table(found))


def trained(seed: int, runs: Path, dataset: Dataset) -> Path:
    """The bundle of one seed; its run is begun, gone on with, or found done."""
    run = runs / f"m30k-{seed}"
    bundle = run / "bundle"
    if (bundle / "manifest.json").is_file():
        return bundle
    request = TrainRequest(
        recipe="multi30k",
        run=run,
        data=dataset.folder,
        settings=(f"train.seed={seed}",),
        resume=bool(states(run / "checkpoints")),
        measured=False,
    )
    return train(request, on_event=tell)


def tell(event: Event) -> None:
    """Progress, on the other stream than the numbers."""
    if event.kind == "evaluate":
        print(f"step {event.step}/{event.steps}", dict(event.values), file=sys.stderr, flush=True)


def chosen(bundles: Mapping[int, Path], dataset: Dataset) -> tuple[Beam, float]:
    """The search with the best mean BLEU over the validation part, and that BLEU."""
    found: dict[Beam, float] = {}
    for beam in BEAMS:
        own = [scored(bundle, dataset, "valid", beam)["bleu"] for bundle in bundles.values()]
        found[beam] = statistics.mean(own)
        told = f"{beam.beams} beams, penalty {beam.length_penalty}: valid {found[beam]:.2f}"
        print(told, file=sys.stderr, flush=True)
    best = max(BEAMS, key=lambda beam: found[beam])
    return best, found[best]


def scored(bundle: Path, dataset: Dataset, split: str, beam: Beam) -> dict[str, Any]:
    """What the suite of a bundle of pairs measures; kept beside the bundle, and read if there."""
    kept = bundle.parent / f"{split}-{beam.beams}-{beam.length_penalty}.json"
    if not kept.is_file():
        write_json(kept, measure_pairs(load(bundle), dataset, split, beam))
    found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    return found


def table(found: Mapping[str, Any]) -> str:
    """The numbers, one a line."""
    return "\n".join(f"{name:20} {value}" for name, value in found.items())


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    root = os.environ.get("WENFANG_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
