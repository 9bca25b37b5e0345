"""Nothing but the seal's writer puts files where pieces are published: watched in a subprocess."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import BRIEF
from wenfang.scenarios import SCENARIOS

# Briefs that the small models of the tests can answer; a new scenario adds its own.
BRIEFS: dict[str, dict[str, Any]] = {
    "verse_card": BRIEF,
    "verse_recital": {
        **{
            name: BRIEF[name]
            for name in ("subject", "form", "seed", "constraints")
            if name in BRIEF
        },
        "scenario": "verse_recital",
    },
    "verse_film": {
        **{
            name: BRIEF[name]
            for name in ("subject", "form", "seed", "constraints")
            if name in BRIEF
        },
        "scenario": "verse_film",
        "film": {"quality": "draft"},
    },
    "venue_film": {
        "scenario": "venue_film",
        "facts": {"name": "Bo", "type": "pub", "near": "Ely"},
        "film": {"quality": "draft", "shapes": ["1:1"]},
    },
    "jingle": {"scenario": "jingle", "brand": "Bo", "seconds": 3, "variants": 1},
    "translate": {"scenario": "translate", "text": "# Tea\n\nTom likes tea. I read a book.\n"},
    "venue_ad": {"scenario": "venue_ad", "facts": {"name": "Bo", "type": "pub"}, "drafts": 1},
}

WATCH = """
import json, os, sys
allowed = [os.path.realpath(path) for path in json.loads(sys.argv[1])]
offences, writes = [], 0
FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

def sealed_by_the_writer():
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.endswith(os.path.join("wenfang", "seal", "writer.py")):
            return True
        frame = frame.f_back
    return False

def watch(event, arguments):
    global writes
    if event == "open":
        path, mode, flags = arguments
        touched = [path] if isinstance(flags, int) and flags & FLAGS else []
    elif event in ("os.rename", "os.link", "os.symlink"):
        touched = [arguments[0], arguments[1]]
    elif event in ("os.mkdir", "os.truncate"):
        touched = [arguments[0]]
    else:
        return
    for path in touched:
        if not isinstance(path, (str, bytes, os.PathLike)):
            continue
        place = os.path.realpath(os.fsdecode(path))
        inside = any(place == one or place.startswith(one + os.sep) for one in allowed)
        if inside or place == os.devnull:
            continue
        if sealed_by_the_writer():
            writes += 1
        else:
            offences.append([event, place])

sys.addaudithook(watch)
from wenfang.cli import main
try:
    main(sys.argv[2:])
except SystemExit as leaving:
    code = leaving.code
print("WATCHED " + json.dumps({"code": code, "writes": writes, "offences": offences}))
"""


def watched(home: Path, *arguments: str) -> dict[str, Any]:
    """Run `wenfang ARGUMENTS`; writes of the seal's writer, and those of anybody else."""
    private = home.parent / "temporary"
    private.mkdir(exist_ok=True)
    allowed = json.dumps([str(home), str(private)])
    environment = {**os.environ, "TMPDIR": str(private), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, allowed, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=180,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("WATCHED ")]
    assert lines, done.stderr
    found: dict[str, Any] = json.loads(lines[0].removeprefix("WATCHED "))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("private", [(), ("--private",)])
def test_only_the_writer_of_the_seal_publishes(
    home: Path, scenario: str, private: tuple[str, ...]
) -> None:
    Path("brief.json").write_text(json.dumps(BRIEFS[scenario], ensure_ascii=False), "utf-8")
    found = watched(home, "create", "brief.json", "-o", "out", *private)
    assert found["code"] == 0
    assert found["offences"] == []
    assert found["writes"] > 0


def test_generate_and_seal_publish_through_the_writer_alone(home: Path) -> None:
    found = watched(home, "generate", "verse", "春江", "-o", "poem.txt")
    assert (found["code"], found["offences"]) == (0, [])
    Path("given").mkdir()
    Path("given/note.md").write_text("# A note\n")
    found = watched(home, "seal", "given/note.md", "--made-with", "Another", "-o", "sealed")
    assert (found["code"], found["offences"]) == (0, [])
    assert found["writes"] > 0


def test_the_watch_sees_a_writer_that_goes_around_the_seal(home: Path) -> None:
    script = WATCH.replace("main(sys.argv[2:])", "open('loose.txt', 'w').close(); sys.exit(0)")
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps([str(home)])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "loose.txt" in done.stdout
