"""Pictures as paths: sharp shapes, in posters and as SVG."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from wenfang.compose.poster import (
    PosterFact,
    PosterPicture,
    PosterText,
    compose_poster,
)
from wenfang.errors import MediaError
from wenfang.media.svg import read_svg
from wenfang.media.svg_view import render, view_of
from wenfang.media.traced import COLOURS, TRACED_PX, traced


def flag() -> Image.Image:
    """A red disc with a blue square in it, upon nothing."""
    image = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 4, 60, 60), (200, 30, 30, 255))
    draw.rectangle((24, 24, 40, 40), (20, 40, 200, 255))
    return image


def test_shapes_come_back_sharp() -> None:
    sheet = traced(flag(), colours=2)
    assert (sheet.width_px, sheet.height_px) == (TRACED_PX, TRACED_PX)
    assert 2 <= len({colour for _, colour in sheet.shapes}) <= 3
    drawing = read_svg(sheet.svg().encode(), "test")
    region = (0.0, 0.0, float(TRACED_PX), float(TRACED_PX))
    seen = np.asarray(render(drawing, view_of(drawing), region, 1.0, seconds=10).convert("RGBA"))
    assert seen[4, 4, 3] == 0, "what was transparent stays free"
    assert np.abs(seen[100, 256, :3].astype(int) - (200, 30, 30)).max() <= 3
    assert np.abs(seen[256, 256, :3].astype(int) - (20, 40, 200)).max() <= 3
    half = ((seen[..., 3] > 10) & (seen[..., 3] < 245)).mean()
    assert half < 0.02, "edges are sharp at eight times the size"


def test_colours_are_few_and_the_same_twice() -> None:
    ramp = np.zeros((64, 64, 4), np.uint8)
    ramp[..., 0] = np.arange(64) * 4
    ramp[..., 1] = np.arange(64)[:, None] * 4
    ramp[..., 3] = 255
    image = Image.fromarray(ramp)
    sheet = traced(image)
    assert len({colour for _, colour in sheet.shapes}) <= COLOURS
    assert sheet.svg() == traced(image).svg()


def test_nothing_cannot_be_traced() -> None:
    with pytest.raises(MediaError, match="nothing to trace"):
        traced(Image.new("RGBA", (64, 64)))


def test_a_poster_shows_a_picture_in_place_of_its_sign() -> None:
    text = PosterText(
        name="The Copper Finch",
        eyebrow="Pub",
        line="By the river",
        kind="pub",
        facts=(PosterFact(slot="food", label="Food", value="Italian"),),
    )
    plain, own, brought = (
        compose_poster(text, 1, "harbour", picture)
        for picture in (
            None,
            PosterPicture(image=flag(), own=True),
            PosterPicture(image=flag()),
        )
    )
    colours = {colour for _, colour in own.sheet.shapes}
    assert any(abs(red - 200) <= 3 and abs(green - 30) <= 3 for red, green, _ in colours)
    reds = [one for one in brought.sheet.shapes if one[1][0] > 180 and one[1][1] < 60]
    assert not reds, "the palette has no such red"
    for poster in (own, brought):
        off = np.abs(np.asarray(poster.picture(), int) - np.asarray(plain.picture(), int)).sum(2)
        assert off[:620].max() > 100
        assert off[640:].max() == 0, "words stay as they are"
        assert poster.pdf().startswith(b"%PDF")
