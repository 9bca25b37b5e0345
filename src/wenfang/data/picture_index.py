"""Pictures to compare with: perceptual hashes, and vectors of an encoder where there is one.

The hash is 64 signs: a picture is shrunk to 32 x 32 grey values, its cosine transform is taken,
and of the 64 lowest frequencies but the mean each is a bit that says whether it lies above their
median (after Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"),
and by a margin: half the frequencies of a symmetric picture are nothing but noise. Scaling,
encoding and slight changes of light turn few bits. A query is hashed in its eight positions
(turned by right angles, mirrored), so that a mirrored copy is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wenfang.data.index_file import damaged, read_index, write_index
from wenfang.data.picture_views import looks

PICTURES, VECTORS = "picture_index", "vector_index"
PICTURE_INDEX = "pictures.safetensors"  # its name in a bundle, as of any folder of indexes
VECTOR_INDEX = "vectors.safetensors"
SIDE_PX = 32
LARGE_PX = 512
BITS = 64
# Grey levels of 0-255; what differs less is one colour, whose hash would be chance.
FLAT_DEVIATION = 2.0
# Of the mean size of the frequencies; with none, 1 % of drawings are lost at JPEG quality 50.
MARGIN = 0.05

Grey = NDArray[np.float32]
Vector = NDArray[np.float32]


class Neighbour(NamedTuple):
    """The nearest known picture: how far, its name, and how the query was turned or mirrored."""

    distance: float
    name: str
    turned_degrees: int = 0
    mirrored: bool = False


def grey(image: Image.Image) -> Grey:
    """(32, 32) grey values 0..255 of `image` upon white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        drawn = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn)
    level = image.convert("L")
    if max(level.size) > LARGE_PX:
        level = level.resize((LARGE_PX, LARGE_PX), Image.Resampling.BILINEAR)
    # Not BOX, which treats the two sides of a pixel differently, and not whole numbers, whose
    # rounding does: a mirrored picture must give the mirrored values.
    small = level.convert("F").resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32)


def is_flat(values: Grey) -> bool:
    """Whether a picture is of one colour, so that nothing can be compared."""
    return float(values.std()) < FLAT_DEVIATION


@cache
def _cosines() -> NDArray[np.float32]:
    """(32, 32) the orthogonal cosine transform DCT-II, but for its scale."""
    places = np.arange(SIDE_PX)
    return np.cos(np.pi / SIDE_PX * places[:, None] * (places[None, :] + 0.5)).astype(np.float32)


@cache
def _lowest() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the 64 lowest frequencies without the mean, by their sum."""
    rows, columns = np.divmod(np.arange(SIDE_PX * SIDE_PX), SIDE_PX)
    order = np.lexsort((rows, np.abs(rows - columns), rows + columns))[1 : BITS + 1]
    return rows[order], columns[order]


def picture_hash(values: Grey) -> np.uint64:
    """The 64 bits of (32, 32) grey values."""
    spectrum = (_cosines() @ values @ _cosines().T)[_lowest()]
    line = np.median(spectrum) + MARGIN * np.abs(spectrum).mean()
    bits = (spectrum > line).astype(np.uint64)
    return np.uint64(np.bitwise_or.reduce(bits << np.arange(BITS, dtype=np.uint64)))


def positions(values: Grey) -> list[tuple[int, bool, Grey]]:
    """(degrees, mirrored, values) of the eight positions of a picture."""
    return [
        (90 * quarter, mirrored, np.rot90(values[:, ::-1] if mirrored else values, quarter))
        for mirrored in (False, True)
        for quarter in range(4)
    ]


@dataclass(frozen=True, kw_only=True)
class PictureIndex:
    """Perceptual hashes of pictures.

    hashes  (N,) uint64
    names   of the pictures, as many
    """

    hashes: NDArray[np.uint64]
    names: tuple[str, ...]

    @classmethod
    def build(cls, pictures: Iterable[tuple[str, Image.Image]]) -> PictureIndex:
        """Index (name, picture) pairs; pictures of one colour are left out."""
        hashes: list[np.uint64] = []
        names: list[str] = []
        for name, image in pictures:
            values = grey(image)
            if not is_flat(values):
                hashes.append(picture_hash(values))
                names.append(name)
        return cls(hashes=np.array(hashes, np.uint64), names=tuple(names))

    def __len__(self) -> int:
        return len(self.names)

    def nearest(self, image: Image.Image) -> Neighbour | None:
        """The nearest picture in bits of 64; None where `image` is of one colour or none is known.

        Of equally near ones the first, and the position that is least turned.
        """
        values = grey(image)
        if is_flat(values) or not self.names:
            return None
        seen = positions(values)
        queries = np.array([picture_hash(turned) for _, _, turned in seen], np.uint64)
        apart = np.bitwise_count(self.hashes[None, :] ^ queries[:, None])  # (8, N)
        position, place = np.unravel_index(int(np.argmin(apart)), apart.shape)
        degrees, mirrored, _ = seen[int(position)]
        bits = float(apart[position, place])
        return Neighbour(bits, self.names[int(place)], degrees, mirrored)

    def save(self, path: Path) -> None:
        """Write one .safetensors file, atomically."""
        write_index(path, PICTURES, {"hashes": self.hashes}, _about(self.names))

    @classmethod
    def load(cls, path: Path) -> PictureIndex:
        """Read what `save` wrote; BundleError where the file is none."""
        arrays, about = read_index(path, PICTURES)
        try:
            hashes: Any = arrays["hashes"]
            names = tuple(map(str, about["names"]))
        except (KeyError, TypeError) as reason:
            raise damaged(path, str(reason)) from None
        if hashes.dtype != np.uint64 or hashes.shape != (len(names),):
            raise damaged(path, "its hashes are not as many as its names")
        return cls(hashes=hashes, names=names)


class PictureEncoder(Protocol):
    """What turns a picture into a vector; `name` tells which weights did."""

    @property
    def name(self) -> str:
        """Name and version of the encoder; vectors of two encoders are never compared."""

    def encode(self, image: Image.Image) -> Vector:
        """(D,) float32 of any length; its direction alone is compared."""


@dataclass(frozen=True, kw_only=True)
class VectorIndex:
    """Vectors of pictures, all by one encoder.

    vectors   (N, D) float32, each of length 1
    encoder   the name of the encoder that made them
    held_out  the cosine distance that a new picture is expected to keep: a low quantile of the
              distances from held-out pictures to their nearest training picture
    """

    vectors: NDArray[np.float32]
    names: tuple[str, ...]
    encoder: str
    held_out: float

    @classmethod
    def build(
        cls,
        pictures: Iterable[tuple[str, Image.Image]],
        encoder: PictureEncoder,
        held_out: Iterable[Image.Image],
        quantile: float = 0.01,
    ) -> VectorIndex:
        """Index `pictures`; the distance is the `quantile` of those of `held_out` pictures."""
        made = cls.of(pictures, encoder, held_out=0.0)
        apart = [made.nearest_to(one, encoder).distance for one in held_out]
        return replace(made, held_out=float(np.quantile(apart, quantile)))

    @classmethod
    def of(
        cls, pictures: Iterable[tuple[str, Image.Image]], encoder: PictureEncoder, held_out: float
    ) -> VectorIndex:
        """Index `pictures` but those of one colour; the distance is one that is known already."""
        pairs = [
            (name, unit_vector(encoder.encode(image)))
            for name, image in pictures
            if not is_flat(grey(image))
        ]
        vectors = np.stack([vector for _, vector in pairs]) if pairs else np.zeros((0, 1))
        return cls(
            vectors=vectors.astype(np.float32),
            names=tuple(name for name, _ in pairs),
            encoder=encoder.name,
            held_out=held_out,
        )

    def __len__(self) -> int:
        return len(self.names)

    def nearest(self, vector: Vector) -> Neighbour:
        """The picture of the least cosine distance (0 same direction, 2 opposite)."""
        likeness = self.vectors @ unit_vector(vector)
        place = int(np.argmax(likeness))
        return Neighbour(max(1 - float(likeness[place]), 0.0), self.names[place])

    def nearest_to(self, image: Image.Image, encoder: PictureEncoder) -> Neighbour:
        """The picture that is nearest to `image` as it is, or widened, cut or turned a little."""
        return min(self.nearest(encoder.encode(one)) for one in looks(image))

    def save(self, path: Path) -> None:
        """Write one .safetensors file, atomically."""
        about = {"encoder": self.encoder, "held_out": self.held_out, **_about(self.names)}
        write_index(path, VECTORS, {"vectors": self.vectors}, about)

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Read what `save` wrote; BundleError where the file is none."""
        arrays, about = read_index(path, VECTORS)
        try:
            vectors: Any = arrays["vectors"]
            names = tuple(map(str, about["names"]))
            encoder, held_out = str(about["encoder"]), float(about["held_out"])
        except (KeyError, TypeError, ValueError) as reason:
            raise damaged(path, str(reason)) from None
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != len(names):
            raise damaged(path, "its vectors are not as many as its names")
        return cls(vectors=vectors, names=names, encoder=encoder, held_out=held_out)


def unit_vector(vector: Vector) -> Vector:
    """`vector` at length 1; zeros stay zeros."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length else vector, np.float32)


def _about(names: tuple[str, ...]) -> dict[str, Any]:
    return {"format": 1, "names": list(names)}
