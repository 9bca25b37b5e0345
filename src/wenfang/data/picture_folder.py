"""A team's own pictures as a data set: checked, de-duplicated, of one size, with their captions.

A folder holds .png, .jpg, .webp, .gif, .bmp or .tif files, in folders of their own or not. What a
picture shows may stand beside it (cat.png, cat.txt) or for all of them in captions.csv or
captions.jsonl with the columns `file` and `caption`, and `label` where there are classes.

A record: name, text (the caption, or nothing), label if any, and png, the picture in Base64.
Files that are left out are counted by the reason.
"""

from __future__ import annotations

import base64
import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from wenfang.atomic import sha256_file
from wenfang.data.dataset import Dataset
from wenfang.data.picture_index import grey, is_flat, picture_hash
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.data.split import Split
from wenfang.errors import ConfigError, DataError, MediaError
from wenfang.media.image import encode_png, read_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
TABLES = ("captions.csv", "captions.jsonl")
LIMIT_FILES = 200_000
LIMIT_FILE_BYTES = 64 * 2**20
LIMIT_CAPTION_BYTES = 16 * 2**20
LEAST_SIDE_PX = 8
Fit = Literal["contain", "cover"]
# Perceptual hashes of one picture, saved anew, differ by as much; see `data.picture_index`.
NEAR_BITS = 3


@dataclass(frozen=True, kw_only=True)
class PictureRequest:
    """How a folder of pictures becomes a data set.

    side_px      of the squares that pictures become, with antialiasing
    fit          "contain" keeps the whole picture and fills the rest, "cover" cuts what is over
    transparent  whether it is kept what is seen through; else that becomes white
    near_bits    pictures whose perceptual hashes differ by no more bits are one; -1 keeps all
    bad_files    leave out a file that cannot be read, or stop there
    """

    side_px: int = 64
    fit: Fit = "contain"
    transparent: bool = False
    near_bits: int = NEAR_BITS
    bad_files: Literal["skip", "stop"] = "skip"
    split: Split = Split()

    def __post_init__(self) -> None:
        """Refuse a size that no model here has."""
        if not LEAST_SIDE_PX <= self.side_px <= 1024:
            raise ConfigError(
                "side_px is {value}; it must be {least} to 1024",
                value=self.side_px,
                least=LEAST_SIDE_PX,
            )


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is said of one picture."""

    caption: str = ""
    label: str = ""


OnFile = Callable[[int, int], None]


def prepare_pictures(
    source: Source,
    output: Path,
    request: PictureRequest,
    on_file: OnFile = lambda done, total: None,
) -> Dataset:
    """The pictures under `source.path` in `output`; the same files, the same bytes.

    raises DataError for a folder without pictures, captions that belong to none of them, or, if
    asked to stop, a file that cannot be read
    """
    request.split.require_whole()
    folder = Path(source.path)
    files = picture_files(folder)
    told = captions_of(folder, files)
    rejected: Counter[str] = Counter()
    rows = _rows(folder, files, told, request, rejected, on_file)
    first = next(rows, None)
    if first is None:
        raise DataError(
            "{folder}: none of the {count} pictures can be used ({why})",
            folder=folder,
            count=len(files),
            why=", ".join(f"{count} {reason}" for reason, count in rejected.items()),
        )
    texts = [*(folder / name for name in TABLES), *(path.with_suffix(".txt") for path in files)]
    read = [*files, *dict.fromkeys(path for path in texts if path.is_file())]
    hashes = {str(path.relative_to(folder)): sha256_file(path) for path in read}
    settings = {
        "side_px": request.side_px,
        "fit": request.fit,
        "transparent": request.transparent,
        "near_bits": request.near_bits,
        "split": f"{request.split.train}, {request.split.valid}, {request.split.test} by picture",
    }
    # A source's files lie beside its path, so it stands for all that lie in the folder.
    every = replace(source, name=source.label, path=str(folder / "*"))
    kept = chain((first,), rows)
    return write_rows(
        source.label, every, hashes, settings, kept, output, rejected, kind="pictures"
    )


def picture_files(folder: Path) -> list[Path]:
    """Every picture under `folder`, by name; DataError where there is none, or far too many."""
    if not folder.is_dir():
        raise DataError(
            "{folder} is no folder; give the one that holds the pictures", folder=folder
        )
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise DataError(
            "{folder} holds no pictures; give a folder with files of {suffixes}",
            folder=folder,
            suffixes=", ".join(SUFFIXES),
        )
    if len(found) > LIMIT_FILES:
        raise DataError(
            "{folder} holds {count} pictures, the limit is {limit}",
            folder=folder,
            count=len(found),
            limit=LIMIT_FILES,
        )
    return found


def captions_of(folder: Path, files: list[Path]) -> dict[str, Told]:
    """What is told of each picture, by its place under `folder`; texts beside it come first.

    raises DataError for a table that cannot be read, or that names no picture of the folder
    """
    places = {str(path.relative_to(folder)) for path in files}
    told: dict[str, Told] = {}
    for name in TABLES:
        if not (folder / name).is_file():
            continue
        found = dict(_table(folder / name))
        matching = {place: one for place, one in found.items() if place in places}
        if found and not matching:
            raise DataError(
                "{path} tells of {first} and others, but of no picture in {folder}; its column "
                "file must hold their names",
                path=folder / name,
                first=next(iter(found)),
                folder=folder,
            )
        told |= matching
    for path in files:
        beside = path.with_suffix(".txt")
        if beside.is_file():
            place = str(path.relative_to(folder))
            label = told[place].label if place in told else ""
            told[place] = Told(caption=_text(beside).strip(), label=label)
    return told


def _table(path: Path) -> Iterator[tuple[str, Told]]:
    text = _text(path)
    if path.suffix == ".csv":
        rows: Any = csv.DictReader(text.splitlines())
        if not {"file", "caption"} <= set(rows.fieldnames or ()):
            raise DataError("{path} has no columns file and caption; add them", path=path)
        lines = enumerate(rows, 2)
    else:
        lines = enumerate(map(_json, text.splitlines()), 1)
    for number, row in lines:
        if not isinstance(row, Mapping) or not row.get("file"):
            raise DataError(
                "{path}, line {number}: there is no file; write it with a caption",
                path=path,
                number=number,
            )
        label = str(row.get("label") or "")
        yield str(row["file"]), Told(caption=str(row.get("caption") or "").strip(), label=label)


def _json(line: str) -> object:
    try:
        found: object = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found


def _text(path: Path) -> str:
    if path.stat().st_size > LIMIT_CAPTION_BYTES:
        raise DataError("{path} is too large for captions; make it smaller", path=path)
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("{path} is not UTF-8; save it as such", path=path) from None


def _rows(
    folder: Path,
    files: list[Path],
    told: Mapping[str, Told],
    request: PictureRequest,
    rejected: Counter[str],
    on_file: OnFile,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, record) of every picture that is kept; what is not is counted."""
    hashes, known = np.empty(len(files), np.uint64), 0
    for number, path in enumerate(files, 1):
        on_file(number, len(files))
        image = _read(path, request, rejected)
        if image is None:
            continue
        values = grey(image)
        own = picture_hash(values)
        if not is_flat(values):
            apart = np.bitwise_count(hashes[:known] ^ own)
            if known and int(apart.min()) <= request.near_bits:
                rejected["repeated"] += 1
                continue
            hashes[known] = own
            known += 1
        place = str(path.relative_to(folder))
        said = told.get(place, Told())
        content = encode_png(fitted(image, request))
        record = {
            "name": place,
            "text": said.caption,
            "png": base64.b64encode(content).decode("ascii"),
            **({"label": said.label} if said.label else {}),
        }
        yield request.split.part_of(place, seed=0), record


def _read(path: Path, request: PictureRequest, rejected: Counter[str]) -> Image.Image | None:
    """The picture, or None where it cannot be used, which is counted."""
    try:
        image = read_image(path, LIMIT_FILE_BYTES)
    except MediaError as fault:
        if request.bad_files == "stop":
            raise DataError(
                "{path} cannot be used: {reason}", path=path, reason=str(fault)
            ) from fault
        rejected["unreadable"] += 1
        return None
    if min(image.size) < LEAST_SIDE_PX:
        rejected["too_small"] += 1
        return None
    return image


def fitted(image: Image.Image, request: PictureRequest) -> Image.Image:
    """A square as is asked for, RGB or RGBA."""
    clear = squared(image, request.side_px, request.fit)
    if request.transparent:
        return clear
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, clear).convert("RGB")


def squared(image: Image.Image, side: int, fit: Fit) -> Image.Image:
    """A square of `side` pixels, RGBA.

    Colours are weighed by what is seen of them, so that nothing shines through at edges.
    """
    seen = image.convert("RGBa")  # colours times their opacity
    width, height = image.size
    least, most = min(width, height), max(width, height)
    scale = side / (most if fit == "contain" else least)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shrunk = seen.resize(size, Image.Resampling.LANCZOS)
    square = Image.new("RGBa", (side, side))
    square.paste(shrunk, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square.convert("RGBA")
