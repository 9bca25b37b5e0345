"""What a maker of pictures is worth, by an eye that never saw what it makes.

The eye is a classifier of the same data set, trained on real pictures alone. A number that depends
on it is told with its name and hash; beside each stand what real pictures score against each other
and what noise scores, so that a reader can place it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wenfang.backends.painter import Asked, Painter, PaintOptions
from wenfang.backends.shelf import find_local
from wenfang.data.captions import Caption
from wenfang.data.dataset import Dataset
from wenfang.data.pixels import Pixels
from wenfang.device import noise
from wenfang.metrics.fidelity import (
    Features,
    frechet_distance,
    kernel_distance,
    nearest_distances,
    spread_of_samples,
)
from wenfang.metrics.pictures import WINDOW_PX, psnr_db, ssim
from wenfang.models.load import Loaded, load
from wenfang.models.picture_classifier import PictureClassifier
from wenfang.models.vae import VAE
from wenfang.objectives.reconstruction import bound_by_parts
from wenfang.recipes.emblem_suite import measure_drawn
from wenfang.recipes.nearness import nearness

# By the data set that they read: of classes, and of words.
EYES, JUDGES = {"mnist": "digit-reader"}, {"pictograms": "emblem-reader"}
ROWS = 250
BOUND_PICTURES, BOUND_SAMPLES = 500, 100
NEAREST = 2000  # pictures whose nearest training one is looked for
COPIED = 100  # the same, where what a picture shows is not read by classes


def measure_painter(
    loaded: Loaded, dataset: Dataset, count: int, options: PaintOptions | None = None
) -> dict[str, Any]:
    """Every number of the card of a maker of pictures; `count` of them are made.

    raises BundleError for one that makes none
    """
    options = options or PaintOptions()
    painter = Painter(loaded)
    known, name = painter.known, str(dataset.manifest.name)
    split = "test" if dataset.count("test") else "valid"
    numbers: dict[str, Any] = {"split": split}
    real = Pixels.read(dataset.records(split), known.channels, known.side_px)
    if isinstance(loaded.model, VAE):
        told = told_again if loaded.model.config.likelihood != "bernoulli" else told_bound
        numbers |= told(loaded.model, real)
    judge, eye = (find_local(table.get(name, "")) for table in (JUDGES, EYES))
    if known.words and judge:
        numbers |= measure_drawn(painter, load(judge), dataset, options)
    if eye and not known.words:
        classes = [
            number % len(known.classes) if known.classes else None for number in range(count)
        ]
        made = painter.paint(classes, [(number, "suite") for number in range(count)], options)
        return numbers | judged(load(eye), made, classes, real, dataset)
    if isinstance(loaded.model, VAE):
        return numbers
    return numbers | nearness(_some_drawn(painter, dataset, options), dataset, split)


def _some_drawn(painter: Painter, dataset: Dataset, options: PaintOptions) -> NDArray[np.uint8]:
    """A picture for some things that were learnt from: (N, S, S, C)."""
    asked: list[Asked] = [None] * COPIED
    if painter.known.words:
        names = [Caption.of(record).names[0] for record in dataset.records("train")]
        places = noise(0, "copies").permutation(len(names))[:COPIED]
        asked = [names[place] for place in places]
    streams = [(number, "copies") for number in range(len(asked))]
    return painter.paint(asked, streams, options)


@torch.no_grad()
def told_again(model: VAE, real: Pixels) -> dict[str, Any]:
    """How near test pictures come back from their likeliest latents; colours count as much as they
    are opaque.
    """
    found: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for start in range(0, len(real), ROWS):
        pictures = real.tensor(slice(start, start + ROWS), least=0.0)
        back = model(pictures).clamp(0, 1)
        found += zip(pictures.double().numpy(), back.double().numpy(), strict=True)
    numbers: dict[str, Any] = {
        "pictures": len(found),
        "psnr_db": float(np.mean([psnr_db(own, back) for own, back in found])),
    }
    if model.config.side_px >= WINDOW_PX:
        numbers["ssim"] = float(np.mean([ssim(own, back) for own, back in found]))
    return numbers


def told_bound(model: VAE, real: Pixels) -> dict[str, Any]:
    """The importance-weighted bound of some test pictures, drawn as black or white by one seed."""
    rng = torch.Generator().manual_seed(0)
    pictures = torch.bernoulli(real.tensor(slice(0, BOUND_PICTURES), least=0.0), generator=rng)
    bound = bound_by_parts(model, pictures, BOUND_SAMPLES, rng, at_once=1)
    return {
        "bound_pictures": len(pictures),
        "bound_samples": BOUND_SAMPLES,
        "negative_bound_nats": -float(bound.mean()),
    }


def judged(
    eye: Loaded,
    made: NDArray[np.uint8],
    classes: Sequence[int | None],
    real: Pixels,
    dataset: Dataset,
) -> dict[str, Any]:
    """Made pictures (N, S, S, C) beside the real ones of the test part, as many of each."""
    model = eye.model
    assert isinstance(model, PictureClassifier)
    name = f"{eye.name}@{str(eye.manifest['payload_sha256'])[:8]}"
    count = min(len(made), len(real))
    features, said = seen(model, _pixels(made.transpose(0, 3, 1, 2)))
    known, _ = seen(model, _pixels(real.values[:count]))
    shares = np.bincount(said, minlength=model.config.classes) / len(said)
    numbers: dict[str, Any] = {
        "eye": name,
        "made": len(made),
        "real": count,
        "least_class_share": float(shares.min()),
        "largest_class_share": float(shares.max()),
    }
    if len(classes) and classes[0] is not None:
        numbers["class_accuracy_share"] = float((said == np.array(classes)).mean())
    for what, value in spread_of_samples(known, features[:count]).items():
        numbers[f"{what}[{name}]"] = value
    train = Pixels.read(dataset.records("train"), real.values.shape[1])
    every, _ = seen(model, train)
    floor = every[np.sort(noise(0, "floor").permutation(len(train))[:count])]
    grain = noise(0, "ceiling").integers(256, size=real.values[:count].shape).astype(np.uint8)
    ceiling, _ = seen(model, _pixels(grain))
    for what, others in (("", features[:count]), ("_of_real", floor), ("_of_noise", ceiling)):
        numbers[f"FD{what}[{name}]"] = frechet_distance(known, others)
        numbers[f"KD{what}[{name}]"] = kernel_distance(known, others)
    numbers["coverage_of_real_share"] = spread_of_samples(known, floor)["coverage_share"]
    return numbers | _nearest(features, known, every)


def _nearest(made: Features, real: Features, train: Features) -> dict[str, float]:
    """How near the nearest training picture is to made and to held-out ones."""
    own, apart = (nearest_distances(one[:NEAREST], train) for one in (made, real))
    return {
        "nearest_training_distance_median": float(np.median(own)),
        "nearest_training_distance_of_real_median": float(np.median(apart)),
        "nearer_than_any_real_share": float((own < apart.min()).mean()),
    }


def _pixels(values: NDArray[np.uint8]) -> Pixels:
    """Pictures (N, C, S, S) without classes."""
    return Pixels(values=values, classes=np.zeros(len(values), np.int64))


@torch.no_grad()
def seen(model: PictureClassifier, pixels: Pixels) -> tuple[Features, NDArray[np.int64]]:
    """Features (N, F) of pictures, and the class that each is taken for."""
    features, said = [], []
    for start in range(0, len(pixels), ROWS):
        found = model.features(pixels.tensor(slice(start, start + ROWS)))
        features.append(found.double())
        said.append(model.head(found).argmax(1))
    return torch.cat(features).numpy(), torch.cat(said).numpy()
