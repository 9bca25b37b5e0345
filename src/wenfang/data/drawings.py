"""Archives of small drawings (emoji, icons) as a data set of pictures.

A record: name, source, glyph, group, and png, the picture in Base64. Skin tones and genders of one
emoji are one glyph. A group is never in two parts of the data set: it is a glyph, or a whole
series whose members differ in colour or in a detail only, such as hearts, clocks or flags.
"""

from __future__ import annotations

import base64
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from wenfang.atomic import exclusive, new_folder, sha256_bytes, sha256_file
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.lineage import FORMAT, dataset_manifest, request_key, source_manifest
from wenfang.data.lines import SourceFile
from wenfang.data.request import Source, request_for
from wenfang.data.shards import ShardWriter
from wenfang.data.split import SPLITS, Split
from wenfang.errors import DataError, DependencyError
from wenfang.media.image import decode_image
from wenfang.store.manifest import to_record, write_manifest

LIMIT_FILES = 20_000
LIMIT_FILE_BYTES = 2**20
SHARD_BYTES = 32 * 2**20

# Marks of gender, joiner and selector tell variants of one glyph; so do the five skin tones.
VARIANTS = {0x2640, 0x2642, 0x200D, 0xFE0F, 0x20E3, *range(0x1F3FB, 0x1F400)}
PERSON, PEOPLE = 0x1F9D1, {0x1F466, 0x1F467, 0x1F468, 0x1F469}  # boy, girl, man, woman
SERIES: dict[str, tuple[tuple[int, int], ...]] = {
    "flags": ((0x1F1E6, 0x1F1FF), (0x1F3F4, 0x1F3F4), (0x1F38C, 0x1F38C), (0x1F6A9, 0x1F6A9)),
    "hearts": ((0x1F493, 0x1F49F), (0x2764, 0x2764), (0x2665, 0x2665), (0x1F5A4, 0x1F5A4),
               (0x1F90D, 0x1F90E), (0x1F9E1, 0x1F9E1), (0x1FA75, 0x1FA77)),
    "circles": ((0x1F534, 0x1F535), (0x1F7E0, 0x1F7E4), (0x26AA, 0x26AB)),
    "squares": ((0x1F7E5, 0x1F7EB), (0x2B1B, 0x2B1C), (0x25AA, 0x25FE), (0x1F532, 0x1F533)),
    "diamonds": ((0x1F536, 0x1F53B), (0x1F53C, 0x1F53D)),
    "books": ((0x1F4D3, 0x1F4DA),),
    "clocks": ((0x1F550, 0x1F567),),
    "moons": ((0x1F311, 0x1F318),),
    "keycaps": ((0x23, 0x39),),
    "buttons": ((0x1F170, 0x1F19A), (0x1F201, 0x1F251)),
    "arrows": ((0x2194, 0x21AA), (0x2B05, 0x2B07), (0x27A1, 0x27A1), (0x1F500, 0x1F504)),
    "signs": ((0x2648, 0x2653),),
    "faces": ((0x1F600, 0x1F64A),),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A tar file of drawings and where it comes from."""

    source: Source
    path: Path


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How large icons are drawn (emoji have 72 pixels by nature), and how drawings are split."""

    rendered_px: int = 72
    split: Split = Split(train=0.7, valid=0.15, test=0.15, key="group")


LIKE_EMOJI = Rendering()
# To learn fine edges from; no glyph is in two parts, but a series may be.
FINE = Rendering(rendered_px=256, split=Split(train=0.9, valid=0.03, test=0.07, key="glyph"))


def prepare_drawings(
    name: str, archives: Sequence[Archive], output: Path, rendering: Rendering = LIKE_EMOJI
) -> Dataset:
    """Every drawing of `archives` in `output`; the same archives, the same bytes.

    raises DataError for an archive that is broken or holds too much, DependencyError without resvg
    """
    manifests = [
        source_manifest(
            archive.source,
            [SourceFile(path=archive.path, name=archive.path.name)],
            [sha256_file(archive.path)],
        )
        for archive in archives
    ]
    sources = tuple(archive.source for archive in archives)
    request = request_for("none", sources, str(output))
    way = "" if rendering == LIKE_EMOJI else f" {rendering}"
    key = sha256_bytes(f"{FORMAT} drawings {request_key(request, manifests, [])}{way}".encode())
    with exclusive(output.parent / f".{output.name}.lock", str(output)), new_folder(output) as new:
        with ShardWriter(new, SHARD_BYTES) as writer:
            for archive in archives:
                for record in _records(archive, rendering.rendered_px):
                    place = str(record[rendering.split.key])
                    writer.write(rendering.split.part_of(place, seed=0), record)
        counts = {split: writer.totals(split) for split in SPLITS}
        kept = sum(count["records"] for count in counts.values())
        facts: dict[str, object] = {
            "sources": [to_record(manifest) for manifest in manifests],
            "settings": {
                "split": f"by {rendering.split.key}",
                "rendered_px": rendering.rendered_px,
            },
            "counts": {"read": kept, "kept": kept, "rejected": {}, "splits": counts},
            "shards": writer.shards,
        }
        write_manifest(new / MANIFEST, dataset_manifest(name, key, manifests, facts))
    return Dataset.open(output)


def drawing(record: dict[str, Any]) -> Image.Image:
    """The picture of a record, RGBA or RGB."""
    return decode_image(base64.b64decode(record["png"]), str(record["name"]))


def _records(archive: Archive, rendered_px: int) -> Iterator[dict[str, Any]]:
    """Records in the order of their names."""
    for name, content in sorted(archived_drawings(archive.path).items()):
        glyph, group = glyph_of(name), group_of(name)
        png = _rendered(content, rendered_px) if name.endswith(".svg") else content
        yield {
            "name": name,
            "source": archive.source.label,
            "glyph": glyph,
            "group": group,
            "text": name.rpartition(".")[0].replace("-", " "),
            "png": base64.b64encode(png).decode("ascii"),
        }


def archived_drawings(path: Path) -> dict[str, bytes]:
    """Contents of the .png and .svg files of a tar archive by their last names.

    raises DataError for an archive that is broken or holds too much
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if not member.isfile() or not name.endswith((".png", ".svg")):
                    continue
                if member.size > LIMIT_FILE_BYTES or len(found) >= LIMIT_FILES:
                    raise DataError("{path} holds too much; it is no set of drawings", path=path)
                stream = archive.extractfile(member)
                assert stream is not None
                found[name] = stream.read()
    except (tarfile.TarError, OSError, EOFError) as reason:
        raise DataError(
            "{path} is no readable archive ({reason}); get it again", path=path, reason=reason
        ) from None
    return found


def _rendered(svg: bytes, side_px: int) -> bytes:
    """PNG bytes of an icon, black upon nothing. Its archive's checksum is known, so it is drawn
    in this process, which is twenty times as fast as `media.svg_view`.
    """
    try:
        import resvg_py
    except ImportError:
        raise DependencyError("resvg-py is not installed; pip install resvg-py") from None
    drawn = resvg_py.svg_to_bytes(
        svg_string=svg.decode("utf-8"),
        width=side_px,
        height=side_px,
        skip_system_fonts=True,
    )
    return bytes(drawn)


def code_points(name: str) -> list[int]:
    """The code points that an emoji's file is named by; none for other names."""
    found = re.fullmatch(r"emoji_u([0-9a-f_]+)\.png", name)
    return [int(part, 16) for part in found[1].split("_")] if found else []


def glyph_of(name: str) -> str:
    """The drawing without its skin tones and genders."""
    points = [PERSON if point in PEOPLE else point for point in code_points(name)]
    kept = [point for point in points if point not in VARIANTS]
    return "_".join(f"{point:x}" for point in kept or points) or name.rpartition(".")[0]


def group_of(name: str) -> str:
    """The series that a drawing belongs to, or its glyph; of icons the first word of the name."""
    points = code_points(name)
    if not points:
        return name.rpartition(".")[0].partition("-")[0]
    for series, ranges in SERIES.items():
        if any(first <= points[0] <= last for first, last in ranges):
            return series
    return glyph_of(name)
