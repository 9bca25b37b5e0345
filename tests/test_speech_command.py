"""A program of this machine as a voice: who may name it, what it is given, what is taken of it."""

from __future__ import annotations

import json
import re
import shlex
import stat
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import wenfang as wf
from conftest import Call
from wenfang.backends.speech.choosing import open_speaker
from wenfang.backends.speech.command import FIELDS, CommandSettings
from wenfang.backends.speech.speaker import SpeechOptions, Spoken
from wenfang.errors import (
    ConfigError,
    DependencyError,
    EndpointError,
    NotFoundError,
)

VERSE = "春江潮水连海平，海上明月共潮生。"
KEY = "sk-very-secret-0123456789"
# A voice of a tone, 0.2 s for a character; it notes its arguments, its input and its surroundings.
PROGRAM = """
import json, math, os, sys, wave
heard = sys.stdin.buffer.read().decode()
with open("noted.jsonl", "a") as notes:
    noted = {"arguments": sys.argv[1:], "heard": heard, "cwd": os.getcwd(),
             "environment": dict(os.environ)}
    notes.write(json.dumps(noted) + "\\n")
said = heard.strip() or sys.argv[-1].strip()
output = sys.argv[sys.argv.index("--output") + 1] if "--output" in sys.argv else sys.stdout.buffer
frames = b"".join(int(9000 * math.sin(n / 17)).to_bytes(2, "little", signed=True)
                  for n in range(int(0.2 * 16000 * len(said))))
with wave.open(output, "wb") as target:
    target.setparams((1, 2, 16000, 0, "NONE", ""))
    target.writeframes(frames)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything but what a test writes."""
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write(home: Path, arguments: str = "", program: str = PROGRAM, **settings: Any) -> None:
    """The program, and what voices.json says of it."""
    (home / "voice.py").write_text(program, "utf-8")
    line = f"{shlex.quote(sys.executable)} voice.py {arguments}"
    write_settings(home, {"own": {"command": line, **settings}})


def write_settings(home: Path, content: object) -> None:
    path = home / "voices.json"
    path.write_text(json.dumps(content), "utf-8")
    path.chmod(0o644)


def notes(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "noted.jsonl").read_text("utf-8").splitlines()]


def heard(home: Path, text: str = VERSE, **options: Any) -> Spoken:
    return open_speaker("command:own").speak(text, SpeechOptions(**options))


def test_a_program_hears_each_phrase_and_gives_its_sound(place: Path) -> None:
    write(place)
    spoken = heard(place)
    assert [one["heard"] for one in notes(place)] == ["春江潮水连海平，\n", "海上明月共潮生。\n"]
    assert spoken.sound.sample_rate_hz == 16_000
    assert [one.text for one in spoken.words] == list("春江潮水连海平海上明月共潮生")
    assert spoken.phrases[0].end_s == pytest.approx(8 * 0.2, abs=0.05)
    assert spoken.phrases[1].start_s - spoken.phrases[0].end_s == pytest.approx(0.26, abs=1e-3)
    assert spoken.estimated


def test_text_output_voice_and_speed_are_put_where_they_are_wanted(place: Path) -> None:
    write(
        place,
        "--rate={speed} --length {length_scale} --speaker {voice} --output {output} {text}",
        voices={"man": "7"},
    )
    spoken = heard(place, "海上明月", voice="man", speed=0.8)
    (noted,) = notes(place)
    rate, length, scale, speaker, number, _, output, text = noted["arguments"]
    assert [rate, length, scale, speaker, number] == [
        "--rate=0.8", "--length", "1.25", "--speaker", "7"
    ]  # fmt: skip
    assert text == "海上明月。"
    assert noted["heard"] == ""
    assert not Path(output).parent.exists()
    assert spoken.sound.duration_s == pytest.approx(1.0, abs=0.05)


def test_a_speed_that_the_program_does_not_know_is_made_here(place: Path) -> None:
    write(place)
    assert heard(place, "海上明月", speed=0.5).sound.duration_s == pytest.approx(2.0, abs=0.1)


def test_no_text_is_an_option_a_file_or_a_placeholder(place: Path) -> None:
    write(place, "{text}")
    for text, given in (
        ("--output /tmp/owned", " --output /tmp/owned."),
        ("@secret.txt", " @secret.txt."),
        ("/etc/passwd", " /etc/passwd."),
        ("say {output} {voice}", "say {output} {voice}."),
        ("$(touch owned); `touch owned` && touch owned", "$(touch owned);"),
        ("nul \0 here", "nul here."),
    ):
        (place / "noted.jsonl").unlink(missing_ok=True)
        heard(place, text)
        assert notes(place)[0]["arguments"][-1].strip() == given.strip()
        assert not notes(place)[0]["arguments"][-1].startswith(("-", "@", "/", "$"))
    assert not list(place.rglob("owned"))
    assert not Path("owned").exists()


def test_only_what_the_user_wrote_down_is_run(place: Path, call: Call) -> None:
    """The lure: a brief's or a file's name for a program that is there."""
    write(place)
    owned = Path("owned")
    for name in ("command:touch owned", f"command:{sys.executable}", "command:", "command:../own"):
        with pytest.raises(NotFoundError, match=r"only those that you wrote into voices\.json"):
            open_speaker(name)
        done = call("generate", "speech", "sea", "--set", f"engine={name}")
        assert done.code == NotFoundError.exit_code
    # A file of that name where one stands is nobody's settings.
    Path("voices.json").write_text(json.dumps({"here": {"command": "touch owned"}}))
    with pytest.raises(NotFoundError):
        open_speaker("command:here")
    assert not owned.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"command": ""}, "needs a program"),
        ({"command": []}, "needs a program"),
        ({"command": "{text}"}, "needs a program"),
        ({"command": "./run --fast"}, "give its whole path"),
        ({"command": "bin/run"}, "give its whole path"),
        ({"command": "say 'half"}, "cannot be read"),
        ({"command": "sh -c 'say {text}'"}, "argument of its own"),
        ({"command": "say --text={text}"}, "argument of its own"),
        ({"command": "say", "seconds": 0}, "seconds is 0"),
        ({"command": "say", "shell": True}, "unknown field shell"),
        ({"command": 3}, "expected"),
        ("say", "not a JSON object"),
        ([], "not a JSON object"),
    ],
)
def test_settings_that_cannot_be_are_told(place: Path, settings: object, message: str) -> None:
    write_settings(place, {"own": settings})
    with pytest.raises(ConfigError, match=message):
        open_speaker("command:own")


def test_a_broken_file_of_settings_is_told(place: Path) -> None:
    for text in ("[]", "{", "[" * 100_000, " " * (2**20 + 1)):
        (place / "voices.json").write_text(text)
        with pytest.raises(ConfigError, match="not a JSON object"):
            open_speaker("command:own")


def test_a_file_that_anybody_may_write_is_not_run(place: Path) -> None:
    write(place)
    path = place / "voices.json"
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    with pytest.raises(ConfigError, match="can be written by anybody"):
        open_speaker("command:own")


def test_a_command_may_be_a_list(place: Path) -> None:
    (place / "voice.py").write_text(PROGRAM, "utf-8")
    write_settings(place, {"own": {"command": [sys.executable, "voice.py", "two words"]}})
    heard(place, "海上明月")
    assert notes(place)[0]["arguments"] == ["two words"]
    assert CommandSettings(command="say 'two words' x").arguments == ("say", "two words", "x")


def test_a_program_that_is_not_there_is_named(place: Path) -> None:
    for line in ("no-such-voice --fast", "/nowhere/at/all/voice"):
        write_settings(place, {"own": {"command": line}})
        with pytest.raises(DependencyError, match=rf"{line.split()[0]}, which command:own runs"):
            heard(place, "海")
    (place / "not-a-program").write_text("\0")
    (place / "not-a-program").chmod(0o755)
    write_settings(place, {"own": {"command": str(place / "not-a-program")}})
    with pytest.raises(DependencyError, match="cannot be started"):
        heard(place, "海")


FAULTS: dict[str, tuple[str, str]] = {
    "fails": (
        "import sys; print('loading', file=sys.stderr); sys.exit('no model zh.onnx')",
        "ended with 1: no model zh.onnx; run its command",
    ),
    "falls": ("import os; os.abort()", "ended with -6"),
    "says nothing": ("import sys; print('done.', file=sys.stderr)", "wrote no sound: done."),
    "prints garbage": ("print('Hello!' * 99)", "cannot be used .*not a sound that can be read"),
    "prints a page": ("print('<html>' * 99)", "cannot be used .*not a sound that can be read"),
    "cut": (
        PROGRAM + "\nsys.stdout.flush(); sys.stdout.truncate(2000)",
        "a sound that breaks off",
    ),
    "colours": (
        "import sys; sys.exit('\\x1b[31mred\\x1b[0m\\n\\n')",
        r"ended with 1: \[31mred \[0m;",
    ),
    "too much": (
        "import sys\nfor _ in range(10**6): sys.stdout.write('x' * 2**20)",
        "more than 67108864 bytes",
    ),
    "complains for ever": (
        "import sys\nfor _ in range(10**6): sys.stderr.write('x' * 2**20)",
        "more than 67108864 bytes",
    ),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_program_that_fails_is_told_in_one_line(place: Path, name: str) -> None:
    program, message = FAULTS[name]
    write(place, program=program)
    with pytest.raises(EndpointError, match=message) as caught:
        heard(place, "海上明月")
    assert str(caught.value).isprintable()


def test_an_output_that_was_not_written_is_told(place: Path) -> None:
    write(place, "--out {output}", program="print('a file, I think')")
    with pytest.raises(EndpointError, match="wrote no sound"):
        heard(place, "海上明月")


def is_running(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_program_that_hangs_is_ended_with_all_that_it_started(place: Path) -> None:
    write(
        place,
        program="import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('numbers', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(60)",
        seconds=1.5,
    )
    began = time.monotonic()
    with pytest.raises(EndpointError, match=r"still speaking after 1\.5 s; raise seconds"):
        heard(place, "海上明月")
    assert time.monotonic() - began < 20
    numbers = [int(one) for one in (place / "numbers").read_text().split()]
    for _ in range(100):
        if not any(map(is_running, numbers)):
            break
        time.sleep(0.05)
    assert not any(map(is_running, numbers))


def test_a_program_that_does_not_listen_is_not_waited_for(place: Path) -> None:
    quiet = PROGRAM.replace("sys.stdin.buffer.read().decode()", "''").replace(
        "heard.strip() or sys.argv[-1].strip()", "'four'"
    )
    write(place, program=quiet)
    assert heard(place, "海上明月").sound.duration_s == pytest.approx(0.8, abs=0.05)


def test_a_stranger_names_no_voice_that_is_a_path_or_an_option(place: Path) -> None:
    write(place, "--model {voice}", voices={"woman": "/models/zh.onnx"})
    heard(place, "海")
    assert notes(place)[0]["arguments"] == ["--model", "/models/zh.onnx"]
    for variant in ("../other", "/etc/passwd", "--evil", "a b", "a\nb", "x" * 65):
        with pytest.raises(ConfigError, match="no name of a voice"):
            heard(place, "海", variant=variant)
    heard(place, "海", variant="zh_CN-huayan.medium")
    assert len(notes(place)) == 2


def test_a_voice_that_it_has_not_is_told(place: Path) -> None:
    write(place, "--speaker {voice}")
    with pytest.raises(ConfigError, match=r"no voice for woman.*voices\.json: voices"):
        heard(place, "海")
    write(place)
    for options in ({"voice": "man"}, {"variant": "any"}):
        with pytest.raises(ConfigError, match=r"has one voice: its command has no \{voice\}"):
            heard(place, "海", **options)


def test_no_key_is_in_its_surroundings_and_paths_begin_at_home(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", KEY)
    monkeypatch.setenv("FOR_THE_VOICE", "kept")
    settings = {"https://example.com/v1": {"key_variable": "OTHER_KEY"}}
    (place / "endpoints.json").write_text(json.dumps(settings))
    write(place)
    heard(place, "海")
    (noted,) = notes(place)
    assert KEY not in json.dumps(noted)
    assert noted["environment"]["FOR_THE_VOICE"] == "kept"
    assert Path(noted["cwd"]) == place.resolve()


def test_a_program_of_this_machine_is_heard_offline(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_OFFLINE", "1")
    write(place)
    assert heard(place, "海").sound.duration_s > 0
    assert notes(place)[0]["environment"]["WENFANG_OFFLINE"] == "1"


def test_a_reading_is_sealed_with_its_model_and_made_again(home: Path, call: Call) -> None:
    write(home, model="tone-16k", licence="CC0-1.0")
    done = call("generate", "speech", VERSE, "--set", "engine=command:own", "-o", "a.flac")
    assert done.code == 0, done.err
    assert wf.verify(Path("a.flac"))[0].exit_code == 0
    lineage = call("lineage", "a.flac", "--json").out
    assert "tone-16k" in lineage
    assert "CC0-1.0" in lineage
    told = Path("a.flac.wenfang.json").read_text("utf-8")
    assert "command:own" in told
    assert sys.executable not in told
    assert "voice.py" not in told
    assert [one.outcome for one in wf.replay(Path("a.flac"))] == ["identical"]
    (home / "voices.json").unlink()
    (again,) = wf.replay(Path("a.flac"))
    assert again.outcome == "environment differs"
    assert "there is no command own" in again.finding


def test_every_setting_is_in_the_documentation() -> None:
    page = Path(__file__).parents[1] / "docs/how-to/sound.md"
    section = page.read_text("utf-8").partition("### Another voice")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    told = set(re.findall(r"`\{?(\w+)\}?`", " ".join(rows)))
    assert {one.name for one in fields(CommandSettings)} | set(FIELDS) == told
