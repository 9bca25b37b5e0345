"""How near what was drawn lies to what was learnt from, beside real pictures that were not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wenfang.data.dataset import Dataset
from wenfang.data.picture_index import VectorIndex
from wenfang.data.picture_sight import PictureSight, shipped
from wenfang.data.pixels import Pixels, as_seen

Drawn = NDArray[np.uint8]


def nearness(drawn: Drawn, dataset: Dataset, held_out: str) -> dict[str, Any]:
    """Cosine distances to the nearest training picture, by the encoder that finds near copies.

    drawn     (N, S, S, C) as `data.pixels` stores them
    held_out  the part whose pictures were not learnt from
    returns   medians of both, and the share of each that is nearer than the encoder's line for
              copies; nothing where that encoder is not at hand
    """
    sight = shipped()
    if sight is None or not len(drawn):
        return {}
    side, channels = drawn.shape[1], drawn.shape[3]
    train = _images(Pixels.read(dataset.records("train"), channels, side).values)
    index = VectorIndex.of(
        ((str(number), image) for number, image in enumerate(train)), sight, sight.held_out
    )
    own = _distances(index, sight, [as_seen(one) for one in drawn])
    real = Pixels.read(dataset.records(held_out), channels, side).values[: len(drawn)]
    apart = _distances(index, sight, _images(real))
    return {
        "copies_by": sight.name,
        "copies_looked_for": len(own),
        "near_copies_share": float((own < sight.held_out).mean()),
        "near_copies_of_real_share": float((apart < sight.held_out).mean()),
        "nearest_training_distance_median": float(np.median(own)),
        "nearest_training_distance_of_real_median": float(np.median(apart)),
    }


def _distances(
    index: VectorIndex, sight: PictureSight, images: Sequence[Image.Image]
) -> NDArray[np.float64]:
    return np.array([index.nearest(sight.encode(image)).distance for image in images])


def _images(values: Drawn) -> list[Image.Image]:
    """Of (N, C, S, S)."""
    return [as_seen(one) for one in values.transpose(0, 2, 3, 1)]
