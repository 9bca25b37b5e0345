"""Distances of a maker of pictures in the features of a net that its user brings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wenfang.backends.painter import Asked, Painter, PaintOptions
from wenfang.data.captions import Caption
from wenfang.data.dataset import Dataset
from wenfang.data.pixels import Pixels, as_seen
from wenfang.device import noise
from wenfang.metrics.fidelity import frechet_distance, kernel_distance
from wenfang.metrics.foreign_eye import ForeignEye
from wenfang.models.load import Loaded

Values = NDArray[np.uint8]


def measure_with(
    eye: ForeignEye, loaded: Loaded, dataset: Dataset, count: int, options: PaintOptions
) -> dict[str, Any]:
    """FD and KD of at most `count` made pictures, one for each of as many training ones, to these.

    Beside them stand what held-out pictures have and what noise has; what is transparent is white.
    """
    painter = Painter(loaded)
    known = painter.known
    records = list(dataset.records("train"))
    chosen = np.sort(noise(0, "foreign").permutation(len(records))[:count])
    asked = _asked(painter, [records[place] for place in chosen])
    streams = [(number, "foreign") for number in range(len(asked))]
    made = painter.paint(asked, streams, options)
    train = Pixels.read((records[place] for place in chosen), known.channels, known.side_px)
    split = "test" if dataset.count("test") else "valid"
    held = Pixels.read(dataset.records(split), known.channels, known.side_px).values[:count]
    real = eye.features(_seen(train.values.transpose(0, 2, 3, 1)))
    grain = noise(0, "ceiling").integers(256, size=(len(made), 3, *made.shape[1:3]))
    others = {
        "": eye.features(_seen(made)),
        "_of_held_out": eye.features(_seen(held.transpose(0, 2, 3, 1))),
        "_of_noise": eye.features(grain.astype(np.uint8)),
    }
    numbers: dict[str, Any] = {"eye": eye.name, "made": len(made), "held_out": len(held)}
    for what, features in others.items():
        numbers[f"FD{what}[{eye.name}]"] = frechet_distance(real, features)
        numbers[f"KD{what}[{eye.name}]"] = kernel_distance(real, features)
    return numbers


def _asked(painter: Painter, records: list[dict[str, Any]]) -> list[Asked]:
    """What each record's picture would be asked for by."""
    if painter.known.words:
        return [Caption.of(record).names[0] for record in records]
    if painter.known.classes:
        return [painter.known.classes.index(str(record["label"])) for record in records]
    return [None] * len(records)


def _seen(values: Values) -> Values:
    """(N, S, S, C) as stored -> (N, 1 or 3, S, S), transparency upon white."""
    if values.shape[3] != 4:
        return values.transpose(0, 3, 1, 2)
    return np.stack([np.asarray(as_seen(one)) for one in values]).transpose(0, 3, 1, 2)
