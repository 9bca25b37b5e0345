"""Pictograms with names in English and Chinese, as pictures and their captions.

Noto Emoji's drawings with the names and keywords of Unicode CLDR beside them. A record: name, glyph
(the drawing without skin tone and gender), text (the English name), names and keywords by language,
and png, the picture in Base64. Whole glyphs are held out: HELD_OUT of them are the test part, two
in a hundred of the rest validate. Flags are left out, whose names are names of places.

Of a glyph with enough keywords two are not among them but in `paraphrase`, by language: other words
for it, that nobody who learns from the set has read beside it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from wenfang.data.drawings import archived_drawings, code_points, glyph_of, group_of
from wenfang.errors import DataError

ARCHIVE, TABLE = "noto_png72.tar.xz", "captions.tsv"
HELD_OUT = 100
VALID_SHARE = 0.02
PARAPHRASE_WORDS, LEAST_KEYWORDS = 2, 4
SETTINGS = {
    "split": f"by glyph, {HELD_OUT} of them held out",
    "left_out": "flags",
    "paraphrase": f"{PARAPHRASE_WORDS} of {LEAST_KEYWORDS} or more keywords",
}
LANGUAGES = ("en", "zh")
COLUMNS = ("file", *(f"{kind}_{one}" for one in LANGUAGES for kind in ("name", "keywords")))


def pictogram_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, record) of every drawing that has a name in both languages, by its file's name.

    raises DataError for a table or an archive that is broken, or a drawing that is missing
    """
    told = [row for row in read_table(folder / TABLE) if group_of(row["file"]) != "flags"]
    glyphs = sorted({glyph_of(row["file"]) for row in told}, key=_place)
    held_out = set(glyphs[:HELD_OUT])
    valid = set(glyphs[HELD_OUT : HELD_OUT + round(len(glyphs) * VALID_SHARE)])
    drawings = archived_drawings(folder / ARCHIVE)
    for row in told:
        name, glyph = row["file"], glyph_of(row["file"])
        if name not in drawings:
            raise DataError(
                "{path} has no {name}, of which {table} tells; get both again",
                path=folder / ARCHIVE,
                name=name,
                table=TABLE,
            )
        names = {one: row[f"name_{one}"] for one in LANGUAGES}
        keywords = {one: _several(row[f"keywords_{one}"]) for one in LANGUAGES}
        apart = {one: paraphrase_of(glyph, names[one], keywords[one]) for one in LANGUAGES}
        part = "test" if glyph in held_out else "valid" if glyph in valid else "train"
        yield (
            part,
            {
                "name": name,
                "glyph": glyph,
                "text": row["name_en"],
                "names": names,
                "keywords": {
                    one: [word for word in keywords[one] if word not in apart[one]]
                    for one in LANGUAGES
                },
                "paraphrase": apart,
                "png": base64.b64encode(drawings[name]).decode("ascii"),
            },
        )


def grouped_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same with the group of Unicode that each belongs to as its label."""
    for part, record in pictogram_rows(folder):
        yield part, {**record, "label": unicode_group(str(record["name"]))}


@cache
def _groups() -> tuple[tuple[int, str], ...]:
    """(first code point, group) of every run of code points, in their order."""
    text = resources.files("wenfang.data").joinpath("emoji_groups.txt").read_text("utf-8")
    found, group = [], ""
    for line in text.splitlines():
        if line.startswith(" "):
            found += [(int(run.partition("-")[0], 16), group) for run in line.split()]
        elif not line.startswith("#"):
            group = line
    return tuple(sorted(found))


def unicode_group(name: str) -> str:
    """The group of an emoji, by the name of its file: of its first code point, or of the nearest
    one before it.
    """
    groups = _groups()
    place = bisect_right(groups, (code_points(name)[0], "\uffff"))
    return groups[max(place - 1, 0)][1]


def paraphrase_of(glyph: str, name: str, keywords: list[str]) -> list[str]:
    """The keywords that are kept apart, none of them a part of the name; a glyph's variants, which
    share keywords, keep the same ones apart.
    """
    others = [word for word in keywords if word.casefold() not in name.casefold()]
    if len(others) < LEAST_KEYWORDS:
        return []
    return sorted(others, key=lambda word: _place(f"{glyph} {word}"))[:PARAPHRASE_WORDS]


def _place(glyph: str) -> str:
    """An order of glyphs that has nothing to do with what they show."""
    return hashlib.sha256(f"pictogram {glyph}".encode()).hexdigest()


def _several(keywords: str) -> list[str]:
    return [one.strip() for one in keywords.split("|") if one.strip()]


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows with a name in both languages; DataError where columns are missing."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        raise DataError(
            "{path} cannot be read ({reason}); get it again", path=path, reason=reason
        ) from None
    rows = csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = set(COLUMNS) - set(rows.fieldnames or ())
    if missing:
        raise DataError(
            "{path} lacks the columns {missing}; get it again",
            path=path,
            missing=", ".join(sorted(missing)),
        )
    return [row for row in rows if all(row[f"name_{one}"] for one in LANGUAGES)]
