"""Has a picture been taken from the training material, or from what a user's folders hold?"""

from __future__ import annotations

from wenfang.checks.check import Check, Evidence, Material, not_measured, unread
from wenfang.data.comparison import PICTURES
from wenfang.data.picture_index import Neighbour

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


def picture_neighbour(material: Material) -> Check:
    """The picture keeps the distance from the training pictures that new pictures keep.

    The value is the cosine distance to the nearest one in the encoder's space; the threshold is
    the index's own, a low quantile of that distance over held-out pictures. As good as the
    encoder; not measured where none is given.
    """
    name, index = "picture_neighbour", material.vectors
    line = material.threshold(name, index.held_out) if index else material.thresholds.get(name)
    if material.picture is None:
        return not_measured(name, VERSION, line, NO_PICTURE)
    if index is None or material.encoder is None or material.encoder.name != index.encoder:
        return not_measured(name, VERSION, line, NO_ENCODER)
    nearest = index.nearest(material.encoder.encode(material.picture))
    distance = round(nearest.distance, 6)
    near = distance < (index.held_out if line is None else line)
    evidence = Evidence(
        "it lies nearer to {name} than new pictures do ({distance:.3f})",
        {"name": nearest.name, "distance": distance},
    )
    return Check(
        name=name,
        version=VERSION,
        value=distance,
        threshold=line,
        verdict="repair" if near else "pass",
        evidence=(evidence,) if near else (),
    )
