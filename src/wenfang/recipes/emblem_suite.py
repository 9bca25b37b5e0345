"""Does emblem draw what it was told? A dual encoder that it never met says which caption fits.

Each picture is laid beside the names of a hundred concepts, its own among them; `top10_share` is
how often the right one is among the ten nearest. Concepts are of three kinds: those learnt from,
the same told by words that were kept apart, and those whose glyphs were kept out of training. Real
pictures stand beside them, as the judge sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from torch import Tensor

from wenfang.backends.loading import same_bundle
from wenfang.backends.painter import Painter, PaintOptions
from wenfang.backends.word_reader import WordReader
from wenfang.data.captions import joined
from wenfang.data.dataset import Dataset
from wenfang.data.pixels import Pixels, as_seen
from wenfang.device import noise
from wenfang.errors import BundleError
from wenfang.models.load import Loaded, load
from wenfang.models.text_image import TextImage

CHOICES, NEAREST = 100, 10
MOST = 500  # concepts of each kind
PARTS = ("train", "valid", "test")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, kw_only=True)
class Concept:
    """One glyph by its first drawing, whose record is kept.

    paraphrase  the same in words that nobody learnt it by; empty where there are none
    """

    name: str
    paraphrase: str
    record: dict[str, Any]


def concepts(dataset: Dataset, part: str) -> list[Concept]:
    """Every glyph of a part once, asked for in English and in Chinese by turns."""
    firsts: dict[str, dict[str, Any]] = {}
    for record in dataset.records(part):
        firsts.setdefault(str(record["glyph"]), record)
    found = []
    for number, record in enumerate(firsts.values()):
        language = LANGUAGES[number % len(LANGUAGES)]
        name = str(record["names"][language])
        apart = record["paraphrase"][language]
        found.append(Concept(name=name, paraphrase=joined(apart), record=dict(record)))
    return found


def measure_drawn(
    painter: Painter, judge: Loaded, dataset: Dataset, options: PaintOptions
) -> dict[str, Any]:
    """`top10_share` of pictures that were drawn, beside that of real ones, by kind of concept."""
    reader, every = reader_of(judge), every_concept(dataset)
    names = names_of(every)
    learnt, held_out = _some(every["train"]), _some(every["test"])
    told = _some([one for one in every["train"] if one.paraphrase])
    kinds = {
        "learnt": (learnt, [one.name for one in learnt]),
        "paraphrased": (told, [one.paraphrase for one in told]),
        "held_out": (held_out, [one.name for one in held_out]),
    }
    numbers: dict[str, Any] = {"judge": _name(judge), "choices": CHOICES}
    for kind, (chosen, prompts) in kinds.items():
        streams = [(number, "suite", kind) for number in range(len(chosen))]
        drawn = painter.paint(prompts, streams, options)
        real = Pixels.read([one.record for one in chosen], 4, painter.known.side_px).values
        for what, values in (("", drawn), ("_of_real", real.transpose(0, 2, 3, 1))):
            share = top_share(judge, reader, values, chosen, names)
            numbers[f"{kind}_top{NEAREST}{what}_share"] = share
        numbers[f"{kind}_concepts"] = len(chosen)
    return numbers


def every_concept(dataset: Dataset) -> dict[str, list[Concept]]:
    """All concepts by their parts."""
    return {part: concepts(dataset, part) for part in PARTS}


def names_of(every: dict[str, list[Concept]]) -> list[str]:
    """Names of all concepts, among which the right one is to be found."""
    return [one.name for part in PARTS for one in every[part]]


def top_share(
    judge: Loaded,
    reader: WordReader,
    values: NDArray[np.uint8],
    chosen: Sequence[Concept],
    names: Sequence[str],
) -> float:
    """How often a picture's own name is among the nearest of CHOICES.

    values  (N, S, S, 4) as `data.pixels` stores them, a picture for each of `chosen`
    names   of which the others are drawn, for each picture by one seed
    """
    pictures = judged(judge, values)
    own, others = (_read(judge, reader, one) for one in ([one.name for one in chosen], names))
    right = (pictures * own).sum(1, keepdim=True)
    nearer = (pictures @ others.T > right).numpy()
    hits = 0
    for number, concept in enumerate(chosen):
        order = noise(0, "choices", number).permutation(len(names))
        drawn = [place for place in order if names[place] != concept.name][: CHOICES - 1]
        hits += int(nearer[number, drawn].sum() < NEAREST)
    return hits / len(chosen)


@torch.no_grad()
def judged(judge: Loaded, values: NDArray[np.uint8]) -> Tensor:
    """Vectors (N, D) of pictures (N, S, S, 4), upon white."""
    model = judge.model
    assert isinstance(model, TextImage)
    size = (model.config.side_px, model.config.side_px)
    pixels = Pixels.of([as_seen(one).resize(size, Resampling.LANCZOS) for one in values], 3)
    parts = [
        model.pictures(pixels.tensor(slice(start, start + CHOICES)))
        for start in range(0, len(values), CHOICES)
    ]
    return torch.cat(parts)


@torch.no_grad()
def _read(judge: Loaded, reader: WordReader, names: Sequence[str]) -> Tensor:
    assert isinstance(judge.model, TextImage)
    words, mask = reader(names)
    return judge.model.texts(words, mask)


def reader_of(judge: Loaded) -> WordReader:
    """Who reads words for a judge; raises BundleError for a bundle that reads none."""
    if judge.words is None or not isinstance(judge.model, TextImage):
        raise BundleError("{name} reads no texts beside pictures; choose another", name=judge.name)
    return WordReader(load(same_bundle(judge.words, judge.name)))


def measure_judge(judge: Loaded, dataset: Dataset) -> dict[str, Any]:
    """How well a judge itself tells real pictures of each part apart."""
    reader = reader_of(judge)
    assert isinstance(judge.model, TextImage)
    numbers: dict[str, Any] = {"choices": CHOICES}
    side_px, every = judge.model.config.side_px, every_concept(dataset)
    names = names_of(every)
    for part in PARTS:
        chosen = _some(every[part])
        values = Pixels.read([one.record for one in chosen], 4, side_px).values
        share = top_share(judge, reader, values.transpose(0, 2, 3, 1), chosen, names)
        numbers[f"{part}_top{NEAREST}_share"] = share
        numbers[f"{part}_concepts"] = len(chosen)
    return numbers


def _some(every: list[Concept]) -> list[Concept]:
    """MOST of them by one seed, or all."""
    order = noise(0, "concepts").permutation(len(every))[:MOST]
    return [every[place] for place in sorted(order)]


def _name(judge: Loaded) -> str:
    return f"{judge.name}@{str(judge.manifest['payload_sha256'])[:8]}"
