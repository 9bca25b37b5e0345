"""Has a picture been taken from the training material, or from what a user's folders hold?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wenfang.checks.check import Check, Evidence, Material, not_measured, unread
from wenfang.data.comparison import PICTURES
from wenfang.data.picture_index import Neighbour, PictureEncoder, VectorIndex, grey, is_flat

VERSION = "1"
# Bits of 64. The customary line: of 1,000 unrelated noise pictures with a natural spectrum none
# came so near to any of 3,000 (benchmarks/checks.py). Drawings of one series are near by nature
# (three in four emoji to another one); for them the encoder's distance tells more, or a policy
# sets the line lower.
LEAST_BITS_APART = 10

NO_PICTURE = "there is no picture to judge"
NO_PICTURES = "there are no known pictures to compare with; originality was not measured"
FLAT = "the picture is of one colour; there is nothing to compare"
NO_ENCODER = "no encoder of pictures was given; nearest neighbours were not measured"

NEIGHBOUR_VERSION = "2"  # of `picture_neighbour`


def picture_copy(material: Material) -> Check:
    """The picture is no copy of a known one, mirrored and turned by right angles too.

    The value is the least distance of 64-bit perceptual hashes; a picture fails at or below the
    threshold. Mirrored copies are found (3,362 of 3,362 emoji), scaled, re-encoded and darkened
    ones too (all of 400 at half size and at JPEG quality 50), a crop of 4 % on each side in 6 to 7
    of 10 cases, a crop of 10 % or a frame about it hardly ever.
    """
    line = material.threshold("picture_copy", LEAST_BITS_APART)
    if material.picture is None:
        return not_measured("picture_copy", VERSION, line, NO_PICTURE)
    compared = material.compared.pictures if material.compared else None
    known = [index for index in (material.pictures, compared) if index]
    if not known:
        return not_measured("picture_copy", VERSION, line, NO_PICTURES)
    found = [near for index in known if (near := index.nearest(material.picture))]
    if not found:
        return not_measured("picture_copy", VERSION, line, FLAT)
    nearest = min(found)
    copied = nearest.distance <= line
    return Check(
        name="picture_copy",
        version=VERSION,
        value=nearest.distance,
        threshold=line,
        verdict="repair" if copied else "pass",
        evidence=(*((_copied(nearest),) if copied else ()), *unread(material.compared, PICTURES)),
    )


def _copied(nearest: Neighbour) -> Evidence:
    said = (
        "mirrored and turned by {degrees} degrees it differs from {name} in {bits} bits of 64"
        if nearest.mirrored
        else "turned by {degrees} degrees it differs from {name} in {bits} bits of 64"
    )
    values = {
        "degrees": nearest.turned_degrees,
        "name": nearest.name,
        "bits": int(nearest.distance),
    }
    return Evidence(said, values)


@dataclass(frozen=True, kw_only=True)
class _Near:
    """The nearest picture of one index, and the distance below which it is a near copy."""

    neighbour: Neighbour
    line: float

    @property
    def margin(self) -> float:
        return self.neighbour.distance - self.line


def picture_neighbour(material: Material) -> Check:
    """The picture keeps the distance from known pictures that new pictures keep.

    Known are the training pictures and those of the user's folders. The value is the cosine
    distance to the nearest one in the encoder's space; the threshold is that of the index, a low
    quantile of the distance over held-out pictures. Finds what the perceptual hash misses: 66 % of
    drawings cropped by a tenth at each edge (the hash 4 %), 97 % of those turned by 15 degrees
    (4 %) or framed and labelled (none), but 5 % of those cropped by a fifth (none); 1.7 % of new
    drawings are taken for copies (the card of the bundle `picture-encoder`). Not measured where
    there is no encoder.
    """
    name, given = "picture_neighbour", material.thresholds.get("picture_neighbour")
    if material.picture is None:
        return not_measured(name, NEIGHBOUR_VERSION, given, NO_PICTURE)
    if is_flat(grey(material.picture)):
        return not_measured(name, NEIGHBOUR_VERSION, given, FLAT)
    found = [
        _Near(
            neighbour=index.nearest_to(material.picture, encoder),
            line=index.held_out if given is None else given,
        )
        for index, encoder in _known(material)
    ]
    if not found:
        compared = material.compared is not None and len(material.compared.pictures) > 0
        why = NO_ENCODER if material.vectors or compared else NO_PICTURES
        return not_measured(name, NEIGHBOUR_VERSION, given, why)
    nearest = min(found, key=lambda one: one.margin)
    distance = round(nearest.neighbour.distance, 6)
    near = distance < nearest.line
    evidence = Evidence(
        "it lies nearer to {name} than new pictures do ({distance:.3f})",
        {"name": nearest.neighbour.name, "distance": distance},
    )
    return Check(
        name=name,
        version=NEIGHBOUR_VERSION,
        value=distance,
        threshold=nearest.line,
        verdict="repair" if near else "pass",
        evidence=(evidence,) if near else (),
    )


def _known(material: Material) -> Iterator[tuple[VectorIndex, PictureEncoder]]:
    """Indexes to ask, each with the very encoder that made it; others are left out."""
    compared = material.compared.vectors if material.compared else None
    for index in (material.vectors, compared):
        if index is not None and len(index):
            encoder = _encoder_of(index, material.encoder)
            if encoder is not None:
                yield index, encoder


def _encoder_of(index: VectorIndex, given: PictureEncoder | None) -> PictureEncoder | None:
    from wenfang.data.picture_sight import shipped  # reads a bundle, so only where it is needed

    if given is not None and given.name == index.encoder:
        return given
    own = shipped()
    return own if own is not None and own.name == index.encoder else None
