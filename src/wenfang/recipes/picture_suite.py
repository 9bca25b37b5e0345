"""How well an encoder of pictures finds altered copies, beside the perceptual hash.

Altered drawings of the test part are looked for among the drawings of all parts, one of each
glyph, as the check looks for them. Beside it stands the share of test drawings without a copy in
the training part that lie within the threshold of a training drawing all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from torch import nn
from torch.nn import functional

from wenfang.data.dataset import Dataset
from wenfang.data.picture_batches import Drawings, scene, to_tensor
from wenfang.data.picture_index import PictureIndex, grey, positions, unit_vector
from wenfang.data.picture_sight import shrunk
from wenfang.data.picture_views import encoded, hue_matrix, looks, upon_white
from wenfang.device import noise
from wenfang.models.picture_encoder import PictureEncoder

Change = Callable[[Image.Image], Image.Image]
Vectors = NDArray[np.float32]

# Of held-out pictures without a copy among the known ones, so many may be taken for one.
FALSE_ALARMS_ALLOWED = 0.01
SAME_CORRELATION = 0.95
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
    """(N, D) unit vectors, each the same of a picture and of its mirror image."""
    assert isinstance(model, PictureEncoder)
    side = model.config.side_px
    found = []
    for start in range(0, len(images), ROWS):
        rows = to_tensor(np.stack([shrunk(image, side) for image in images[start : start + ROWS]]))
        found.append(model(rows) + model(rows.flip(3)))
    vectors: Vectors = functional.normalize(torch.cat(found), dim=1).numpy()
    return vectors


def likeness(model: nn.Module, queries: Sequence[Image.Image], known: Vectors) -> Vectors:
    """(Q, N) cosine of the nearest look of each query to each known vector."""
    found = []
    for start in range(0, len(queries), ROWS):
        seen = [looks(image) for image in queries[start : start + ROWS]]
        each = [vectors_of(model, one) @ known.T for one in zip(*seen, strict=True)]
        found.append(np.max(each, axis=0))
    return np.concatenate(found)


def distances(model: nn.Module, queries: Sequence[Image.Image], known: Vectors) -> Vectors:
    """(Q,) cosine distance of each query to the nearest known vector."""
    found: Vectors = 1 - likeness(model, queries, known).max(1)
    return found


def near_distance(model: nn.Module, dataset: Dataset) -> float:
    """The distance that all but FALSE_ALARMS_ALLOWED of the unrelated validation drawings keep
    from the nearest training drawing; the bundle's threshold.
    """
    known, held_out = (_firsts(dataset, split) for split in ("train", "valid"))
    unrelated = [one for one, same in zip(held_out, repeats(held_out, known), strict=True)
                 if not same]  # fmt: skip
    apart = distances(model, unrelated, vectors_of(model, known))
    return round(float(np.quantile(apart, FALSE_ALARMS_ALLOWED)), 4)


def repeats(queries: Sequence[Image.Image], known: Sequence[Image.Image]) -> NDArray[np.bool_]:
    """(Q,) whether a picture is, but for colour, mirroring or right angles, a known one already.

    Drawn sets repeat themselves (rewind and fast-forward, medals of three metals): to call these
    near is no false alarm. Measured without any encoder, by the correlation of grey values.
    """
    rows = np.stack([_even(grey(image)) for image in known])
    return np.array(
        [
            max((rows @ _even(turned)).max() for _, _, turned in positions(grey(image)))
            > SAME_CORRELATION
            for image in queries
        ]
    )


def _even(values: Vectors) -> Vectors:
    """(256,) of (32, 32) grey values at half the size, mean 0, length 1."""
    half = np.ascontiguousarray(values).reshape(16, 2, 16, 2).mean((1, 3)).ravel()
    return unit_vector(half - half.mean())


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
    apart = distances(model, test, vectors[train])
    fresh = ~repeats(test, known["train"])
    hashes = PictureIndex.build((str(place), image) for place, image in enumerate(every))
    bits = {part: _bits(known[part], known["train"]) for part in ("valid", "test")}
    strict = _strict_bits(bits["valid"][~repeats(known["valid"], known["train"])])
    numbers: dict[str, Any] = {
        "split": "test",
        "altered": len(test),
        "known": len(every),
        "threshold": threshold,
        "repeats_of_known": int((~fresh).sum()),
        "repeats_found_share": float((apart[~fresh] < threshold).mean()) if (~fresh).any() else 0.0,
        "false_alarm_share": float((apart[fresh] < threshold).mean()),
        "unrelated_distance_median": float(np.median(apart[fresh])),
        "hash_false_alarm_share": float((bits["test"][fresh] <= HASH_BITS).mean()),
        "hash_strict_bits": strict,
        "hash_strict_false_alarm_share": float((bits["test"][fresh] <= strict).mean()),
    }
    for name, change in ATTACKS.items():
        altered = [change(image) for image in test]
        numbers |= _found(name, likeness(model, altered, vectors), threshold)
        numbers |= _hash_found(name, altered, hashes, strict)
    return numbers | _scenes(model, threshold, read_drawings(dataset, "test"))


def _found(name: str, alike: Vectors, threshold: float) -> dict[str, float]:
    """Of queries whose sources are the first of the known, in their order; alike (Q, N)."""
    first = alike.argmax(1) == np.arange(len(alike))
    return {
        f"{name}_first_share": float(first.mean()),
        f"{name}_found_share": float((first & (1 - alike.max(1) < threshold)).mean()),
    }


def _bits(queries: Sequence[Image.Image], known: Sequence[Image.Image]) -> NDArray[np.float64]:
    """Distance of each query to the nearest known picture in bits of the perceptual hash."""
    index = PictureIndex.build(("", image) for image in known)
    answers = [index.nearest(one) for one in queries]
    return np.array([near.distance if near else np.inf for near in answers])


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
    apart = distances(model, new, vectors)
    numbers: dict[str, Any] = {
        "scenes": SCENES,
        "scenes_false_alarm_share": float((apart < threshold).mean()),
    }
    for name in ("crop_10_percent", "recoloured", "framed_and_labelled"):
        altered = [ATTACKS[name](image) for image in known]
        numbers |= _found(f"scenes_{name}", likeness(model, altered, vectors), threshold)
    return numbers
