"""Bad input: an own exit code, one line that says what, where and what to do, nothing half-made."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Call

Write = Callable[..., Path]
PROGRAM = [sys.executable, "-c", "from wenfang.cli import main; main()"]


def nothing_published(folder: str = "out") -> bool:
    """No file of a piece, and no leftover of one."""
    return not [path for path in Path(folder).rglob("*") if path.is_file()]


CASES: dict[str, tuple[dict[str, object], int, str]] = {
    "an unknown field names the nearest": ({"subjcet": "春"}, 11, "did you mean subject"),
    "an unknown nested field": ({"style": {"papper": "plain"}}, 11, "did you mean paper"),
    "an unknown scenario names the nearest": ({"scenario": "verse_cart"}, 16, "verse_card"),
    "no scenario": ({"scenario": None}, 11, "scenario"),
    "a wrong form": ({"form": "sonnet"}, 11, "七言絕句"),
    "a wrong type": ({"seed": "seven"}, 11, "whole number"),
    "a negative count": ({"constraints": {"candidates": -1}}, 11, "constraints.candidates"),
    "a temperature below zero": ({"sampling": {"temperature": -1}}, 12, "sampling.temperature"),
    "a title of 10,000 characters": ({"subject": "春" * 10_000}, 11, "at most 20"),
    "a title of emoji": ({"subject": "🌸🌙"}, 11, "🌸🌙"),
    "a title of spaces": ({"subject": "  　"}, 11, "subject is empty"),
    "a title of Latin letters": ({"subject": "spring"}, 11, "Chinese"),
    "a title of unknown characters": ({"subject": "㐀㐁"}, 11, "㐀㐁"),
    "half of a surrogate pair": ({"signature": "\\ud800"}, 11, "signature"),
    "a line break in the signature": ({"signature": "a\nb"}, 11, "signature"),
    "a signature that no font can draw": ({"signature": "🌸"}, 14, "🌸"),
    "everything avoided": (
        {"constraints": {"avoid": "".join(map(chr, range(0x4E00, 0xA000)))}},
        12,
        "avoid fewer",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_brief_is_refused(call: Call, brief: Write, case: str) -> None:
    changes, code, words = CASES[case]
    path = brief(**changes)
    path.write_text(path.read_text("utf-8").replace("\\\\ud800", "\\ud800"), "utf-8")
    made = call("create", path, "-o", "out")
    assert made.code == code
    assert words in made.error
    assert nothing_published()


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b" \n ", "is empty"),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\0", "not a text file"),
    "not json": (b"subject: x", "is not JSON (line 1"),
    "cut": (b'{"scenario": "verse_card",', "is not JSON"),
    "a list": (b"[1, 2]", "not a JSON object"),
    "nested without end": (b"[" * 100_000, "too long"),
    "a number without end": (b'{"seed": ' + b"1" * 5000 + b"}", "too long"),
    "not a number": (b'{"scenario":"verse_card","subject":"\xe6\x98\xa5","seed":NaN}', "whole"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_malformed_brief_is_named(call: Call, kind: str) -> None:
    content, words = FILES[kind]
    Path("brief.json").write_bytes(content)
    made = call("create", "brief.json", "-o", "out")
    assert made.code in (11, 14)
    assert "brief.json" in made.error
    assert words in made.error
    assert nothing_published()


def test_a_missing_brief_says_where_to_get_one(call: Call) -> None:
    made = call("create", "nowhere.json", "--json")
    assert made.code == 11
    assert "nowhere.json" in made.error
    assert "--example" in made.error
    assert made.json["error"]["type"] == "BriefError"


def test_a_path_beyond_all_limits_is_one_line(call: Call) -> None:
    made = call("create", "x" * 5000)
    assert made.code == 18
    assert len(made.error) < 400


BAD_TABLES = {
    "an unknown column": ("scenario,subjcet\nverse_card,春\n", "subject"),
    "too many cells": ("scenario,subject\nverse_card,春,江\n", "more cells"),
    "a head line alone": ("scenario,subject\n", "no brief"),
    "columns that contradict": ("scenario,subject,style,style.paper\nverse_card,春,a,b\n", "style"),
    "a field without end": (f'scenario,subject\nverse_card,"{"x" * 200_000}\n', "not csv"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_of_briefs_is_named(call: Call, case: str) -> None:
    text, words = BAD_TABLES[case]
    Path("briefs.csv").write_text(text, "utf-8")
    made = call("create", "briefs.csv", "-o", "out")
    assert made.code == 11
    assert words in made.err
    assert "Traceback" not in made.err
    assert nothing_published()


def test_an_unknown_model_names_the_nearest(call: Call, brief: Write) -> None:
    for words in (
        ("generate", "vers"),
        ("create", brief(), "--model", "vers"),
        ("evaluate", "vers"),
    ):
        made = call(*words)
        assert made.code == 16
        assert "did you mean verse" in made.error


def test_an_unknown_recipe_and_profile_name_what_there_is(call: Call) -> None:
    assert "did you mean verse" in call("train", "vrse").error
    Path("a.txt").write_text("words")
    made = call("prepare", "a.txt", "-o", "set", "--profile", "chinesse")
    assert made.code == 64
    assert "chinese" in made.error


SETTINGS = {
    "no equals sign": ("characters", 12, "key=value"),
    "an unknown key": ("charactres=5", 12, "did you mean characters"),
    "a key inside of a value": ("characters.x=5", 12, "characters"),
    "a value outside": ("characters=6", 12, "5, 7"),
    "the method's own name": ("seeds=1", 12, "unknown field seeds"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_bad_setting_is_named(call: Call, case: str) -> None:
    setting, code, words = SETTINGS[case]
    made = call("generate", "verse", "--set", setting)
    assert made.code == code
    assert words in made.error


def test_settings_that_contradict_each_other_are_named(call: Call) -> None:
    both = ("--set", "sampling=1", "--set", "sampling.top_p=0.5")
    assert "sampling" in call("generate", "verse", *both).error


def test_a_bad_setting_of_create_and_train_is_named(call: Call, brief: Write) -> None:
    assert "did you mean seed" in call("create", brief(), "--set", "sed=1").error
    assert "did you mean" in call("train", "tiny", "--set", "optim.lrr=1").error
    assert call("train", "tiny", "--set", "train.steps=-1").code == 12


def test_prompts_that_cannot_be_titles_are_refused(call: Call) -> None:
    assert "at most 20" in call("generate", "verse", "春" * 10_000).error
    assert "🌸" in call("generate", "verse", "🌸").error
    assert call("generate", "verse", "   ").code == 0


def test_wrong_usage_ends_with_64(call: Call) -> None:
    for words in (
        ("creat",),
        ("create",),
        ("create", "a.json", "--bogus"),
        ("generate", "verse", "-n", "0"),
        ("generate", "verse", "-n", "many"),
        ("models", "frobnicate"),
        ("scenarios", "show"),
    ):
        made = call(*words)
        assert made.code == 64, words
        assert made.error


def test_an_error_with_json_is_one_document_and_one_line(call: Call) -> None:
    for words in (("generate", "vers"), ("creat",), ("verify", "nowhere")):
        made = call(*words, "--json")
        assert made.code >= 10
        assert made.json["error"]["message"] in made.error


# Material -------------------------------------------------------------------------------------


SOURCES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "binary": (bytes(range(256)) * 40, "source.txt"),
    "another encoding": ("春眠不覺曉，處處聞啼鳥。".encode("big5") * 20, "source.txt"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_material_that_is_no_text_is_named(call: Call, kind: str) -> None:
    content, words = SOURCES[kind]
    Path("source.txt").write_bytes(content)
    made = call("prepare", "source.txt", "-o", "set", "--profile", "none")
    assert made.code == 13
    assert words in made.error
    assert not Path("set").exists()


def limited(kind: int, most: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(kind, (most, most))

    return limit


def run_program(
    *words: object, limit: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


PEAK_OF_CHILD = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_line_of_a_gigabyte_is_refused_in_little_memory() -> None:
    with Path("long.txt").open("wb") as stream:
        stream.write(b"spring and river " * 2**16)
        stream.truncate(2**30)  # the rest is a hole, without a line end
    command = [*PROGRAM, "prepare", "long.txt", "-o", "set", "--profile", "none"]
    # A child's peak counts what its parent held when it was made, and this one may hold much: so a
    # small program between them makes it.
    measured = [sys.executable, "-c", PEAK_OF_CHILD, *command]
    made = subprocess.run(measured, capture_output=True, text=True, check=False)
    assert made.returncode == 13, made.stderr
    assert "long.txt:1: the line is longer" in made.stderr
    assert not Path("set").exists()
    assert int(made.stdout.split()[-1]) < 900_000  # kilobytes


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_a_full_disk_is_told_and_nothing_half_made_stays(brief: Write) -> None:
    made = run_program("create", brief(), "-o", "out", limit=limited(resource.RLIMIT_FSIZE, 30_000))
    assert made.returncode == 18, made.stderr
    assert "index.sqlite3 cannot be written" in made.stderr
    assert "Traceback" not in made.stderr
    assert nothing_published()


def test_a_disk_that_fills_up_while_sealing_leaves_no_file(
    call: Call, brief: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wenfang.seal import writer

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "card.png")

    monkeypatch.setattr(writer, "_write", full)
    made = call("create", brief(), "-o", "out")
    assert made.code == 18
    assert "no space left" in made.error
    assert nothing_published()


def test_a_file_in_the_way_of_the_output_is_named(call: Call, brief: Write) -> None:
    Path("out").write_text("in the way")
    made = call("create", brief(), "-o", "out")
    assert made.code == 18
    assert "out" in made.error
    assert Path("out").read_text() == "in the way"


def test_a_home_that_is_a_file_is_named(
    call: Call, brief: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("house").write_text("")
    monkeypatch.setenv("WENFANG_HOME", "house")
    made = call("create", brief(), "-o", "out")
    assert made.code == 18
    assert "house" in made.error


def test_a_refusal_of_the_system_is_one_line(
    call: Call, brief: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wenfang.engine import creating

    def refuse(_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "brief.json")

    monkeypatch.setattr(creating, "read_briefs", refuse)
    made = call("create", brief())
    assert made.code == 18
    assert "brief.json" in made.error


# Bundles --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "index.safetensors",
        "lineage.json",
        "README.md",
    ],
)
def test_one_flipped_bit_in_a_bundle_is_named(
    call: Call, home: Path, brief: Write, name: str
) -> None:
    path = home / "bundles/verse" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for words in (("create", brief(), "-o", "out"), ("generate", "verse")):
        made = call(*words)
        assert made.code == 15
        assert str(path) in made.error
    assert nothing_published()


def test_any_flipped_bit_in_the_manifest_is_seen(call: Call, home: Path) -> None:
    path = home / "bundles/verse/manifest.json"
    whole = path.read_bytes()
    places = [place for place in range(0, len(whole), len(whole) // 25) if whole[place] != 32]
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1
        path.write_bytes(content)
        made = call("generate", "verse")
        if json.loads(whole) != _value(bytes(content)):
            assert made.code == 15, (place, made)
            assert "bundles/verse" in made.error
    path.write_bytes(b"{")
    assert "verse" in call("models").out  # a damaged bundle does not hide the others
    assert call("models", "show", "verse").code in (0, 15)


def _value(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


def test_a_bundle_with_a_pickle_in_it_is_refused(call: Call, home: Path, brief: Write) -> None:
    (home / "bundles/verse/weights.pt").write_bytes(b"\x80\x04.")
    made = call("create", brief(), "-o", "out")
    assert made.code == 15
    assert "weights.pt" in made.error
    assert "pickled" in made.error
    assert nothing_published()


def test_a_bundle_with_a_file_missing_is_named(call: Call, home: Path) -> None:
    for name in ("index.safetensors", "manifest.json"):
        (home / "bundles/verse" / name).unlink()
        made = call("generate", home / "bundles/verse")
        assert made.code == 15
        assert name in made.error


# Signals and other processes ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_an_interrupted_create_says_how_to_go_on(brief: Write) -> None:
    path = brief(constraints={"candidates": 256, "rounds": 1})
    program = subprocess.Popen(
        [*PROGRAM, "create", str(path), "-o", "out"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Where the tests themselves run in the background, Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert program.stderr is not None
    assert "0/4" in program.stderr.readline()  # it has begun to write
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 130, said
    assert said.splitlines()[-1].startswith("wenfang: stopped")
    assert "goes on" in said
    assert "Traceback" not in said
    assert nothing_published()


def train_words(data: Path, run: str, *more: str) -> list[str]:
    small = ("train.steps=300", "train.log_every=1", "train.checkpoint_every=100", "threads=1")
    settings = [word for one in small for word in ("--set", one)]
    return ["train", "tiny", "--data", str(data), "-o", run, *settings, *more]


@pytest.fixture
def text_set(call: Call) -> Path:
    """A small data set of plain text."""
    Path("words.txt").write_text(
        "\n\n".join(f"The {n * 7919 % 1000} of spring, the moon and the river." for n in range(900))
    )
    settings = ("--set", "reading.unit=paragraph", "--set", "duplicates.near=false")
    made = call("prepare", "words.txt", "-o", "set", "--profile", "none", *settings)
    assert made.code == 0, made.err
    return Path("set")


@pytest.mark.slow
def test_an_interrupted_training_goes_on_and_a_second_process_is_refused(
    call: Call, text_set: Path
) -> None:
    words = train_words(text_set, "run")
    program = subprocess.Popen(
        [*PROGRAM, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    log = Path("run/metrics.jsonl")
    until = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size) and time.monotonic() < until:
        time.sleep(0.05)
    recipe = Path("run/recipe.json").read_bytes()
    second = call(*words, "--resume", "--set", "optim.lr=0.5")
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert second.code == 19
    assert "run" in second.error
    assert program.returncode == 130, said
    assert "--resume" in said
    assert "Traceback" not in said
    # The refused process has not touched the run, nor has one of another recipe.
    other = call(*words, "--resume", "--set", "optim.lr=0.5")
    assert other.code == 20
    assert Path("run/recipe.json").read_bytes() == recipe
    again = call(*words)
    assert again.code == 12
    assert "--resume" in again.error
    assert not Path("run/bundle").exists()
    done = call(*words, "--resume", "--set", "train.steps=300")
    assert done.code == 0
    assert Path("run/bundle/manifest.json").is_file()


def test_a_loss_that_is_not_finite_stops_the_training(call: Call, text_set: Path) -> None:
    made = call(*train_words(text_set, "wild", "--set", "optim.lr=1e30"))
    assert made.code == 20
    assert "lower the learning rate" in made.error
    assert not Path("wild/bundle").exists()


@pytest.mark.slow
def test_a_run_on_a_full_disk_is_told(call: Call, text_set: Path) -> None:
    words = train_words(text_set, "full", "--set", "train.steps=2")
    made = run_program(*words, limit=limited(resource.RLIMIT_FSIZE, 20_000))
    assert made.returncode == 18, made.stderr
    assert "Traceback" not in made.stderr
    assert not Path("full/bundle").exists()
    assert not list(Path("full").rglob(".partial-*"))


@pytest.mark.slow
def test_two_creates_at_once_both_succeed(home: Path, brief: Write) -> None:
    shutil.rmtree(home / "identity", ignore_errors=True)
    path = brief()
    programs = [
        subprocess.Popen(
            [*PROGRAM, "create", str(path), "-o", "out", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for _ in range(2)
    ]
    told = [program.communicate(timeout=120) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], told
    check = run_program("verify", "out")
    assert check.returncode == 0, check.stdout
