"""Handwritten digits, in the idx files of MNIST (LeCun et al. 1998), as records of pictures.

A record: name, label ("0" to "9", which is its text too) and png, the picture in Base64. The last
VALID digits of the
training files are the validation part; the test files are the test part.
"""

from __future__ import annotations

import base64
import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wenfang.errors import DataError
from wenfang.media.image import encode_png

VALID = 2000
SETTINGS = {"split": f"official; the last {VALID} of the training files validate"}
LIMIT_BYTES = 2**27
UNSIGNED_BYTE = 8  # idx's code of the only type that is read


def digit_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, record) of the four files in `folder`, in their own order; DataError if broken."""
    for stem in ("train", "t10k"):
        pictures = read_idx(folder / f"{stem}-images-idx3-ubyte.gz", axes=3)
        labels = read_idx(folder / f"{stem}-labels-idx1-ubyte.gz", axes=1)
        if len(pictures) != len(labels):
            raise DataError(
                "{path} has {count} pictures and {labels} labels; get the files again",
                path=folder / stem,
                count=len(pictures),
                labels=len(labels),
            )
        first_valid = len(pictures) - VALID if stem == "train" else len(pictures)
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            png = encode_png(Image.fromarray(picture))
            part = "test" if stem == "t10k" else "train" if number < first_valid else "valid"
            yield (
                part,
                {
                    "name": f"{stem}-{number:05d}",
                    "text": str(label),
                    "label": str(label),
                    "png": base64.b64encode(png).decode("ascii"),
                },
            )


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array of bytes in a packed idx file with so many axes; DataError if it holds another."""
    try:
        with gzip.open(path) as stream:
            content = stream.read(LIMIT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as reason:
        raise DataError(
            "{path} cannot be read ({reason}); get it again", path=path, reason=reason
        ) from None
    header = 4 * (1 + axes)
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], ">u4"))
    begins = content[:4] == bytes((0, 0, UNSIGNED_BYTE, axes))
    if not begins or len(shape) != axes or len(content) != header + math.prod(shape):
        raise DataError(
            "{path} is no idx file of bytes with {axes} axes; get it again", path=path, axes=axes
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
