"""What the studio's pages say of a finished piece."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from wenfang.engine.queueing import read_as_of
from wenfang.language import speaking
from wenfang.studio.pieces import piece_html


def test_a_page_says_which_words_were_drawn_instead() -> None:
    picture = {"width_px": 128, "height_px": 128, "read_as": "teapot & lid"}
    job: Any = SimpleNamespace(result={"generated": [picture], "files": []})
    piece = {"id": "job-1", "asked": "a very <big> kettle", "read_as": read_as_of(job)}
    with speaking("en"):
        found = piece_html(piece)
    assert "a very &lt;big&gt; kettle" in found
    assert "the nearest that it knows are drawn: teapot &amp; lid" in found
    with speaking("zh"):
        assert "按它所知最接近的词来画：teapot &amp; lid" in piece_html(piece)


def test_nothing_is_said_of_words_that_were_learnt() -> None:
    for result in (None, {}, {"pieces": [{"text": "a"}]}, {"generated": [{"width_px": 128}]}):
        job: Any = SimpleNamespace(result=result)
        assert read_as_of(job) == ""
        assert "drawn" not in piece_html({"asked": "a kettle", "read_as": read_as_of(job)})
