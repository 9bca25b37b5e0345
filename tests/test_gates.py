"""Checks as gates at the doors: what blocks, what is only said, and what a policy changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Call
from sample_files import sample

Write = Callable[..., Path]
PHONE = "Call me: 13812345678\n"


def policy(**uses: object) -> Path:
    path = Path("policy.json")
    path.write_text(json.dumps({"uses": uses}), "utf-8")
    return path


@pytest.fixture
def note(home: Path) -> Path:
    path = Path("given/note.txt")
    path.parent.mkdir()
    path.write_text(PHONE, "utf-8")
    return path


def checks_of(path: Path) -> dict[str, str]:
    statement = json.loads(path.read_text("utf-8"))["statement"]
    return {
        one["name"]: one["verdict"] for one in statement["manifest"]["facts"]["checks"]["checks"]
    }


def test_personal_data_is_not_sealed_and_not_repeated(call: Call, note: Path) -> None:
    refused = call("seal", note, "--made-with", "X", "-o", "sealed")
    assert refused.code == 21
    assert "telephone" in refused.error
    assert "13812345678" not in refused.err
    assert not list(Path("sealed").glob("*"))


def test_a_policy_lets_it_pass_with_a_warning_that_stays_in_the_manifest(
    call: Call, note: Path
) -> None:
    rules = policy(default={"checks": {"personal": {"action": "warn"}}})
    done = call("seal", note, "--made-with", "X", "-o", "sealed", "--policy", rules)
    assert done.code == 0, done.err
    assert "personal" in done.out
    assert checks_of(Path("sealed/note.txt.wenfang.json"))["personal"] == "warn"
    strict = call("verify", "sealed", "--strict", "--json")
    assert strict.code == 3


def test_a_shops_own_number_may_be_allowed_for_one_use(call: Call, note: Path) -> None:
    rules = policy(shop={"allowed": ["13812345678"]})
    assert call("seal", note, "--made-with", "X", "-o", "a", "--policy", rules).code == 21
    used = call("seal", note, "--made-with", "X", "-o", "b", "--policy", rules, "--use", "shop")
    assert used.code == 0, used.err
    assert checks_of(Path("b/note.txt.wenfang.json"))["personal"] == "pass"


def test_what_stands_in_a_folder_must_not_be_copied(call: Call, home: Path) -> None:
    text = "A hundred words of an old campaign about the spring tea of the northern hills. " * 6
    for folder in ("archive", "given"):
        Path(folder).mkdir()
    Path("archive/old.txt").write_text(text)
    Path("archive/other.txt").write_text("Nothing alike stands in this file, which is short.")
    Path("given/new.txt").write_text("New words first. " + text)
    fine = call("seal", "given/new.txt", "--made-with", "X", "-o", "a")
    assert fine.code == 0, fine.err
    copied = call("seal", "given/new.txt", "--made-with", "X", "-o", "b", "--against", "archive")
    assert copied.code == 21
    assert "old.txt" in copied.error


def test_a_flipped_picture_of_a_folder_is_known(call: Call, home: Path) -> None:
    import io

    from PIL import Image, ImageDraw, ImageOps

    picture = Image.new("RGB", (256, 256), (240, 235, 220))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((20, 60, 120, 200), fill=(170, 40, 40))
    pen.rectangle((150, 20, 230, 90), fill=(30, 70, 120))
    for folder in ("archive", "given"):
        Path(folder).mkdir()
    picture.save("archive/old.png")
    flipped = io.BytesIO()
    ImageOps.mirror(picture).save(flipped, "PNG")
    Path("given/new.png").write_bytes(flipped.getvalue())
    refused = call("seal", "given/new.png", "--made-with", "X", "-o", "b", "--against", "archive")
    assert refused.code == 21
    assert "old.png" in refused.error


def test_a_flipped_drawing_of_a_folder_is_known(call: Call, home: Path) -> None:
    from wenfang.media.svg import read_svg
    from wenfang.media.svg_view import render, view_of

    drawing = read_svg(sample("svg"))
    Path("archive").mkdir()
    render(drawing, view_of(drawing), (0, 0, 400, 300), 1.0).save("archive/old.png")
    Path("given").mkdir()
    flipped = sample("svg").replace(b'cx="120"', b'cx="280"')
    Path("given/new.svg").write_bytes(flipped)
    refused = call("seal", "given/new.svg", "--made-with", "X", "-o", "b", "--against", "archive")
    assert refused.code == 21, refused
    assert "old.png" in refused.error


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ('{"uses": {"default": {"checks": {"word": {"action": "block"}}}}}', 12, "words"),
        ('{"uses": {"default": {"checks": {"words": {"action": "stop"}}}}}', 12, "action"),
        ('{"use": {}}', 12, "uses"),
        ("{", 12, "JSON"),
    ],
)
def test_a_faulty_policy_is_one_clear_line(
    call: Call, note: Path, content: str, code: int, said: str
) -> None:
    Path("policy.json").write_text(content)
    refused = call("seal", note, "--made-with", "X", "-o", "sealed", "--policy", "policy.json")
    assert refused.code == code
    assert said in refused.error


def test_an_unknown_use_and_a_missing_folder_are_one_clear_line(call: Call, note: Path) -> None:
    assert call("seal", note, "--made-with", "X", "--use", "shp").code == 16
    gone = call("seal", note, "--made-with", "X", "--against", "nowhere")
    assert gone.code == 13
    assert "nowhere" in gone.error


@pytest.mark.slow
def test_create_judges_by_a_policy_and_replays_by_it(call: Call, brief: Write) -> None:
    rules = policy(calm={"checks": {"longest_copy": {"action": "off"}}})
    made = call("create", brief(), "-o", "out", "--policy", rules, "--use", "calm", "--json")
    assert made.code == 0, made.err
    checks = checks_of(Path("out/poem.txt.wenfang.json"))
    assert checks["longest_copy"] == "note"
    assert {"form", "offence", "near_copy", "folder_copy"} <= set(checks)
    again = call("replay", "out", "--json")
    assert {one["outcome"] for one in again.json["files"]} == {"identical"}


@pytest.mark.slow
def test_a_batch_of_equal_pieces_is_told_and_may_be_blocked(call: Call, brief: Write) -> None:
    one = json.loads(brief().read_text("utf-8"))
    Path("many.jsonl").write_text("\n".join(json.dumps(one) for _ in range(3)), "utf-8")
    told = call("create", "many.jsonl", "-o", "a", "--json")
    assert told.code == 0
    assert told.json["sameness"]["verdict"] == "repair"
    rules = policy(default={"checks": {"batch_sameness": {"action": "block"}}})
    blocked = call("create", "many.jsonl", "-o", "b", "--policy", rules, "--json")
    assert blocked.code == 21


def test_a_melody_of_a_folder_is_known(call: Call, home: Path) -> None:
    import mido

    def tune(path: Path, start: int, steps: list[int]) -> None:
        track, pitch = mido.MidiTrack(), start
        for step in [0, *steps]:
            pitch += step
            track.append(mido.Message("note_on", note=pitch, velocity=80, time=0))
            track.append(mido.Message("note_off", note=pitch, velocity=0, time=240))
        file = mido.MidiFile(type=0)
        file.tracks.append(track)
        path.parent.mkdir(exist_ok=True)
        file.save(str(path))

    steps = [2, 2, 1, 2, -3, 4, -1, -2, 5, -4, 2, 3, -5, 1, 2]
    tune(Path("archive/old.mid"), 60, steps)
    tune(Path("given/new.mid"), 65, steps)
    tune(Path("given/other.mid"), 60, [-one for one in steps])
    known = call("seal", "given/new.mid", "--made-with", "X", "-o", "a", "--against", "archive")
    assert known.code == 21
    assert "old.mid" in known.error
    fine = call("seal", "given/other.mid", "--made-with", "X", "-o", "a", "--against", "archive")
    assert fine.code == 0, fine.err


def test_files_without_a_check_say_so(call: Call, home: Path) -> None:
    Path("given").mkdir()
    Path("given/a.pdf").write_bytes(sample("pdf"))
    done = call("seal", "given/a.pdf", "--made-with", "X", "-o", "sealed")
    assert done.code == 0
    assert "no check reads" in done.out
