"""Does a diffusion model of pictograms get better with training, and is it better than a DCGAN?

    WENFANG_DATA=... python benchmarks/pictograms.py --runs DIR [--steps 3000] [--json]

Noto Emoji at 32 pixels, told by their group of Unicode. Three makers: a U-Net along the flow, the
same net after a tenth of the steps, and a deep convolutional GAN (Radford et al. 2016,
arXiv:1511.06434; here with R1 and averaged weights) of as many parameters that is trained as long
by the clock. They are compared
by the unbiased kernel distance to the training part in the features of `picture-encoder`; beside it
stands what two halves of the real pictures have between them, and noise. Runs lie in DIR, and what
is done there is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wenfang.atomic import write_json
from wenfang.backends.painter import Painter, PaintOptions
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import states
from wenfang.data.dataset import Dataset
from wenfang.data.pixels import Pixels
from wenfang.device import noise, set_threads
from wenfang.metrics.fidelity import kernel_distance
from wenfang.models import gan, unet
from wenfang.models.load import load
from wenfang.models.picture_encoder import PictureEncoder
from wenfang.recipes import RECIPES
from wenfang.recipes.recipe import DataConfig, GameConfig, ObjectiveConfig, Recipe
from wenfang.recipes.train import TrainRequest, find_dataset, train

SOURCE, SIDE_PX, GROUPS = "pictogram_groups", 32, 8
MADE = 1000  # by each maker, of the groups as often as they stand in the training part
ROWS = 250
OPTIONS = PaintOptions(guidance=1.0)  # as learnt: guidance would trade variety for likeness


def diffusion(steps: int) -> Recipe:
    """A U-Net of four million parameters."""
    full = RECIPES["digits-diffusion"]()
    model = unet.Config(
        in_channels=3,
        out_channels=3,
        patch=2,
        channels=(64, 96, 128),
        attention=(False, False, True),
        blocks=1,
        groups=16,
        classes=GROUPS,
    )
    return shaped(full, model, steps, batch=32)


def game(steps: int, channels: tuple[int, ...]) -> Recipe:
    """A generator and a discriminator that have as many parameters together."""
    plain = ObjectiveConfig(game=GameConfig(r1=1.0))
    full = replace(RECIPES["digits-gan"](), objective=plain)
    model = gan.Config(
        in_channels=3,
        side_px=SIDE_PX,
        patch=2,
        channels=channels,
        latent_width=64,
        classes=GROUPS,
    )
    return shaped(full, model, steps, batch=32)


def shaped(full: Recipe, model: Any, steps: int, batch: int) -> Recipe:
    """A recipe of digits upon pictograms."""
    layout, rarely = full.data.layout, max(1, steps // 4)
    data = DataConfig(source=SOURCE, layout=layout, validation_examples=32, side_px=SIDE_PX)
    train = replace(
        full.train, steps=steps, batch_size=batch, evaluate_every=rarely, checkpoint_every=200
    )
    return replace(full, data=data, model=model, train=train)


def trained(recipe: Recipe, run: Path, dataset: Dataset) -> dict[str, Any]:
    """The run's bundle, made or gone on with where it is not there yet, and its seconds."""
    told = run / "seconds.json"
    bundle = run / "bundle"
    if not (bundle / "manifest.json").is_file():
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / "asked.json", recipe.to_dict())
        began = time.monotonic()
        bundle = train(
            TrainRequest(
                recipe=str(run / "asked.json"),
                run=run,
                data=dataset.folder,
                resume=bool(states(run / "checkpoints")),
                measured=False,
            )
        )
        write_json(told, {"seconds": time.monotonic() - began})
    facts = load(bundle).manifest["facts"]
    seconds = json.loads(told.read_text("utf-8"))["seconds"]
    return {"bundle": bundle, "seconds": seconds, "parameters": facts["parameters"]}


@torch.no_grad()
def features(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Vectors of pictures (N, 3, S, S), read at the encoder's own size."""
    model = load(find_bundle("picture-encoder")).model
    assert isinstance(model, PictureEncoder)
    found = []
    for start in range(0, len(values), ROWS):
        part = torch.from_numpy(values[start : start + ROWS]).float() / 127.5 - 1
        side = model.config.side_px
        large = torch.nn.functional.interpolate(part, size=(side, side), mode="bilinear")
        found.append(model(large).double())
    return torch.cat(found).numpy()


def drawn(bundle: Path, classes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A picture for each class: (N, 3, S, S)."""
    streams = [(number, "pictograms") for number in range(len(classes))]
    made = Painter(load(bundle)).paint([int(one) for one in classes], streams, OPTIONS)
    return made.transpose(0, 3, 1, 2)


def main() -> None:
    """Train the three, and compare what they make."""
    asked = arguments()
    set_threads(asked.threads)
    dataset = find_dataset(SOURCE, asked.data, asked.runs / "dataset")
    real = Pixels.read(dataset.records("train"), 3, SIDE_PX)
    known = features(real.values)
    order = noise(0, "halves").permutation(len(real))
    half = len(real) // 2
    grain = noise(0, "grain").integers(256, size=real.values[:half].shape).astype(np.uint8)
    makers = {
        "diffusion": diffusion(asked.steps),
        "diffusion_a_tenth": diffusion(asked.steps // 10),
        "dcgan": game(asked.game_steps, tuple(asked.game_channels)),
    }
    found: dict[str, Any] = {
        "real_pictures": len(real),
        "KD_of_real_halves": kernel_distance(known[order[:half]], known[order[half:]]),
        "KD_of_noise": kernel_distance(known, features(grain)),
    }
    for name, recipe in makers.items():
        run = trained(recipe, asked.runs / name, dataset)
        made = drawn(run["bundle"], real.classes[order[:MADE]])
        np.save(asked.runs / name / "drawn.npy", made[:64])
        found[name] = {
            "parameters": run["parameters"],
            "seconds": run["seconds"],
            "steps": recipe.train.steps,
            "KD": kernel_distance(known, features(made)),
        }
    print(json.dumps(found, indent=2) if asked.json else table(found))


def table(found: dict[str, Any]) -> str:
    """The comparison, for reading."""
    lines = [
        f"{found['real_pictures']} pictures; unbiased kernel distance, eye picture-encoder",
        f"two halves of the real ones  {found['KD_of_real_halves']:.5f}",
        f"noise                        {found['KD_of_noise']:.5f}",
    ]
    for name in ("diffusion", "diffusion_a_tenth", "dcgan"):
        row = found[name]
        lines.append(
            f"{name:27}  {row['KD']:.5f}  ({row['parameters']:,} parameters, "
            f"{row['steps']:,} steps, {row['seconds'] / 60:.0f} minutes)"
        )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = os.environ.get("WENFANG_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--game-steps", type=int, default=6000)
    parser.add_argument("--game-channels", type=int, nargs="+", default=[160, 320, 480])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
