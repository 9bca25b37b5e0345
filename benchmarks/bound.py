"""The importance-weighted bound of an autoencoder of digits, over the whole test part.

    WENFANG_DATA=... python benchmarks/bound.py --bundle digits-vae --out DIR [--samples 5000]

Test pictures are drawn once as black or white by one seed, as is usual (Burda et al. 2016,
arXiv:1509.00519); the mean over all of them is printed in nats, with its standard error. Parts that
are in DIR already are not measured again, so the work can be gone on with: 10,000 pictures times
5,000 samples are fifty million pictures to decode. `--share 0/2` and `--share 1/2` measure half
of the parts each, in processes of their own; the same command without it then prints the mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from wenfang.atomic import write_json
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import WEIGHTS
from wenfang.data.pixels import Pixels
from wenfang.device import set_threads
from wenfang.models.load import load
from wenfang.models.vae import VAE
from wenfang.objectives.reconstruction import bound_by_parts
from wenfang.recipes.train import find_dataset

# Twenty pictures times 13 latents at once lie in the second cache.
SOURCE, PART, TOGETHER, AT_ONCE = "mnist", 100, 20, 13


def main() -> None:
    """Measure part after part, and print the mean of all."""
    asked = arguments()
    set_threads(asked.threads)
    loaded = load(find_bundle(asked.bundle))
    model = loaded.model
    assert isinstance(model, VAE)
    dataset = find_dataset(SOURCE, asked.data, asked.out / "dataset")
    real = Pixels.read(dataset.records("test"), 1)
    rng = torch.Generator().manual_seed(0)
    pictures = torch.bernoulli(real.tensor(slice(None), least=0.0), generator=rng)[: asked.pictures]
    # By its weights alone, which stay when a card is written anew.
    name = f"{loaded.manifest['facts']['files'][WEIGHTS][:12]}-{asked.samples}"
    found: list[float] = []
    own, of = map(int, asked.share.split("/"))
    for number, first in enumerate(range(0, len(pictures), PART)):
        if number % of != own:
            continue
        place = asked.out / f"{name}-{first}.json"
        if not place.is_file():
            began = time.monotonic()
            part = pictures[first : first + PART]
            draws = torch.Generator().manual_seed(first + 1)
            bound: list[float] = []
            for at in range(0, len(part), TOGETHER):
                some = part[at : at + TOGETHER]
                bound += bound_by_parts(model, some, asked.samples, draws, at_once=AT_ONCE).tolist()
            write_json(place, bound)
            rate = asked.samples * len(part) / (time.monotonic() - began)
            print(f"{first + len(part)} of {len(pictures)}, {rate:,.0f}/s", file=sys.stderr)
        found += json.loads(place.read_text("utf-8"))
    values = -np.array(found)
    error = values.std() / np.sqrt(len(values))
    print(
        f"{len(values)} pictures, {asked.samples} samples: {values.mean():.2f} ± {error:.2f} nats"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = os.environ.get("WENFANG_DATA")
    parser.add_argument("--bundle", default="digits-vae")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--share", default="0/1", help="which of so many parts, for processes beside"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
