"""Contact sheets: where pictures stand, and which cannot stand together."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from wenfang.errors import MediaError
from wenfang.media.sheet import contact_sheet


def test_pictures_stand_row_by_row_with_a_gap() -> None:
    pictures = [Image.new("RGB", (64, 32), (number, 0, 0)) for number in range(5)]
    sheet = np.asarray(contact_sheet(pictures))
    assert sheet.shape == (2 * 32 + 3 * 2 + 40, 3 * 64 + 4 * 2, 3)
    for number in range(5):
        row, column = divmod(number, 3)
        place = sheet[2 + row * 34 : 34 + row * 34, 2 + column * 66 : 66 + column * 66]
        assert (place == (number, 0, 0)).all()
    assert (sheet[36:, -60:] == 255).all(), "the last place is empty"
    assert (sheet[70:] == 255).all(), "a label finds room"
    assert contact_sheet(pictures, columns=5).size == (5 * 66 + 2, 36 + 66)


def test_what_is_transparent_shows_the_ground() -> None:
    clear = Image.new("RGBA", (32, 32), (9, 9, 9, 0))
    assert (np.asarray(contact_sheet([clear], ground="red")) == (255, 0, 0)).all()


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(MediaError, match="2 sizes"):
        contact_sheet([Image.new("RGB", (3, 3)), Image.new("RGB", (4, 3))])
    with pytest.raises(MediaError, match="0 sizes"):
        contact_sheet([])
