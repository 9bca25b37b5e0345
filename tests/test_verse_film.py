"""A brief becomes a film: drawn, heard, captioned, labelled, sealed, and made again."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wenfang as wf
from conftest import BRIEF, Call
from wenfang.compose.captions import Said
from wenfang.compose.film import SCREENS, draft, filmed
from wenfang.compose.scenery import HOURS, Theme, draw_scenery, theme_of
from wenfang.compose.verse_shots import VerseText, scenery_size, verse_shots
from wenfang.errors import BriefError
from wenfang.media.loudness import loudness_lufs, true_peaks
from wenfang.media.video import decode
from wenfang.scenarios import read_brief

VERSE = ("春江潮水連海平，", "海上明月共潮生。", "灩灩隨波千萬里，", "何處春江無月明。")


def asked(**changes: object) -> dict[str, Any]:
    film = {"quality": "draft", "also": ["webp"]}
    return {**BRIEF, "scenario": "verse_film", "film": film, **changes}


def test_a_film_is_made_sealed_and_made_again(home: Path, call: Call) -> None:
    Path("brief.json").write_text(json.dumps(asked()), "utf-8")
    assert call("create", "brief.json", "-o", "out").code == 0
    names = {path.name for path in Path("out").iterdir()}
    wanted = {"film.mp4", "film.webp", "card.png", "recital.mp3", "music.mid", "poem.txt"}
    assert {*wanted, "report.html"} <= names
    assert call("verify", "out").code == 0
    assert {one.outcome for one in wf.replay(Path("out"))} == {"identical"}
    film = decode(Path("out/film.mp4").read_bytes())
    frames = list(film.frames)
    assert frames[0].shape == (360, 640, 3)
    assert film.sound is not None
    assert abs(len(frames) / film.fps - film.sound.duration_s) < 0.04
    assert 20 <= film.sound.duration_s <= 40
    heard = loudness_lufs(film.sound.samples, film.sound.sample_rate_hz)
    assert heard == pytest.approx(-14, abs=0.5)
    assert true_peaks(film.sound.samples).max() <= 10 ** (-1 / 20)
    poem = Path("out/poem.txt").read_text("utf-8")
    assert all(one.text.rstrip("，。") in poem for one in film.captions)
    assert len(film.captions) == 5
    page = Path("out/report.html").read_text("utf-8")
    assert '<video controls src="film.mp4">' in page
    assert "speech_timing" in page


def _text() -> VerseText:
    lines = tuple(Said(line, 3 + number, 3.7 + number) for number, line in enumerate(VERSE))
    starts = [3 + number + k * 0.1 for number in range(4) for k in range(7)]
    return VerseText(
        title=Said("春江花月夜", 1.0, 2.0),
        lines=lines,
        syllables=tuple((start_s, start_s + 0.1) for start_s in starts),
        aside="七言絕句",
        seal="文房",
    )


@pytest.mark.parametrize("shape", ["16:9", "9:16", "1:1"])
def test_lines_appear_as_they_are_read_and_stay_on_the_screen(shape: Any) -> None:
    from PIL import Image

    screen = draft(SCREENS[shape])
    size = scenery_size(screen)
    even = Image.new("RGB", size, (40, 50, 70))
    night = draw_scenery(Theme(hour="night"), size, 1)
    scenery = replace(night, image=even)
    shots = verse_shots(_text(), scenery, Image.new("RGB", (124, 175), "white"), screen, 12.0)
    frames = list(filmed(shots, screen).frames)
    assert len(frames) == 12 * screen.fps
    ink = [np.abs(one.astype(int) - (40, 50, 70)).sum(axis=2) > 200 for one in frames]

    def columns(second: float) -> tuple[int, int]:
        """How much ink there is, and how far to the left it reaches."""
        seen = ink[round(second * screen.fps)]
        return int(seen.sum()), int(np.nonzero(seen.any(axis=0))[0].min(initial=screen.width_px))

    before = columns(2.95)
    amounts = [columns(3.9 + number) for number in range(4)]
    assert before[0] < amounts[0][0]
    for (one, reach), (more, farther) in pairwise(amounts):
        assert more > one * 1.2
        assert farther < reach  # columns go from right to left
    last = ink[round(6.9 * screen.fps)]
    margin = round(screen.short_px * 0.03)
    assert not last[:margin].any()
    assert not last[-margin:].any()
    assert not last[:, :margin].any()
    assert not last[:, -margin:].any()
    bright = frames[round(9.5 * screen.fps)]  # the card is there
    assert (bright.min(axis=2) > 240).mean() > 0.1


def test_words_decide_the_scenery() -> None:
    assert theme_of("江雪") == Theme(hour="winter", weather="snow", water=True)
    assert theme_of("春江花月夜").hour == "night"
    assert theme_of("聽雨").weather == "rain"
    assert theme_of("登高", "萬里悲秋常作客").weather == "leaves"
    assert theme_of("題壁") == Theme()
    for hour in HOURS:
        one = draw_scenery(Theme(hour=hour, water=True, birds=True), (320, 180), 3)
        again = draw_scenery(Theme(hour=hour, water=True, birds=True), (320, 180), 3)
        other = draw_scenery(Theme(hour=hour, water=True, birds=True), (320, 180), 4)
        assert one.image.tobytes() == again.image.tobytes() != other.image.tobytes()
    night = np.asarray(draw_scenery(Theme(hour="night"), (320, 180), 3).image).mean()
    day = np.asarray(draw_scenery(Theme(hour="day"), (320, 180), 3).image).mean()
    assert night < 90 < 180 < day


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"film": {"shapes": []}}, "film.shapes is -"),
        ({"film": {"shapes": ["16:9", "16:9"]}}, "give each once"),
        ({"film": {"shapes": ["4:3"]}}, "4:3"),
        ({"scenery": {"hour": "noon"}}, "scenery.hour is noon"),
        ({"scenery": {"weather": "hail"}}, "scenery.weather is hail"),
        ({"seal": "五個字的印"}, "at most 4 fit"),
    ],
)
def test_what_cannot_be_filmed_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BriefError, match=said):
        read_brief(asked(**changes), "brief")


def test_a_brief_may_choose_its_scenery() -> None:
    _, brief = read_brief(asked(scenery={"hour": "dusk", "weather": "none"}), "brief")
    assert brief.scenery.of("江雪", "") == Theme(hour="dusk", weather="", water=True)
