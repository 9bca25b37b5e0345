"""Bach's chorales as four voices upon sixteenths (Boulanger-Lewandowski et al. 2012's parts).

A record: name, text (its key and metre, for people), voices (for each, runs of [pitch, sixteenths],
-1 for silence), beats, upbeat, tonic and minor. The files tell neither key nor metre, nor a held
note from a repeated one: the first two are heard, and a pitch that goes on is held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from wenfang.errors import DataError
from wenfang.media.four_parts import VOICES, FourParts
from wenfang.media.score import Key

FILE = "Jsb16thSeparated.json"
PARTS = ("train", "valid", "test")
SETTINGS = {"split": "official, by piece", "key, metre": "heard"}


def chorale_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, record) of every chorale; DataError for a file that is none."""
    path = folder / FILE
    try:
        told = json.loads(path.read_text("utf-8"))
        pieces = [(part, number, np.array(rows)) for part in PARTS
                  for number, rows in enumerate(told[part])]  # fmt: skip
        if any(grid.ndim != 2 or grid.shape[1] != len(VOICES) for _, _, grid in pieces):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as reason:
        raise DataError(
            "{path} cannot be read ({reason}); get it again", path=path, reason=reason
        ) from None
    for part, number, grid in pieces:
        yield part, record_of(FourParts.of_pitches(grid), f"{part}-{number:03d}")


def record_of(piece: FourParts, name: str) -> dict[str, Any]:
    """A piece as a record."""
    return {
        "name": name,
        "text": f"{piece.key}, {piece.beats}/4",
        "voices": [
            [[int(pitch), len(list(run))] for pitch, run in groupby(piece.pitches[:, voice])]
            for voice in range(len(VOICES))
        ],
        "beats": piece.beats,
        "upbeat": piece.upbeat,
        "tonic": piece.key.tonic,
        "minor": piece.key.minor,
    }


def piece_of(record: Mapping[str, Any]) -> FourParts:
    """A record as a piece, its held notes held."""
    columns = [
        np.repeat([pitch for pitch, _ in runs], [length for _, length in runs])
        for runs in record["voices"]
    ]
    grid = np.stack(columns, axis=1).astype(np.int16)
    heard = FourParts.of_pitches(grid)
    return FourParts(
        pitches=grid,
        struck=heard.struck,
        beats=int(record["beats"]),
        upbeat=int(record["upbeat"]),
        key=Key(tonic=int(record["tonic"]), minor=bool(record["minor"])),
    )
