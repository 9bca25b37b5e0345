"""A venue's facts become a film: checked lines, spoken in time, shown, sealed, made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wenfang as wf
from conftest import Call
from wenfang.checks.judging import Judge
from wenfang.compose.brand import brand_palette
from wenfang.compose.film import SCREENS, draft, filmed
from wenfang.compose.poster import PALETTES
from wenfang.compose.venue_shots import Brand, Moment, venue_shots
from wenfang.errors import BriefError, CheckError, MediaError
from wenfang.media.contrast import contrast
from wenfang.media.loudness import loudness_lufs, true_peaks
from wenfang.media.video import decode
from wenfang.scenarios import SCENARIOS, read_brief
from wenfang.scenarios.venue_script import script_of

FACTS = {"name": "The Copper Kettle", "eatType": "coffee shop", "food": "Italian",
         "priceRange": "less than £20", "customer rating": "5 out of 5", "area": "riverside",
         "near": "Holloway Books", "familyFriendly": "yes"}  # fmt: skip


def asked(**changes: Any) -> dict[str, Any]:
    film = {"quality": "draft", "shapes": ["16:9", "9:16"], "captions": "burnt"}
    return {**SCENARIOS["venue_film"].example, "film": film, **changes}


def test_a_film_is_made_sealed_and_made_again(home: Path, call: Call) -> None:
    Path("brief.json").write_text(json.dumps(asked()), "utf-8")
    assert call("create", "brief.json", "-o", "out").code == 0
    assert call("verify", "out").code == 0
    assert {one.outcome for one in wf.replay(Path("out"))} == {"identical"}
    for name, shape in (("film.mp4", (360, 640, 3)), ("film-9x16.mp4", (640, 360, 3))):
        film = decode((Path("out") / name).read_bytes())
        frames = list(film.frames)
        assert frames[0].shape == shape
        assert film.sound is not None
        assert len(frames) / film.fps == 15
        assert abs(film.sound.duration_s - 15) <= 0.04
        heard = loudness_lufs(film.sound.samples, film.sound.sample_rate_hz)
        assert heard == pytest.approx(-14, abs=0.6)
        assert true_peaks(film.sound.samples).max() <= 10 ** (-1 / 20)
        said = [one.text for one in film.captions]
        assert said[0].startswith("The Copper Kettle.")
        assert len(said) == 5
        script = Path("out/script.txt").read_text("utf-8")
        assert all(one in script for one in said)
    page = Path("out/report.html").read_text("utf-8")
    assert '<video controls src="film.mp4">' in page


def test_the_script_tells_facts_and_nothing_else() -> None:
    lines = script_of(FACTS, "", Judge())
    assert [one.kind for one in lines] == ["hook", "fact", "fact", "fact", "call"]
    assert [one.slot for one in lines[1:4]] == ["customer rating", "priceRange", "familyFriendly"]
    assert lines[0].spoken == ("The Copper Kettle. "
                               "A riverside Italian coffee shop near Holloway Books.")  # fmt: skip
    assert script_of(FACTS, "", Judge(), 2)[0].spoken == "The Copper Kettle."
    assert script_of(FACTS, "", Judge(), 2)[0].line == lines[0].line
    assert lines[-1].spoken == "Come and see us, near Holloway Books."
    for poor in ("low", "1 out of 5"):
        told = {**FACTS, "customer rating": poor, "familyFriendly": "no"}
        slots = [one.slot for one in script_of(told, "", Judge())]
        assert not {"customer rating", "familyFriendly"} & set(slots)
    few = script_of({"name": "Nook", "priceRange": "cheap"}, "Book a table", Judge())
    assert [one.spoken for one in few] == ["Nook. Low prices.", "Low prices.", "Book a table."]


def test_a_call_that_tells_what_is_not_given_is_refused() -> None:
    with pytest.raises(CheckError, match="did not pass"):
        script_of(FACTS, "Try our cheap French food", Judge())


@pytest.mark.parametrize("shape", ["16:9", "9:16", "1:1"])
@pytest.mark.parametrize("name", ["Nook", "The Extraordinarily Long-Winded Kitchen of Somewhere"])
def test_words_stay_on_the_screen_and_can_be_read(shape: Any, name: str) -> None:
    screen = draft(SCREENS[shape])
    colours = PALETTES["harbour"]
    moments = [
        Moment(kind="hook", small="coffee shop", large=name, end_s=2.0,
               line="A riverside Italian coffee shop near Holloway Books"),
        Moment(kind="fact", small="Prices", large="Less than £20", slot="priceRange",
               value="less than £20", end_s=4.0),
        Moment(kind="fact", small="Where", large="The city centre", slot="area",
               value="city centre", end_s=6.0),
        Moment(kind="call", small="Come and see us", large=name, line="Near Holloway Books",
               end_s=8.0),
    ]  # fmt: skip
    brand = Brand(palette=colours, sign="coffee shop", told=("area:riverside",), seed=3)
    frames = list(filmed(venue_shots(moments, brand, screen), screen).frames)
    assert len(frames) == 8 * screen.fps
    margin = round(screen.short_px * 0.04)

    def ink(second: float, colour: tuple[int, int, int]) -> Any:
        frame = frames[round(second * screen.fps)].astype(int)
        return np.abs(frame - colour).sum(axis=2) < 40

    # The line under the name, beside or below the panel.
    beside = (slice(None), slice(2 * round(screen.height_px / 3) + 4, None))
    below = (slice(screen.width_px // 2 + 4, None), slice(None))
    last = ink(1.8, colours.quiet)[beside if shape == "16:9" else below]
    assert last.any()
    assert not last[-margin:].any()
    assert not last[:, -margin:].any()
    for second, colour in ((3.8, colours.paper), (5.8, colours.ink), (7.0, colours.paper)):
        seen = ink(second, colour)
        assert seen.mean() > 0.005
        for edge in (seen[:margin], seen[-margin:], seen[:, :margin], seen[:, -margin:]):
            assert not edge.any()


def test_a_brand_of_any_colours_can_be_read() -> None:
    for given in ("#ffee00", "#ffffff", "#000000", "#0b5d4e, #f2b134", "red, yellow"):
        palette = brand_palette(given)
        assert contrast(palette.deep, palette.paper) >= 4.5
        assert contrast(palette.ink, palette.paper) >= 7
        assert contrast(palette.quiet, palette.paper) >= 4.5


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"brand": "#12"}, BriefError, "#12 is no colour"),
        ({"brand": "red, green, blue"}, BriefError, "brand has 3 colours"),
        ({"call": "x" * 41}, BriefError, "call is longer than 40"),
        ({"sound": {"mood": "funky"}}, BriefError, "sound.mood is funky"),
        ({"facts": {"name": "Nook"}}, BriefError, "hold a name alone"),
    ],
)
def test_what_cannot_be_filmed_is_refused(
    changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_brief(asked(**changes), "brief")


def test_what_takes_too_long_to_say_or_to_show_is_told(home: Path, call: Call) -> None:
    facts = {
        "name": "The Copper Kettle",
        "near": "Saint Bartholomew's Old Post Office by the Canal Bridges",
    }
    facts |= {"food": "Northern Mediterranean small plates and regional wines"}
    facts |= {"area": "the streets between the cathedral and the botanical garden"}
    Path("brief.json").write_text(json.dumps(asked(facts=facts)), "utf-8")
    made = call("create", "brief.json", "-o", "out")
    assert made.code == BriefError.exit_code
    assert "s to say and the film has 15" in made.err
    assert not Path("out").exists()
    moment = Moment(kind="call", large="W" * 90, end_s=2.0)
    brand = Brand(palette=PALETTES["clay"], sign="", told=(), seed=0)
    with pytest.raises(MediaError, match="too long to be shown"):
        venue_shots([moment], brand, SCREENS["9:16"])
