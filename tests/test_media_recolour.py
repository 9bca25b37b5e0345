"""Pictures in the colours of a brand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from wenfang.errors import BriefError
from wenfang.media.recolour import lightness, read_palette, recoloured

NAVY, GOLD = (29, 53, 87), (255, 215, 0)


def ramp(mode: str = "RGBA") -> Image.Image:
    values = np.zeros((8, 256, 4), np.uint8)
    values[..., :3] = np.arange(256)[None, :, None]
    values[..., 3] = 255
    values[0, :, 3] = 0
    return Image.fromarray(values).convert(mode)


def test_the_darkest_and_the_lightest_become_the_ends() -> None:
    found = np.asarray(recoloured(ramp(), (GOLD, NAVY)))
    assert tuple(found[4, 0, :3]) == NAVY
    assert tuple(found[4, 255, :3]) == GOLD
    assert found[0, :, 3].max() == 0, "opacity stays"
    light = lightness(found[4, :, :3].astype(float))
    assert (np.diff(light) >= -0.6).all(), "light keeps its order"


def test_middle_colours_are_passed_through() -> None:
    found = np.asarray(recoloured(ramp("RGB"), read_palette("black, #c03020, white")))
    assert found.shape[2] == 3
    reds = found[4].astype(int)
    assert (np.abs(reds - (192, 48, 32)).sum(1) < 12).any()


def test_one_colour_is_shaded_to_white() -> None:
    found = np.asarray(recoloured(ramp("RGB"), read_palette("#1d3557")))
    assert tuple(found[4, 0]) == NAVY
    assert tuple(found[4, 255]) == (255, 255, 255)


def test_what_shows_nothing_or_asks_for_nothing_stays() -> None:
    clear = Image.new("RGBA", (4, 4))
    assert recoloured(clear, (NAVY,)) is clear
    plain = ramp()
    assert recoloured(plain, ()) is plain
    flat = recoloured(Image.new("RGB", (4, 4), (9, 9, 9)), (NAVY, GOLD))
    assert len(np.unique(np.asarray(flat).reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [("#12", "#12 is no colour"), ("nocolour, red", "nocolour is no colour")],
)
def test_what_is_no_colour_is_refused(text: str, told: str) -> None:
    with pytest.raises(BriefError, match=told):
        read_palette(text)
    with pytest.raises(BriefError, match="at most 8 colours, not 9"):
        read_palette(",".join(["red"] * 9))
    assert read_palette("") == ()
    assert read_palette("#fff, gold") == ((255, 255, 255), GOLD)


def test_lightness_is_that_of_cie() -> None:
    # Of sRGB grey 119 (D65): L* = 50.03.
    assert lightness(np.array([119.0, 119, 119])) == pytest.approx(50.03, abs=0.02)
    assert lightness(np.array([255.0, 255, 255])) == pytest.approx(100, abs=1e-6)
    assert lightness(np.array([0.0, 0, 0])) == 0
