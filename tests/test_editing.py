"""`wenfang edit`: films and sounds changed by a command, and AI content that stays marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from conftest import Call
from film_files import click_times, clicks, file_of, film
from wenfang.engine.keeping import verify_files
from wenfang.engine.sealing import marks_of
from wenfang.media.audio import Sound, decode_sound, encode_sound
from wenfang.media.video import decode
from wenfang.media.video_encoding import encode
from wenfang.seal.label import LabelSettings, new_label, sidecar_json
from wenfang.seal.statement import sealed_facts, sealed_id
from wenfang.store import Store


@pytest.fixture
def talk() -> Path:
    """Two seconds, 64 x 48, with a beep at 0.5 and 1.5 s."""
    path = Path("talk.mp4")
    path.write_bytes(file_of(beeps=(0.5, 1.5)))
    return path


@pytest.fixture
def note() -> Path:
    """Three seconds with beeps at 1 and 2 s, and hiss."""
    sound = clicks(3, (1.0, 2.0))
    hiss = np.random.default_rng(1).normal(0, 0.002, sound.samples.shape).astype(np.float32)
    path = Path("note.wav")
    path.write_bytes(
        encode_sound(Sound(samples=sound.samples + hiss, sample_rate_hz=48_000), "audio/wav")
    )
    return path


def test_a_film_is_trimmed_reshaped_and_captioned(call: Call, home: Path, talk: Path) -> None:
    drawn = film(50, sound=clicks(2, (0.5, 1.5)), size=(320, 240))
    talk.write_bytes(encode(drawn, "mp4"))
    Path("talk.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nSpring tea\n", "utf-8")
    changes = ["start_s=0.2", "end_s=1.4", "shape=1:1", "captions=talk.srt"]
    asked = [word for one in changes for word in ("--set", one)]
    made = call("edit", talk, "-o", "out/square.mp4", *asked, "--json").json["files"]
    assert made == [{"path": "out/square.mp4", "seconds": 1.2, "sealed": False, "notes": []}]
    found = decode(Path("out/square.mp4").read_bytes())
    frame = next(iter(found.frames))
    assert frame.shape == (240, 240, 3)
    assert [one.text for one in found.captions] == ["Spring tea"]
    assert found.sound
    assert click_times(found.sound) == pytest.approx([0.3], abs=0.03)
    assert "no label" in call("edit", talk, "-o", "again.webm").out


def test_films_are_joined_and_one_is_cut_at_its_silences(
    call: Call, home: Path, talk: Path
) -> None:
    both = call("edit", talk, talk, "-o", "both.mp4", "--set", "dissolve_s=0.2", "--json").json
    assert both["files"][0]["seconds"] == pytest.approx(3.8, abs=0.05)
    cut = ["--set", "silence=cut", "--set", "quiet.least_s=0.3", "--set", "quiet.margin_s=0.1"]
    short = call("edit", talk, "-o", "short.mp4", *cut, "--json").json["files"][0]
    assert 0.3 < short["seconds"] < 0.7
    ends = call("edit", talk, "-o", "ends.mp4", "--set", "silence=ends", "--json").json["files"][0]
    assert ends["seconds"] == pytest.approx(1.3, abs=0.1)
    assert call("edit", talk, "-o", "heard.mp3").code == 0
    assert decode_sound(Path("heard.mp3").read_bytes()).duration_s == pytest.approx(2, abs=0.1)


def test_a_sound_is_cleaned_and_parted(call: Call, home: Path, note: Path) -> None:
    changes = ["denoise=1", "silence=ends", "quiet.below_db=-30", "speed=2", "lufs=-20"]
    asked = [word for one in changes for word in ("--set", one)]
    call("edit", note, "-o", "clean.flac", *asked)
    clean = decode_sound(Path("clean.flac").read_bytes())
    assert clean.duration_s == pytest.approx(0.56, abs=0.05)
    asked = ["--set", "split=silence", "--set", "quiet.below_db=-30", "--json"]
    parts = call("edit", note, "-o", "parts", *asked).json["files"]
    assert [Path(one["path"]).name for one in parts] == ["note-1.wav", "note-2.wav"]
    whole = call("edit", note, note, "-o", "twice.wav", "--json").json["files"][0]
    assert whole["seconds"] == pytest.approx(6)


def test_what_ai_made_stays_marked_and_names_its_source(call: Call, home: Path) -> None:
    call("generate", "effects", "bell", "-o", "bell.wav")
    made = call("edit", "bell.wav", "-o", "half.wav", "--set", "end_s=0.5", "--json").json["files"]
    assert made[0]["sealed"]
    assert verify_files([Path("half.wav")])[0].outcome == "good"
    own = sealed_id(Path("half.wav"))
    assert own
    with Store.open() as store:
        manifest = store.manifest(own)
    assert manifest
    assert [link.id for link in manifest.inputs] == [sealed_id(Path("bell.wav"))]
    assert "bell.wav" in call("lineage", "half.wav").out


def test_the_producer_that_a_label_names_stays_named(call: Call, home: Path) -> None:
    drawn = encode(film(60, sound=clicks(2.4, (1.0,)), size=(128, 96)), "mp4")
    Path("other.mp4").write_bytes(drawn)
    theirs = new_label(LabelSettings(producer_name="Another-Studio"), "5a" * 32)
    Path("other.mp4.aigc.json").write_bytes(sidecar_json(theirs))
    made = call("edit", "other.mp4", "-o", "new.mp4", "--set", "speed=1.2", "--json")
    assert made.json["files"][0]["sealed"]
    assert verify_files([Path("new.mp4")])[0].outcome == "good"
    label, _ = marks_of(Path("new.mp4"))
    assert label
    assert label["ContentProducer"] == theirs["ContentProducer"] == "Another-Studio"
    assert label["ContentPropagator"] == "Wenfang"


def test_who_made_what_was_sealed_here_stays_said(call: Call, home: Path, note: Path) -> None:
    call("seal", note, "--made-with", "Another Studio", "-o", "sealed")
    call("edit", "sealed/note.wav", "-o", "half.wav", "--set", "end_s=1")
    assert sealed_facts(Path("half.wav"))["made_with"] == "Another Studio"
    (home / "other").mkdir()
    Path("stray.wav").write_bytes(note.read_bytes())
    Path("stray.wav.c2pa").write_bytes(b"a credential that nobody can read")
    assert call("edit", "stray.wav", "-o", "kept.wav", "--json").json["files"][0]["sealed"]
    assert sealed_facts(Path("kept.wav"))["made_with"] == "unknown"


def test_ai_content_without_a_mark_is_marked_where_that_is_said(
    call: Call, home: Path, talk: Path
) -> None:
    made = call("edit", talk, "-o", "m.mp4", "--made-with", "Another Studio", "--json").json
    assert made["files"][0]["sealed"]
    assert verify_files([Path("m.mp4")])[0].outcome == "good"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["gone.mp4", "-o", "x.mp4"], "gone.mp4 is not there"),
        (["talk.mp4", "-o", "talk.mp4"], "would be overwritten"),
        (["talk.mp4", "-o", "x.txt"], "this is saved as one of"),
        (["note.wav", "-o", "x.mp4"], "this is saved as one of"),
        (["note.wav", "talk.mp4", "-o", "x.mp4"], "films and sounds cannot be joined"),
        (["note.wav", "-o", "x.wav", "--set", "shape=1:1"], "a sound has no shape"),
        (["note.wav", "-o", "x.wav", "--set", "split=scenes"], "no scenes"),
        (["talk.mp4", "-o", "x.mp4", "--set", "split=silence"], "split at its scenes"),
        (["talk.mp4", "-o", "x.mp4", "--set", "captions=no.srt"], "no.srt is not there"),
        (["talk.mp4", "-o", "x.mp4", "--set", "shape=round"], "no shape of a film"),
        (["talk.mp4", "-o", "x.mp4", "--set", "start_s=9"], "a cut from 9.0"),
        (["note.wav", "-o", "x.wav", "--set", "start_s=9"], "has no meaning"),
        (["note.wav", "-o", "x.wav", "--set", "lufs=3"], "has no meaning"),
        (["note.wav", "-o", "x.wav", "--set", "speed=99"], "cannot be played"),
        (["note.wav", "-o", "x.wav", "--set", "sped=2"], "did you mean speed"),
        (["broken.mp4", "-o", "x.mp4"], "broken.mp4"),
        (["words.mp4", "-o", "x.mp4"], "words.mp4 is neither MP4 nor WebM"),
        (["none.mp4", "-o", "x.mp4"], "none.mp4 is neither MP4 nor WebM"),
        (["nan.wav", "-o", "x.wav"], "nan.wav holds 2 samples that are no numbers"),
        ([".", "-o", "x.wav"], "is a folder"),
    ],
)
def test_bad_input_is_one_clear_line(
    call: Call, home: Path, talk: Path, note: Path, words: list[str], line: str
) -> None:
    Path("broken.mp4").write_bytes(talk.read_bytes()[:900])
    Path("words.mp4").write_text("no film at all", "utf-8")
    Path("none.mp4").touch()
    holes = np.zeros(800, np.float32)
    holes[[3, 5]] = np.nan, np.inf
    soundfile.write("nan.wav", holes, 8000, subtype="FLOAT")
    before = {path: path.read_bytes() for path in (talk, note)}
    outcome = call("edit", *words)
    assert outcome.code > 9
    assert line in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not Path("x.mp4").exists()
    assert {path: path.read_bytes() for path in before} == before


def test_scenes_become_files(call: Call, home: Path) -> None:
    frames = [
        np.array(Image.new("RGB", (96, 64), one)) for one in ("navy", "gold") for _ in "x" * 25
    ]
    Path("two.mp4").write_bytes(encode(replace(film(50), frames=frames), "mp4"))
    made = call("edit", "two.mp4", "-o", "scene.mp4", "--set", "split=scenes", "--json").json
    names = [(one["path"], one["seconds"]) for one in made["files"]]
    assert names == [("scene-1.mp4", 1.0), ("scene-2.mp4", 1.0)]
    first = next(iter(decode(Path("scene-2.mp4").read_bytes()).frames))
    assert first[32, 48].tolist() == pytest.approx([255, 215, 0], abs=12)  # gold
