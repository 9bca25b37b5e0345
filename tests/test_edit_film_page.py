"""The page about editing films says what is true: its examples run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from film_files import clicks, film
from wenfang.compose.cut import joined
from wenfang.compose.reel import count_of, size_of
from wenfang.media.audio import Sound
from wenfang.media.video import Film, decode
from wenfang.media.video_encoding import encode

PAGE = Path(__file__).parents[1] / "docs/how-to/edit-film.md"


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.Generator(np.random.Philox(key=2))
    voice = np.repeat([0.2, 0.0, 0.2], [48_000, 96_000, 48_000]) * random.standard_normal(192_000)
    sound = Sound(samples=voice.astype(np.float32)[:, None], sample_rate_hz=48_000)
    talk = film(100, sound=sound, size=(320, 180))
    (tmp_path / "talk.mp4").write_bytes(encode(talk, "mp4"))
    flat = [np.full((180, 240, 3), level, np.uint8) for level in (30, 220)]
    street = joined([Film(frames=[one] * 30, fps=talk.fps, sound=clicks(1.2, [])) for one in flat])
    (tmp_path / "street.webm").write_bytes(encode(street, "webm"))

    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)

    whole = decode((tmp_path / "whole.mp4").read_bytes())
    # 2.5 s, 2.4 s and what was spoken, 2.3 s, with two dissolves of 0.4 s.
    assert count_of(whole) / 25 == pytest.approx(2.5 + 2.4 + 2.3 - 0.8, abs=0.1)
    assert (tmp_path / "scene-2.mp4").is_file()
    assert not (tmp_path / "scene-3.mp4").exists()
    shown = decode((tmp_path / "shown.mp4").read_bytes())
    assert [one.text for one in shown.captions] == [
        "The moon rises over the sea.", "海上明月共潮生",
    ]  # fmt: skip
    assert isinstance(names["upright"], Film)
    assert size_of(names["upright"]) == (100, 180)
