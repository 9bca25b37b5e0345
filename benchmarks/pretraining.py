"""Does pre-training pay? Classes of comments from a tenth of the labels, two ways.

    WENFANG_DATA=... python benchmarks/pretraining.py --runs DIR [--seeds 0 1 2] [--json]

One net, a BERT of 2.8 M parameters (recipe `comment-classes-zh`), learns offence from a tenth of
COLD's training labels: once from random weights, once from the recipe `comments-zh`, which read
the same training texts without any label. Both get the same labels for the same seed and the same
choice of learning rates; what is best on the validation part, as a mean over the seeds, is used.
The test part is COLD's dev.csv, whose texts are not in the other parts: it is read once for each
net, at the end. Runs lie in DIR, and what is done there is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from wenfang.checkpoint import states
from wenfang.data.dataset import Dataset
from wenfang.device import set_threads
from wenfang.models.bert import Bert
from wenfang.models.load import load
from wenfang.recipes.learn_masked import class_accuracy
from wenfang.recipes.train import TrainRequest, find_dataset, train
from wenfang.trainer import Event

SOURCE = "cold_zh_offensive"
# Learning rate and steps. One seed is a poor judge: at 1e-3 random weights reached 83.5 % of the
# validation part with the first, 74.9 and 76.2 % with the next two.
GRID = ((3e-4, 500), (1e-3, 500))
ARMS = ("scratch", "pretrained")


def main() -> None:
    """Pre-train once, fine-tune each way with every seed, compare on the test part."""
    asked = arguments()
    set_threads(asked.threads)
    dataset = find_dataset(SOURCE, asked.data, asked.runs / "dataset")
    shared = texts_in_both(dataset)
    assert not shared, f"{shared} test texts are in other parts"
    base = asked.base or pretrained(asked.runs, dataset)
    found: dict[str, Any] = {"test_texts": dataset.count("test")}
    for arm in ARMS:
        start = base if arm == "pretrained" else None
        rows = {
            one: [tuned(asked, dataset, start, one, seed) for seed in asked.seeds] for one in GRID
        }
        valid = {
            one: [100 * accuracy(bundle, dataset, "valid") for bundle in bundles]
            for one, bundles in rows.items()
        }
        best = max(GRID, key=lambda one: statistics.mean(valid[one]))
        own = [100 * accuracy(bundle, dataset, "test") for bundle in rows[best]]
        found[arm] = {
            "lr": best[0],
            "steps": best[1],
            "valid_by_setting": {f"{lr:g} x {steps}": valid[lr, steps] for lr, steps in GRID},
            "test_accuracy": own,
            "mean": statistics.mean(own),
            "spread": max(own) - min(own),
        }
    found["points_gained"] = found["pretrained"]["mean"] - found["scratch"]["mean"]
    print(json.dumps(found, indent=2) if asked.json else table(found))


def texts_in_both(dataset: Dataset) -> int:
    """How many test texts are also in the training or the validation part."""
    parts = {
        split: {record["text"] for record in dataset.records(split)}
        for split in ("train", "valid", "test")
    }
    return len(parts["test"] & (parts["train"] | parts["valid"]))


def pretrained(runs: Path, dataset: Dataset) -> Path:
    """The bundle that has read the training texts without their labels."""
    return trained(runs / "comments-zh", dataset, "comments-zh", None, ())


def tuned(
    asked: argparse.Namespace,
    dataset: Dataset,
    base: Path | None,
    setting: tuple[float, int],
    seed: int,
) -> Path:
    """A classifier from `base` or from nothing, for one setting and seed."""
    lr, steps = setting
    name = f"{'pretrained' if base else 'scratch'}-{lr:g}-{steps}-{seed}"
    settings = (
        f"optim.lr={lr}",
        f"train.steps={steps}",
        f"train.seed={seed}",
        f"train.evaluate_every={steps}",  # nothing is chosen by how a run went
    )
    return trained(asked.runs / name, dataset, "comment-classes-zh", base, settings)


def trained(
    run: Path, dataset: Dataset, recipe: str, base: Path | None, settings: tuple[str, ...]
) -> Path:
    """The bundle of a run, trained or gone on with where it is not there yet."""
    if (run / "bundle" / "manifest.json").is_file():
        return run / "bundle"
    request = TrainRequest(
        recipe=recipe,
        run=run,
        data=dataset.folder,
        base=base,
        settings=settings,
        resume=bool(states(run / "checkpoints")),
        measured=False,
    )

    def tell(event: Event) -> None:
        if event.kind == "evaluate":
            print(run.name, event.step, dict(event.values), file=sys.stderr, flush=True)

    return train(request, on_event=tell)


def accuracy(bundle: Path, dataset: Dataset, split: str) -> float:
    """Share of a part's texts that the classifier of a bundle tells rightly."""
    loaded = load(bundle)
    assert isinstance(loaded.model, Bert)
    assert loaded.tokenizer is not None
    context = loaded.model.config.context
    return class_accuracy(loaded.model, loaded.tokenizer, dataset, split, context)


def table(found: dict[str, Any]) -> str:
    """The comparison, for reading."""
    lines = [f"{found['test_texts']} test texts; accuracy in per cent"]
    for arm in ARMS:
        row = found[arm]
        each = ", ".join(f"{value:.2f}" for value in row["test_accuracy"])
        lines.append(
            f"{arm:10}  {row['mean']:.2f} (seeds {each}), lr {row['lr']:g}, {row['steps']} steps"
        )
    return "\n".join([*lines, f"gained      {found['points_gained']:+.2f} points"])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    root = os.environ.get("WENFANG_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--base", type=Path, help="a bundle of comments-zh that is there already")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
