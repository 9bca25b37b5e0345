"""Drawing of text: every character is really drawn, and measured as it is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from wenfang.errors import DependencyError, MediaError
from wenfang.media import fonts
from wenfang.media.draw import (
    Lettering,
    column_height,
    draw_horizontal,
    draw_vertical,
    font,
    ink_box,
    line_width,
    missing_glyphs,
    vertical_units,
    wrap,
)
from wenfang.media.fonts import Style, coverage, installed


def fonts_are_installed() -> bool:
    try:
        return not missing_glyphs("春江爲AI生成")
    except DependencyError:
        return False


pytestmark = pytest.mark.skipif(
    not fonts_are_installed(), reason=f"needs the fonts of {' '.join(fonts.PACKAGES)}"
)
NOWHERE = "\U0010fffd"
"""A character of a private plane, which no font has."""


def ink(image: Image.Image) -> tuple[int, int, int, int]:
    box = image.getbbox()
    assert box is not None
    return box


def test_the_coverage_read_from_a_font_is_what_the_font_draws() -> None:
    for path, face in installed("kai"):
        have = coverage(path, face.index)
        drawn = ImageFont.truetype(str(path), 40, index=face.index)
        empty_box = bytes(drawn.getmask(NOWHERE))
        for character in "A永國囯爲顔隠龘𠮷𤩪":
            is_drawn = bytes(drawn.getmask(character)) != empty_box
            assert is_drawn == (ord(character) in have), (face.file, character)


@pytest.mark.parametrize("style", ["kai", "serif", "sans"])
def test_the_chosen_font_has_every_character(style: Style) -> None:
    for text in ("春江花月夜", "爲君顔隠", "AI生成", "AI GENERATED"):
        chosen = font(40, text, style)
        empty_box = bytes(chosen.getmask(NOWHERE))
        assert all(bytes(chosen.getmask(character)) != empty_box for character in text.strip())


def test_a_character_that_no_font_has_is_an_error_and_never_a_box() -> None:
    assert missing_glyphs(f"春{NOWHERE}江{NOWHERE} \n") == NOWHERE
    with pytest.raises(MediaError, match=NOWHERE):
        font(40, f"春{NOWHERE}")
    with pytest.raises(MediaError):
        draw_vertical(Image.new("L", (99, 99)), (50, 0), NOWHERE, Lettering(size_px=20))


def test_without_fonts_the_error_names_the_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fonts, "font_folders", lambda: (tmp_path,))
    with pytest.raises(DependencyError, match="fonts-noto-cjk"):
        installed()


def test_folders_named_by_the_environment_come_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, face = installed("kai")[0]
    (tmp_path / face.file).symlink_to(path)
    monkeypatch.setenv("WENFANG_FONTS", str(tmp_path))
    assert installed("kai")[0][0] == tmp_path / face.file


def test_a_broken_font_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "ukai.ttc"
    broken.write_bytes(b"ttcf nothing")
    with pytest.raises(MediaError, match=r"ukai\.ttc"):
        coverage(broken, 0)


@pytest.mark.parametrize("text", ["春江花月夜", "Spring, river", "夜 AI 2026 年"])
def test_ink_is_where_it_was_measured(text: str) -> None:
    lettering = Lettering(size_px=48, tracking=0.1)
    image = Image.new("L", (700, 160))
    end = draw_horizontal(ImageDraw.Draw(image), (20, 100), text, lettering)
    measured = ink_box(text, lettering)
    assert np.allclose(
        ink(image),
        [20 + measured[0], 100 + measured[1], 20 + measured[2], 100 + measured[3]],
        atol=2,
    )
    assert abs(end - 20 - line_width(text, lettering)) < 1


def test_a_column_is_centred_on_its_axis_and_as_tall_as_measured() -> None:
    lettering = Lettering(size_px=60, tracking=0.2)
    image = Image.new("L", (200, 700))
    end = draw_vertical(image, (100, 40), "國國國國", lettering)
    left, top, right, bottom = ink(image)
    assert abs((left + right) / 2 - 100) <= 2
    assert end - 40 == pytest.approx(column_height("國國國國", lettering))
    assert abs((top - 40) - (end - bottom)) <= 3


def test_latin_words_lie_down_in_a_column_and_dashes_stay_whole() -> None:
    assert vertical_units("夜AI 2026——年") == ["夜", "AI", "2026", "——", "年"]
    image = Image.new("L", (200, 400))
    draw_vertical(image, (100, 10), "Wenfang", Lettering(size_px=50))
    left, top, right, bottom = ink(image)
    assert bottom - top > 3 * (right - left)


def test_stops_hang_in_the_upper_right_of_their_cell() -> None:
    image = Image.new("L", (100, 100))
    draw_vertical(image, (50, 0), "。", Lettering(size_px=100))
    left, top, _right, bottom = ink(image)
    assert left > 50
    assert bottom < 50
    assert top >= 0


def test_wrapped_lines_fit_lose_nothing_and_are_balanced() -> None:
    lettering = Lettering(size_px=30, style="serif")
    text = "a thousand miles of water take her light, and where is there a river"
    lines = wrap(text, lettering, 420)
    widths = [line_width(line, lettering) for line in lines]
    assert " ".join(lines) == text
    assert max(widths) <= 421
    assert min(widths) > 0.6 * max(widths)
    assert "".join(wrap("春江潮水連海平，海上明月", lettering, 200)) == "春江潮水連海平，海上明月"
    assert all(line[0] != "，" for line in wrap("春江潮水連海平，海上明月", lettering, 212))


def test_a_word_wider_than_the_measure_is_named() -> None:
    with pytest.raises(MediaError, match="unbreakable"):
        wrap("an unbreakable word", Lettering(size_px=40, style="serif"), 100)
