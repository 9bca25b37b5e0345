"""How well an encoder of pictures finds altered copies, beside the perceptual hash.

Altered drawings of the test part are looked for among the drawings of all parts, one of each
glyph. What neither search knew is whether they are there; so the share of test drawings, which
have no copy in the training part, that lie within the threshold of one is told too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from torch import nn

from wenfang.data.dataset import Dataset
from wenfang.data.picture_batches import Drawings, scene, to_tensor
from wenfang.data.picture_index import PictureIndex
from wenfang.data.picture_sight import shrunk
from wenfang.data.picture_views import encoded, hue_matrix, upon_white
from wenfang.device import noise
from wenfang.models.picture_encoder import PictureEncoder

Change = Callable[[Image.Image], Image.Image]
Vectors = NDArray[np.float32]

# Of held-out pictures without a copy among the known ones, so many may be taken for one.
FALSE_ALARMS_ALLOWED = 0.01
HASH_BITS = 10  # at or below it the check `picture_copy` calls a picture a copy
SCENES = 300
ROWS = 128


def _cropped(share: float) -> Change:
    """`share` of the side is cut off at each edge."""

    def change(image: Image.Image) -> Image.Image:
        x, y = image.width * share, image.height * share
        return image.crop((round(x), round(y), round(image.width - x), round(image.height - y)))

    return change


def _turned(degrees: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")

    return change


def _recoloured(image: Image.Image) -> Image.Image:
    """The hue turned by a third of the circle, colours weaker, all darker."""
    matrix = hue_matrix(2 * np.pi / 3, 0.8)
    colours = (np.asarray(image, np.float64) @ matrix.T) * 0.85
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def _half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def _framed(image: Image.Image) -> Image.Image:
    """A dark frame of a tenth at each edge, and words in a corner."""
    framed = ImageOps.expand(image, image.width // 10, "#203040")
    ImageDraw.Draw(framed).text((2, framed.height - 12), "AI-made 2026", "white")
    return framed


ATTACKS: dict[str, Change] = {
    "mirrored": ImageOps.mirror,
    "half_size": _half,
    "jpeg_50": lambda image: encoded(image, 50),
    "recoloured": _recoloured,
    "crop_4_percent": _cropped(0.04),
    "crop_10_percent": _cropped(0.10),
    "crop_20_percent": _cropped(0.20),
    "turned_5_degrees": _turned(5),
    "turned_15_degrees": _turned(15),
    "framed_and_labelled": _framed,
    "cropped_and_recoloured": lambda image: _recoloured(_cropped(0.10)(image)),
}


def read_drawings(dataset: Dataset, split: str) -> Drawings:
    """One part of a data set of pictures."""
    return Drawings.read(dataset.records(split))


@torch.no_grad()
def vectors_of(model: nn.Module, images: Sequence[Image.Image]) -> Vectors:
    """(N, D) unit vectors."""
    assert isinstance(model, PictureEncoder)
    side = model.config.side_px
    found = []
    for start in range(0, len(images), ROWS):
        rows = np.stack([shrunk(image, side) for image in images[start : start + ROWS]])
        found.append(model(to_tensor(rows)))
    vectors: Vectors = torch.cat(found).numpy()
    return vectors


def nearest_distances(queries: Vectors, known: Vectors) -> NDArray[np.float64]:
    """(N,) cosine distance of each query to the nearest known vector."""
    found: NDArray[np.float64] = 1 - (queries @ known.T).max(1).astype(np.float64)
    return found


def near_distance(model: nn.Module, dataset: Dataset) -> float:
    """The distance that all but FALSE_ALARMS_ALLOWED of the validation drawings keep from the
    nearest training drawing; the bundle's threshold.
    """
    known, held_out = (_firsts(dataset, split) for split in ("train", "valid"))
    apart = nearest_distances(vectors_of(model, held_out), vectors_of(model, known))
    return round(max(float(np.quantile(apart, FALSE_ALARMS_ALLOWED)), 0.0), 4)


def _firsts(dataset: Dataset, split: str) -> list[Image.Image]:
    return [upon_white(image) for _, image in read_drawings(dataset, split).firsts()]


def measure_pictures(model: nn.Module, threshold: float, dataset: Dataset) -> dict[str, Any]:
    """Every number of the card of an encoder of pictures.

    NAME_first_share        altered copies whose nearest known picture is their source
    NAME_found_share        those among them that lie within the threshold too
    NAME_hash_found_share   the same of the perceptual hash at HASH_BITS
    NAME_hash_strict_share  and at the bits at which it has the false alarms allowed
    """
    known = {split: _firsts(dataset, split) for split in ("train", "valid", "test")}
    test = known["test"]
    every = [*test, *known["train"], *known["valid"]]
    vectors = vectors_of(model, every)
    train = slice(len(test), len(test) + len(known["train"]))
    apart = nearest_distances(vectors[: len(test)], vectors[train])
    hashes = PictureIndex.build((str(place), image) for place, image in enumerate(every))
    bits = {part: _bits(known[part], known["train"]) for part in ("valid", "test")}
    strict = _strict_bits(bits["valid"])
    numbers: dict[str, Any] = {
        "split": "test",
        "altered": len(test),
        "known": len(every),
        "threshold": threshold,
        "false_alarm_share": float((apart < threshold).mean()),
        "unrelated_distance_median": float(np.median(apart)),
        "hash_false_alarm_share": float((bits["test"] <= HASH_BITS).mean()),
        "hash_strict_bits": strict,
        "hash_strict_false_alarm_share": float((bits["test"] <= strict).mean()),
    }
    for name, change in ATTACKS.items():
        altered = [change(image) for image in test]
        numbers |= _found(name, vectors_of(model, altered), vectors, threshold)
        numbers |= _hash_found(name, altered, hashes, strict)
    return numbers | _scenes(model, threshold, read_drawings(dataset, "test"))


def _found(name: str, queries: Vectors, known: Vectors, threshold: float) -> dict[str, float]:
    """Of queries whose sources are the first of `known`, in their order."""
    likeness = queries @ known.T
    first = likeness.argmax(1) == np.arange(len(queries))
    return {
        f"{name}_first_share": float(first.mean()),
        f"{name}_found_share": float((first & (1 - likeness.max(1) < threshold)).mean()),
    }


def _bits(queries: Sequence[Image.Image], known: Sequence[Image.Image]) -> NDArray[np.float64]:
    """Distance of each query to the nearest known picture in bits of the perceptual hash."""
    index = PictureIndex.build(("", image) for image in known)
    return np.array([near.distance for one in queries if (near := index.nearest(one))])


def _strict_bits(bits: NDArray[np.float64]) -> int:
    """The most bits at which no more than the allowed share of unrelated pictures is near; -1
    where there are none.
    """
    allowed = [n for n in range(HASH_BITS + 1) if (bits <= n).mean() <= FALSE_ALARMS_ALLOWED]
    return max(allowed, default=-1)


def _hash_found(
    name: str, altered: Sequence[Image.Image], index: PictureIndex, strict: int
) -> dict[str, float]:
    answers = [index.nearest(image) for image in altered]
    right = [
        near.distance if near and near.name == str(place) else np.inf
        for place, near in enumerate(answers)
    ]
    return {
        f"{name}_hash_found_share": float((np.array(right) <= HASH_BITS).mean()),
        f"{name}_hash_strict_share": float((np.array(right) <= strict).mean()),
    }


def _scenes(model: nn.Module, threshold: float, drawings: Drawings) -> dict[str, Any]:
    """The same for pictures that fill their frame: scenes of the test part's drawings."""
    made = [scene(drawings, noise(0, "scenes", number)) for number in range(2 * SCENES)]
    known, new = made[:SCENES], made[SCENES:]
    vectors = vectors_of(model, known)
    apart = nearest_distances(vectors_of(model, new), vectors)
    numbers: dict[str, Any] = {
        "scenes": SCENES,
        "scenes_false_alarm_share": float((apart < threshold).mean()),
    }
    for name in ("crop_10_percent", "recoloured", "framed_and_labelled"):
        altered = vectors_of(model, [ATTACKS[name](image) for image in known])
        numbers |= _found(f"scenes_{name}", altered, vectors, threshold)
    return numbers
