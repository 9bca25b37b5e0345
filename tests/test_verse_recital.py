"""A brief becomes a poem that is read aloud over music: heard, timed, sealed, made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wenfang as wf
from conftest import BRIEF, Call
from wenfang.errors import BriefError, ConfigError
from wenfang.media.audio import decode_sound
from wenfang.media.loudness import loudness_lufs
from wenfang.media.score import read_score
from wenfang.scenarios import read_brief
from wenfang.scenarios.reciting import BEFORE_S, Reading, Recital, recite
from wenfang.scenarios.verse_recital import VerseRecitalBrief

VERSE = ("春江潮水連海平，", "海上明月共潮生。", "灩灩隨波千萬里，", "何處春江無月明。")


def asked(**recital: object) -> dict[str, Any]:
    return {**BRIEF, "scenario": "verse_recital", "recital": recital}


def test_a_recital_is_made_sealed_and_made_again(home: Path, call: Call) -> None:
    Path("brief.json").write_text(json.dumps(asked(mood="tender")), "utf-8")
    assert call("create", "brief.json", "-o", "out").code == 0
    names = {path.name for path in Path("out").iterdir()}
    assert {"recital.mp3", "recital.wav", "music.mid", "poem.txt", "report.html"} <= names
    assert call("verify", "out").code == 0
    assert {one.outcome for one in wf.replay(Path("out"))} == {"identical"}
    sound = decode_sound(Path("out/recital.wav").read_bytes())
    assert loudness_lufs(sound.samples, sound.sample_rate_hz) == pytest.approx(-14, abs=0.7)
    score = read_score(Path("out/music.mid").read_bytes())
    assert abs(score.duration_s - sound.duration_s) < 6
    assert "<audio controls" in Path("out/report.html").read_text("utf-8")
    assert call("create", "brief.json", "-o", "out").code == 0  # nothing is left to do


def test_lines_are_timed_and_music_gives_way() -> None:
    heard = recite(Recital(), Reading(title="春江花月夜", verse=VERSE, seed=1), None)
    assert heard.title.text == "春江花月夜"
    assert heard.title.start_s == pytest.approx(BEFORE_S, abs=0.2)
    assert heard.title.end_s < heard.lines[0].start_s
    assert len(heard.words) == 5 + 4 * 7
    assert [one.text for one in heard.lines] == list(VERSE)
    assert heard.lines[0].start_s > BEFORE_S + 1  # after the title
    for before, after in zip(heard.lines, heard.lines[1:], strict=False):
        assert before.start_s < before.end_s < after.start_s
    assert heard.lines[-1].end_s < heard.sound.duration_s
    assert heard.score is None
    samples, rate = heard.sound.samples, heard.sound.sample_rate_hz

    def level(start_s: float, end_s: float) -> float:
        part = samples[round(start_s * rate) : round(end_s * rate)]
        return float(np.sqrt((part**2).mean()))

    # What is heard while a line is read is the voice; before it, the river of the title alone.
    line = heard.lines[1]
    assert level(line.start_s, line.end_s) > 5 * level(1.0, 2.5) > 0


def test_without_music_and_ambience_there_is_the_voice_alone() -> None:
    _, brief = read_brief(asked(music="", ambience="none", voice="man", speed=1.2), "brief")
    heard = recite(brief.recital, Reading(title="春江", verse=VERSE), None)
    assert np.abs(heard.sound.samples[:48_000]).max() < 1e-3
    calm = Recital(music="", ambience="none")
    slower = recite(calm, Reading(title="春江", verse=VERSE), None)
    assert heard.sound.duration_s < slower.sound.duration_s


@pytest.mark.parametrize(
    ("recital", "error", "said"),
    [
        ({"mood": "funky"}, BriefError, "recital.mood is funky"),
        ({"ambience": "jungle"}, BriefError, "recital.ambience is jungle"),
        ({"arrangement": "kazoo"}, ConfigError, "no arrangement is named kazoo"),
        ({"speed": 9.0}, ConfigError, "settings.speed"),
        ({"voice": "robot"}, BriefError, "voice"),
    ],
)
def test_what_cannot_be_recited_is_refused(
    recital: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read_brief(asked(**recital), "brief")


def test_a_subject_that_is_no_chinese_is_refused() -> None:
    with pytest.raises(BriefError, match="use Chinese characters"):
        VerseRecitalBrief(subject="river")
