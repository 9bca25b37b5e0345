"""Pieces that carry a picture: where it stands, who drew it, and what is told of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import wenfang as wf
from conftest import Call
from test_picture_folder import huge_png
from test_restoring import SETTINGS, place  # noqa: F401 - a fixture
from wenfang.compose import layout
from wenfang.compose.typeset import CardStyle, CardText, inks, typeset_card
from wenfang.errors import MediaError
from wenfang.media.draw import Lettering
from wenfang.media.image import read_image
from wenfang.scenarios.venue_ad import picture_words

LINES = ("一輪明滅月明滅", "人在潮生水動雲", "夜半月明猶上下", "一聲孤雁有來聞")


@pytest.fixture
def stocked(home: Path, place: Path) -> Path:  # noqa: F811
    """The home of this test, with the bundles of the other one upon its shelf."""
    shutil.copytree(place / "home" / "bundles", home / "bundles", dirs_exist_ok=True)
    return home


def text(lines: tuple[str, ...] = LINES) -> CardText:
    return CardText(lines=lines, title="山中月夜", signature="文房")


def brief(tmp_path: Path, **style: str) -> Path:
    path = tmp_path / "brief.json"
    content = {"scenario": "verse_card", "subject": "山中月夜", "style": style}
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return path


@pytest.mark.parametrize("lines", [LINES, tuple(line[:5] for line in LINES)])
def test_a_picture_stands_free_of_words_seal_and_foot(lines: tuple[str, ...]) -> None:
    bare = np.asarray(typeset_card(text(lines)), int)
    red = Image.new("RGBA", (64, 64), (200, 0, 0, 255))
    card = np.asarray(typeset_card(text(lines), CardStyle(), red), int)
    changed = np.abs(card - bare).sum(2) > 60
    rows, columns = np.nonzero(changed)
    side = rows.max() - rows.min() + 1
    assert side == pytest.approx(columns.max() - columns.min() + 1, abs=2)
    assert layout.PICTURE_LEAST <= side <= layout.PICTURE_MOST + 1
    assert rows.max() < layout.HEIGHT - layout.QUIET
    under = bare[rows.min() : rows.max(), columns.min() : columns.max()]
    assert under.min() > 150, "no ink lies under it"


def test_what_is_transparent_leaves_the_paper() -> None:
    clear = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    assert typeset_card(text(), CardStyle(), clear).tobytes() == typeset_card(text()).tobytes()


def test_a_picture_without_room_is_refused() -> None:
    picture = Image.new("RGBA", (8, 8), "red")
    with pytest.raises(MediaError, match="plain or dusk paper"):
        typeset_card(text(), CardStyle(paper="ruled"), picture)
    run = layout.Run(
        text="一" * 14, x=620, y=236, lettering=Lettering(size_px=90, style="kai"), vertical=True
    )
    with pytest.raises(MediaError, match="no room for a picture"):
        layout.picture_box(layout.Layout(runs=(run,)))


def test_inks_are_those_of_the_paper() -> None:
    dark, light = inks("plain")
    assert sum(dark) < 120
    assert 500 < sum(light) < 720


@pytest.mark.parametrize("ink", ["ink", "own"])
def test_a_card_carries_a_picture_of_its_subject(
    stocked: Path,
    tmp_path: Path,
    call: Call,
    ink: str,
) -> None:
    out = tmp_path / "out"
    path = brief(tmp_path, picture="pixels", picture_ink=ink)
    assert call("create", path, "-o", out).code == 0
    plain = tmp_path / "plain"
    assert call("create", brief(tmp_path), "-o", plain).code == 0
    with_picture, without = (np.asarray(read_image(one / "card.png"), int) for one in (out, plain))
    assert np.abs(with_picture - without)[1250:1580, 400:840].max() > 20
    # But for the watermark, which follows the picture.
    assert np.abs(with_picture - without)[:1200].max() <= 20, "words stay where they are"
    told = json.loads((out / "card.png.wenfang.json").read_text("utf-8"))
    assert '"role": "picture"' in json.dumps(told)
    facts = json.dumps(told, ensure_ascii=False)
    assert '"made_with": "emblem"' in facts
    assert "山中月夜" in facts
    assert call("replay", out / "card.png").code == 0


def test_a_private_card_tells_nothing_of_its_picture(
    stocked: Path,
    tmp_path: Path,
    call: Call,
) -> None:
    out = tmp_path / "out"
    assert call("create", brief(tmp_path, picture="pixels"), "-o", out, "--private").code == 0
    told = (out / "card.png.wenfang.json").read_text("utf-8")
    assert '"prompt"' not in told


def odd(kind: str, path: Path) -> Path:
    """A picture that is not a plain one."""
    image = Image.new("RGB", (40, 30), (200, 40, 40))
    ImageDraw.Draw(image).rectangle((0, 0, 20, 30), (40, 40, 200))
    if kind == "cmyk":
        image.convert("CMYK").save(path.with_suffix(".jpg"))
        return path.with_suffix(".jpg")
    if kind == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path.with_suffix(".jpg"), exif=exif)
        return path.with_suffix(".jpg")
    if kind == "animated":
        image.save(path.with_suffix(".gif"), save_all=True, append_images=[image.rotate(90)])
        return path.with_suffix(".gif")
    if kind == "16-bit":
        Image.fromarray(np.full((30, 40), 40_000, np.uint16)).save(path)
    elif kind == "palette":
        image.convert("P").save(path)
    elif kind == "transparent":
        Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(path)
    elif kind == "1x1":
        Image.new("RGB", (1, 1), "red").save(path)
    elif kind == "huge":
        path.write_bytes(huge_png())
    elif kind == "truncated":
        image.save(path)
        path.write_bytes(path.read_bytes()[:60])
    else:
        path.write_bytes(b"not a picture")
    return path


@pytest.mark.parametrize(
    "kind", ["cmyk", "rotated", "animated", "16-bit", "palette", "transparent", "1x1"]
)
def test_odd_pictures_are_begun_with(stocked: Path, tmp_path: Path, kind: str) -> None:
    model = wf.load("pixels")
    made = model.generate("ring", start=str(odd(kind, tmp_path / "odd.png")), side_px=8, **SETTINGS)
    assert made.image.size == (8, 8)


@pytest.mark.parametrize("kind", ["huge", "truncated", "corrupt", "missing"])
@pytest.mark.parametrize("role", ["start", "mask"])
def test_broken_pictures_are_refused_in_one_line(
    stocked: Path, tmp_path: Path, call: Call, kind: str, role: str
) -> None:
    good = odd("palette", tmp_path / "good.png")
    bad = tmp_path / "bad.png" if kind == "missing" else odd(kind, tmp_path / "bad.png")
    given = {"start": str(good), role: str(bad)}
    settings = [word for name, path in given.items() for word in ("--set", f"{name}={path}")]
    out = call("generate", "pixels", "ring", *settings, "-o", tmp_path / "out.png")
    assert out.code != 0
    assert len(out.err.strip().splitlines()) == 1
    assert "bad.png" in out.err
    assert not (tmp_path / "out.png").exists()


def test_a_picture_is_published_as_paths(stocked: Path, tmp_path: Path, call: Call) -> None:
    out, start = tmp_path / "ring.svg", odd("palette", tmp_path / "start.png")
    settings = ["--set", f"start={start}", "--set", "strength=0.02"]
    made = call("generate", "pixels", "ring", *settings, "-o", out)
    assert made.code == 0, made.err
    assert out.read_text("utf-8").count("<path") > 1
    assert call("verify", out).code == 0
    assert call("replay", out, "--model", "pixels").code == 0


def test_a_poster_carries_a_picture(stocked: Path, tmp_path: Path, call: Call) -> None:
    path = tmp_path / "ad.json"
    facts = {"name": "The Copper Finch", "type": "pub", "food": "Italian", "area": "riverside"}
    brief = {"scenario": "venue_ad", "facts": facts, "picture": "pixels", "picture_ink": "own"}
    path.write_text(json.dumps(brief), "utf-8")
    out = tmp_path / "out"
    made = call("create", path, "-o", out)
    assert made.code == 0, made.err
    told = (out / "poster.png.wenfang.json").read_text("utf-8")
    assert "spaghetti" in told
    assert call("replay", out / "poster.pdf").code == 0


def test_what_stands_for_a_venue() -> None:
    assert picture_words({"eatType": "pub", "food": "Italian"}) == "spaghetti"
    assert picture_words({"eatType": "coffee shop"}) == "hot beverage"
    assert picture_words({"food": "Szechuan"}) == "Szechuan"
    assert picture_words({}) == "fork and knife with plate"
