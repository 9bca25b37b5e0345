"""Pictograms with names in two languages: what is read, what is held out, what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from wenfang.data.drawings import drawing
from wenfang.data.pictograms import (
    ARCHIVE,
    COLUMNS,
    HELD_OUT,
    TABLE,
    paraphrase_of,
    pictogram_rows,
    unicode_group,
)
from wenfang.errors import DataError
from wenfang.media.image import encode_png

FIRST = 0x1F900
COUNT = 150


def write(folder: Path, *, missing: str = "", columns: tuple[str, ...] = COLUMNS) -> None:
    names = [f"emoji_u{FIRST + number:x}.png" for number in range(COUNT)]
    tones = [f"emoji_u{FIRST:x}_1f3fb.png", f"emoji_u{FIRST:x}_1f3fc.png"]
    flag = "emoji_u1f1e6_1f1e8.png"
    every = [*names, *tones, flag]
    rows = [dict.fromkeys(columns, "") | {
        "file": name, "name_en": f"thing {number}", "keywords_en": "thing | one",
        "name_zh": f"东西{number}", "keywords_zh": "东西",
    } for number, name in enumerate(every)]  # fmt: skip
    rows.append(dict.fromkeys(columns, "") | {"file": "emoji_u1f000.png", "name_en": "no Chinese"})
    lines = ["\t".join(columns), *("\t".join(row[c] for c in columns) for row in rows)]
    (folder / TABLE).write_text("\n".join(lines) + "\n", "utf-8")
    with tarfile.open(folder / ARCHIVE, "w:xz") as archive:
        for number, name in enumerate(every):
            if name != missing:
                content = encode_png(Image.new("RGBA", (6, 6), (number, 0, 0, 90)))
                member = tarfile.TarInfo(f"png/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def test_whole_glyphs_are_held_out_and_flags_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    found = list(pictogram_rows(tmp_path))
    parts = {part: {one["glyph"] for where, one in found if where == part} for part, _ in found}
    assert len(parts["test"]) == HELD_OUT
    assert not parts["test"] & parts["train"]
    assert not parts["valid"] & parts["train"]
    assert len(found) == COUNT + 2
    tones = {part for part, one in found if one["glyph"] == f"{FIRST:x}"}
    assert len(tones) == 1, "skin tones of one glyph are in one part"
    _, one = found[7]
    assert one["names"] == {"en": one["text"], "zh": one["text"].replace("thing ", "东西")}
    assert one["keywords"] == {"en": ["thing", "one"], "zh": ["东西"]}
    assert drawing(one).mode == "RGBA"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("emoji_u1f63a.png", "Smileys & Emotion"),
        ("emoji_u1f9d1_200d_1f680.png", "People & Body"),
        ("emoji_u1f3fb.png", "People & Body"),
        ("emoji_u1f408.png", "Animals & Nature"),
        ("emoji_u1f34e.png", "Food & Drink"),
        ("emoji_u2708.png", "Travel & Places"),
        ("emoji_u26bd.png", "Activities"),
        ("emoji_u1fa89.png", "Objects"),
        ("emoji_u0023_20e3.png", "Symbols"),
    ],
)
def test_emoji_have_their_group_of_unicode(name: str, group: str) -> None:
    assert unicode_group(name) == group


def test_other_words_are_kept_apart() -> None:
    words = ["cat", "face", "grin", "happy", "pet", "smile"]
    apart = paraphrase_of("1f63a", "grinning cat", words)
    assert len(apart) == 2
    assert not {"cat"} & set(apart)
    assert apart == paraphrase_of("1f63a", "grinning cat", words[::-1])
    assert paraphrase_of("1f63a", "grinning cat", ["cat", "pet", "smile"]) == []


def test_a_drawing_that_is_missing_is_told(tmp_path: Path) -> None:
    name = f"emoji_u{FIRST + 3:x}.png"
    write(tmp_path, missing=name)
    with pytest.raises(DataError, match=f"has no {name}"):
        list(pictogram_rows(tmp_path))


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / TABLE).write_text("file\tname_en\n", "utf-8")
    with pytest.raises(DataError, match="lacks the columns keywords_en, keywords_zh, name_zh"):
        list(pictogram_rows(tmp_path))
