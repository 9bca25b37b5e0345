"""How good a composer for four voices is: how likely it holds pieces that it never saw, and what it
writes beside what was really written.

What it writes is as long, in the keys and in the metres of the test part's pieces, one after the
other; `copied_share` is how many have a line that shares GRAM_SIZE intervals in a row with a piece
learnt from, and `copied_share_of_real` the same of the real pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wenfang.backends.composer import HARMONISING, Composer, PartSampling, harmonised
from wenfang.data.dataset import Dataset
from wenfang.data.melody_index import GRAM_SIZE, MELODY_INDEX, MelodyIndex
from wenfang.data.part_batches import read_pieces
from wenfang.data.part_tokens import DENSITIES, RANGES, Asked
from wenfang.media.four_parts import REST, FourParts
from wenfang.metrics.music import beside_real
from wenfang.models.load import Loaded
from wenfang.recipes.learn_parts import nats_a_lower_note, nats_a_token

MADE, AT_ONCE = 200, 25


def melodies_of(dataset: Dataset) -> MelodyIndex:
    """The lines of what was learnt from, for `melody_copy`."""
    pieces = read_pieces(dataset.records("train"))
    return MelodyIndex.build(
        (f"train-{number:03d}", tuple(piece.score().notes())) for number, piece in enumerate(pieces)
    )


def measure_parts(loaded: Loaded, dataset: Dataset) -> dict[str, Any]:
    """All numbers of the suite."""
    composer = Composer(loaded)
    real = read_pieces(dataset.records("test"))
    index = MelodyIndex.load(loaded.folder / MELODY_INDEX)
    asked = [
        replace(Asked.like(real[number % len(real)]), density=DENSITIES[number % len(DENSITIES)])
        for number in range(MADE)
    ]
    made = _composed(composer, asked, "suite", PartSampling())
    told = [harmonised(piece) for piece in real]
    below = _composed(composer, told, "harmonised", HARMONISING)
    numbers: dict[str, Any] = {
        "pieces": len(made),
        "test_nats_a_token": nats_a_token(composer.model, real, composer.tokenizer),
        "test_nats_a_lower_note": nats_a_lower_note(composer.model, real, composer.tokenizer),
        "test_nats_a_lower_note_harmonising": nats_a_lower_note(
            composer.model, real, composer.tokenizer, harmonising=True
        ),
        "exact_length_share": float(
            np.mean([_is_as_long(piece, one) for piece, one in zip(made, asked, strict=True)])
        ),
        "range_violations": sum(_violations(piece) for piece in made),
        "copied_share": _copied(index, made),
        "copied_share_of_real": _copied(index, real),
    }
    for kind, pieces in (("", made), ("harmonised_", below)):
        for name, (ours, theirs, low, high) in beside_real(pieces, real).items():
            numbers[f"{kind}{name}"] = ours
            if not kind:
                numbers[f"{name}_of_real"] = theirs
                numbers[f"{name}_of_real_middle"] = [low, high]
    return numbers


def _composed(
    composer: Composer, asked: Sequence[Asked], kind: str, sampling: PartSampling
) -> list[FourParts]:
    found: list[FourParts] = []
    for first in range(0, len(asked), AT_ONCE):
        part = asked[first : first + AT_ONCE]
        streams = [(first + number, kind) for number in range(len(part))]
        found += composer.compose(part, streams, sampling)
    return found


def _is_as_long(piece: FourParts, asked: Asked) -> bool:
    return piece.bars == asked.bars and (len(piece) - piece.upbeat) % piece.bar == 0


def _violations(piece: FourParts) -> int:
    """Notes outside their voice's range."""
    return sum(
        int(((column != REST) & ((column < low) | (column > high))).sum())
        for column, (low, high) in zip(piece.pitches.T, RANGES, strict=True)
    )


def _copied(index: MelodyIndex, pieces: Sequence[FourParts]) -> float:
    found = [index.longest_copy(tuple(one.score().notes())).intervals for one in pieces]
    return float(np.mean([intervals >= GRAM_SIZE for intervals in found]))
